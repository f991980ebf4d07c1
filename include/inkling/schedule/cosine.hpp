#pragma once

#include <inkling/schedule/concept.hpp>
#include <inkling/schedule/detail/check.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <numbers>
#include <type_traits>

namespace inkling::schedule {

/// Cosine schedule: alpha_bar(t) = cos²((t + offset) / (1 + offset) · π/2).
///
/// Signal leaves at an even pace in the middle, and slowly at both ends.
/// Source: Nichol & Dhariwal 2021, "Improved DDPM", arXiv:2102.09672, equation 17 (not divided by its value at 0, as in
/// their code). Also SED, and DiffuSeq 'cosine'.
struct Cosine {
    double offset = 0.008;  ///< in [0, infinity): keeps the first step from being too small

    /// Share of signal, in [0, 1].
    /// @param t  diffusion time in [0, 1]
    /// @throws Error when t is outside [0, 1] or not a number, or the offset is negative or not finite
    [[nodiscard]] double alpha_bar(double t) const {
        detail::require_time("inkling::schedule::Cosine", t);
        check();
        double const root = std::cos((t + offset) / (1.0 + offset) * (std::numbers::pi / 2.0));
        return root * root;
    }

    /// The time at which the noise is s: t = (1 + offset) asin(s) · 2/π - offset, held to [0, 1].
    /// @throws Error when s is outside [0, 1] or not a number, or the offset is negative or not finite
    [[nodiscard]] double time_at_noise(double s) const {
        detail::require_noise("inkling::schedule::Cosine", s);
        check();
        return std::clamp((1.0 + offset) * std::asin(s) * (2.0 / std::numbers::pi) - offset, 0.0, 1.0);
    }

private:
    void check() const {
        require(offset >= 0.0 && std::isfinite(offset), "inkling::schedule::Cosine: offset is ", offset,
                ", expected a finite number of at least 0");
    }
};
static_assert(NoiseSchedule<Cosine>);

/// Names the settings, for model files.
template <class Schedule, class Visit>
    requires std::same_as<std::remove_const_t<Schedule>, Cosine>
void describe(Schedule& schedule, Visit const& visit) {
    visit("offset", schedule.offset);
}

}  // namespace inkling::schedule
