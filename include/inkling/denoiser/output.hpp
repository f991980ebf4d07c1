#pragma once

#include <inkling/core/index.hpp>
#include <inkling/schedule/gaussian.hpp>

#include <cmath>
#include <concepts>

namespace inkling::denoiser {

/// What a network says of z_t = a z0 + s noise; each tells z0, given z_t.
///
/// `mixed` is a guess of z0 and one of the noise, side by side, of which the first counts by s^2 and the second by a^2:
/// each where z_t leaves it least open.
/// Source: DINOISER (Ye et al. 2023, arXiv:2302.10025), code; Salimans & Ho 2022, arXiv:2202.00512 (velocity).
enum class Output { z0, noise, velocity, score, mixed };

/// Columns of a network's output, for vectors of width D.
[[nodiscard]] constexpr Index output_width(Output output, Index latent) {
    return output == Output::mixed ? 2 * latent : latent;
}

/// z0_hat = output · (the network's first D columns) + z_t · z_t + second · (the D columns behind them, where there are
/// some).
struct ToEstimate {
    double output = 1.0;
    double z_t = 0.0;
    double second = 0.0;
};

/// How to get z0_hat from what a network says.
/// @param alpha_bar  level of z_t, in [0, 1]
/// @throws Error where the answer is not determined: at 0 from noise or score
[[nodiscard]] inline ToEstimate to_estimate(Output output, double alpha_bar) {
    using schedule::Quantity;
    auto const from = [&](Quantity known) -> ToEstimate {
        schedule::Conversion const form = schedule::conversion(known, Quantity::z0, alpha_bar);
        return {form.known, form.z_t, 0.0};
    };
    switch (output) {
        case Output::z0: break;
        case Output::noise: return from(Quantity::noise);
        case Output::velocity: return from(Quantity::velocity);
        case Output::score: return from(Quantity::score);
        case Output::mixed: {
            schedule::detail::require_level("to_estimate", "alpha_bar", alpha_bar);
            double const a = std::sqrt(alpha_bar), s = std::sqrt(1.0 - alpha_bar);
            return {s * s, a, -a * s};  // s^2 z0 + a^2 (z_t - s noise) / a
        }
    }
    return {};
}

/// What a denoiser's `predict` writes: what its `output()` says, or its estimate of z0.
template <class D>
[[nodiscard]] Output output_of(D const& denoiser) {
    if constexpr (requires {
                      { denoiser.output() } -> std::same_as<Output>;
                  })
        return denoiser.output();
    else
        return Output::z0;
}

}  // namespace inkling::denoiser
