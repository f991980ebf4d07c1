#pragma once

#include <inkling/objective/anchor.hpp>

#include <concepts>
#include <type_traits>

namespace inkling::objective {

/// regression + cross-entropy of the read-out of z0 + the mean of (a(1) z0)^2: the loss of DiffuSeq, Diffusion-LM and
/// DINOISER.
///
/// Over all rows, a clean source's too. z0 is the embedding with its space's noise; nothing is detached. The last part,
/// the prior's, keeps the embeddings from growing so long that something of them is left in pure noise.
/// Source: Gong et al. 2023, "DiffuSeq", arXiv:2210.08933, equation 7; Li et al. 2022, "Diffusion-LM",
/// arXiv:2205.14217, equation 2; the sum is that of the code. Ye et al. 2023, "DINOISER", arXiv:2302.10025, code, whose
/// measures and quantities these are.
struct DiffuSeq {
    double label_smoothing = 0.0;    ///< [0, 1)
    double weight = 1.0;             ///< of the cross-entropy; finite, 0 or more
    double regression_weight = 1.0;  ///< finite, 0 or more
    double prior_weight = 1.0;       ///< finite, 0 or more
    /// true: z0_hat is compared with the embedding, without its space's noise (Bridge); false: with z0, but where the
    /// batch says otherwise, which is at the cleanest level (DiffuSeq)
    bool clean_goal = false;
    ErrorMeasure measure = ErrorMeasure::squared;          ///< of the regression
    schedule::Quantity quantity = schedule::Quantity::z0;  ///< what the regression compares
    LevelWeight level_weight{};                            ///< how much the regression's error counts by its level
    bool mixed_output = false;                             ///< see Regression

    static constexpr bool tells_rows = true;  ///< see objective::tells_rows

    /// @throws Error naming the first option that is out of its range
    void check() const {
        detail::check_label_smoothing("DiffuSeq", label_smoothing);
        detail::check_weight("DiffuSeq", "weight", weight);
        detail::check_weight("DiffuSeq", "regression_weight", regression_weight);
        detail::check_weight("DiffuSeq", "prior_weight", prior_weight);
        level_weight.check("DiffuSeq");
        regression().check();
    }

    /// As Regression's.
    [[nodiscard]] double error_factor(double alpha_bar) const { return regression().error_factor(alpha_bar); }
    template <NoiseSchedule Schedule>
    [[nodiscard]] double error_weight(Schedule const& schedule, double time, double alpha_bar) const {
        return regression().error_weight(schedule, time, alpha_bar);
    }

    /// Adds the terms "regression", "nll", "rounding" and "prior", and their gradients to those of z0 [N, D], z0_hat
    /// [N, D] and the read-out; empty views take none.
    template <Backend B, EmbeddingSpace Space>
    void evaluate(nn::Pass<B>& pass, Space const& space, Prediction<B> const& prediction, Losses<B>& losses) const {
        Prediction<B> own = prediction;
        if (clean_goal && !prediction.embedded.empty()) {
            own.z0 = prediction.embedded;
            own.goals = {};
        }
        regression().evaluate(pass, space, own, losses);
        detail::add_cross_entropy(pass, space, "rounding", weight, label_smoothing, prediction, prediction.z0,
                                  prediction.dz0, losses);
        double const signal = prediction.last_signal;
        double const share = signal * signal * prediction.share() / static_cast<double>(prediction.z0.cols);
        double* const sum = losses.add({{"prior", 0.0, prior_weight}}, share);
        auto const of_rows = losses.row_room(pass, prediction.z0.rows);
        squared_error(pass.device, prediction.z0, {}, prior_weight * share, sum, prediction.dz0, {},
                      prediction.row_weights, of_rows);
        losses.add_rows(pass, prior_weight * share, of_rows);
    }

private:
    [[nodiscard]] Regression regression() const {
        return {regression_weight, measure, quantity, level_weight, mixed_output};
    }
};

/// Names every setting once, for checkpoints and their checks.
template <class Objective, class Visit>
    requires std::same_as<std::remove_const_t<Objective>, DiffuSeq>
void describe(Objective& objective, Visit const& visit) {
    visit("label_smoothing", objective.label_smoothing);
    visit("weight", objective.weight);
    visit("regression_weight", objective.regression_weight);
    visit("prior_weight", objective.prior_weight);
    visit("clean_goal", objective.clean_goal);
    visit("measure", objective.measure, {"squared", "absolute", "huber"});
    visit("quantity", objective.quantity, {"z0", "noise", "velocity", "score"});
    describe(objective.level_weight, visit);
    if (objective.mixed_output) visit("mixed_output", objective.mixed_output);
}

}  // namespace inkling::objective
