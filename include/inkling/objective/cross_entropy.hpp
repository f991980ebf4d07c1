#pragma once

#include <inkling/objective/concept.hpp>
#include <inkling/objective/detail/check.hpp>

#include <concepts>
#include <string_view>
#include <type_traits>

namespace inkling::objective {

namespace detail {

/// Adds the label-smoothed cross-entropy of the read-out of z [N, D], mean over tokens, as the terms `name` and "nll"
/// (without smoothing, weight 0); its gradients to dz [N, D], where not empty, and to the read-out's in training.
template <Backend B, EmbeddingSpace Space>
void add_cross_entropy(nn::Pass<B>& pass, Space const& space, std::string_view name, double weight, double smoothing,
                       Prediction<B> const& prediction, MatrixView<typename B::Scalar const> z,
                       MatrixView<typename B::Scalar> dz, Losses<B>& losses) {
    using Scalar = typename B::Scalar;
    double const share = prediction.share();
    double* const sums = losses.add({{"nll", 0.0, 0.0}, {name, 0.0, weight}}, share);
    nn::Parameter const bias = embedding::readout_bias(space);
    nn::Scope<B> const scope(pass.workspace);
    auto const matrix = embedding::readout_matrix(pass, space);
    auto const of_rows = losses.row_room(pass, z.rows);
    embedding::with_readout_gradient(pass, space, [&](MatrixView<Scalar> dmatrix) {
        readout_cross_entropy(pass.device, z, matrix, pass.vector(bias), prediction.targets, smoothing, weight * share,
                              sums, dz, dmatrix, pass.gradients ? pass.vector_gradient(bias) : VectorView<Scalar>{},
                              prediction.row_weights, of_rows);
    });
    losses.add_rows(pass, weight * share, of_rows);
}

}  // namespace detail

/// Cross-entropy of the read-out of z0_hat alone: what a model of the next token lowers, whose outputs stand there.
///
/// Source: Szegedy et al. 2016, section 7 (label smoothing); Vaswani et al. 2017, arXiv:1706.03762, section 5.4.
struct CrossEntropy {
    static constexpr bool outputs_alone = true;  ///< see reads_outputs_alone
    static constexpr bool tells_rows = true;     ///< see objective::tells_rows

    double label_smoothing = 0.1;  ///< [0, 1)

    /// @throws Error when the option is out of its range
    void check() const { detail::check_label_smoothing("CrossEntropy", label_smoothing); }

    /// Adds the terms "nll" and "cross_entropy", and their gradients to those of z0_hat [N, D] and the read-out [V, D];
    /// empty views take none. z0 is not read.
    template <Backend B, EmbeddingSpace Space>
    void evaluate(nn::Pass<B>& pass, Space const& space, Prediction<B> const& prediction, Losses<B>& losses) const {
        detail::add_cross_entropy(pass, space, "cross_entropy", 1.0, label_smoothing, prediction, prediction.z0_hat,
                                  prediction.dz0_hat, losses);
    }
};

/// Names every setting once, for checkpoints and their checks.
template <class Objective, class Visit>
    requires std::same_as<std::remove_const_t<Objective>, CrossEntropy>
void describe(Objective& objective, Visit const& visit) {
    visit("label_smoothing", objective.label_smoothing);
}

}  // namespace inkling::objective
