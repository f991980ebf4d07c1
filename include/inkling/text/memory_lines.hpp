#pragma once

#include <inkling/text/concept.hpp>

#include <cstddef>
#include <span>
#include <string>

namespace inkling::text {

/// Lines that are in memory already, as a LineSource. The lines must outlive it.
struct MemoryLines {
    std::span<std::string const> lines;
    std::size_t position = 0;  ///< the next line to hand out

    /// Copies the next line into `line`; false at the end.
    [[nodiscard]] bool next(std::string& line) {
        if (position >= lines.size()) return false;
        line = lines[position++];
        return true;
    }
};
static_assert(LineSource<MemoryLines>);

}  // namespace inkling::text
