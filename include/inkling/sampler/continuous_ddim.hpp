#pragma once

#include <inkling/sampler/concept.hpp>
#include <inkling/sampler/detail/assemble.hpp>
#include <inkling/sampler/time_grid.hpp>
#include <inkling/schedule/gaussian.hpp>

#include <cmath>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace inkling::sampler {

/// DDIM on the continuous schedule: no table between; the denoiser is told the very time of z_t.
///
/// For models trained on continuous time (DINOISER). eta = 1 is ancestral sampling.
/// Source: Song et al. 2021, "DDIM", arXiv:2010.02502; DINOISER's 'ddim' and 'ddpm' (Ye et al. 2023, arXiv:2302.10025).
struct ContinuousDdim {
    Index steps = 20;           ///< at least 1
    double eta = 0.0;           ///< share of the noise that is fresh, in [0, 1]
    TimeGrid times = {};        ///< from 1 to 0.001, even in time
    Index early_stopping = 0;   ///< how many of the steps, the cleanest, are left out
    bool stale_signal = false;  ///< scale z0_hat by the signal of the level left, not of the one reached: with eta = 1
                                ///< DINOISER's published 'ddpm' to the letter
    double noise_factor = 1.0;  ///< multiplies the first noise and that of every step; positive
    bool clamp = false;         ///< see Plan::clamp
    std::optional<double> fixed_time = std::nullopt;  ///< tell the denoiser this time at every step, in [0, 1]

    /// The steps, noisiest first.
    /// @throws Error when a setting is out of its range, and whatever the schedule throws
    template <NoiseSchedule Schedule>
    [[nodiscard]] Plan plan(Schedule const& schedule) const {
        std::vector<double> const grid = times.times(schedule, steps);
        Plan result;
        for (std::size_t i = 0; i + 1 < grid.size(); ++i) {
            double const from = schedule.alpha_bar(grid[i]);
            double const to = schedule.alpha_bar(grid[i + 1]);
            schedule::StepCoefficients factors = schedule::ddim(from, to, eta);
            if (stale_signal) factors.z0 += std::sqrt(from) - std::sqrt(to);
            result.steps.push_back(detail::step_of(grid[i], from, factors));
        }
        return detail::assemble(std::move(result),
                                {"inkling::sampler::ContinuousDdim", early_stopping, clamp, noise_factor, fixed_time});
    }
};
static_assert(Sampler<ContinuousDdim>);

}  // namespace inkling::sampler
