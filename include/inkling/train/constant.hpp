#pragma once

#include <inkling/train/concept.hpp>
#include <inkling/train/detail/check_step.hpp>

namespace inkling::train {

/// The same learning rate at every step, after an optional warm-up: for short runs, and for fine-tuning.
struct Constant {
    double rate = 5e-4;
    Index warm_up = 0;  ///< steps in which it rises from 0 in a straight line

    /// @param step  number of the update, from 1
    /// @throws Error when the step is below 1, or a setting is negative
    [[nodiscard]] double at(Index step) const {
        detail::check_step("Constant", step);
        detail::check_rate("Constant", "rate", rate);
        detail::check_count("Constant", "warm_up", warm_up);
        return step < warm_up ? detail::warming_up(0.0, rate, warm_up, step) : rate;
    }
};
static_assert(LearningRate<Constant>);

}  // namespace inkling::train
