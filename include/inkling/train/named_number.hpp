#pragma once

#include <string_view>

namespace inkling::train {

/// A number with its name: a term of the loss, a score, the learning rate.
struct NamedNumber {
    std::string_view name;  ///< the characters stay the caller's
    double value = 0.0;
};

}  // namespace inkling::train
