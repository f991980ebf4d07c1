#pragma once

#include "search.hpp"
#include "translation.hpp"

#include <stop_token>

/// What autoregressive and seq2seq share: the Transformer that writes word after word.
namespace support {

using Autoregression = TextAutoregression<embedding::Learned, denoiser::Autoregressive<Device>>;

inline Autoregression load_autoregression(std::string const& path, DeviceSettings const& settings) {
    return Autoregression::load<text::SentencePieceTokenizer, text::WordTokenizer, TwoTokenizers>(path,
                                                                                                  settings.device());
}

/// Writes what a model says to every source line: what another model can be trained on.
inline void distill(SearchSettings const& settings) {
    refuse_to_replace({settings.model, settings.source}, settings.output, "--output");
    auto const model = load_autoregression(settings.model, settings);
    io::LineReader sources(settings.source);
    std::stop_source ending;
    train::InterruptGuard const guard;
    auto const report =
        inkling::distill(model, sources, settings.output,
                         {.generate = {.search = settings.search,
                                       .tokens_per_batch = settings.tokens_per_batch,
                                       .stop = ending.get_token(),
                                       .on_progress =
                                           [&](Index, Index) {
                                               if (guard.requested()) ending.request_stop();
                                           }},
                          .lines_per_piece = settings.piece,
                          .on_progress = [](Index lines) { std::cerr << '\r' << lines << " lines" << std::flush; }});
    if (!report.finished)
        end_by(guard.signal(), message("stopped after ", report.lines, " lines; the same command goes on"));
    std::cerr << '\n'
              << report.lines << " lines written to " << settings.output << ", " << report.left_out
              << " of them empty\n";
}

}  // namespace support
