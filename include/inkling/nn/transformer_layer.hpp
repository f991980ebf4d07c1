#pragma once

#include <inkling/nn/attention.hpp>
#include <inkling/nn/feed_forward.hpp>
#include <inkling/nn/layer_norm.hpp>

#include <string>

namespace inkling::nn {

/// Sizes and switches of one Transformer layer.
struct TransformerLayerOptions {
    Index width = 256;
    Index heads = 4;
    Index hidden = 1024;  ///< width of the feed-forward part
    backend::Activation activation = backend::Activation::relu;
    bool normalize_before = false;  ///< layer norm in front of each part (pre-norm) in place of behind it (post-norm)
    bool own = true;                ///< attends to its own sequence
    bool cross = false;             ///< attends to a second sequence
    bool causal = false;
    double epsilon = 1e-5;    ///< of the layer norms, positive
    Parameter by_distance{};  ///< [heads, 2 K + 1], what self-attention's scores are raised by; not there: nothing
};

/// What the parts of a layer are called.
struct TransformerLayerNames {
    AttentionNames attention;
    std::string self_norm;
    std::string first;
    std::string second;
    std::string final_norm;
    AttentionNames cross_attention{};  ///< to a second sequence
    std::string cross_norm{};          ///< empty: there are no names for a second sequence

    /// fairseq's names below `name`.
    [[nodiscard]] static TransformerLayerNames fairseq(std::string const& name) {
        return {AttentionNames::below(name + ".self_attn"),
                name + ".self_attn_layer_norm",
                name + ".fc1",
                name + ".fc2",
                name + ".final_layer_norm",
                AttentionNames::below(name + ".encoder_attn"),
                name + ".encoder_attn_layer_norm"};
    }

    /// The names below `name` of PyTorch's TransformerEncoderLayer, or with `cross` of its TransformerDecoderLayer.
    [[nodiscard]] static TransformerLayerNames pytorch(std::string const& name, bool cross) {
        return {AttentionNames::pytorch(name + ".self_attn"),
                name + ".norm1",
                name + ".linear1",
                name + ".linear2",
                name + (cross ? ".norm3" : ".norm2"),
                AttentionNames::pytorch(name + ".multihead_attn"),
                cross ? name + ".norm2" : ""};
    }

    /// BERT's names below `name`, as in Hugging Face's BertLayer.
    [[nodiscard]] static TransformerLayerNames bert(std::string const& name) {
        std::string const attention = name + ".attention.";
        return {
            {attention + "self.query", attention + "self.key", attention + "self.value", attention + "output.dense"},
            attention + "output.LayerNorm",
            name + ".intermediate.dense",
            name + ".output.dense",
            name + ".output.LayerNorm"};
    }
};

/// Self-attention, attention to a second sequence, each where wanted, and a feed-forward part, each with residual and
/// norm.
///
/// Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.1.
struct TransformerLayer {
    TransformerLayerOptions options;
    Attention self_attention;
    LayerNorm self_norm;
    Attention cross_attention;
    LayerNorm cross_norm;
    FeedForward feed_forward;
    LayerNorm final_norm;

    /// One residual branch, for the backward pass.
    template <Backend B>
    struct Branch {
        LayerNorm::Saved<B> norm;
        Dropout dropout;
    };
    /// The layer, for the backward pass.
    template <Backend B>
    struct Saved {
        Branch<B> self_branch, cross_branch, feed_branch;
        Attention::Saved<B> self, cross;
        FeedForward::Saved<B> feed;
    };

    TransformerLayer() = default;
    /// With fairseq's names below `name`.
    TransformerLayer(ParameterLayout& layout, std::string const& name, TransformerLayerOptions const& options_)
        : TransformerLayer(layout, name, TransformerLayerNames::fairseq(name), options_) {}
    /// A layer under other names; `name` is what a message calls it.
    /// @throws Error when the options ask for a second sequence, for which there are no names
    TransformerLayer(ParameterLayout& layout, std::string const& name, TransformerLayerNames const& names,
                     TransformerLayerOptions const& options_)
        : options(options_) {
        require(!options.cross || !names.cross_norm.empty(), "inkling::nn::TransformerLayer: ", name,
                " is to attend to a second sequence, expected one that does not, as the names have none for it");
        Index const width = options.width;
        if (options.own) {
            self_attention = Attention(layout, name, names.attention, width, options.heads);
            self_attention.by_distance = options.by_distance;
            self_norm = LayerNorm(layout, names.self_norm, width, true, options.epsilon);
        }
        if (options.cross) {
            cross_attention = Attention(layout, name, names.cross_attention, width, options.heads);
            cross_norm = LayerNorm(layout, names.cross_norm, width, true, options.epsilon);
        }
        feed_forward = {Linear(layout, names.first, width, options.hidden, true),
                        Linear(layout, names.second, options.hidden, width, true), options.activation};
        final_norm = LayerNorm(layout, names.final_norm, width, true, options.epsilon);
    }

    /// y [N, width] from x [N, width]; y may be x outside training.
    ///
    /// @param cross_shape  queries are `segments`; not read without a second sequence
    /// @param keys_values  [Nk, 2 width] of the second sequence, from cross_attention.key_value()
    template <Backend B>
    void forward(Pass<B>& pass, Segments const& segments, MatrixView<typename B::Scalar const> x,
                 MatrixView<typename B::Scalar> y, backend::AttentionShape const& cross_shape = {},
                 MatrixView<typename B::Scalar const> keys_values = {}, Saved<B>* saved = nullptr) const {
        run(pass, x, y, cross_shape, keys_values, saved, [&](auto in, auto out) {
            self_attention.forward_self(pass, segments, options.causal, in, out, saved ? &saved->self : nullptr);
        });
    }

    /// One row more of sequences whose earlier rows' keys and values are kept: y [R, width] from x [R, width].
    ///
    /// @param shape     which rows of `cache` each row of x looks at, its own among them
    /// @param cache     [M, 2 width], keys and values of all rows so far
    /// @param new_rows  [R, 2 width], the places in `cache` of the rows of x; they are written
    template <Backend B>
    void forward_next(Pass<B>& pass, backend::AttentionShape const& shape, MatrixView<typename B::Scalar const> cache,
                      MatrixView<typename B::Scalar> new_rows, MatrixView<typename B::Scalar const> x,
                      MatrixView<typename B::Scalar> y, backend::AttentionShape const& cross_shape,
                      MatrixView<typename B::Scalar const> keys_values) const {
        run<B>(pass, x, y, cross_shape, keys_values, nullptr, [&](auto in, auto out) {
            self_attention.key_value().forward(pass, in, new_rows);
            self_attention.forward_cross(pass, shape, in, cache, out);
        });
    }

    /// Turns dy into dx in place; dkeys_values [Nk, 2 width] is overwritten.
    /// @throws Error when the rows of dy lie apart
    template <Backend B>
    void backward(Pass<B>& pass, Segments const& segments, Saved<B> const& saved, MatrixView<typename B::Scalar> dy,
                  backend::AttentionShape const& cross_shape = {},
                  MatrixView<typename B::Scalar> dkeys_values = {}) const {
        require(dy.contiguous(), "inkling::nn::TransformerLayer: rows of dy lie ", dy.stride,
                " elements apart, expected ", dy.cols, ", its width");
        residual_backward(pass, final_norm, saved.feed_branch, dy,
                          [&](auto dout, auto din) { feed_forward.backward(pass, saved.feed, dout, din, true); });
        if (options.cross)
            residual_backward(pass, cross_norm, saved.cross_branch, dy, [&](auto dout, auto din) {
                cross_attention.backward_cross(pass, cross_shape, saved.cross, dout, din, dkeys_values);
            });
        if (options.own)
            residual_backward(pass, self_norm, saved.self_branch, dy, [&](auto dout, auto din) {
                self_attention.backward_self(pass, segments, options.causal, saved.self, dout, din);
            });
    }

private:
    /// The parts one behind the other; self_part(in, out) is the first of them.
    template <Backend B, class SelfPart>
    void run(Pass<B>& pass, MatrixView<typename B::Scalar const> x, MatrixView<typename B::Scalar> y,
             backend::AttentionShape const& cross_shape, MatrixView<typename B::Scalar const> keys_values,
             Saved<B>* saved, SelfPart const& self_part) const {
        auto const mark = pass.workspace.mark();
        MatrixView<typename B::Scalar const> current = x;
        if (options.own)
            current = residual(pass, self_norm, x, saved ? &saved->self_branch : nullptr,
                               MatrixView<typename B::Scalar>{}, self_part);
        if (options.cross)
            current = residual(pass, cross_norm, current, saved ? &saved->cross_branch : nullptr,
                               MatrixView<typename B::Scalar>{}, [&](auto in, auto out) {
                                   cross_attention.forward_cross(pass, cross_shape, in, keys_values, out,
                                                                 saved ? &saved->cross : nullptr);
                               });
        residual(pass, final_norm, current, saved ? &saved->feed_branch : nullptr, y,
                 [&](auto in, auto out) { feed_forward.forward(pass, in, out, saved ? &saved->feed : nullptr); });
        if (!saved) pass.workspace.release(mark);
    }

    /// post-norm: norm(x + dropout(part(x))); pre-norm: x + dropout(part(norm(x))). Writes to `to`, or to new memory.
    template <Backend B, class Part>
    MatrixView<typename B::Scalar> residual(Pass<B>& pass, LayerNorm const& norm,
                                            MatrixView<typename B::Scalar const> x, Branch<B>* saved,
                                            MatrixView<typename B::Scalar> to, Part const& part) const {
        auto const sum = pass.take(x.rows, x.cols);
        auto const out = to.empty() ? pass.take(x.rows, x.cols) : to;
        MatrixView<typename B::Scalar const> in = x;
        if (options.normalize_before) {
            auto const normalized = pass.take(x.rows, x.cols);
            norm.forward(pass, x, normalized, saved ? &saved->norm : nullptr);
            in = normalized;
        }
        part(in, sum);
        Dropout const dropped = Dropout::next(pass);
        if (saved) saved->dropout = dropped;
        if (options.normalize_before) {
            dropped.apply(pass, sum);
            add(pass.device, x, sum, out);
        } else {
            norm.forward_residual(pass, dropped, x, sum, out, saved ? &saved->norm : nullptr);
        }
        return out;
    }

    template <Backend B, class Part>
    void residual_backward(Pass<B>& pass, LayerNorm const& norm, Branch<B> const& saved,
                           MatrixView<typename B::Scalar> dy, Part const& part_backward) const {
        Scope<B> const scope(pass.workspace);
        if (!options.normalize_before) norm.backward(pass, saved.norm, dy, dy);
        auto const dpart = pass.take(dy.rows, dy.cols);
        copy(pass.device, dy.data, dpart.data, dy.size());
        saved.dropout.apply(pass, dpart);
        if (!options.normalize_before) {
            part_backward(dpart, dy);
            return;
        }
        auto const dnormalized = pass.take_zeros(dy.rows, dy.cols);
        part_backward(dpart, dnormalized);
        norm.backward(pass, saved.norm, dnormalized, dnormalized);
        add(pass.device, dy, dnormalized, dy);
    }
};

}  // namespace inkling::nn
