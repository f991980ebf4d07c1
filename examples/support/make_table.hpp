#pragma once

#include "skip_gram.hpp"
#include "translation.hpp"
#include "vectors.hpp"

#include <inkling/backend/cpu/principal_components.hpp>

#include <bit>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace support {

/// What learned vectors depend on, as digits: others have another file.
inline std::string identity(VectorSettings const& settings, text::ParallelCorpus const& lines) {
    Hash hash(settings.seed);
    for (Index const number : {settings.width, settings.epochs, lines.size()})
        hash.add(static_cast<std::uint64_t>(number));
    hash.add(std::bit_cast<std::uint64_t>(settings.pads));
    for (Index i = 0; i < lines.size(); ++i)
        for (Token const token : lines.target(i)) hash.add(static_cast<std::uint64_t>(token));
    return hash.digits();
}

/// The table that a run starts with: imported, kept from the run that is resumed, or learned from the lines.
/// @param lines  their targets are read
inline std::shared_ptr<embedding::VectorTable const> make_table(VectorSettings const& settings,
                                                                AnyTokenizer const& tokenizer,
                                                                text::ParallelCorpus const& lines) {
    embedding::VectorTable wide;
    std::string const kept = settings.kept + "-" + identity(settings, lines);
    if (settings.anew) std::filesystem::remove(kept);
    require(!settings.random && settings.file.empty() ? settings.width >= settings.latent : true, "--latent is ",
            settings.latent, ", expected no more than --vector-width, ", settings.width);
    if (settings.random) {
        wide.width = settings.latent;
        wide.values.resize(static_cast<std::size_t>(tokenizer.vocabulary_size() * settings.latent));
        RandomStream const stream{settings.seed, Purpose::initial_weights, 0, 0};
        for (std::size_t at = 0; at < wide.values.size(); ++at)
            wide.values[at] = normals<float>(stream.bits(static_cast<std::uint32_t>(at / 4)))[at % 4];
    } else if (!settings.file.empty()) {
        wide = embedding::read_vectors(settings.file, settings.name);
    } else if (std::filesystem::exists(kept)) {
        std::cerr << "vectors of an earlier run are taken from " << kept << " (--restart would forget them)\n";
        wide = embedding::read_vectors(kept);
    } else {
        train::InterruptGuard const guard;
        SkipGram vectors(tokenizer.vocabulary_size(), tokenizer.specials(),
                         {.width = settings.width,
                          .epochs = settings.epochs,
                          .pads = settings.pads,
                          .seed = settings.seed,
                          .on_progress = [&](Index done, Index total) {
                              if (done % 1000 == 0 || done == total)
                                  std::cerr << "\rvectors: " << 100 * done / total << " %" << std::flush;
                              return !guard.requested();
                          }});
        wide = vectors.train(lines);
        if (guard.requested()) end_by(guard.signal(), "stopped while vectors were learned; nothing is kept of them");
        std::cerr << '\n';
        io::save_tensors(kept,
                         std::vector<io::NamedTensor>{{"vectors", {wide.rows(), wide.width}, wide.values.data()}});
    }
    require(wide.width >= settings.latent, "the vectors have ", wide.width, " numbers each, --latent is ",
            settings.latent, ", expected no more");
    if (wide.width > settings.latent)
        wide = {settings.latent, backend::principal_components(wide.values, wide.width, settings.latent)};
    return embedding::normalized(std::move(wide));
}

}  // namespace support
