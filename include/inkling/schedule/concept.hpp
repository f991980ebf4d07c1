#pragma once

#include <inkling/core/error.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <string_view>

namespace inkling {

/// Tells how much of z_t is signal at time t: z_t = √alpha_bar(t) z0 + √(1 - alpha_bar(t)) noise.
/// Models: schedule::Sqrt, schedule::Cosine, schedule::Rescaled, schedule::Discrete, or a struct with just this.
///
/// t is in [0, 1], no unit: 0 is clean text, 1 is noise. alpha_bar is in [0, 1] and never rises with t.
// clang-format off
template <class S>
concept NoiseSchedule = std::copyable<S>
    && requires(S const& schedule, double t) { schedule.alpha_bar(t); }  // has 'alpha_bar(t) const'
    && requires(S const& schedule, double t) { { schedule.alpha_bar(t) } -> std::same_as<double>; };  // a double

namespace schedule {
namespace detail {

/// A schedule that asks for stronger noise in training.
template <class S>
concept HasNoiseFactor = requires(S const& schedule) { { schedule.noise_factor() } -> std::convertible_to<double>; };

/// A schedule that knows its inverse in closed form.
template <class S>
concept HasTimeAtNoise =
    requires(S const& schedule, double s) { { schedule.time_at_noise(s) } -> std::same_as<double>; };

}  // namespace detail
// clang-format on

/// Looks at alpha_bar at seventeen times, so that a schedule of one's own that is none is found before it is trained
/// on.
/// @throws Error that begins with `where`, unless it stays in [0, 1] (but for rounding), never rises, and falls in all
template <NoiseSchedule Schedule>
void require_falls(Schedule const& schedule, std::string_view where) {
    double before = 1.0;
    for (int i = 0; i <= 16; ++i) {
        double const t = i / 16.0;
        double const level = schedule.alpha_bar(t);
        require(level >= -1e-9 && level <= 1.0 + 1e-9, where, ": the schedule's alpha_bar(", t, ") is ", level,
                ", expected a number in [0, 1]");
        require(i == 0 || level <= before, where, ": the schedule's alpha_bar rises to ", level, " at t = ", t,
                ", expected it to fall from about 1 at t = 0, text, to about 0 at t = 1, noise");
        before = level;
    }
    require(before < schedule.alpha_bar(0.0), where, ": the schedule's alpha_bar is ", before,
            " at every t, expected it to fall from about 1 at t = 0, text, to about 0 at t = 1, noise");
}

/// Logarithm of a level's signal-to-noise ratio, log(alpha_bar / (1 - alpha_bar)); ±infinity where all is signal,
/// noise.
/// @param alpha_bar  in [0, 1]; what rounding took beyond is held to it
[[nodiscard]] inline double log_snr(double alpha_bar) {
    double const share = std::clamp(alpha_bar, 0.0, 1.0);
    return std::log(share) - std::log1p(-share);
}

/// Signal a(t) = √alpha_bar(t), in [0, 1]: what z0 is multiplied by.
template <NoiseSchedule Schedule>
[[nodiscard]] double signal(Schedule const& schedule, double t) {
    return std::sqrt(std::clamp(schedule.alpha_bar(t), 0.0, 1.0));  // a policy of one's own may round to beyond
}

/// Noise s(t) = √(1 - alpha_bar(t)), in [0, 1]: what the standard normal noise is multiplied by. a² + s² = 1.
template <NoiseSchedule Schedule>
[[nodiscard]] double noise(Schedule const& schedule, double t) {
    return std::sqrt(1.0 - std::clamp(schedule.alpha_bar(t), 0.0, 1.0));
}

/// Logarithm of the signal-to-noise ratio, log(a² / s²); +infinity where all is signal, -infinity where all is noise.
template <NoiseSchedule Schedule>
[[nodiscard]] double log_snr(Schedule const& schedule, double t) {
    return log_snr(schedule.alpha_bar(t));
}

/// Half of log_snr: log(a / s), the lambda of DPM-Solver.
template <NoiseSchedule Schedule>
[[nodiscard]] double half_log_snr(Schedule const& schedule, double t) {
    return 0.5 * log_snr(schedule, t);
}

/// How much stronger than s(t) the noise is made while training: 1, or what the schedule's own `noise_factor()` says.
///
/// Training draws z_t = a z0 + F s noise with this F; decoding is untouched. See schedule::Rescaled.
template <NoiseSchedule Schedule>
[[nodiscard]] double training_noise_factor(Schedule const& schedule) {
    if constexpr (detail::HasNoiseFactor<Schedule>)
        return schedule.noise_factor();
    else
        return 1.0;
}

}  // namespace schedule
}  // namespace inkling
