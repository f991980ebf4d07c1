#pragma once

#include <inkling/objective/concept.hpp>
#include <inkling/objective/detail/check.hpp>

#include <concepts>
#include <type_traits>

namespace inkling::objective {

/// mean over tokens and dimensions of (z0_hat - z0)^2. z0 is not detached: it moves the embeddings too.
///
/// Source: Li et al. 2022, "Diffusion-LM", arXiv:2205.14217, equation 3; Gao et al. 2022, arXiv:2212.09412, equation 2.
struct Regression {
    double weight = 1.0;  ///< finite, 0 or more

    /// @throws Error when the weight is out of its range
    void check() const { detail::check_weight("Regression", "weight", weight); }

    /// Adds the term "regression", and its gradients to those of z0 [N, D] and z0_hat [N, D]; empty views take none.
    template <Backend B, EmbeddingSpace Space>
    void evaluate(nn::Pass<B>& pass, Space const&, Prediction<B> const& prediction, Losses<B>& losses) const {
        double const share = prediction.share() / static_cast<double>(prediction.z0.cols);
        double* const sum = losses.add({{"regression", 0.0, weight}}, share);
        squared_error(pass.device, prediction.z0_hat, prediction.goal(pass), weight * share, sum, prediction.dz0_hat,
                      prediction.dz0, prediction.row_weights);
    }
};

/// Names every setting once, for checkpoints and their checks.
template <class Objective, class Visit>
    requires std::same_as<std::remove_const_t<Objective>, Regression>
void describe(Objective& objective, Visit const& visit) {
    visit("weight", objective.weight);
}

}  // namespace inkling::objective
