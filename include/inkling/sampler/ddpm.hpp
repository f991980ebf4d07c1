#pragma once

#include <inkling/sampler/concept.hpp>
#include <inkling/sampler/detail/assemble.hpp>
#include <inkling/sampler/step_plan.hpp>
#include <inkling/schedule/discrete.hpp>

#include <optional>
#include <utility>
#include <vector>

namespace inkling::sampler {

/// Ancestral sampling over a table of T steps: each step draws from q(z_{t-1} | z_t, z0_hat).
///
/// Its fresh noise corrects early mistakes, so it needs no tuning, but wants more steps than Ddim. The defaults are
/// Difformer's but for its `early_stopping`, with noise in every step, the last included; DiffuSeq's are `.steps =
/// 2000, .variance = schedule::StepVariance::beta, .last_noise = false, .clamp = true`, and Bridge's `.steps = 20,
/// .step_plan = AdaptiveDecay{}` besides.
/// Source: Ho et al. 2020, "DDPM", arXiv:2006.11239, algorithm 2; Difformer (arXiv:2212.09412), code.
struct Ddpm {
    Index steps = 20;             ///< how many of the T steps are kept, 1 to T
    Index early_stopping = 0;     ///< how many of those, the cleanest, are left out; Difformer: 5 of 20
    Index discrete_steps = 2000;  ///< T, at least 1; not looked at when the schedule is a schedule::Discrete itself
    StepPlan step_plan = EvenSteps{};
    schedule::StepVariance variance = schedule::StepVariance::posterior;
    bool last_noise = true;     ///< whether the step to the clean end draws noise, step 1's of the posterior
    double noise_factor = 1.0;  ///< multiplies the first noise and that of every step; positive
    bool clamp = false;         ///< see Plan::clamp
    std::optional<double> fixed_time = std::nullopt;  ///< tell the denoiser this time at every step, in [0, 1]

    /// The steps, noisiest first; the time of step i of T is i / T, its label in the published programs.
    ///
    /// A schedule's variance-preserving factor acts through alpha_bar; its training factor does not act in decoding.
    /// @throws Error when a setting is out of its range, and whatever the schedule throws
    template <NoiseSchedule Schedule>
    [[nodiscard]] Plan plan(Schedule const& schedule) const {
        schedule::Discrete const full = schedule::table_of(schedule, discrete_steps);
        schedule::Discrete const table = full.respaced(kept_steps(step_plan, full.steps(), steps));
        Plan result;
        for (Index i = table.steps() - 1; i >= 0; --i) {
            Step step = detail::step_of(table.label_time(i), table.level(i), table.ddpm(i, variance));
            if (i == 0 && !last_noise) step.noise = 0.0;
            result.steps.push_back(step);
        }
        return detail::assemble(std::move(result),
                                {"inkling::sampler::Ddpm", early_stopping, clamp, noise_factor, fixed_time});
    }
};
static_assert(Sampler<Ddpm>);

}  // namespace inkling::sampler
