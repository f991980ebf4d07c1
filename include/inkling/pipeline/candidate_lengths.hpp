#pragma once

#include <inkling/core/error.hpp>
#include <inkling/decode/beams.hpp>
#include <inkling/denoiser/concept.hpp>

#include <cstddef>
#include <span>
#include <vector>

namespace inkling::pipeline {

/// Lengths of all candidates, ordered by source, then length, then noise: the likeliest and its neighbours, or where
/// the denoiser ranks lengths those of its likeliest classes.
///
/// @param source_lengths  [S], in rows
/// @return                [S · beams.candidates()]
/// @throws Error when the beams are out of their range, or ask for more lengths than there are classes
template <Denoiser Model>
[[nodiscard]] std::vector<Index> candidate_lengths(nn::Pass<typename Model::Device>& pass, Model const& denoiser,
                                                   typename Model::Encoded const& encoded,
                                                   std::span<Index const> source_lengths, decode::Beams const& beams) {
    using Scalar = typename Model::Device::Scalar;
    nn::Scope<typename Model::Device> const scope(pass.workspace);
    std::vector<Index> lengths;
    auto const count = static_cast<Index>(source_lengths.size());
    if constexpr (ranks_lengths<Model>) {
        auto const logits = denoiser.length_logits(pass, encoded);
        std::vector<Scalar> host(static_cast<std::size_t>(logits.size()));
        download(pass.device, static_cast<Scalar const*>(logits.data), std::span<Scalar>(host));
        auto const classes = static_cast<std::size_t>(logits.cols);
        for (std::size_t s = 0; s < source_lengths.size(); ++s)
            for (Index const one :
                 decode::top_classes(std::span<Scalar const>(host).subspan(s * classes, classes), beams.length_beam))
                lengths.push_back(denoiser.length_of(source_lengths[s], static_cast<Token>(one)));
        return decode::candidate_lengths_of(lengths, beams);
    } else {
        VectorView<Token> const classes{pass.workspace.template take<Token>(count), count};
        denoiser.predict_lengths(pass, encoded, classes);
        std::vector<Token> host(source_lengths.size());
        download(pass.device, static_cast<Token const*>(classes.data), std::span<Token>(host));
        for (std::size_t s = 0; s < source_lengths.size(); ++s)
            lengths.push_back(denoiser.length_of(source_lengths[s], host[s]));
        return decode::candidate_lengths(lengths, beams);
    }
}

}  // namespace inkling::pipeline
