#pragma once

#include <inkling/core/index.hpp>

#include <utility>

namespace inkling::train {

/// A stretch [begin, end) of the flat buffer of weights, as ParameterLayout::trained_ranges gives them.
using Range = std::pair<Index, Index>;

}  // namespace inkling::train
