#pragma once

#include <inkling/schedule/concept.hpp>
#include <inkling/schedule/detail/check.hpp>

#include <cmath>

namespace inkling::schedule {

/// Noise grows as a fourth root: alpha_bar(t) = 1 - √t, s(t) = t^¼. It is Sqrt without the offset: clean at t = 0.
///
/// Source: Ye et al. 2023, "DINOISER", arXiv:2302.10025, 'sqrt'.
struct SigmaSqrt {
    /// Share of signal, in [0, 1]: 1 - √t.
    /// @param t  diffusion time in [0, 1]
    /// @throws Error when t is outside [0, 1] or not a number
    [[nodiscard]] double alpha_bar(double t) const {
        detail::require_time("inkling::schedule::SigmaSqrt", t);
        return 1.0 - std::sqrt(t);
    }

    /// The time at which the noise is s: s⁴.
    /// @throws Error when s is outside [0, 1] or not a number
    [[nodiscard]] double time_at_noise(double s) const {
        detail::require_noise("inkling::schedule::SigmaSqrt", s);
        return s * s * s * s;
    }
};
static_assert(NoiseSchedule<SigmaSqrt>);

}  // namespace inkling::schedule
