#pragma once

#include <inkling/schedule/concept.hpp>
#include <inkling/schedule/detail/power_law.hpp>

#include <concepts>
#include <type_traits>

namespace inkling::schedule {

/// Power-law noise: alpha_bar(t) = 1 / (sigma(t)² + 1), sigma(t)^(1/rho) linear from sigma_min^(1/rho) to
/// sigma_max^(1/rho).
///
/// A quarter of the time goes to noise below 0.17: fine detail, which images have and tokens have not.
/// Source: Karras et al. 2022, "Elucidating the design space", arXiv:2206.00364, equation 5; Difformer 'edm'.
struct Edm {
    double sigma_min = 0.002;  ///< noise over signal at t = 0, positive
    double sigma_max = 80.0;   ///< noise over signal at t = 1, above sigma_min
    double rho = 7.0;          ///< positive; 1 is linear in sigma, larger spends more time at little noise

    /// Share of signal, in (0, 1).
    /// @param t  diffusion time in [0, 1]
    /// @throws Error when t is outside [0, 1] or not a number, or a setting is out of its range
    [[nodiscard]] double alpha_bar(double t) const { return law().alpha_bar(t); }

    /// The time at which the noise is s, held to [0, 1].
    /// @throws Error when s is outside [0, 1] or not a number, or a setting is out of its range
    [[nodiscard]] double time_at_noise(double s) const { return law().time_at_noise(s); }

private:
    [[nodiscard]] detail::PowerLaw law() const { return {"inkling::schedule::Edm", sigma_min, sigma_max, rho}; }
};
static_assert(NoiseSchedule<Edm>);

/// Names the settings, for model files.
template <class Schedule, class Visit>
    requires std::same_as<std::remove_const_t<Schedule>, Edm>
void describe(Schedule& schedule, Visit const& visit) {
    visit("sigma_min", schedule.sigma_min);
    visit("sigma_max", schedule.sigma_max);
    visit("rho", schedule.rho);
}

}  // namespace inkling::schedule
