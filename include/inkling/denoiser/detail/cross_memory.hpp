#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/nn/transformer_layer.hpp>

#include <cstddef>
#include <vector>

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

    /// The columns of `all` [Ns, layers * 2 width] that are a layer's.
    [[nodiscard]] static View of_layer(View all, Index width, std::size_t layer) {
        return all.columns(static_cast<Index>(layer) * 2 * width, 2 * width);
    }
    [[nodiscard]] View of_layer(std::size_t layer) const { return of_layer(keys_values, output.cols, layer); }

    /// Which rows of a target attend to which of the memory.
    [[nodiscard]] backend::AttentionShape shape(PackedSequences const& target, Index heads) const {
        return {target.segments, source.segments, heads, source_of, false};
    }

    /// Makes the keys and values that every decoding step shares of the output.
    void make_keys_values(nn::Pass<B>& pass, std::vector<nn::TransformerLayer> const& layers) const {
        for (std::size_t i = 0; i < layers.size(); ++i)
            layers[i].cross_attention.key_value().forward(pass, MatrixView<typename B::Scalar const>(output),
                                                          of_layer(i));
    }
    /// Adds the gradient of the keys and values to those of their maps and to doutput [Ns, width].
    void keys_values_backward(nn::Pass<B>& pass, std::vector<nn::TransformerLayer> const& layers, View dkeys_values,
                              View doutput) const {
        using ConstView = MatrixView<typename B::Scalar const>;
        for (std::size_t i = 0; i < layers.size(); ++i)
            layers[i].cross_attention.key_value().backward(
                pass, ConstView(output), ConstView(of_layer(dkeys_values, output.cols, i)), doutput, true);
    }

    /// The mean row of each source, [S, width].
    [[nodiscard]] View mean_output(nn::Pass<B>& pass) const {
        View const mean = pass.take(source.segments.count, output.cols);
        sum_per_sentence(pass.device, source.segments, output, mean, true);
        return mean;
    }
};

}  // namespace inkling::denoiser::detail
