#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <cmath>
#include <string_view>

namespace inkling::train::detail {

/// @throws Error unless the step is 1 or more
inline void check_step(std::string_view who, Index step) {
    require(step >= 1, "inkling::train::", who, ": step is ", step, ", expected 1 or more");
}

/// @throws Error unless the setting is a finite number of 0 or more
inline void check_rate(std::string_view who, std::string_view setting, double value) {
    require(std::isfinite(value) && value >= 0.0, "inkling::train::", who, ": ", setting, " is ", value,
            ", expected a number of 0 or more");
}

/// @throws Error unless the setting is 0 or more
inline void check_count(std::string_view who, std::string_view setting, Index value) {
    require(value >= 0, "inkling::train::", who, ": ", setting, " is ", value, ", expected 0 or more");
}

/// Warm-up: a straight line from `initial` at step 0 to `peak` at step `warm_up`.
[[nodiscard]] inline double warming_up(double initial, double peak, Index warm_up, Index step) {
    return initial + (peak - initial) * static_cast<double>(step) / static_cast<double>(warm_up);
}

}  // namespace inkling::train::detail
