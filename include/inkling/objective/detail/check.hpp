#pragma once

#include <inkling/core/error.hpp>

#include <cmath>

namespace inkling::objective::detail {

/// @throws Error naming the objective and the option unless the weight is finite and not negative
inline void check_weight(char const* objective, char const* option, double weight) {
    require(weight >= 0.0 && std::isfinite(weight), "inkling::objective::", objective, ": ", option, " is ", weight,
            ", expected a finite number of 0 or more");
}

/// @throws Error naming the objective unless the share is in [0, 1)
inline void check_label_smoothing(char const* objective, double share) {
    require(share >= 0.0 && share < 1.0, "inkling::objective::", objective, ": label_smoothing is ", share,
            ", expected a number in [0, 1)");
}

}  // namespace inkling::objective::detail
