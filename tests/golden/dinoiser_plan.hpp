#pragma once

#include "golden.hpp"

#include <inkling/recipe/dinoiser_settings.hpp>
#include <inkling/sampler/plan.hpp>
#include <inkling/schedule/gaussian.hpp>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace golden {

inline constexpr double even_grid_tolerance = 1e-6;     // of float32 times
inline constexpr double inverse_grid_tolerance = 2e-4;  // of float32 times through float32 log-SNR and its inverse

/// Share of signal at an official time, which may lie beyond [0, 1]: the official 'linear' gives clipped ranges
/// negative ends.
[[nodiscard]] inline double level_at(inkling::recipe::DinoiserSchedule const& schedule, double t) {
    if (t >= 0.0 && t <= 1.0) return schedule.alpha_bar(t);
    if (schedule.kind == inkling::recipe::DinoiserNoise::linear) return std::exp(-0.5 * 19.9 * t * t - 0.1 * t);
    return 1.0 - std::pow(1e-3, 2.0 * (1.0 - t));  // geometric
}

/// The plan of a DINOISER decoding. Its times are held against the official ones; where those went through float32
/// inverses they are too coarse for the angles of time features, and the plan goes on from what they gave. With the
/// scheduler 'linear' such an inverse is wrong, and its times are not held against ours.
/// @param said  the case's 'decoding'
inline inkling::sampler::Plan dinoiser_plan(inkling::recipe::DinoiserDecoding const& decoding,
                                            inkling::recipe::DinoiserSchedule const& schedule,
                                            nlohmann::json const& said, std::string const& name,
                                            inkling::io::Safetensors const& file) {
    auto plan = decoding.sampler.plan(schedule);
    std::vector<double> times;
    for (auto const& step : plan.steps) times.push_back(step.time);
    auto const official = file.get<double>("out/times_given_to_model");
    REQUIRE(plan.steps.size() == official.size());
    bool const even_in_time = said.value("denoise_scheduler", "uniform_time") == "uniform_time";
    if (even_in_time || schedule.kind != inkling::recipe::DinoiserNoise::linear)
        check(name, "times", worst_relative_error(times, official),
              even_in_time ? even_grid_tolerance : inverse_grid_tolerance);
    if (even_in_time) return plan;
    auto const next = file.get<double>("out/next_times");
    auto const& direct = decoding.sampler.direct;
    for (std::size_t i = 0; i < plan.steps.size(); ++i) {
        double const from = level_at(schedule, official[i]), to = level_at(schedule, next[i]);
        auto factors = inkling::schedule::ddim(from, to, decoding.sampler.stretched ? 0.0 : direct.eta);
        if (!decoding.sampler.stretched && direct.stale_signal) factors.z0 += std::sqrt(from) - std::sqrt(to);
        plan.steps[i] = inkling::sampler::Step{
            .time = official[i], .alpha_bar = from, .z0 = factors.z0, .z_t = factors.z_t, .noise = factors.noise};
    }
    return plan;
}

}  // namespace golden
