#pragma once

#include <inkling/core/error.hpp>

#include <cmath>
#include <string_view>

namespace inkling::schedule::detail {

/// Refuses a diffusion time outside [0, 1]. `where` names the policy, as in "inkling::schedule::Sqrt".
/// @throws Error when t is outside [0, 1] or not a number
inline void require_time(std::string_view where, double t) {
    if (!(t >= 0.0 && t <= 1.0)) fail(where, ": t is ", t, ", expected a number in [0, 1]");
}

/// Refuses a noise level outside [0, 1].
/// @throws Error when s is outside [0, 1] or not a number
inline void require_noise(std::string_view where, double s) {
    if (!(s >= 0.0 && s <= 1.0)) fail(where, ": noise s is ", s, ", expected a number in [0, 1]");
}

/// Refuses a setting that is zero, negative, infinite or not a number.
/// @throws Error naming the setting
inline void require_positive(std::string_view where, std::string_view setting, double value) {
    if (!(value > 0.0 && std::isfinite(value)))
        fail(where, ": ", setting, " is ", value, ", expected a positive finite number");
}

}  // namespace inkling::schedule::detail
