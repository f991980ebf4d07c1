#pragma once

#include <inkling/schedule/concept.hpp>
#include <inkling/schedule/detail/check.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <type_traits>

namespace inkling::schedule {

/// Linear rate of noise: alpha_bar(t) = exp(-∫ beta), beta(t) = first + (last - first) t.
///
/// The continuous form of DDPM's schedule: noise is 92 % of the variance by t = 1/2 and 99 % by t = 2/3.
/// Source: Song et al. 2021, "Score-based generative modeling through SDEs", arXiv:2011.13456. Also Difformer and
/// DINOISER, 'linear'.
struct LinearBeta {
    double first = 0.1;  ///< beta(0), positive
    double last = 20.0;  ///< beta(1), positive

    /// Share of signal: exp(-(last - first)/2 t² - first t), in (0, 1].
    /// @param t  diffusion time in [0, 1]
    /// @throws Error when t is outside [0, 1] or not a number, or a setting is not positive
    [[nodiscard]] double alpha_bar(double t) const {
        check(t);
        return std::exp(-0.5 * (last - first) * t * t - first * t);
    }

    /// Rate of noise beta(t) = -d log alpha_bar / dt, in units of 1 / time.
    /// @throws Error as alpha_bar
    [[nodiscard]] double beta(double t) const {
        check(t);
        return first + (last - first) * t;
    }

    /// The time at which the noise is s, held to [0, 1]: the root of (last - first)/2 t² + first t = -log(1 - s²).
    /// @throws Error when s is outside [0, 1] or not a number, or a setting is not positive
    [[nodiscard]] double time_at_noise(double s) const {
        check(0.0);
        detail::require_noise("inkling::schedule::LinearBeta", s);
        if (noise(*this, 1.0) <= s) return 1.0;
        double const integral = -std::log1p(-s * s);
        double const root = std::sqrt(first * first + 2.0 * (last - first) * integral);
        return std::clamp(2.0 * integral / (first + root), 0.0, 1.0);  // this form of the root loses nothing near t = 0
    }

private:
    void check(double t) const {
        detail::require_time("inkling::schedule::LinearBeta", t);
        detail::require_positive("inkling::schedule::LinearBeta", "first", first);
        detail::require_positive("inkling::schedule::LinearBeta", "last", last);
    }
};
static_assert(NoiseSchedule<LinearBeta>);

/// Names the settings, for model files.
template <class Schedule, class Visit>
    requires std::same_as<std::remove_const_t<Schedule>, LinearBeta>
void describe(Schedule& schedule, Visit const& visit) {
    visit("first", schedule.first);
    visit("last", schedule.last);
}

}  // namespace inkling::schedule
