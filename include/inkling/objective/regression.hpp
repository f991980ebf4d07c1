#pragma once

#include <inkling/objective/concept.hpp>
#include <inkling/objective/detail/check.hpp>
#include <inkling/objective/level_weight.hpp>
#include <inkling/schedule/gaussian.hpp>

#include <cmath>
#include <concepts>
#include <type_traits>

namespace inkling::objective {

/// How large an error is.
enum class ErrorMeasure {
    squared,   ///< d^2
    absolute,  ///< |d|
    huber      ///< d^2 / 2 up to 1, |d| - 1/2 beyond
};

/// mean over tokens and dimensions of (z0_hat - z0)^2. z0 is not detached: it moves the embeddings too.
///
/// Of noise, velocity or score the error is that of z0 times what a level says, as all of them are z0_hat and z_t in
/// shares of the level; it is taken so, whatever the network's own output.
/// Source: Li et al. 2022, "Diffusion-LM", arXiv:2205.14217, equation 3; Gao et al. 2022, arXiv:2212.09412, equation 2;
/// Ho et al. 2020, arXiv:2006.11239, equation 14 (noise); Salimans & Ho 2022, arXiv:2202.00512 (velocity).
struct Regression {
    double weight = 1.0;  ///< finite, 0 or more
    ErrorMeasure measure = ErrorMeasure::squared;
    schedule::Quantity quantity = schedule::Quantity::z0;  ///< what is compared
    LevelWeight level_weight{};                            ///< how much the error of each level counts
    /// What a network of Output::mixed says is compared with z0 and with the noise, half of each, in place of z0_hat
    bool mixed_output = false;

    static constexpr bool tells_rows = true;  ///< see objective::tells_rows

    /// @throws Error naming the option that is out of its range
    void check() const {
        detail::check_weight("Regression", "weight", weight);
        level_weight.check("Regression");
        require(!mixed_output || quantity == schedule::Quantity::z0,
                "inkling::objective::Regression: mixed_output is true, expected false where another quantity than z0 "
                "is compared");
    }

    /// What z0_hat - z0 is multiplied by to be the error of the quantity.
    /// @throws Error at alpha_bar 1, where z_t tells nothing of another quantity than z0
    [[nodiscard]] double error_factor(double alpha_bar) const {
        return quantity == schedule::Quantity::z0
            ? 1.0
            : std::abs(schedule::conversion(schedule::Quantity::z0, quantity, alpha_bar).known);
    }

    /// What the error, once it is measured, counts for.
    /// @throws Error as LevelWeight::at
    template <NoiseSchedule Schedule>
    [[nodiscard]] double error_weight(Schedule const& schedule, double time, double alpha_bar) const {
        return level_weight.at(schedule, time, alpha_bar);
    }

    /// Adds the term "regression", and its gradients to those of z0 [N, D], and of z0_hat [N, D] or the mixed output;
    /// empty views take none.
    /// @throws Error where a mixed output is to be compared, and the network has another
    template <Backend B, EmbeddingSpace Space>
    void evaluate(nn::Pass<B>& pass, Space const&, Prediction<B> const& prediction, Losses<B>& losses) const {
        using View = MatrixView<typename B::Scalar>;
        using ConstView = MatrixView<typename B::Scalar const>;
        bool const weighed = !prediction.error_weights.empty();
        auto const weights = weighed ? prediction.error_weights : prediction.row_weights;
        Index const latent = prediction.z0.cols;
        double const share =
            (weighed ? 1.0 : prediction.share()) / static_cast<double>(mixed_output ? 2 * latent : latent);
        ConstView const goal = prediction.goal(pass);
        VectorView<typename B::Scalar> const of_rows = losses.row_room(pass, prediction.z0.rows);
        auto const measured = [&](ConstView x, ConstView y, View dx, View dy) {
            double* const sum = losses.add({{"regression", 0.0, weight}}, share);
            if (measure == ErrorMeasure::squared)
                squared_error(pass.device, x, y, weight * share, sum, dx, dy, weights, of_rows);
            else
                bent_error(pass.device, x, y, measure == ErrorMeasure::huber ? 1.0 : 0.0, weight * share, sum, dx, dy,
                           weights, of_rows);
            losses.add_rows(pass, weight * share, of_rows);
        };
        if (mixed_output) {
            ConstView const said = prediction.mixed_output;
            View const slopes = prediction.dmixed_output;
            require(!said.empty(),
                    "inkling::objective::Regression: mixed_output is true, expected false, as the denoiser's output is "
                    "not Output::mixed");
            auto const half = [&](View of, Index first) { return of.empty() ? View{} : of.columns(first, latent); };
            measured(said.columns(0, latent), goal, half(slopes, 0), prediction.dz0);
            measured(said.columns(latent, latent), prediction.noise, half(slopes, latent), View{});
            return;
        }
        if (prediction.error_factors.empty()) {  // all are 1, as those of z0 are
            measured(prediction.z0_hat, goal, prediction.dz0_hat, prediction.dz0);
            return;
        }
        nn::Scope<B> const scope(pass.workspace);
        auto const scaled = [&](ConstView from) {
            View const to = pass.take(from.rows, from.cols);
            combine(pass.device, prediction.segments, prediction.error_factors, from, {}, {}, to);
            return to;
        };
        auto const room = [&](View like) { return like.empty() ? View{} : pass.take_zeros(like.rows, like.cols); };
        View const dx = room(prediction.dz0_hat), dy = room(prediction.dz0);
        measured(scaled(prediction.z0_hat), scaled(goal), dx, dy);
        if (!dx.empty())
            combine(pass.device, prediction.segments, prediction.error_factors, dx, prediction.dz0_hat, {},
                    prediction.dz0_hat);
        if (!dy.empty())
            combine(pass.device, prediction.segments, prediction.error_factors, dy, prediction.dz0, {}, prediction.dz0);
    }
};

/// Names every setting once, for checkpoints and their checks.
template <class Objective, class Visit>
    requires std::same_as<std::remove_const_t<Objective>, Regression>
void describe(Objective& objective, Visit const& visit) {
    visit("weight", objective.weight);
    visit("measure", objective.measure, {"squared", "absolute", "huber"});
    visit("quantity", objective.quantity, {"z0", "noise", "velocity", "score"});
    describe(objective.level_weight, visit);
    if (objective.mixed_output) visit("mixed_output", objective.mixed_output);
}

}  // namespace inkling::objective
