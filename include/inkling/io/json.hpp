#pragma once

#include <nlohmann/json.hpp>

#include <string_view>

namespace inkling::io {

/// Reads a JSON text; whoever calls nlohmann's own parse with another type of text compiles another parser.
/// @return the value; discarded (`is_discarded()`) when the text is no JSON
[[nodiscard]] inline nlohmann::json parse_json(std::string_view text) {
    return nlohmann::json::parse(text, nullptr, false);
}

}  // namespace inkling::io
