#pragma once

#include <inkling/core/index.hpp>

#include <limits>
#include <optional>
#include <span>

namespace inkling::io::detail {

/// @return the number of elements of an array of that shape, or nothing when a size is negative or the product
///         has no room in an Index (also when a zero would hide that)
[[nodiscard]] inline std::optional<Index> shape_size(std::span<Index const> shape) {
    Index product = 1;
    bool empty = false;
    for (Index const size : shape) {
        if (size < 0) return std::nullopt;
        if (size == 0)
            empty = true;
        else if (product > std::numeric_limits<Index>::max() / size)
            return std::nullopt;
        else
            product *= size;
    }
    return empty ? 0 : product;
}

}  // namespace inkling::io::detail
