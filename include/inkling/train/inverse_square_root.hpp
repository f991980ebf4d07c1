#pragma once

#include <inkling/train/concept.hpp>
#include <inkling/train/detail/check_step.hpp>

#include <algorithm>
#include <cmath>

namespace inkling::train {

/// at(s) = initial + (peak - initial) s / W up to step W = warm_up, peak √(W / s) behind it.
///
/// It needs no end: a run can be stopped or prolonged at any step. The published diffusion Transformers train with it.
/// Source: Vaswani et al. 2017, arXiv:1706.03762, section 5.3, in the form of fairseq's `inverse_sqrt`.
struct InverseSquareRoot {
    double peak = 5e-4;
    Index warm_up = 4000;   ///< steps; 0 starts at the peak
    double initial = 1e-7;  ///< where the warm-up begins

    /// @param step  number of the update, from 1
    /// @throws Error when the step is below 1, or a setting is negative
    [[nodiscard]] double at(Index step) const {
        detail::check_step("InverseSquareRoot", step);
        detail::check_rate("InverseSquareRoot", "peak", peak);
        detail::check_rate("InverseSquareRoot", "initial", initial);
        detail::check_count("InverseSquareRoot", "warm_up", warm_up);
        if (step < warm_up) return detail::warming_up(initial, peak, warm_up, step);
        return peak * std::sqrt(static_cast<double>(std::max<Index>(warm_up, 1)) / static_cast<double>(step));
    }
};
static_assert(LearningRate<InverseSquareRoot>);

}  // namespace inkling::train
