#pragma once

#include <inkling/schedule/concept.hpp>
#include <inkling/schedule/detail/check.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <type_traits>

namespace inkling::schedule {

/// Noise grows by the same factor in equal times: s(t) = noise_min^(1 - t), alpha_bar(t) = 1 - s(t)².
///
/// Half of the time is spent below s = 0.032, where embeddings are not yet confused: good for detail, slow for text.
/// Source: Song et al. 2021, arXiv:2011.13456 (VE-SDE), kept to unit variance as in DINOISER 'geometric'
/// (arXiv:2302.10025).
struct Geometric {
    double noise_min = 1e-3;  ///< s(0), in (0, 1)

    /// Share of signal, in [0, 1).
    /// @param t  diffusion time in [0, 1]
    /// @throws Error when t is outside [0, 1] or not a number, or noise_min outside (0, 1)
    [[nodiscard]] double alpha_bar(double t) const {
        detail::require_time("inkling::schedule::Geometric", t);
        check();
        double const s = std::pow(noise_min, 1.0 - t);
        return (1.0 - s) * (1.0 + s);
    }

    /// The time at which the noise is s: t = 1 - log(s) / log(noise_min), held to [0, 1].
    /// @throws Error when s is outside [0, 1] or not a number, or noise_min outside (0, 1)
    [[nodiscard]] double time_at_noise(double s) const {
        detail::require_noise("inkling::schedule::Geometric", s);
        check();
        return std::clamp(1.0 - std::log(s) / std::log(noise_min), 0.0, 1.0);
    }

private:
    void check() const {
        require(noise_min > 0.0 && noise_min < 1.0, "inkling::schedule::Geometric: noise_min is ", noise_min,
                ", expected a number above 0 and below 1");
    }
};
static_assert(NoiseSchedule<Geometric>);

/// Names the settings, for model files.
template <class Schedule, class Visit>
    requires std::same_as<std::remove_const_t<Schedule>, Geometric>
void describe(Schedule& schedule, Visit const& visit) {
    visit("noise_min", schedule.noise_min);
}

}  // namespace inkling::schedule
