#pragma once

#include <inkling/core/error.hpp>
#include <inkling/sampler/concept.hpp>
#include <inkling/sampler/detail/assemble.hpp>
#include <inkling/schedule/gaussian.hpp>
#include <inkling/schedule/inverse.hpp>

#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace inkling::sampler {

/// DPM-Solver++(2M): second order in log-SNR, for few steps; deterministic, one evaluation of the denoiser a step.
///
/// Where Ddim takes z0_hat to be constant over a step, this one extends the line through the last two. Its evaluations
/// are even in log(a / s) from `start` to `end`, both included; the last step goes to the clean end.
/// Source: Lu et al. 2022, "DPM-Solver++", arXiv:2211.01095, algorithm 2.
struct DpmSolver2M {
    Index steps = 10;               ///< at least 1
    double start = 1.0;             ///< the noisiest time, in (0, 1]
    double end = 1e-3;              ///< the cleanest time at which the denoiser is asked, in [0, start)
    double least_alpha_bar = 1e-4;  ///< a start with less signal is moved to this level: pure noise has no log(a / s)
    Index early_stopping = 0;       ///< how many of the steps, the cleanest, are left out
    double noise_factor = 1.0;      ///< multiplies the first noise; positive
    bool clamp = false;             ///< see Plan::clamp
    std::optional<double> fixed_time = std::nullopt;  ///< tell the denoiser this time at every step, in [0, 1]

    /// The steps, noisiest first.
    /// @throws Error when a setting is out of its range or alpha_bar does not rise from step to step, and whatever the
    ///         schedule throws
    template <NoiseSchedule Schedule>
    [[nodiscard]] Plan plan(Schedule const& schedule) const {
        std::vector<double> const times = evaluations(schedule);
        Plan result;
        double before = 0.0;
        for (std::size_t i = 0; i < times.size(); ++i) {
            double const from = schedule.alpha_bar(times[i]);
            double const to = i + 1 < times.size() ? schedule.alpha_bar(times[i + 1]) : 1.0;
            Step step{.time = times[i], .alpha_bar = from};
            if (i == 0) {
                schedule::StepCoefficients const factors = schedule::ddim(from, to);
                step.z0 = factors.z0;
                step.z_t = factors.z_t;
            } else {
                schedule::MultistepCoefficients const factors = schedule::dpm_solver_2m(before, from, to);
                step.z0 = factors.z0;
                step.z_t = factors.z_t;
                step.previous_z0 = factors.previous_z0;
            }
            result.steps.push_back(step);
            before = from;
        }
        return detail::assemble(std::move(result), {where, early_stopping, clamp, noise_factor, fixed_time});
    }

private:
    static constexpr char const* where = "inkling::sampler::DpmSolver2M";

    template <class Schedule>
    [[nodiscard]] std::vector<double> evaluations(Schedule const& schedule) const {
        require(steps >= 1, where, ": steps is ", steps, ", expected at least 1");
        require(start > 0.0 && start <= 1.0, where, ": start is ", start, ", expected a number above 0 and up to 1");
        require(end >= 0.0 && end < start, where, ": end is ", end, ", expected 0 to below start, ", start);
        require(least_alpha_bar > 0.0 && least_alpha_bar < 1.0, where, ": least_alpha_bar is ", least_alpha_bar,
                ", expected a number above 0 and below 1");
        double const cleanest = schedule::half_log_snr(schedule, end);
        require(std::isfinite(cleanest), where, ": at end, ", end, ", log(a / s) is ", cleanest,
                "; expected a time with both signal and noise");
        double const least = 0.5 * schedule::log_snr(least_alpha_bar);
        bool const moved = schedule.alpha_bar(start) < least_alpha_bar;
        double const noisiest = moved ? least : schedule::half_log_snr(schedule, start);
        std::vector<double> times{moved ? schedule::time_at_half_log_snr(schedule, least) : start};
        for (Index i = 1; i < steps; ++i) {
            double const share = static_cast<double>(i) / static_cast<double>(steps - 1);
            times.push_back(i + 1 == steps
                                ? end
                                : schedule::time_at_half_log_snr(schedule, noisiest + share * (cleanest - noisiest)));
        }
        return times;
    }
};
static_assert(Sampler<DpmSolver2M>);

}  // namespace inkling::sampler
