#pragma once

#include <inkling/sampler/concept.hpp>
#include <inkling/sampler/detail/assemble.hpp>
#include <inkling/sampler/step_plan.hpp>
#include <inkling/schedule/discrete.hpp>

#include <optional>
#include <utility>
#include <vector>

namespace inkling::sampler {

/// DDIM over a table of T steps: each step keeps the noise it believes to be in z_t and puts it back at a lower level.
///
/// With eta = 0 it draws nothing after the first noise and does well with few steps; with 1 it has the spread of Ddpm.
/// Source: Song et al. 2021, "DDIM", arXiv:2010.02502, equations 12 and 16.
struct Ddim {
    Index steps = 20;             ///< how many of the T steps are kept, 1 to T
    double eta = 0.0;             ///< share of the noise that is fresh, in [0, 1]
    Index early_stopping = 0;     ///< how many of the steps, the cleanest, are left out
    Index discrete_steps = 2000;  ///< T, at least 1; not looked at when the schedule is a schedule::Discrete itself
    StepPlan step_plan = EvenSteps{};
    /// Step only to the level next below in the full table, whatever step runs next: DiffuSeq's published 'gap' mode,
    /// with StridedSteps{.from_noisiest = true, .stride = gap}.
    bool neighbour_levels = false;
    double noise_factor = 1.0;                        ///< multiplies the first noise and that of every step; positive
    bool clamp = false;                               ///< see Plan::clamp
    std::optional<double> fixed_time = std::nullopt;  ///< tell the denoiser this time at every step, in [0, 1]

    /// The steps, noisiest first; the time of step i of T is i / T, its label in the published programs.
    /// @throws Error when a setting is out of its range, and whatever the schedule throws
    template <NoiseSchedule Schedule>
    [[nodiscard]] Plan plan(Schedule const& schedule) const {
        schedule::Discrete const full = schedule::table_of(schedule, discrete_steps);
        std::vector<Index> const kept = kept_steps(step_plan, full.steps(), steps);
        schedule::Discrete const table = full.respaced(kept);
        Plan result;
        for (Index i = table.steps() - 1; i >= 0; --i) {
            auto const factors =
                neighbour_levels ? full.ddim(kept[static_cast<std::size_t>(i)], eta) : table.ddim(i, eta);
            result.steps.push_back(detail::step_of(table.label_time(i), table.level(i), factors));
        }
        return detail::assemble(std::move(result),
                                {"inkling::sampler::Ddim", early_stopping, clamp, noise_factor, fixed_time});
    }
};
static_assert(Sampler<Ddim>);

}  // namespace inkling::sampler
