#pragma once

#include <inkling/core/error.hpp>
#include <inkling/metric/detail/unicode_tables.hpp>
#include <inkling/text/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace inkling::metric::detail {

/// @return the code points of a text
/// @throws Error when it is not valid UTF-8
[[nodiscard]] inline std::u32string decode(std::string_view text) {
    std::size_t const valid = text::valid_utf8_prefix(text);
    require(valid == text.size(), "inkling::metric: byte ", valid + 1, " of a text is not valid UTF-8");
    std::u32string codes;
    codes.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        std::size_t const length = text::utf8_length(text[at]);
        auto code = static_cast<char32_t>(static_cast<unsigned char>(text[at]));
        if (length > 1) code &= 0xFFu >> (length + 1);
        for (std::size_t next = at + 1; next < at + length; ++next)
            code = code << 6 | (static_cast<unsigned char>(text[next]) & 0x3Fu);
        codes.push_back(code);
        at += length;
    }
    return codes;
}

inline void append_utf8(std::string& text, char32_t code) {
    auto const add = [&](char32_t byte) { text += static_cast<char>(static_cast<unsigned char>(byte)); };
    if (code < 0x80) {
        add(code);
    } else if (code < 0x800) {
        add(0xC0 | code >> 6);
        add(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        add(0xE0 | code >> 12);
        add(0x80 | (code >> 6 & 0x3F));
        add(0x80 | (code & 0x3F));
    } else {
        add(0xF0 | code >> 18);
        add(0x80 | (code >> 12 & 0x3F));
        add(0x80 | (code >> 6 & 0x3F));
        add(0x80 | (code & 0x3F));
    }
}

[[nodiscard]] inline std::string encode(std::u32string_view codes) {
    std::string text;
    text.reserve(codes.size());
    for (char32_t const code : codes) append_utf8(text, code);
    return text;
}

/// @param ranges  sorted and apart from each other
template <class Ranges>
[[nodiscard]] bool is_in(Ranges const& ranges, char32_t code) {
    auto const after = std::upper_bound(ranges.begin(), ranges.end(), code,
                                        [](char32_t value, CodeRange const& range) { return value < range.first; });
    return after != ranges.begin() && code <= std::prev(after)->last;
}

[[nodiscard]] inline bool is_punctuation(char32_t code) { return is_in(punctuation_ranges, code); }
[[nodiscard]] inline bool is_symbol(char32_t code) { return is_in(symbol_ranges, code); }
[[nodiscard]] inline bool is_number(char32_t code) { return is_in(number_ranges, code); }
[[nodiscard]] inline bool is_space(char32_t code) { return is_in(space_ranges, code); }

/// @return the words of a text: what stands between white space of any kind
/// @throws Error when it is not valid UTF-8
[[nodiscard]] inline std::vector<std::string_view> split(std::string_view text) {
    std::size_t const valid = text::valid_utf8_prefix(text);
    require(valid == text.size(), "inkling::metric: byte ", valid + 1, " of a text is not valid UTF-8");
    std::vector<std::string_view> words;
    std::size_t begin = 0;  // of the word at hand
    auto const end_word = [&](std::size_t end) {
        if (end > begin) words.push_back(text.substr(begin, end - begin));
    };
    for (std::size_t at = 0; at < text.size();) {
        std::size_t const length = text::utf8_length(text[at]);
        char32_t code = static_cast<unsigned char>(text[at]);
        if (length == 2) code = (code & 0x1F) << 6 | (static_cast<unsigned char>(text[at + 1]) & 0x3Fu);
        if (length == 3)
            code = (code & 0x0F) << 12 | (static_cast<unsigned char>(text[at + 1]) & 0x3Fu) << 6
                | (static_cast<unsigned char>(text[at + 2]) & 0x3Fu);
        if (length < 4 && is_space(code)) {  // no white space needs four bytes
            end_word(at);
            begin = at + length;
        }
        at += length;
    }
    end_word(text.size());
    return words;
}

/// @return the words of a text with one space between them
[[nodiscard]] inline std::string squeeze(std::string_view text) {
    std::string result;
    for (std::string_view const word : split(text)) {
        if (!result.empty()) result += ' ';
        result += word;
    }
    return result;
}

/// @return the text in lower case, as Unicode's default case conversion has it: a sigma that ends a word becomes final,
///         a capital dotted I becomes an i and a dot
/// @throws Error when it is not valid UTF-8
[[nodiscard]] inline std::string to_lower(std::string_view text) {
    if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; })) {
        std::string result(text);
        for (char& c : result)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
        return result;
    }
    std::u32string const codes = decode(text);
    auto const cased_beside = [&](std::size_t at, std::ptrdiff_t step) {
        for (auto i = static_cast<std::ptrdiff_t>(at) + step; i >= 0 && i < std::ssize(codes); i += step)
            if (!is_in(case_ignorable_ranges, codes[static_cast<std::size_t>(i)]))
                return is_in(cased_ranges, codes[static_cast<std::size_t>(i)]);
        return false;
    };
    std::string result;
    result.reserve(text.size());
    for (std::size_t at = 0; at < codes.size(); ++at) {
        char32_t code = codes[at];
        if (code == 0x3A3) {
            code = cased_beside(at, -1) && !cased_beside(at, 1) ? 0x3C2 : 0x3C3;
        } else if (code == 0x130) {
            result += 'i';
            code = 0x307;
        } else {
            auto const after = std::upper_bound(lower_runs.begin(), lower_runs.end(), code,
                                                [](char32_t value, LowerRun const& run) { return value < run.first; });
            if (after != lower_runs.begin()) {
                LowerRun const& run = *std::prev(after);
                if (code <= run.last && (code - run.first) % run.step == 0)
                    code = static_cast<char32_t>(static_cast<std::int64_t>(code) + run.distance);
            }
        }
        append_utf8(result, code);
    }
    return result;
}

}  // namespace inkling::metric::detail
