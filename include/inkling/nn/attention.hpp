#pragma once

#include <inkling/nn/linear.hpp>

#include <string>

namespace inkling::nn {

/// What the four linear maps of an attention are called; the defaults are fairseq's, below the layer's own name.
struct AttentionNames {
    std::string query;
    std::string key;
    std::string value;
    std::string output;
    /// with 'weight' and 'bias' behind it, the name of the first three as one matrix and one vector; empty: they have
    /// names of their own
    std::string joined{};

    /// q_proj, k_proj, v_proj and out_proj below `name`.
    [[nodiscard]] static AttentionNames below(std::string const& name) {
        return {name + ".q_proj", name + ".k_proj", name + ".v_proj", name + ".out_proj"};
    }
    /// in_proj_weight, in_proj_bias and out_proj below `name`, as in PyTorch's MultiheadAttention.
    [[nodiscard]] static AttentionNames pytorch(std::string const& name) {
        return {"", "", "", name + ".out_proj", name + ".in_proj_"};
    }
};

/// Multi-head attention over packed rows, with its four linear maps; of a sentence to itself or to another sequence.
///
/// The weights of query, key and value lie one behind the other, so that one product makes all three.
struct Attention {
    Index width = 0;
    Index heads = 1;
    Parameter query_key_value;       ///< [3 width, width]
    Parameter query_key_value_bias;  ///< [3 width]
    Linear output;
    Parameter by_distance{};  ///< [heads, 2 K + 1], a bias of the scores; layers may share one. Not there: none

    /// What the backward pass needs.
    template <Backend B>
    struct Saved {
        using Scalar = typename B::Scalar;
        MatrixView<Scalar const> input;  ///< [Nq, width]
        MatrixView<Scalar const> query;  ///< [Nq, width]
        MatrixView<Scalar const> key;    ///< [Nk, width]
        MatrixView<Scalar const> value;  ///< [Nk, width]
        MatrixView<Scalar> of_scores;    ///< [Nq, attention_saved_cols], the backend's own
        MatrixView<Scalar const> mixed;  ///< [Nq, width], in front of the output map
    };

    Attention() = default;
    /// Registers q_proj, k_proj, v_proj and out_proj below `name`.
    /// @throws Error when the heads do not divide the width, and as ParameterLayout::add_matrix
    Attention(ParameterLayout& layout, std::string const& name, Index width_, Index heads_)
        : Attention(layout, name, AttentionNames::below(name), width_, heads_) {}
    /// The same under other names; `name` is what a message calls it.
    Attention(ParameterLayout& layout, std::string const& name, AttentionNames const& names, Index width_, Index heads_)
        : width(width_), heads(heads_) {
        require(heads > 0 && width % heads == 0, "inkling::nn::Attention: ", name, " has width ", width, " and ", heads,
                " heads, expected the heads to divide the width");
        if (!names.joined.empty()) {
            query_key_value = layout.add_map(names.joined + "weight", 3 * width, width);
            query_key_value_bias = layout.add_vector(names.joined + "bias", 3 * width, Initializer::zero());
            output = Linear(layout, names.output, width, width, true);
            return;
        }
        Parameter const query = layout.add_map(names.query + ".weight", width, width);
        layout.add_map(names.key + ".weight", width, width);
        layout.add_map(names.value + ".weight", width, width);
        Parameter const bias = layout.add_vector(names.query + ".bias", width, Initializer::zero());
        layout.add_vector(names.key + ".bias", width, Initializer::zero());
        layout.add_vector(names.value + ".bias", width, Initializer::zero());
        query_key_value = joined(query, 3 * width);
        query_key_value_bias = joined_vector(bias, 3 * width);
        output = Linear(layout, names.output, width, width, true);
    }

    /// The maps for query, key and value together, query alone, and key and value together.
    [[nodiscard]] Linear all() const { return {query_key_value, query_key_value_bias}; }
    [[nodiscard]] Linear query() const { return part(0, 1); }
    [[nodiscard]] Linear key_value() const { return part(1, 2); }

    /// y [N, width] = attention of each sentence of x [N, width] to itself.
    template <Backend B>
    void forward_self(Pass<B>& pass, Segments const& segments, bool causal, MatrixView<typename B::Scalar const> x,
                      MatrixView<typename B::Scalar> y, Saved<B>* saved = nullptr) const {
        auto const mark = pass.workspace.mark();
        auto const qkv = pass.take(x.rows, 3 * width);
        all().forward(pass, x, qkv);
        mix(pass, {segments, segments, heads, nullptr, causal}, x, qkv.columns(0, width), qkv.columns(width, width),
            qkv.columns(2 * width, width), y, saved);
        if (!saved) pass.workspace.release(mark);
    }
    /// dx [N, width] += the gradient through forward_self.
    template <Backend B>
    void backward_self(Pass<B>& pass, Segments const& segments, bool causal, Saved<B> const& saved,
                       MatrixView<typename B::Scalar const> dy, MatrixView<typename B::Scalar> dx) const {
        Scope<B> const scope(pass.workspace);
        auto const dqkv = pass.take(dy.rows, 3 * width);
        unmix(pass, {segments, segments, heads, nullptr, causal}, saved, dy, dqkv.columns(0, width),
              dqkv.columns(width, width), dqkv.columns(2 * width, width));
        all().backward(pass, saved.input, dqkv, dx, true);
    }

    /// y [Nq, width] = attention of x to another sequence whose keys and values [Nk, 2 width] are made already.
    template <Backend B>
    void forward_cross(Pass<B>& pass, backend::AttentionShape shape, MatrixView<typename B::Scalar const> x,
                       MatrixView<typename B::Scalar const> keys_values, MatrixView<typename B::Scalar> y,
                       Saved<B>* saved = nullptr) const {
        auto const mark = pass.workspace.mark();
        auto const q = pass.take(x.rows, width);
        query().forward(pass, x, q);
        shape.heads = heads;
        mix(pass, shape, x, q, keys_values.columns(0, width), keys_values.columns(width, width), y, saved);
        if (!saved) pass.workspace.release(mark);
    }
    /// dx += the gradient through forward_cross; dkeys_values [Nk, 2 width] is overwritten.
    template <Backend B>
    void backward_cross(Pass<B>& pass, backend::AttentionShape shape, Saved<B> const& saved,
                        MatrixView<typename B::Scalar const> dy, MatrixView<typename B::Scalar> dx,
                        MatrixView<typename B::Scalar> dkeys_values) const {
        Scope<B> const scope(pass.workspace);
        auto const dq = pass.take(dy.rows, width);
        shape.heads = heads;
        unmix(pass, shape, saved, dy, dq, dkeys_values.columns(0, width), dkeys_values.columns(width, width));
        query().backward(pass, saved.input, dq, dx, true);
    }

private:
    [[nodiscard]] Linear part(Index first, Index count) const {
        return {{query_key_value.offset + first * width * width, count * width, width},
                {query_key_value_bias.offset + first * width, 1, count * width}};
    }

    template <Backend B>
    [[nodiscard]] MatrixView<typename B::Scalar const> bias(Pass<B>& pass) const {
        return by_distance.exists() ? pass.matrix(by_distance) : MatrixView<typename B::Scalar const>{};
    }

    template <Backend B>
    void mix(Pass<B>& pass, backend::AttentionShape const& shape, MatrixView<typename B::Scalar const> x,
             MatrixView<typename B::Scalar const> q, MatrixView<typename B::Scalar const> k,
             MatrixView<typename B::Scalar const> v, MatrixView<typename B::Scalar> y, Saved<B>* saved) const {
        auto const mixed = pass.take(q.rows, width);
        MatrixView<typename B::Scalar> of_scores;
        if (saved) of_scores = pass.take(q.rows, attention_saved_cols(pass.device, shape));
        attention(pass.device, shape, q, k, v, mixed, of_scores, bias(pass));
        output.forward(pass, mixed, y);
        if (saved) *saved = {x, q, k, v, of_scores, mixed};
    }
    template <Backend B>
    void unmix(Pass<B>& pass, backend::AttentionShape const& shape, Saved<B> const& saved,
               MatrixView<typename B::Scalar const> dy, MatrixView<typename B::Scalar> dq,
               MatrixView<typename B::Scalar> dk, MatrixView<typename B::Scalar> dv) const {
        auto const dmixed = pass.take(dy.rows, width);
        output.backward(pass, saved.mixed, dy, dmixed);
        MatrixView<typename B::Scalar> dbias;
        bool const learns_bias = by_distance.exists() && pass.gradients != nullptr;
        if (learns_bias) dbias = pass.take(shape.queries.count, by_distance.size());
        attention_backward(pass.device, shape, saved.query, saved.key, saved.value, saved.mixed, saved.of_scores,
                           dmixed, dq, dk, dv, bias(pass), dbias);
        if (learns_bias) sum_rows(pass.device, dbias, pass.vector_gradient(by_distance));
    }
};

}  // namespace inkling::nn
