#pragma once

#include <inkling/core/error.hpp>
#include <inkling/features/concept.hpp>
#include <inkling/nn/transformer_stack.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace inkling::features {

/// Sizes of AttentionPool, 1 to 2^20.
struct AttentionPoolOptions {
    Index width = 128;  ///< d, of what the states are brought to
    Index layers = 2;   ///< of attention, 1 to 64
    Index heads = 4;    ///< they divide the width
    Index hidden = 0;   ///< of the feed-forward parts; 0: 2 * width
};

/// Names every setting once, for model files and their checks.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, AttentionPoolOptions>
void describe(Options& options, Visit const& visit) {
    visit("width", options.width);
    visit("layers", options.layers);
    visit("heads", options.heads);
    visit("hidden", options.hidden);
}

/// One learned row, the same for every line and level, that attends to the rows of all states of one level: what layers
/// say of places, weighed by what they say.
///
/// Every state has a norm and a linear map to d of its own; the row goes through pre-norm layers that attend to these
/// rows, J of each place, and the results of the levels, whose weights are the same, lie beside each other.
/// Source: Mukhopadhyay et al. 2023, arXiv:2311.17921, section 3.2 ("DifFormer"), there with attention among the rows
/// too, which is left out, as rows of a denoiser for text have attended to each other.
class AttentionPool {
public:
    static constexpr std::string_view kind = "attention";
    using Options = AttentionPoolOptions;

    /// What the backward pass needs.
    template <Backend B>
    struct Saved {
        std::vector<nn::LayerNorm::Saved<B>> norms;                    ///< [J]
        std::vector<MatrixView<typename B::Scalar const>> normalized;  ///< [J], [N, W] each
        MatrixView<typename B::Scalar> rows;                           ///< [N * J, d], the J of a place together
        MatrixView<typename B::Scalar const> keys_values;              ///< [N * J, layers * 2 d]
        typename nn::TransformerStack::Saved<B> stack;
    };

    /// @throws Error naming the option that is out of its range
    AttentionPool(nn::ParameterLayout& layout, Options const& options, Shape shape) : options_(options), shape_(shape) {
        auto const check = [](char const* name, Index value, Index least, Index most) {
            require(value >= least && value <= most, "inkling::features::AttentionPool: ", name, " is ", value,
                    ", expected ", least, " to ", most);
        };
        constexpr Index most = Index{1} << 20;
        check("width", options_.width, 1, most);
        check("layers", options_.layers, 1, 64);
        check("heads", options_.heads, 1, most);
        check("hidden", options_.hidden, 0, most);
        if (options_.hidden == 0) options_.hidden = 2 * options_.width;
        for (Index j = 0; j < shape.states; ++j) {
            std::string const name = "pool.states." + std::to_string(j);
            norms_.emplace_back(layout, name + ".norm", shape.width);
            maps_.emplace_back(layout, name + ".map", shape.width, options_.width, true);
        }
        query_ = layout.add_vector("pool.query", options_.width, nn::Initializer::normal(1.0));
        stack_ = nn::TransformerStack(layout, "pool", options_.layers,
                                      {.width = options_.width,
                                       .heads = options_.heads,
                                       .hidden = options_.hidden,
                                       .activation = backend::Activation::gelu,
                                       .normalize_before = true,
                                       .own = false,
                                       .cross = true});
    }

    [[nodiscard]] Options const& options() const { return options_; }
    /// L * d.
    [[nodiscard]] Index width() const { return shape_.levels * options_.width; }

    /// pooled [S, L * d] of states [N, W].
    template <Backend B>
    void pool(nn::Pass<B>& pass, Batch<B> const& batch, std::span<MatrixView<typename B::Scalar> const> states,
              MatrixView<typename B::Scalar> pooled, Saved<B>& saved) const {
        using View = MatrixView<typename B::Scalar>;
        using ConstView = MatrixView<typename B::Scalar const>;
        Index const rows = batch.lines.segments.rows, sequences = batch.single.rows, width = options_.width;
        bool const training = pass.gradients != nullptr;
        View const side_by_side = pass.take(rows, shape_.states * width);
        saved.norms.resize(states.size());
        saved.normalized.resize(states.size());
        for (std::size_t j = 0; j < states.size(); ++j) {
            View const normalized = pass.take(rows, shape_.width);
            norms_[j].forward(pass, ConstView(states[j]), normalized, &saved.norms[j]);
            maps_[j].forward(pass, ConstView(normalized), of_state(side_by_side, j));
            saved.normalized[j] = normalized;
        }
        saved.rows = {side_by_side.data, rows * shape_.states, width};
        View const keys_values = pass.take(saved.rows.rows, stack_.keys_values_width());
        stack_.make_keys_values(pass, ConstView(saved.rows), keys_values);
        saved.keys_values = keys_values;
        View const hidden = pass.take(sequences, width);
        scale(pass.device, typename B::Scalar{1}, ConstView(pass.vector(query_).data, sequences, width, 0), hidden);
        (void)stack_.forward(pass, batch.single, hidden, View(pooled.data, sequences, width), shape(batch),
                             saved.keys_values, training ? &saved.stack : nullptr);
    }
    /// Adds to the gradients of the parameters, and to dstates [N, W] where there are any.
    template <Backend B>
    void pool_backward(nn::Pass<B>& pass, Batch<B> const& batch, Saved<B> const& saved,
                       MatrixView<typename B::Scalar> dpooled,
                       std::span<MatrixView<typename B::Scalar> const> dstates) const {
        using View = MatrixView<typename B::Scalar>;
        using ConstView = MatrixView<typename B::Scalar const>;
        nn::Scope<B> const scope(pass.workspace);
        Index const sequences = batch.single.rows, rows = batch.lines.segments.rows, width = options_.width;
        View const dhidden = pass.take(sequences, width);
        copy(pass.device, static_cast<typename B::Scalar const*>(dpooled.data), dhidden.data, dhidden.size());
        View const dkeys_values = pass.take(saved.keys_values.rows, saved.keys_values.cols);
        stack_.backward(pass, batch.single, saved.stack, dhidden, shape(batch), dkeys_values);
        sum_rows(pass.device, dhidden, pass.vector_gradient(query_));
        View const drows = pass.take_zeros(saved.rows.rows, width);
        stack_.make_keys_values_backward(pass, ConstView(saved.rows), ConstView(dkeys_values), drows);
        View const side_by_side(drows.data, rows, shape_.states * width);
        View const dnormalized = pass.take(rows, shape_.width);
        for (std::size_t j = 0; j < maps_.size(); ++j) {
            maps_[j].backward(pass, saved.normalized[j], ConstView(of_state(side_by_side, j)), dnormalized);
            norms_[j].backward(pass, saved.norms[j], ConstView(dnormalized), dnormalized);
            if (!dstates.empty()) add(pass.device, dstates[j], dnormalized, dstates[j]);
        }
    }

private:
    template <Backend B>
    [[nodiscard]] backend::AttentionShape shape(Batch<B> const& batch) const {
        return {.queries = batch.single, .keys = batch.stacked, .heads = options_.heads};
    }
    template <class T>
    [[nodiscard]] MatrixView<T> of_state(MatrixView<T> side_by_side, std::size_t j) const {
        return side_by_side.columns(static_cast<Index>(j) * options_.width, options_.width);
    }

    Options options_;
    Shape shape_;
    std::vector<nn::LayerNorm> norms_;
    std::vector<nn::Linear> maps_;
    nn::Parameter query_;
    nn::TransformerStack stack_;
};

}  // namespace inkling::features
