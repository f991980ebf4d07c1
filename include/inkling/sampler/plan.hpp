#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <cmath>
#include <cstddef>
#include <string_view>
#include <vector>

namespace inkling::sampler {

/// One denoising step in pure scalars: ask the denoiser for z0_hat at `time`, then
/// z_next = z0 · z0_hat + z_t · z_t + noise · (standard normal noise) + previous_z0 · (z0_hat of the step before).
struct Step {
    double time = 0.0;         ///< what the denoiser is told, in [0, 1]; a published label is this times its time scale
    double alpha_bar = 0.0;    ///< the level z_t is taken to be at, in [0, 1]: what the factors below step from
    double z0 = 1.0;           ///< what z0_hat is multiplied by
    double z_t = 0.0;          ///< what z_t is multiplied by
    double noise = 0.0;        ///< what fresh standard normal noise is multiplied by, at least 0; 0 draws nothing
    double previous_z0 = 0.0;  ///< what the last step's z0_hat is multiplied by; 0 in the first step
};

/// How noise is walked back, start to end: what a sampler makes of a schedule. Any loop on any backend can run it.
///
/// z starts as initial_noise · (standard normal noise); the answer is the read-out of the last step's z0_hat.
struct Plan {
    std::vector<Step> steps;     ///< in the order in which they run, noisiest first
    bool clamp = false;          ///< replace z0_hat by the embedding of its nearest token before each step
    double initial_noise = 1.0;  ///< positive
    double guidance = 0.0;       ///< w: z0_hat is 1 + w times that with the source, less w times that without any; 0
                                 ///< asks for the former alone, -1 for the latter

    /// Whether any step draws noise.
    [[nodiscard]] bool draws_noise() const {
        for (Step const& step : steps)
            if (step.noise > 0.0) return true;
        return false;
    }

    /// Whether any step looks at the z0_hat of the step before, which must then be kept.
    [[nodiscard]] bool looks_back() const {
        for (Step const& step : steps)
            if (step.previous_z0 != 0.0) return true;
        return false;
    }
};

/// Refuses a plan that no loop could run. Loops call it on every plan, so that a user's own sampler is checked too.
/// @param where  names the caller in the message
/// @throws Error when there are no steps, a number is not finite or out of its range, or the first step looks back
inline void require_valid(Plan const& plan, std::string_view where) {
    require(!plan.steps.empty(), where, ": the plan has no steps, expected at least one");
    require(plan.initial_noise > 0.0 && std::isfinite(plan.initial_noise), where, ": the plan's initial_noise is ",
            plan.initial_noise, ", expected a positive finite number");
    require(std::isfinite(plan.guidance), where, ": the plan's guidance is ", plan.guidance,
            ", expected a finite number");
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        Step const& step = plan.steps[i];
        auto const number = static_cast<Index>(i);
        require(step.time >= 0.0 && step.time <= 1.0, where, ": step ", number, " of the plan has time ", step.time,
                ", expected a number in [0, 1]");
        require(step.alpha_bar >= 0.0 && step.alpha_bar <= 1.0, where, ": step ", number, " of the plan has alpha_bar ",
                step.alpha_bar, ", expected a number in [0, 1]");
        require(step.noise >= 0.0 && std::isfinite(step.noise), where, ": step ", number, " of the plan has noise ",
                step.noise, ", expected a finite number of at least 0");
        require(std::isfinite(step.z0) && std::isfinite(step.z_t) && std::isfinite(step.previous_z0), where, ": step ",
                number, " of the plan multiplies z0_hat by ", step.z0, ", z_t by ", step.z_t,
                " and the previous z0_hat by ", step.previous_z0, ", expected finite numbers");
        require(i > 0 || step.previous_z0 == 0.0, where, ": step 0 of the plan multiplies the previous z0_hat by ",
                step.previous_z0, ", but there is none before it; expected 0");
    }
}

}  // namespace inkling::sampler
