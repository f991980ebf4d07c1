#pragma once

#include <inkling/train/concept.hpp>
#include <inkling/train/detail/check_step.hpp>

#include <cmath>
#include <numbers>

namespace inkling::train {

/// Warm-up in a straight line to the peak, then half a cosine down to the floor: the best choice where the number of
/// steps is known beforehand.
///
/// at(s) = floor + (peak - floor) (1 + cos(π u)) / 2 with u = (s - warm_up) / (steps - warm_up); the floor from `steps`
/// on.
/// Source: Loshchilov and Hutter 2017, "SGDR", arXiv:1608.03983, equation 5, one cycle.
struct Cosine {
    double peak = 5e-4;
    Index steps = 100'000;  ///< of the whole run, the warm-up included
    Index warm_up = 1000;
    double floor = 0.0;    ///< where it ends
    double initial = 0.0;  ///< where the warm-up begins

    /// @param step  number of the update, from 1
    /// @throws Error when the step is below 1, a setting is negative, or the warm-up is not shorter than the run
    [[nodiscard]] double at(Index step) const {
        detail::check_step("Cosine", step);
        detail::check_rate("Cosine", "peak", peak);
        detail::check_rate("Cosine", "floor", floor);
        detail::check_rate("Cosine", "initial", initial);
        detail::check_count("Cosine", "warm_up", warm_up);
        require(warm_up < steps, "inkling::train::Cosine: warm_up is ", warm_up, " and steps is ", steps,
                ", expected a warm-up shorter than the run");
        if (step < warm_up) return detail::warming_up(initial, peak, warm_up, step);
        if (step >= steps) return floor;
        double const done = static_cast<double>(step - warm_up) / static_cast<double>(steps - warm_up);
        return floor + (peak - floor) * 0.5 * (1.0 + std::cos(std::numbers::pi * done));
    }
};
static_assert(LearningRate<Cosine>);

}  // namespace inkling::train
