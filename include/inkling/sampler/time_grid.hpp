#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/schedule/concept.hpp>
#include <inkling/schedule/inverse.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace inkling::sampler {

/// What the times of a grid are even in.
enum class Spacing {
    time,        ///< t
    noise,       ///< s(t)
    root_noise,  ///< √s(t): closer together at little noise
    log_snr,     ///< log(a / s): neither end of which may be without noise or signal
};

/// Times from `start` down to `end`, both included, on the continuous schedule.
///
/// Source: DINOISER's denoise schedulers (Ye et al. 2023, arXiv:2302.10025, code); even in time is its default.
struct TimeGrid {
    double start = 1.0;  ///< the noisiest time, in (0, 1]
    double end = 1e-3;   ///< the cleanest, in [0, start]
    Spacing spacing = Spacing::time;

    /// @param steps  at least 1
    /// @return       steps + 1 times, falling
    /// @throws Error when a setting is out of its range or an end has no log(a / s), and whatever the schedule throws
    template <NoiseSchedule Schedule>
    [[nodiscard]] std::vector<double> times(Schedule const& schedule, Index steps) const {
        require(start > 0.0 && start <= 1.0, "inkling::sampler::TimeGrid: start is ", start,
                ", expected a number above 0 and up to 1");
        require(end >= 0.0 && end <= start, "inkling::sampler::TimeGrid: end is ", end, ", expected 0 to start, ",
                start);
        require(steps >= 1, "inkling::sampler::TimeGrid: steps is ", steps, ", expected at least 1");
        double const first = to_measure(schedule, start);
        double const last = to_measure(schedule, end);
        require(std::isfinite(first) && std::isfinite(last), "inkling::sampler::TimeGrid: log(a / s) goes from ", first,
                " to ", last, "; expected finite numbers, so a start with signal and an end with noise");
        std::vector<double> result{start};
        for (Index i = 1; i < steps; ++i) {
            double const share = static_cast<double>(i) / static_cast<double>(steps);
            double const time = from_measure(schedule, first + share * (last - first));
            result.push_back(std::clamp(time, end, result.back()));  // rounding of the inverse
        }
        result.push_back(end);
        return result;
    }

private:
    template <class Schedule>
    [[nodiscard]] double to_measure(Schedule const& schedule, double t) const {
        switch (spacing) {
            case Spacing::noise: return schedule::noise(schedule, t);
            case Spacing::root_noise: return std::sqrt(schedule::noise(schedule, t));
            case Spacing::log_snr: return schedule::half_log_snr(schedule, t);
            case Spacing::time: break;
        }
        return t;
    }

    template <class Schedule>
    [[nodiscard]] double from_measure(Schedule const& schedule, double value) const {
        switch (spacing) {
            case Spacing::noise: return schedule::time_at_noise(schedule, value);
            case Spacing::root_noise: return schedule::time_at_noise(schedule, value * value);
            case Spacing::log_snr: return schedule::time_at_half_log_snr(schedule, value);
            case Spacing::time: break;
        }
        return value;
    }
};

}  // namespace inkling::sampler
