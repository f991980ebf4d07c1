#pragma once

#include <inkling/schedule/concept.hpp>
#include <inkling/schedule/detail/check.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <type_traits>

namespace inkling::schedule {

/// Quadratic rate of noise: alpha_bar(t) = exp(-∫ beta), √beta(t) linear from √first to √last.
///
/// Gentler than LinearBeta in the first half, with the same ends of the rate.
/// Source: DINOISER's 'quadratic' (Ye et al. 2023, arXiv:2302.10025), after Ho et al. 2020, "DDPM", code option 'quad'.
struct QuadraticBeta {
    double first = 0.1;  ///< beta(0), positive
    double last = 20.0;  ///< beta(1), positive

    /// Share of signal, in (0, 1].
    /// @param t  diffusion time in [0, 1]
    /// @throws Error when t is outside [0, 1] or not a number, or a setting is not positive
    [[nodiscard]] double alpha_bar(double t) const {
        check(t);
        double const root = std::sqrt(first);
        double const rise = std::sqrt(last) - root;
        return std::exp(-t * (first + t * (root * rise + t * rise * rise / 3.0)));
    }

    /// Rate of noise beta(t) = -d log alpha_bar / dt, in units of 1 / time.
    /// @throws Error as alpha_bar
    [[nodiscard]] double beta(double t) const {
        check(t);
        double const root = std::sqrt(first) + (std::sqrt(last) - std::sqrt(first)) * t;
        return root * root;
    }

    /// The time at which the noise is s, held to [0, 1]: √beta(t)³ = √first³ + 3 (√last - √first) (-log(1 - s²)).
    /// @throws Error when s is outside [0, 1] or not a number, or a setting is not positive
    [[nodiscard]] double time_at_noise(double s) const {
        check(0.0);
        detail::require_noise("inkling::schedule::QuadraticBeta", s);
        if (noise(*this, 1.0) <= s) return 1.0;
        double const integral = -std::log1p(-s * s);
        double const root = std::sqrt(first);
        double const rise = std::sqrt(last) - root;
        double const then = std::cbrt(root * root * root + 3.0 * rise * integral);  // √beta at the time sought
        // (then - root) / rise, with the difference of cubes divided out so that nothing is lost where rise is small
        return std::clamp(3.0 * integral / (then * then + then * root + root * root), 0.0, 1.0);
    }

private:
    void check(double t) const {
        detail::require_time("inkling::schedule::QuadraticBeta", t);
        detail::require_positive("inkling::schedule::QuadraticBeta", "first", first);
        detail::require_positive("inkling::schedule::QuadraticBeta", "last", last);
    }
};
static_assert(NoiseSchedule<QuadraticBeta>);

/// Names the settings, for model files.
template <class Schedule, class Visit>
    requires std::same_as<std::remove_const_t<Schedule>, QuadraticBeta>
void describe(Schedule& schedule, Visit const& visit) {
    visit("first", schedule.first);
    visit("last", schedule.last);
}

}  // namespace inkling::schedule
