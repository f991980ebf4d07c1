#pragma once

#include <inkling/core/error.hpp>
#include <inkling/denoiser/concept.hpp>
#include <inkling/text/joining.hpp>

#include <algorithm>
#include <span>
#include <vector>

namespace inkling::pipeline {

/// Brings one side of a packed batch to the backend's memory, with the place of every row in its sentence.
///
/// @param offsets  [S + 1]
/// @param tokens   [N], or empty where only the lengths are known
/// @param places   host scratch, reused from batch to batch
/// @param longest  rows that the denoiser has positions for
/// @throws Error when a sentence is empty or longer than `longest`
template <Backend B>
[[nodiscard]] PackedSequences to_device(nn::Pass<B>& pass, std::span<Index const> offsets,
                                        std::span<Token const> tokens, std::vector<Token>& places, Index longest,
                                        char const* side) {
    Index const count = static_cast<Index>(offsets.size()) - 1;
    Index const rows = offsets.back();
    Index most = 0;
    places.resize(static_cast<std::size_t>(rows));
    for (Index sentence = 0; sentence < count; ++sentence) {
        Index const begin = offsets[static_cast<std::size_t>(sentence)];
        Index const end = offsets[static_cast<std::size_t>(sentence) + 1];
        require(end > begin, "inkling::pipeline: ", side, " sentence ", sentence, " of the batch is empty");
        require(end - begin <= longest, "inkling::pipeline: ", side, " sentence ", sentence, " of the batch has ",
                end - begin, " tokens, expected at most ", longest, ", for which the model has positions");
        most = std::max(most, end - begin);
        for (Index row = begin; row < end; ++row)
            places[static_cast<std::size_t>(row)] = static_cast<Token>(row - begin);
    }
    auto* const device_offsets = pass.workspace.template take<Index>(count + 1);
    auto* const device_places = pass.workspace.template take<Token>(rows);
    upload(pass.device, offsets, device_offsets);
    upload(pass.device, std::span<Token const>(places), device_places);
    PackedSequences result{{device_offsets, count, rows, most}, {}, {device_places, rows}};
    if (!tokens.empty()) {
        auto* const device_tokens = pass.workspace.template take<Token>(rows);
        upload(pass.device, tokens, device_tokens);
        result.tokens = {device_tokens, rows};
    }
    return result;
}

/// Brings the parts of joined sequences to the backend's memory: sources and targets, by turns.
template <Backend B>
[[nodiscard]] Segments parts_to_device(nn::Pass<B>& pass, text::JoinedBatch const& batch) {
    Index const count = static_cast<Index>(batch.parts.size()) - 1;
    auto* const offsets = pass.workspace.template take<Index>(count + 1);
    upload(pass.device, std::span<Index const>(batch.parts), offsets);
    return {offsets, count, batch.parts.back(), batch.longest_part()};
}

/// Brings host values to memory of the pass.
template <class T, Backend B>
[[nodiscard]] VectorView<T> to_device(nn::Pass<B>& pass, std::span<T const> values) {
    T* const memory = pass.workspace.template take<T>(static_cast<Index>(values.size()));
    upload(pass.device, values, memory);
    return {memory, static_cast<Index>(values.size())};
}

}  // namespace inkling::pipeline
