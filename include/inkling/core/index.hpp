#pragma once

#include <cstdint>

namespace inkling {

/// Counts and positions everywhere: rows, columns, tokens, sentences. Signed, so that differences are safe.
using Index = std::int64_t;

/// A token's number in its vocabulary, in [0, V).
using Token = std::int32_t;

}  // namespace inkling
