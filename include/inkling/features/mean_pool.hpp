#pragma once

#include <inkling/features/concept.hpp>
#include <inkling/nn/layer_norm.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace inkling::features {

/// MeanPool has no settings.
struct MeanPoolOptions {};

/// Names every setting once: none.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, MeanPoolOptions>
void describe(Options&, Visit const&) {}

/// The mean of a line's rows, brought to mean 0 and variance 1, for every state and level beside each other: behind it
/// a linear map alone is learned.
class MeanPool {
public:
    static constexpr std::string_view kind = "mean";
    using Options = MeanPoolOptions;

    /// What the backward pass needs.
    template <Backend B>
    struct Saved {
        std::vector<nn::LayerNorm::Saved<B>> norms;  ///< [J]
    };

    MeanPool(nn::ParameterLayout& layout, Options const&, Shape shape)
        : shape_(shape), norm_(layout, "pool.norm", shape.width, false) {}

    /// L * J * W.
    [[nodiscard]] Index width() const { return shape_.levels * shape_.states * shape_.width; }

    /// pooled [S, L * J * W] of states [N, W].
    template <Backend B>
    void pool(nn::Pass<B>& pass, Batch<B> const& batch, std::span<MatrixView<typename B::Scalar> const> states,
              MatrixView<typename B::Scalar> pooled, Saved<B>& saved) const {
        auto const rows = by_level<B>(pooled);
        saved.norms.resize(states.size());
        for (std::size_t j = 0; j < states.size(); ++j) {
            auto const mean = pass.take(rows.rows, shape_.width);
            sum_per_sentence(pass.device, batch.lines.segments, states[j], mean, true);
            norm_.forward(pass, MatrixView<typename B::Scalar const>(mean), of_state<B>(rows, j), &saved.norms[j]);
        }
    }
    /// Adds to dstates [N, W], where there are any. Nothing is learned here.
    template <Backend B>
    void pool_backward(nn::Pass<B>& pass, Batch<B> const& batch, Saved<B> const& saved,
                       MatrixView<typename B::Scalar> dpooled,
                       std::span<MatrixView<typename B::Scalar> const> dstates) const {
        auto const rows = by_level<B>(dpooled);
        for (std::size_t j = 0; j < dstates.size(); ++j) {
            nn::Scope<B> const scope(pass.workspace);
            auto const dmean = pass.take(rows.rows, shape_.width);
            norm_.backward(pass, saved.norms[j], MatrixView<typename B::Scalar const>(of_state<B>(rows, j)), dmean);
            mean_per_sentence_backward(pass.device, batch.lines.segments, dmean, dstates[j]);
        }
    }

private:
    /// [S * L, J * W]
    template <Backend B>
    [[nodiscard]] MatrixView<typename B::Scalar> by_level(MatrixView<typename B::Scalar> pooled) const {
        return {pooled.data, pooled.rows * shape_.levels, shape_.states * shape_.width};
    }
    template <Backend B>
    [[nodiscard]] MatrixView<typename B::Scalar> of_state(MatrixView<typename B::Scalar> rows, std::size_t j) const {
        return rows.columns(static_cast<Index>(j) * shape_.width, shape_.width);
    }

    Shape shape_;
    nn::LayerNorm norm_;
};

}  // namespace inkling::features
