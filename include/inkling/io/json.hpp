#pragma once

#include <nlohmann/json.hpp>

#include <string_view>

namespace inkling::io {

/// Reads a JSON text, and throws nothing for a bad one; whoever calls nlohmann's own parse with another type of text
/// compiles another parser.
/// @return the value; discarded (`is_discarded()`) when the text is no JSON
[[nodiscard]] inline nlohmann::json parse_json(std::string_view text) {
    // The parser would take a zero byte for the end of the text, and what follows for nothing.
    if (text.find('\0') != std::string_view::npos) return nlohmann::json::value_t::discarded;
    return nlohmann::json::parse(text, nullptr, false);
}

}  // namespace inkling::io
