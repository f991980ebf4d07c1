#pragma once

#include <inkling/sampler/concept.hpp>
#include <inkling/sampler/plan.hpp>
#include <inkling/schedule/concept.hpp>

namespace inkling::sampler {

/// Walks noise back along a schedule of its own, whatever the model was trained with.
///
/// A denoiser that is told the time but trained at every level of noise bears this well; Difformer's programs offer it
/// as `--decoding-noise-schedule`. Time stays in the unit of [0, 1], so the denoiser is told the decoding schedule's
/// times.
/// Source: Gao et al. 2022, "Difformer", arXiv:2212.09412, code.
///
///     sampler::Rescheduled<schedule::Cosine, sampler::Ddim>{.schedule = {}, .steps = {.steps = 10}}
template <NoiseSchedule Schedule, Sampler Steps>
struct Rescheduled {
    Schedule schedule{};  ///< takes the place of the pipeline's
    Steps steps{};        ///< what makes the plan

    /// @throws Error as the inner sampler does
    template <NoiseSchedule Trained>
    [[nodiscard]] Plan plan(Trained const&) const {
        return steps.plan(schedule);
    }
};

}  // namespace inkling::sampler
