#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/nn/pass.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <numeric>
#include <span>

namespace inkling::denoiser::detail {

/// A source, read once: what decoder layers attend to.
template <Backend B>
struct CrossMemory {
    using View = MatrixView<typename B::Scalar>;

    PackedSequences source;
    View output;                       ///< [Ns, width]
    View keys_values;                  ///< [Ns, layers * 2 width], of every decoder layer
    Index const* source_of = nullptr;  ///< [S], which source each target belongs to; null: the same number

    /// Room for a source that `layers` decoder layers attend to.
    [[nodiscard]] static CrossMemory take(nn::Pass<B>& pass, PackedSequences const& source, Index width, Index layers) {
        Index const rows = source.segments.rows;
        return {source, pass.take(rows, width), pass.take(rows, layers * 2 * width), nullptr};
    }

    /// What stands for no source: one row of zeros for each of the `sentences` targets, whose keys and values are still
    /// to be made.
    [[nodiscard]] static CrossMemory nothing(nn::Pass<B>& pass, Index sentences, Index width, Index layers) {
        Index* const offsets = pass.workspace.template take<Index>(sentences + 1);
        std::array<Index, 256> some{};
        for (Index begin = 0; begin <= sentences; begin += static_cast<Index>(some.size())) {
            auto const count =
                static_cast<std::size_t>(std::min<Index>(sentences + 1 - begin, static_cast<Index>(some.size())));
            std::iota(some.begin(), some.end(), begin);
            upload(pass.device, std::span<Index const>(some.data(), count), offsets + begin);
        }
        CrossMemory const memory = take(pass, {{offsets, sentences, sentences, 1}, {}, {}}, width, layers);
        clear(pass.device, memory.output.data, memory.output.size());
        return memory;
    }
    /// Whether it stands for no source.
    [[nodiscard]] bool is_nothing() const { return source.tokens.empty(); }

    /// Which rows of a target attend to which of the memory.
    [[nodiscard]] backend::AttentionShape shape(PackedSequences const& target, Index heads) const {
        return {target.segments, source.segments, heads, source_of, false};
    }

    /// The mean row of each source, [S, width].
    [[nodiscard]] View mean_output(nn::Pass<B>& pass) const {
        View const mean = pass.take(source.segments.count, output.cols);
        sum_per_sentence(pass.device, source.segments, output, mean, true);
        return mean;
    }
};

}  // namespace inkling::denoiser::detail
