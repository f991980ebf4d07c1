#pragma once

#include <inkling/schedule/concept.hpp>
#include <inkling/schedule/detail/check.hpp>

#include <cmath>

namespace inkling::schedule {

namespace detail {

/// The first time in [0, 1] at which `reached` holds, which stays so from then on; 1 if it never does.
template <class Condition>
[[nodiscard]] double first_time(Condition const& reached) {
    double before = 0.0;
    double after = 1.0;
    if (reached(before)) return before;
    if (!reached(after)) return after;
    while (true) {  // ends when no number lies between them
        double const middle = before + 0.5 * (after - before);
        if (middle <= before || middle >= after) return after;
        (reached(middle) ? after : before) = middle;
    }
}

}  // namespace detail

/// The time at which the noise s(t) reaches a level: 0 if it is there from the start, 1 if it never gets there.
///
/// Uses the schedule's own `time_at_noise(s)` where it has one, else bisection (about 60 calls of alpha_bar), which
/// needs only that alpha_bar never rises. For training from a smallest noise level on, and for grids even in noise.
/// @param s  noise level √(1 - alpha_bar), in [0, 1]
/// @throws Error when s is outside [0, 1] or not a number, and whatever the schedule throws
template <NoiseSchedule Schedule>
[[nodiscard]] double time_at_noise(Schedule const& schedule, double s) {
    if constexpr (detail::HasTimeAtNoise<Schedule>) {
        return schedule.time_at_noise(s);
    } else {
        detail::require_noise("inkling::schedule::time_at_noise", s);
        return detail::first_time([&](double t) { return noise(schedule, t) >= s; });
    }
}

/// The time at which half_log_snr = log(a / s) falls to `level`, held to [0, 1]. Grids even in log-SNR ask this.
///
/// Below -8, where s is so near 1 that its rounding is felt, it is found by bisection on half_log_snr itself.
/// @param level  any number; ±infinity means no noise, no signal
/// @throws Error when the level is not a number, and whatever the schedule throws
template <NoiseSchedule Schedule>
[[nodiscard]] double time_at_half_log_snr(Schedule const& schedule, double level) {
    require(!std::isnan(level), "inkling::schedule::time_at_half_log_snr: level is not a number");
    if (level >= -8.0) return time_at_noise(schedule, 1.0 / std::sqrt(1.0 + std::exp(2.0 * level)));
    return detail::first_time([&](double t) { return half_log_snr(schedule, t) <= level; });
}

}  // namespace inkling::schedule
