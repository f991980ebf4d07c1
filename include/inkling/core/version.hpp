#pragma once

#include <string_view>

namespace inkling {

/// inkling's version: major.minor.patch. The build and the reference pages read it from this line.
inline constexpr std::string_view library_version = "0.1.0";

}  // namespace inkling
