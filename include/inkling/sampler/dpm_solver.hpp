#pragma once

#include <inkling/core/error.hpp>
#include <inkling/sampler/concept.hpp>
#include <inkling/sampler/detail/assemble.hpp>
#include <inkling/sampler/step_plan.hpp>
#include <inkling/schedule/discrete.hpp>
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
/// Where Ddim takes z0_hat to be constant over a step, this one extends the line through the last two; the last step
/// goes to the clean end. Its evaluations are those of a table where `discrete_steps` says that the model was trained
/// by one, whose levels are not quite the schedule's; else they are even in log(a / s) from `start` to `end`, both
/// included.
/// Source: Lu et al. 2022, "DPM-Solver++", arXiv:2211.01095, algorithm 2; on a table the steps lie where Ddim's do.
struct DpmSolver2M {
    Index steps = 10;               ///< at least 1; of a table, up to T
    double start = 1.0;             ///< the noisiest time, in (0, 1]; not looked at with a table
    double end = 1e-3;              ///< the cleanest time at which the denoiser is asked, in [0, start); likewise
    double least_alpha_bar = 1e-4;  ///< a start with less signal is moved to this level: pure noise has no log(a / s);
                                    ///< likewise
    Index discrete_steps = 0;       ///< T of the training's table; 0: of none. A schedule::Discrete is one itself
    StepPlan step_plan = EvenSteps{};                 ///< which steps of a table are kept
    Index early_stopping = 0;                         ///< how many of the steps, the cleanest, are left out
    double noise_factor = 1.0;                        ///< multiplies the first noise; positive
    bool clamp = false;                               ///< see Plan::clamp
    std::optional<double> fixed_time = std::nullopt;  ///< tell the denoiser this time at every step, in [0, 1]

    /// The steps, noisiest first.
    /// @throws Error when a setting is out of its range or alpha_bar does not rise from step to step, and whatever the
    ///         schedule throws
    template <NoiseSchedule Schedule>
    [[nodiscard]] Plan plan(Schedule const& schedule) const {
        Plan result{.steps = evaluations(schedule)};
        double before = 0.0;
        for (std::size_t i = 0; i < result.steps.size(); ++i) {
            Step& step = result.steps[i];
            double const from = step.alpha_bar;
            double const to = i + 1 < result.steps.size() ? result.steps[i + 1].alpha_bar : 1.0;
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
            before = from;
        }
        return detail::assemble(std::move(result), {where, early_stopping, clamp, noise_factor, fixed_time});
    }

private:
    static constexpr char const* where = "inkling::sampler::DpmSolver2M";

    /// Times and levels at which the denoiser is asked, noisiest first.
    template <class Schedule>
    [[nodiscard]] std::vector<Step> evaluations(Schedule const& schedule) const {
        require(discrete_steps >= 0, where, ": discrete_steps is ", discrete_steps, ", expected 0 or more");
        std::vector<Step> asked;
        if (discrete_steps > 0 || schedule::is_table<Schedule>) {
            schedule::Discrete const full = schedule::table_of(schedule, discrete_steps);
            schedule::Discrete const table = full.respaced(kept_steps(step_plan, full.steps(), steps));
            for (Index i = table.steps() - 1; i >= 0; --i)
                asked.push_back({.time = table.label_time(i), .alpha_bar = table.level(i)});
        } else {
            for (double const time : even_in_log_snr(schedule))
                asked.push_back({.time = time, .alpha_bar = schedule.alpha_bar(time)});
        }
        return asked;
    }
    template <class Schedule>
    [[nodiscard]] std::vector<double> even_in_log_snr(Schedule const& schedule) const {
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
