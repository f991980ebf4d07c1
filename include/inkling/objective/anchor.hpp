#pragma once

#include <inkling/objective/cross_entropy.hpp>
#include <inkling/objective/detail/check.hpp>
#include <inkling/objective/regression.hpp>

#include <concepts>
#include <type_traits>

namespace inkling::objective {

/// regression + cross-entropy of the read-out of **z0_hat**: tokens must be readable from the estimate itself, which
/// keeps embeddings apart where the rounding loss lets them collapse.
///
/// Source: Gao et al. 2022, "Difformer", arXiv:2212.09412, equation 5; label smoothing as in the official scripts.
struct Anchor {
    double label_smoothing = 0.1;    ///< [0, 1)
    double weight = 1.0;             ///< of the cross-entropy; finite, 0 or more
    double regression_weight = 1.0;  ///< finite, 0 or more

    static constexpr bool tells_rows = true;  ///< see objective::tells_rows

    /// @throws Error naming the first option that is out of its range
    void check() const {
        detail::check_label_smoothing("Anchor", label_smoothing);
        detail::check_weight("Anchor", "weight", weight);
        detail::check_weight("Anchor", "regression_weight", regression_weight);
    }

    /// Adds the terms "regression", "nll" and "anchor", and their gradients to those of z0 [N, D], z0_hat [N, D] and
    /// the read-out [V, D]; empty views take none.
    template <Backend B, EmbeddingSpace Space>
    void evaluate(nn::Pass<B>& pass, Space const& space, Prediction<B> const& prediction, Losses<B>& losses) const {
        Regression{regression_weight}.evaluate(pass, space, prediction, losses);
        detail::add_cross_entropy(pass, space, "anchor", weight, label_smoothing, prediction, prediction.z0_hat,
                                  prediction.dz0_hat, losses);
    }
};

/// regression + cross-entropy of the read-out of **z0**: the loss of Diffusion-LM and its kin.
///
/// Source: Li et al. 2022, arXiv:2205.14217, equation 2.
struct Rounding {
    double label_smoothing = 0.0;    ///< [0, 1)
    double weight = 1.0;             ///< of the cross-entropy; finite, 0 or more
    double regression_weight = 1.0;  ///< finite, 0 or more

    static constexpr bool tells_rows = true;  ///< see objective::tells_rows

    /// @throws Error naming the first option that is out of its range
    void check() const {
        detail::check_label_smoothing("Rounding", label_smoothing);
        detail::check_weight("Rounding", "weight", weight);
        detail::check_weight("Rounding", "regression_weight", regression_weight);
    }

    /// Adds the terms "regression", "nll" and "rounding", and their gradients to those of z0 [N, D], z0_hat [N, D] and
    /// the read-out [V, D]; empty views take none.
    template <Backend B, EmbeddingSpace Space>
    void evaluate(nn::Pass<B>& pass, Space const& space, Prediction<B> const& prediction, Losses<B>& losses) const {
        Regression{regression_weight}.evaluate(pass, space, prediction, losses);
        detail::add_cross_entropy(pass, space, "rounding", weight, label_smoothing, prediction, prediction.z0,
                                  prediction.dz0, losses);
    }
};

/// Names every setting of Anchor or Rounding once, for checkpoints and their checks.
template <class Objective, class Visit>
    requires std::same_as<std::remove_const_t<Objective>, Anchor>
    || std::same_as<std::remove_const_t<Objective>, Rounding>
void describe(Objective& objective, Visit const& visit) {
    visit("label_smoothing", objective.label_smoothing);
    visit("weight", objective.weight);
    visit("regression_weight", objective.regression_weight);
}

}  // namespace inkling::objective
