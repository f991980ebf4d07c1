#pragma once

#include <inkling/nn/transformer_layer.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace inkling::nn {

/// Transformer layers one behind the other, and, where they are pre-norm, the norm behind them.
///
/// Layers that attend to a second sequence read its keys and values from one matrix [Nk, layers * 2 width], made once.
struct TransformerStack {
    std::vector<TransformerLayer> layers;
    LayerNorm norm;

    /// The stack, for the backward pass.
    template <Backend B>
    struct Saved {
        std::vector<TransformerLayer::Saved<B>> layers;
        LayerNorm::Saved<B> norm;
    };

    TransformerStack() = default;
    /// Registers `count` layers below `name`.layers, and `name`.layer_norm where there is one.
    TransformerStack(ParameterLayout& layout, std::string const& name, Index count,
                     TransformerLayerOptions const& options) {
        for (Index i = 0; i < count; ++i) layers.emplace_back(layout, name + ".layers." + std::to_string(i), options);
        if (options.normalize_before) norm = LayerNorm(layout, name + ".layer_norm", options.width);
    }

    /// Columns of the keys and values of all layers.
    [[nodiscard]] Index keys_values_width() const { return layers.empty() ? 0 : of_layer() * count(); }

    /// keys_values [Nk, layers * 2 width] of the second sequence [Nk, width], for every layer.
    template <Backend B>
    void make_keys_values(Pass<B>& pass, MatrixView<typename B::Scalar const> second,
                          MatrixView<typename B::Scalar> keys_values) const {
        for (std::size_t i = 0; i < layers.size(); ++i)
            layers[i].cross_attention.key_value().forward(pass, second, columns(keys_values, i));
    }
    /// dsecond [Nk, width] += the gradient through make_keys_values.
    template <Backend B>
    void make_keys_values_backward(Pass<B>& pass, MatrixView<typename B::Scalar const> second,
                                   MatrixView<typename B::Scalar const> dkeys_values,
                                   MatrixView<typename B::Scalar> dsecond) const {
        for (std::size_t i = 0; i < layers.size(); ++i)
            layers[i].cross_attention.key_value().backward(pass, second, columns(dkeys_values, i), dsecond, true);
    }

    /// The last layer's rows [N, width] from hidden [N, width], in `out` where it is not empty, else where hidden was.
    ///
    /// @param hidden  overwritten outside training; in training it must outlive the backward pass
    template <Backend B>
    [[nodiscard]] MatrixView<typename B::Scalar> forward(Pass<B>& pass, Segments const& segments,
                                                         MatrixView<typename B::Scalar> hidden,
                                                         MatrixView<typename B::Scalar> out = {},
                                                         backend::AttentionShape const& cross_shape = {},
                                                         MatrixView<typename B::Scalar const> keys_values = {},
                                                         Saved<B>* saved = nullptr) const {
        if (saved) saved->layers.resize(layers.size());
        return run(pass, hidden, out, saved, [&](std::size_t i, auto from, auto to) {
            layers[i].forward(pass, segments, from, to, cross_shape, columns(keys_values, i),
                              saved ? &saved->layers[i] : nullptr);
        });
    }
    /// One row more of sequences whose earlier rows' keys and values are kept.
    ///
    /// @param shape        which rows of `cache` each of the R rows looks at, its own among them
    /// @param cache        [M, layers * 2 width], keys and values of all rows so far, of every layer
    /// @param new_rows     [R, layers * 2 width], the places in `cache` of the new rows; they are written
    template <Backend B>
    [[nodiscard]] MatrixView<typename B::Scalar> forward_next(Pass<B>& pass, backend::AttentionShape const& shape,
                                                              MatrixView<typename B::Scalar const> cache,
                                                              MatrixView<typename B::Scalar> new_rows,
                                                              MatrixView<typename B::Scalar> hidden,
                                                              backend::AttentionShape const& cross_shape,
                                                              MatrixView<typename B::Scalar const> keys_values) const {
        return run<B>(pass, hidden, {}, nullptr, [&](std::size_t i, auto from, auto to) {
            layers[i].forward_next(pass, shape, columns(cache, i), columns(new_rows, i), from, to, cross_shape,
                                   columns(keys_values, i));
        });
    }
    /// Turns the gradient of the last layer's rows into that of hidden, in place; dkeys_values is overwritten.
    template <Backend B>
    void backward(Pass<B>& pass, Segments const& segments, Saved<B> const& saved,
                  MatrixView<typename B::Scalar> dhidden, backend::AttentionShape const& cross_shape = {},
                  MatrixView<typename B::Scalar> dkeys_values = {}) const {
        if (norm.exists()) norm.backward(pass, saved.norm, dhidden, dhidden);
        for (std::size_t i = layers.size(); i-- > 0;)
            layers[i].backward(pass, segments, saved.layers[i], dhidden, cross_shape, columns(dkeys_values, i));
    }

private:
    [[nodiscard]] Index count() const { return static_cast<Index>(layers.size()); }
    [[nodiscard]] Index of_layer() const { return 2 * layers.front().options.width; }
    template <class T>
    [[nodiscard]] MatrixView<T> columns(MatrixView<T> all, std::size_t layer) const {
        return all.empty() ? all : all.columns(static_cast<Index>(layer) * of_layer(), of_layer());
    }

    template <Backend B, class Layer>
    [[nodiscard]] MatrixView<typename B::Scalar> run(Pass<B>& pass, MatrixView<typename B::Scalar> hidden,
                                                     MatrixView<typename B::Scalar> out, Saved<B>* saved,
                                                     Layer const& layer) const {
        auto const next = [&](bool last) {
            return last && !out.empty() ? out : saved ? pass.take(hidden.rows, hidden.cols) : hidden;
        };
        for (std::size_t i = 0; i < layers.size(); ++i) {
            auto const to = next(i + 1 == layers.size() && !norm.exists());
            layer(i, MatrixView<typename B::Scalar const>(hidden), to);
            hidden = to;
        }
        if (!norm.exists()) return hidden;
        auto const to = next(true);
        norm.forward(pass, MatrixView<typename B::Scalar const>(hidden), to, saved ? &saved->norm : nullptr);
        return to;
    }
};

}  // namespace inkling::nn
