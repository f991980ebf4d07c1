#pragma once

#include <inkling/core/error.hpp>
#include <inkling/objective/detail/check.hpp>
#include <inkling/schedule/concept.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <type_traits>

namespace inkling::objective {

/// By what the error of a level is weighed.
enum class LevelWeighting {
    even,           ///< 1
    likelihood,     ///< beta / s^2: with the squared error of noise, a bound on the likelihood
    rate,           ///< beta
    truncated_snr,  ///< max(1, s^2 / a^2): with the squared error of noise, max(a^2 / s^2, 1) of that of z0
    p2              ///< 1 / (p2_offset + a^2 / s^2)^p2_power
};

/// How much the error of a level counts, with signal a, noise s and beta = -d log a^2 / dt.
///
/// Infinite at pure noise, but for `even` and for `p2` with an offset, so that levels must not reach it.
/// Source: Song et al. 2021, "Maximum Likelihood Training of Score-Based Diffusion Models", arXiv:2101.09258, section 3
/// (likelihood); Salimans & Ho 2022, arXiv:2202.00512, section 4 (truncated_snr); Choi et al. 2022, "Perception
/// Prioritized Training of Diffusion Models", arXiv:2204.00227, equation 8 (p2); the choice of them is DINOISER's code.
struct LevelWeight {
    LevelWeighting by = LevelWeighting::even;
    double p2_offset = 1.0;  ///< finite, 0 or more
    double p2_power = 1.0;   ///< finite, 0 or more

    /// @throws Error naming the option that is out of its range
    void check(char const* objective) const {
        detail::check_weight(objective, "p2_offset", p2_offset);
        detail::check_weight(objective, "p2_power", p2_power);
    }

    /// The weight, 0 or more, at a time in [0, 1].
    /// @param alpha_bar  a^2 of that time
    /// @throws Error where a rate is asked for that the schedule does not have
    template <NoiseSchedule Schedule>
    [[nodiscard]] double at(Schedule const& schedule, double time, double alpha_bar) const {
        double const noise = 1.0 - alpha_bar;
        switch (by) {
            case LevelWeighting::likelihood: return rate(schedule, time) / noise;
            case LevelWeighting::rate: return rate(schedule, time);
            case LevelWeighting::truncated_snr: return std::max(1.0, std::exp(-log_snr(schedule, time, alpha_bar)));
            case LevelWeighting::p2: return std::pow(p2_offset + alpha_bar / noise, -p2_power);
            case LevelWeighting::even: break;
        }
        return 1.0;
    }

private:
    template <NoiseSchedule Schedule>
    [[nodiscard]] static double rate(Schedule const& schedule, double time) {
        if constexpr (requires { schedule.beta(time); })
            return schedule.beta(time);
        else
            fail(
                "inkling::objective::LevelWeight: the schedule has no 'double beta(double t) const', expected one "
                "where levels are weighed by likelihood or rate");
    }
    template <NoiseSchedule Schedule>
    [[nodiscard]] static double log_snr(Schedule const& schedule, double time, double alpha_bar) {
        if constexpr (requires { schedule.log_snr(time); })  // which may keep pure noise finite
            return schedule.log_snr(time);
        else
            return schedule::log_snr(alpha_bar);
    }
};

/// Names every setting that matters once, for checkpoints and their checks: none where levels count alike.
template <class Weight, class Visit>
    requires std::same_as<std::remove_const_t<Weight>, LevelWeight>
void describe(Weight& weight, Visit const& visit) {
    if (weight.by == LevelWeighting::even) return;
    visit("level_weight", weight.by, {"even", "likelihood", "rate", "truncated_snr", "p2"});
    visit("p2_offset", weight.p2_offset);
    visit("p2_power", weight.p2_power);
}

}  // namespace inkling::objective
