#pragma once

#include <inkling/schedule/concept.hpp>
#include <inkling/schedule/detail/check.hpp>

namespace inkling::schedule {

/// Time is the noise level itself: alpha_bar(t) = 1 - t², s(t) = t.
///
/// Nothing to convert between 'which time' and 'how noisy', as DINOISER's clipped training and its sampler want it.
/// Source: Ye et al. 2023, "DINOISER", arXiv:2302.10025, its default ('interchangable').
struct SigmaLinear {
    /// Share of signal, in [0, 1]: 1 - t².
    /// @param t  diffusion time in [0, 1]
    /// @throws Error when t is outside [0, 1] or not a number
    [[nodiscard]] double alpha_bar(double t) const {
        detail::require_time("inkling::schedule::SigmaLinear", t);
        return (1.0 - t) * (1.0 + t);  // exact to the last bit where 1 - t * t is not, near t = 1
    }

    /// Rate of noise beta(t) = -d log alpha_bar / dt = 2 t / (1 - t²), in units of 1 / time; infinite at t = 1.
    /// @throws Error as alpha_bar
    [[nodiscard]] double beta(double t) const { return 2.0 * t / alpha_bar(t); }

    /// The time at which the noise is s: s.
    /// @throws Error when s is outside [0, 1] or not a number
    [[nodiscard]] double time_at_noise(double s) const {
        detail::require_noise("inkling::schedule::SigmaLinear", s);
        return s;
    }
};
static_assert(NoiseSchedule<SigmaLinear>);

}  // namespace inkling::schedule
