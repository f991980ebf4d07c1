#pragma once

#include <inkling/sampler/concept.hpp>
#include <inkling/sampler/detail/assemble.hpp>
#include <inkling/sampler/time_grid.hpp>
#include <inkling/schedule/gaussian.hpp>

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace inkling::sampler {

/// CeDi: z walks down one grid of noise levels, while the denoiser is told times of another that stays at much noise.
///
/// A denoiser that believes z_t to be noise looks at the source instead of at its own earlier words. Deterministic:
/// eps = (z - a(tau_{i-1}) z0_hat) / s(tau_{i-1}), z = a(t_i) z0_hat + s(t_i) eps, with t of `levels`, tau of `labels`.
/// Source: Ye et al. 2023, "DINOISER", arXiv:2302.10025, algorithm 2, and its code ('cedi').
struct Cedi {
    Index steps = 20;               ///< at least 1
    TimeGrid levels = {1.0, 1e-3};  ///< where z goes
    TimeGrid labels = {1.0, 0.99};  ///< what the denoiser is told; none may be without noise
    Index early_stopping = 0;       ///< how many of the steps, the last, are left out
    double noise_factor = 1.0;      ///< multiplies the first noise; positive
    bool clamp = false;             ///< see Plan::clamp

    /// The steps, noisiest first. alpha_bar of a step is that of its label: where its factors step from.
    /// @throws Error when a setting is out of its range, and whatever the schedule throws
    template <NoiseSchedule Schedule>
    [[nodiscard]] Plan plan(Schedule const& schedule) const {
        std::vector<double> const level = levels.times(schedule, steps);
        std::vector<double> const label = labels.times(schedule, steps);
        Plan result;
        for (std::size_t i = 0; i + 1 < level.size(); ++i) {
            double const from = schedule.alpha_bar(label[i]);
            double const to = schedule.alpha_bar(level[i + 1]);
            result.steps.push_back(detail::step_of(label[i], from, schedule::ddim(from, to)));
        }
        return detail::assemble(std::move(result),
                                {"inkling::sampler::Cedi", early_stopping, clamp, noise_factor, std::nullopt});
    }
};
static_assert(Sampler<Cedi>);

}  // namespace inkling::sampler
