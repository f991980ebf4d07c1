#pragma once

#include <cstddef>
#include <string_view>

namespace inkling::text {

/// How many bytes at the start of `text` are well-formed UTF-8; `text.size()` when all of it is.
///
/// Refused are stray and missing continuation bytes, overlong forms, surrogates and code points above U+10FFFF.
/// Source: The Unicode Standard 15, table 3-7, "Well-Formed UTF-8 Byte Sequences".
[[nodiscard]] constexpr std::size_t valid_utf8_prefix(std::string_view text) {
    auto const byte = [&](std::size_t position) { return static_cast<unsigned char>(text[position]); };
    std::size_t position = 0;
    while (position < text.size()) {
        unsigned const lead = byte(position);
        if (lead < 0x80) {
            ++position;
            continue;
        }
        std::size_t const length = lead >= 0xC2 && lead <= 0xDF ? 2
            : (lead & 0xF0) == 0xE0                             ? 3
            : lead >= 0xF0 && lead <= 0xF4                      ? 4
                                                                : 0;
        if (length == 0 || length > text.size() - position) return position;
        unsigned const lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;  // no overlong forms
        unsigned const highest = lead == 0xED ? 0x9F
            : lead == 0xF4                    ? 0x8F
                                              : 0xBF;  // no surrogates, nothing above U+10FFFF
        if (byte(position + 1) < lowest || byte(position + 1) > highest) return position;
        for (std::size_t next = position + 2; next < position + length; ++next)
            if ((byte(next) & 0xC0) != 0x80) return position;
        position += length;
    }
    return position;
}

/// Whether all of `text` is well-formed UTF-8.
[[nodiscard]] constexpr bool is_valid_utf8(std::string_view text) { return valid_utf8_prefix(text) == text.size(); }

/// How many bytes the UTF-8 character with first byte `lead` has, in [1, 4]; meaningful for well-formed text only.
[[nodiscard]] constexpr std::size_t utf8_length(char lead) {
    auto const value = static_cast<unsigned char>(lead);
    return value < 0x80 ? 1 : value < 0xE0 ? 2 : value < 0xF0 ? 3 : 4;
}

}  // namespace inkling::text
