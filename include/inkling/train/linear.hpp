#pragma once

#include <inkling/train/concept.hpp>
#include <inkling/train/detail/check_step.hpp>

#include <algorithm>

namespace inkling::train {

/// A straight line from the peak down to 0, with a warm-up in a straight line where one is wanted.
///
/// at(s) = peak (1 - (s - 1) / steps) behind the warm-up, and 0 behind `steps`.
/// Source: the code of Gong et al. 2023, "DiffuSeq", arXiv:2210.08933, without a warm-up.
struct Linear {
    double peak = 1e-4;
    Index steps = 50'000;  ///< of the whole run, at least 1
    Index warm_up = 0;     ///< steps, 0 or more
    double initial = 0.0;  ///< where the warm-up begins

    /// @param step  number of the update, from 1
    /// @throws Error when the step is below 1, a setting is negative, or the warm-up is not shorter than the run
    [[nodiscard]] double at(Index step) const {
        detail::check_step("Linear", step);
        detail::check_rate("Linear", "peak", peak);
        detail::check_rate("Linear", "initial", initial);
        detail::check_count("Linear", "warm_up", warm_up);
        require(warm_up < steps, "inkling::train::Linear: warm_up is ", warm_up, " and steps is ", steps,
                ", expected a warm-up shorter than the run");
        double const line = peak * std::max(0.0, 1.0 - static_cast<double>(step - 1) / static_cast<double>(steps));
        return step < warm_up ? std::min(line, detail::warming_up(initial, peak, warm_up, step)) : line;
    }
};
static_assert(LearningRate<Linear>);

}  // namespace inkling::train
