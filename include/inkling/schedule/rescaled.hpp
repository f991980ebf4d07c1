#pragma once

#include <inkling/schedule/concept.hpp>
#include <inkling/schedule/detail/check.hpp>
#include <inkling/schedule/inverse.hpp>

#include <cmath>
#include <concepts>
#include <type_traits>

namespace inkling::schedule {

/// Noise rescaling: another schedule with more noise at every time, so that wide-spaced embeddings are truly disturbed.
///
/// Two factors, independent of each other, 1 for none; Difformer uses 4 (IWSLT14, QQP, Wiki-Auto) or 3.5 (WMT14).
/// - `variance_preserving` F divides the signal-to-noise ratio by F², in training and decoding:
///   alpha_bar' = alpha_bar / (F² - (F² - 1) alpha_bar).
/// - `training_noise` F multiplies only the noise of training, z_t = a z0 + F s noise; alpha_bar and decoding stay.
///
/// Where both are set, training sees the ratio divided by both squares, as in Difformer's code with both switches on.
/// Source: Gao et al. 2022, "Difformer", arXiv:2212.09412, and its code.
///
///     schedule::Rescaled<schedule::Sqrt>{.training_noise = 4.0}
template <NoiseSchedule Schedule>
struct Rescaled {
    Schedule schedule = {};
    double variance_preserving = 1.0;  ///< positive; its square must be a number too
    double training_noise = 1.0;       ///< positive

    /// Share of signal after the variance-preserving factor, in [0, 1].
    /// @param t  diffusion time in [0, 1]
    /// @throws Error when the factor is not positive and finite, and whatever the schedule throws
    [[nodiscard]] double alpha_bar(double t) const {
        double const squared = checked_square();
        double const unscaled = schedule.alpha_bar(t);
        return unscaled / (unscaled + squared * (1.0 - unscaled));  // nothing cancels in this form
    }

    /// What training multiplies its noise by: `training_noise`, times the factor of the schedule inside if it has one.
    /// @throws Error when the factor is not positive and finite
    [[nodiscard]] double noise_factor() const {
        detail::require_positive("inkling::schedule::Rescaled", "training_noise", training_noise);
        return training_noise * training_noise_factor(schedule);
    }

    /// The time at which the noise is s, held to [0, 1]: the inner schedule's time at s / √(s² + F² (1 - s²)).
    /// @throws Error when s is outside [0, 1] or not a number, or the factor is not positive and finite
    [[nodiscard]] double time_at_noise(double s) const {
        detail::require_noise("inkling::schedule::Rescaled", s);
        double const squared = checked_square();
        double const unscaled = s / std::sqrt(s * s + squared * (1.0 - s) * (1.0 + s));
        return inkling::schedule::time_at_noise(schedule, unscaled < 1.0 ? unscaled : 1.0);  // rounding may pass 1
    }

private:
    [[nodiscard]] double checked_square() const {
        constexpr char const* where = "inkling::schedule::Rescaled";
        detail::require_positive(where, "variance_preserving", variance_preserving);
        double const squared = variance_preserving * variance_preserving;
        detail::require_positive(where, "the square of variance_preserving", squared);
        return squared;
    }
};

/// Names the settings, for model files; those of the inner schedule too where it names them.
template <class Schedule, class Visit>
    requires std::same_as<std::remove_const_t<Schedule>, Rescaled<decltype(Schedule::schedule)>>
void describe(Schedule& rescaled, Visit const& visit) {
    if constexpr (requires { describe(rescaled.schedule, visit); }) visit("schedule", rescaled.schedule);
    visit("variance_preserving", rescaled.variance_preserving);
    visit("training_noise", rescaled.training_noise);
}

}  // namespace inkling::schedule
