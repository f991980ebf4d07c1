#pragma once

#include <inkling/core/index.hpp>

#include <cstddef>
#include <span>
#include <string>

namespace inkling {

/// @param shape  an array's size along each of its dimensions
/// @return       "[3, 4]", for messages; a scalar's is "[]"
[[nodiscard]] inline std::string shape_text(std::span<Index const> shape) {
    std::string text = "[";
    for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
    return text + "]";
}

}  // namespace inkling
