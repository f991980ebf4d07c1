#pragma once

#include <inkling/core/error.hpp>
#include <inkling/schedule/concept.hpp>

#include <algorithm>
#include <cmath>

/// \file
/// The scalars of one diffusion step. Every sampler and objective, on every backend, takes its factors from here.
///
/// Notation: alpha_bar is the share of z_t's variance that is signal; a = √alpha_bar, s = √(1 - alpha_bar). `from` is
/// the level of the z_t at hand, `to` the level of the z that is wanted; both are alpha_bar values in [0, 1].

namespace inkling::schedule {

/// z_next = z0 · z0_hat + z_t · z_t + noise · (standard normal noise).
struct StepCoefficients {
    double z0 = 0.0;
    double z_t = 0.0;
    double noise = 0.0;
};

namespace detail {

inline void require_level(char const* where, char const* name, double alpha_bar) {
    if (!(alpha_bar >= 0.0 && alpha_bar <= 1.0))
        fail("inkling::schedule::", where, ": ", name, " is ", alpha_bar, ", expected an alpha_bar in [0, 1]");
}

/// The level steps start from: something must be noise in it.
inline void require_noisy(char const* where, double from) {
    require_level(where, "from", from);
    if (from == 1.0)
        fail("inkling::schedule::", where, ": from is 1, which has no noise left to remove; expected below 1");
}

/// Denoising never adds noise.
inline void require_cleaner(char const* where, double from, double to) {
    require_noisy(where, from);
    require_level(where, "to", to);
    if (to < from)
        fail("inkling::schedule::", where, ": to is ", to, ", noisier than from, which is ", from,
             "; expected an alpha_bar in [from, 1]");
}

}  // namespace detail

/// Forward noising q(z_t | z0): z_t = a z0 + F s noise.
/// @param alpha_bar     level wanted, in [0, 1]
/// @param noise_factor  F, positive: 1, or while training training_noise_factor(schedule)
/// @return              {a, 0, F s}
/// @throws Error when alpha_bar is outside [0, 1] or the factor is not positive
[[nodiscard]] inline StepCoefficients noising(double alpha_bar, double noise_factor = 1.0) {
    detail::require_level("noising", "alpha_bar", alpha_bar);
    require(noise_factor > 0.0, "inkling::schedule::noising: noise_factor is ", noise_factor,
            ", expected a positive number");
    return {std::sqrt(alpha_bar), 0.0, noise_factor * std::sqrt(1.0 - alpha_bar)};
}

/// The beta of a step: 1 - from / to, the share of z_to's variance that noise replaces in z_from.
/// @param from, to  alpha_bar values, to at least from and above 0
[[nodiscard]] inline double step_beta(double from, double to) {
    return 2.0 * from < to ? 1.0 - from / to : (to - from) / to;  // the difference is exact where it is small
}

/// The posterior q(z_to | z_from, z0), a normal distribution: mean = z0 · z0 + z_t · z_from.
struct Posterior {
    double z0 = 0.0;
    double z_t = 0.0;
    double variance = 0.0;
    double log_variance = 0.0;  ///< log(variance), -infinity where it is 0; a Discrete table clips it, see there
};

/// Posterior where the step_beta is known, as it is to tables made of betas: then nothing cancels in a step of small
/// beta.
///
/// mean = beta √to / (1 - from) z0 + (1 - to) √(1 - beta) / (1 - from) z_from; variance = beta (1 - to) / (1 - from).
/// Source: Ho et al. 2020, "DDPM", arXiv:2006.11239, equations 6 and 7.
/// @param beta  in [0, 1]
/// @param from  alpha_bar of z_from, in [0, 1)
/// @param to    alpha_bar of z_to, in [from, 1]
/// @throws Error when an argument is out of its range
[[nodiscard]] inline Posterior posterior_with_beta(double beta, double from, double to) {
    require(beta >= 0.0 && beta <= 1.0, "inkling::schedule::posterior_with_beta: beta is ", beta,
            ", expected a number in [0, 1]");
    detail::require_cleaner("posterior_with_beta", from, to);
    double const variance = beta * (1.0 - to) / (1.0 - from);
    return {beta * std::sqrt(to) / (1.0 - from), (1.0 - to) * std::sqrt(1.0 - beta) / (1.0 - from), variance,
            std::log(variance)};
}

/// Posterior from the two levels alone. With to = 1 it is z0 itself.
/// @throws Error when from or to is out of its range
[[nodiscard]] inline Posterior posterior(double from, double to) {
    detail::require_cleaner("posterior", from, to);
    return posterior_with_beta(to > 0.0 ? step_beta(from, to) : 0.0, from, to);  // both 0: no step at all
}

/// One ancestral (DDPM) step: a draw from the posterior with z0_hat in place of z0.
/// @param from  alpha_bar of z_t, in [0, 1)
/// @param to    alpha_bar wanted, in [from, 1]
/// @throws Error when from or to is out of its range
[[nodiscard]] inline StepCoefficients ddpm(double from, double to) {
    detail::require_cleaner("ddpm", from, to);
    Posterior const step = posterior(from, to);
    return {step.z0, step.z_t, std::sqrt(step.variance)};
}

/// One DDIM step: z_next = √to z0_hat + √(1 - to - sigma²) noise_hat + sigma noise, noise_hat = (z_t - √from z0_hat) /
/// √(1 - from), sigma = eta √((1 - to) / (1 - from)) √(1 - from / to).
///
/// eta = 0 draws nothing, and then `to` may be noisier than `from` as well (encoding; CeDi, whose two levels come from
/// two grids); eta = 1 has the spread of ddpm.
/// Source: Song et al. 2021, "DDIM", arXiv:2010.02502, equations 12 and 16.
/// @param from  alpha_bar of z_t, in [0, 1)
/// @param to    alpha_bar wanted, in [0, 1]; in [from, 1] where eta > 0
/// @param eta   in [0, 1]
/// @throws Error when an argument is out of its range
[[nodiscard]] inline StepCoefficients ddim(double from, double to, double eta = 0.0) {
    require(eta >= 0.0 && eta <= 1.0, "inkling::schedule::ddim: eta is ", eta, ", expected a number in [0, 1]");
    detail::require_noisy("ddim", from);
    detail::require_level("ddim", "to", to);
    if (eta > 0.0) detail::require_cleaner("ddim", from, to);
    double const ratio = (1.0 - to) / (1.0 - from);                                              // noise variance kept
    double const drawn = eta > 0.0 && to > 0.0 ? eta * eta * ratio * step_beta(from, to) : 0.0;  // sigma²
    double const kept = std::sqrt(std::max(0.0, (1.0 - to - drawn) / (1.0 - from)));
    return {std::sqrt(to) - std::sqrt(from) * kept, kept, std::sqrt(drawn)};
}

/// z_next = z0 · z0_hat + z_t · z_t + previous_z0 · (z0_hat of the step before).
struct MultistepCoefficients {
    double z0 = 0.0;
    double z_t = 0.0;
    double previous_z0 = 0.0;
};

/// One step of DPM-Solver++(2M): a deterministic DDIM step towards z0_hat + (z0_hat - previous z0_hat) / (2 r), where r
/// is the length of the last step in half log-SNR over the length of this one.
///
/// A step to the clean end (to = 1) is infinitely long in log-SNR, and so is a last step that came from alpha_bar = 0:
/// both fall back to first order, which is exact in the limit of the second and the usual end of the first.
/// Source: Lu et al. 2022, "DPM-Solver++", arXiv:2211.01095, algorithm 2.
/// @param before  alpha_bar at which the previous z0_hat was made, in [0, from)
/// @param from    alpha_bar of z_t, in (0, 1)
/// @param to      alpha_bar wanted, in (from, 1]
/// @throws Error unless 0 <= before < from < to <= 1
[[nodiscard]] inline MultistepCoefficients dpm_solver_2m(double before, double from, double to) {
    require(before >= 0.0 && before < from && from < to && to <= 1.0,
            "inkling::schedule::dpm_solver_2m: alpha_bar goes ", before, ", ", from, ", ", to,
            ", expected rising numbers in [0, 1]");
    StepCoefficients const first_order = ddim(from, to);
    if (to == 1.0 || before == 0.0) return {first_order.z0, first_order.z_t, 0.0};
    double const length = log_snr(to) - log_snr(from);
    double const last_length = log_snr(from) - log_snr(before);
    double const weight = 0.5 * length / last_length;
    return {first_order.z0 * (1.0 + weight), first_order.z_t, -first_order.z0 * weight};
}

/// What a network may be asked for; each tells the others, given z_t.
/// velocity = a noise - s z0; score = -noise / s, the slope of log p(z_t).
enum class Quantity { z0, noise, velocity, score };

/// wanted = z_t · z_t + known · (the known quantity).
struct Conversion {
    double z_t = 0.0;
    double known = 1.0;
};

/// How to get one quantity from another and z_t = a z0 + s noise.
///
/// Source: Ho et al. 2020 (noise); Salimans & Ho 2022, arXiv:2202.00512 (velocity); Song et al. 2021, arXiv:2011.13456.
/// @param alpha_bar  level of z_t, in [0, 1]
/// @throws Error where the answer is not determined: at 1 from z0 or to score, at 0 from noise or score to the others
[[nodiscard]] inline Conversion conversion(Quantity known, Quantity wanted, double alpha_bar) {
    detail::require_level("conversion", "alpha_bar", alpha_bar);
    if (known == wanted) return {};
    double const a = std::sqrt(alpha_bar);
    double const s = std::sqrt(1.0 - alpha_bar);
    bool const z0_known = known == Quantity::z0;
    require(s > 0.0 || !(z0_known || wanted == Quantity::score),
            "inkling::schedule::conversion: alpha_bar is 1, where z_t tells nothing of the noise; expected below 1");

    if (known == Quantity::score) {  // noise = -s score, and on from there
        Conversion const onward = conversion(Quantity::noise, wanted, alpha_bar);
        return {onward.z_t, -s * onward.known};
    }
    if (wanted == Quantity::score) {  // score = -noise / s, so noise first
        Conversion const first = conversion(known, Quantity::noise, alpha_bar);
        return {-first.z_t / s, -first.known / s};
    }
    if (z0_known) return wanted == Quantity::noise ? Conversion{1.0 / s, -a / s} : Conversion{a / s, -1.0 / s};
    if (known == Quantity::velocity) return wanted == Quantity::z0 ? Conversion{a, -s} : Conversion{s, a};
    require(a > 0.0, "inkling::schedule::conversion: alpha_bar is 0, where z_t tells nothing of z0; expected above 0");
    return wanted == Quantity::z0 ? Conversion{1.0 / a, -s / a} : Conversion{-s / a, 1.0 / a};  // known is the noise
}

}  // namespace inkling::schedule
