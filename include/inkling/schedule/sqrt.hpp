#pragma once

#include <inkling/schedule/concept.hpp>
#include <inkling/schedule/detail/check.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <type_traits>

namespace inkling::schedule {

/// Square-root schedule for text: alpha_bar(t) = 1 - √(t + offset).
///
/// Noise starts at offset^¼ = 0.1, as less would be undone by rounding to the nearest embedding, and then rises fast.
/// Source: Li et al. 2022, "Diffusion-LM", arXiv:2205.14217, appendix A. Also DiffuSeq, Difformer, Bridge.
struct Sqrt {
    double offset = 1e-4;  ///< in [0, 1)

    /// @param t  diffusion time in [0, 1], no unit; 0 is clean text, 1 is noise
    /// @return   the share of z_t's variance that is signal, in [0, 1]; falls as t rises
    /// @throws Error when t is outside [0, 1] or not a number, or the offset outside [0, 1)
    [[nodiscard]] double alpha_bar(double t) const {
        detail::require_time("inkling::schedule::Sqrt", t);
        check();
        return std::max(0.0, 1.0 - std::sqrt(t + offset));  // at t = 1 the formula would be below 0 by offset / 2
    }

    /// The time at which the noise is s: t = s⁴ - offset, held to [0, 1].
    /// @throws Error when s is outside [0, 1] or not a number, or the offset outside [0, 1)
    [[nodiscard]] double time_at_noise(double s) const {
        detail::require_noise("inkling::schedule::Sqrt", s);
        check();
        return std::clamp(s * s * s * s - offset, 0.0, 1.0);
    }

private:
    void check() const {
        require(offset >= 0.0 && offset < 1.0, "inkling::schedule::Sqrt: offset is ", offset,
                ", expected a number in [0, 1)");
    }
};
static_assert(NoiseSchedule<Sqrt>);

/// Names the settings, for model files.
template <class Schedule, class Visit>
    requires std::same_as<std::remove_const_t<Schedule>, Sqrt>
void describe(Schedule& schedule, Visit const& visit) {
    visit("offset", schedule.offset);
}

}  // namespace inkling::schedule
