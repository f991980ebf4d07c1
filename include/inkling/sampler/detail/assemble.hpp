#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/sampler/plan.hpp>
#include <inkling/schedule/discrete.hpp>
#include <inkling/schedule/gaussian.hpp>

#include <cmath>
#include <cstddef>
#include <optional>
#include <string_view>

namespace inkling::sampler::detail {

/// What every sampler's options have in common.
struct Common {
    std::string_view where;
    Index early_stopping;
    bool clamp;
    double noise_factor;
    std::optional<double> fixed_time;
};

[[nodiscard]] inline Step step_of(double time, double alpha_bar, schedule::StepCoefficients const& step) {
    return {.time = time, .alpha_bar = alpha_bar, .z0 = step.z0, .z_t = step.z_t, .noise = step.noise};
}

/// Leaves out the cleanest steps, fixes the label, scales the noise, and checks what has come of it.
/// @param plan  all steps, noisiest first
[[nodiscard]] inline Plan assemble(Plan plan, Common const& options) {
    auto const planned = static_cast<Index>(plan.steps.size());
    require(options.early_stopping >= 0 && options.early_stopping < planned, options.where, ": early_stopping is ",
            options.early_stopping, ", expected 0 to ", planned - 1, ", as the plan has ", planned, " steps");
    require(options.noise_factor > 0.0 && std::isfinite(options.noise_factor), options.where, ": noise_factor is ",
            options.noise_factor, ", expected a positive finite number");
    if (options.fixed_time)
        require(*options.fixed_time >= 0.0 && *options.fixed_time <= 1.0, options.where, ": fixed_time is ",
                *options.fixed_time, ", expected a number in [0, 1]");

    plan.steps.resize(static_cast<std::size_t>(planned - options.early_stopping));
    plan.clamp = options.clamp;
    plan.initial_noise = options.noise_factor;
    for (Step& step : plan.steps) {
        step.noise *= options.noise_factor;
        if (options.fixed_time) step.time = *options.fixed_time;
    }
    require_valid(plan, options.where);
    return plan;
}

}  // namespace inkling::sampler::detail
