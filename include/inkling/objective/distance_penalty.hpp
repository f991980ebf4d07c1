#pragma once

#include <inkling/objective/diffuseq.hpp>
#include <inkling/objective/level_pairs.hpp>

#include <array>
#include <cmath>
#include <concepts>
#include <span>
#include <string_view>
#include <type_traits>

namespace inkling::objective {

/// How far apart two estimates of one text are.
enum class Distance {
    squared,    ///< the mean over dimensions of (x - y)^2
    cosine,     ///< 1 - cos(x, y), of each token; where estimates are pushed apart 1 + cos
    divergence  ///< KL(p || q) of each token, p and q what is read out of the estimate from less noise and from more
};

/// Base + weight / 2 * mean distance of two estimates of one text from noise at two levels: they are to agree, so that
/// few steps lead where many do.
///
/// The batch must be its first half twice, at other levels and with noise of its own (see LevelPairs); then the mean of
/// Base over it is that over both halves. Made for post-training a model that is there. Gradients go through both
/// estimates.
/// Source: Tang et al. 2023, "Can Diffusion Model Achieve Better Performance in Text Generation? Bridging the Gap
/// between Training and Inference!", arXiv:2305.04465, section 3.1, and its code, whose simi_lambda is minus our
/// weight; it has no divergence.
template <class Base = DiffuSeq>
struct DistancePenalty {
    Base base{};
    Distance distance = Distance::squared;
    double weight = 2.0;  ///< finite; below 0 pushes the estimates apart
    LevelPairs pairs{};   ///< how training draws the second level

    /// The batch holds every sentence twice.
    static constexpr bool paired = true;
    /// What the pairs add counts with their first rows.
    static constexpr bool tells_rows = objective::tells_rows<Base>;

    /// @throws Error naming the first option that is out of its range
    void check() const {
        if constexpr (requires { base.check(); }) base.check();
        require(std::isfinite(weight), "inkling::objective::DistancePenalty: weight is ", weight,
                ", expected a finite number");
        pairs.check();
    }

    /// Those of Base.
    [[nodiscard]] double error_factor(double alpha_bar) const { return objective::error_factor(base, alpha_bar); }
    template <class Schedule>
    [[nodiscard]] double error_weight(Schedule const& schedule, double time, double alpha_bar) const {
        return objective::error_weight(base, schedule, time, alpha_bar);
    }

    /// Adds the terms of Base, and "distance", with their gradients; empty views take none.
    /// @throws Error when the rows are not two halves, or a divergence is asked for and which of them is less noisy is
    ///         not said
    template <Backend B, EmbeddingSpace Space>
    void evaluate(nn::Pass<B>& pass, Space const& space, Prediction<B> const& prediction, Losses<B>& losses) const {
        using View = MatrixView<typename B::Scalar>;
        base.evaluate(pass, space, prediction, losses);
        Index const half = prediction.z0_hat.rows / 2;
        require(prediction.z0_hat.rows == 2 * half && prediction.segments.count % 2 == 0,
                "inkling::objective::DistancePenalty: the batch has ", prediction.z0_hat.rows, " rows of ",
                prediction.segments.count, " sentences, expected every sentence twice");
        bool const training = !prediction.dz0_hat.empty();
        auto const first = prediction.z0_hat.row_range(0, half), second = prediction.z0_hat.row_range(half, half);
        View const dfirst = training ? prediction.dz0_hat.row_range(0, half) : View{};
        View const dsecond = training ? prediction.dz0_hat.row_range(half, half) : View{};
        double const mean = prediction.pair_weights.empty() ? 1.0 / static_cast<double>(half) : 1.0;
        auto const of_rows = losses.row_room(pass, half);
        if (distance == Distance::squared) {
            double const share = mean / static_cast<double>(first.cols);
            double* const sum = losses.add({{"distance", 0.0, 0.5 * weight}}, share);
            squared_error(pass.device, first, second, 0.5 * weight * share, sum, dfirst, dsecond,
                          prediction.pair_weights, of_rows);
            losses.add_rows(pass, 0.5 * weight * share, of_rows);
        } else if (distance == Distance::divergence) {
            require(
                !prediction.pair_order.empty(),
                "inkling::objective::DistancePenalty: the batch has no pair_order, expected one, as a divergence is "
                "that of more noise from less");
            nn::Scope<B> const scope(pass.workspace);
            Segments const pairs_of{prediction.segments.offsets, prediction.segments.count / 2, half,
                                    prediction.segments.longest};
            auto const chosen = [&](auto one, auto other, View to) {
                combine(pass.device, pairs_of, prediction.pair_order, one, other, {}, to);
                return to;
            };
            View const cleaner = chosen(first, second, pass.take(half, first.cols));
            View const noisier = chosen(second, first, pass.take(half, first.cols));
            View const dcleaner = training ? pass.take_zeros(half, first.cols) : View{};
            View const dnoisier = training ? pass.take_zeros(half, first.cols) : View{};
            double* const sum = losses.add({{"distance", 0.0, 0.5 * weight}}, mean);
            nn::Parameter const bias = embedding::readout_bias(space);
            auto const matrix = embedding::readout_matrix(pass, space);
            embedding::with_readout_gradient(pass, space, [&](View dmatrix) {
                readout_divergence(pass.device, cleaner, noisier, matrix, pass.vector(bias), 0.5 * weight * mean, sum,
                                   dcleaner, dnoisier, dmatrix,
                                   pass.gradients ? pass.vector_gradient(bias) : VectorView<typename B::Scalar>{},
                                   prediction.pair_weights, of_rows);
            });
            losses.add_rows(pass, 0.5 * weight * mean, of_rows);
            if (!training) return;
            combine(pass.device, pairs_of, prediction.pair_order, dcleaner, dnoisier, dfirst, dfirst);
            combine(pass.device, pairs_of, prediction.pair_order, dnoisier, dcleaner, dsecond, dsecond);
        } else {  // |weight| / 2 of 1 -+ cos: the 1 first, as what a sum is multiplied by is of the backend's memory alone
            double const size = 0.5 * std::abs(weight);
            double* const one = losses.add({{"distance", 0.0, size}},
                                           prediction.pair_weights.empty() ? 1.0 : prediction.pair_weight_sum);
            upload(pass.device, std::span<double const>(unit), one);
            double* const sum = losses.add({{"cosine", 0.0, -0.5 * weight}}, mean);
            cosine_similarity(pass.device, first, second, -0.5 * weight * mean, sum, dfirst, dsecond,
                              prediction.pair_weights, of_rows);
            losses.add_rows(pass, -0.5 * weight * mean, of_rows);
            if (!of_rows.empty()) losses.add_rows(pass, size, prediction.pair_weights);
        }
    }

private:
    static constexpr std::array<double, 1> unit{1.0};
};

namespace detail {

template <class Objective>
inline constexpr bool is_distance_penalty = false;
template <class Base>
inline constexpr bool is_distance_penalty<DistancePenalty<Base>> = true;

}  // namespace detail

/// Names every setting once, for checkpoints and their checks.
template <class Objective, class Visit>
    requires detail::is_distance_penalty<std::remove_const_t<Objective>>
void describe(Objective& objective, Visit const& visit) {
    if constexpr (requires { describe(objective.base, visit); }) visit("base", objective.base);
    visit("distance", objective.distance, {"squared", "cosine", "divergence"});
    visit("distance_weight", objective.weight);
    visit("second_level", objective.pairs.second, {"steps", "window_end", "in_window"});
    visit("second_level_steps", objective.pairs.steps);
    visit("second_level_window", objective.pairs.window);
}

}  // namespace inkling::objective
