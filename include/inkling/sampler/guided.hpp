#pragma once

#include <inkling/sampler/concept.hpp>
#include <inkling/sampler/plan.hpp>
#include <inkling/schedule/concept.hpp>

namespace inkling::sampler {

/// Classifier-free guidance along whatever plan: away from what the model would write without its source.
///
/// z0_hat = (1 + w) f(z_t, source) - w f(z_t), both with the same last estimate. Each step asks the denoiser twice, and
/// wants one that is trained without a source now and then (TrainerOptions::drop_source).
/// Source: Ho & Salimans 2022, arXiv:2207.12598, equation 6, and DINOISER's 'denoise_guidance' (Ye et al. 2023,
/// arXiv:2302.10025).
///
///     sampler::Guided<sampler::Cedi>{.steps = {.steps = 20}, .weight = 0.5}
template <Sampler Steps>
struct Guided {
    Steps steps{};        ///< what makes the plan
    double weight = 0.5;  ///< w, finite; 0: no guidance, -1: without the source

    /// @throws Error as the inner sampler does, and when the weight is not finite
    template <NoiseSchedule Schedule>
    [[nodiscard]] Plan plan(Schedule const& schedule) const {
        Plan plan = steps.plan(schedule);
        plan.guidance = weight;
        require_valid(plan, "inkling::sampler::Guided");
        return plan;
    }
};

}  // namespace inkling::sampler
