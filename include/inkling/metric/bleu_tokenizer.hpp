#pragma once

#include <inkling/core/error.hpp>
#include <inkling/metric/detail/unicode.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace inkling::metric {

/// How BLEU takes a text apart. A score means nothing without saying which: metric::signature does.
///
/// Source: sacreBLEU 2.2.1 (Post 2018, "A Call for Clarity in Reporting BLEU Scores"), tokenizers of the same names.
enum class BleuTokenizer {
    none,           ///< "none": words between white space, for text that is tokenised already
    mteval13a,      ///< "13a": punctuation apart, as the WMT script mteval-v13a does; the default of sacreBLEU
    international,  ///< "intl": Unicode's punctuation and symbols apart, as mteval-v14 --international-tokenization does
    character,      ///< "char": every character apart
};

/// @return sacreBLEU's name of a tokenizer
[[nodiscard]] constexpr std::string_view name_of(BleuTokenizer tokenizer) {
    switch (tokenizer) {
        case BleuTokenizer::none: return "none";
        case BleuTokenizer::mteval13a: return "13a";
        case BleuTokenizer::international: return "intl";
        case BleuTokenizer::character: break;
    }
    return "char";
}

/// @return the tokenizer that sacreBLEU calls so
/// @throws Error when there is none
[[nodiscard]] inline BleuTokenizer bleu_tokenizer_named(std::string_view name) {
    for (auto const tokenizer :
         {BleuTokenizer::none, BleuTokenizer::mteval13a, BleuTokenizer::international, BleuTokenizer::character})
        if (name_of(tokenizer) == name) return tokenizer;
    fail("inkling::metric::bleu_tokenizer_named: there is no tokenizer '", name, "', expected none, 13a, intl or char");
}

namespace detail {

inline void replace_all(std::string& text, std::string_view what, std::string_view by) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
        text.replace(at, what.size(), by);
}

/// Rewrites each pair of neighbours for which `wanted` holds as `before` + first + `between` + second + `after`, from
/// the left; a pair that was rewritten shares no character with the next.
template <class Text, class Wanted>
[[nodiscard]] Text split_pairs(Text const& text, Wanted const& wanted, bool before, bool after) {
    Text result;
    result.reserve(text.size() + text.size() / 2);
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (at + 1 < text.size() && wanted(text[at], text[at + 1])) {
            if (before) result += ' ';
            result += text[at++];
            result += ' ';
            result += text[at];
            if (after) result += ' ';
        } else {
            result += text[at];
        }
    }
    return result;
}

/// The same for single characters: each becomes one with spaces around it.
template <class Text, class Wanted>
[[nodiscard]] Text split_off(Text const& text, Wanted const& wanted) {
    Text result;
    result.reserve(text.size() + text.size() / 2);
    for (auto const character : text) {
        bool const apart = wanted(character);
        if (apart) result += ' ';
        result += character;
        if (apart) result += ' ';
    }
    return result;
}

/// All rules are about ASCII, and none of its bytes is part of another character in UTF-8: bytes do.
[[nodiscard]] inline std::string tokenize_13a(std::string_view line) {
    std::string text(line);
    replace_all(text, "<skipped>", "");
    replace_all(text, "-\n", "");
    replace_all(text, "\n", " ");
    replace_all(text, "&quot;", "\"");
    replace_all(text, "&amp;", "&");
    replace_all(text, "&lt;", "<");
    replace_all(text, "&gt;", ">");
    text = " " + text + " ";
    auto const is_digit = [](char c) { return c >= '0' && c <= '9'; };
    auto const is_mark = [](char c) { return c == '.' || c == ','; };
    text = split_off(text, [](char c) {
        return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') || (c >= '(' && c <= '+')
            || (c >= ':' && c <= '@') || c == '/';
    });
    text = split_pairs(
        text, [&](char a, char b) { return !is_digit(a) && is_mark(b); }, false, true);
    text = split_pairs(
        text, [&](char a, char b) { return is_mark(a) && !is_digit(b); }, true, false);
    text = split_pairs(
        text, [&](char a, char b) { return is_digit(a) && b == '-'; }, false, true);
    return squeeze(text);
}

[[nodiscard]] inline std::string tokenize_international(std::string_view line) {
    std::u32string text = decode(line);
    text = split_pairs(
        text, [](char32_t a, char32_t b) { return !is_number(a) && is_punctuation(b); }, false, true);
    text = split_pairs(
        text, [](char32_t a, char32_t b) { return is_punctuation(a) && !is_number(b); }, true, false);
    text = split_off(text, is_symbol);
    return squeeze(encode(text));
}

[[nodiscard]] inline std::string tokenize_character(std::string_view line) {
    std::u32string spaced;
    for (char32_t const code : decode(line)) {
        if (!spaced.empty()) spaced += U' ';
        spaced += code;
    }
    return encode(spaced);
}

}  // namespace detail

/// @param line  UTF-8
/// @return      the line with spaces between the tokens, character for character what sacreBLEU's tokenizer gives
/// @throws Error when the line is not valid UTF-8 ('none' does not look)
[[nodiscard]] inline std::string tokenize(std::string_view line, BleuTokenizer tokenizer) {
    switch (tokenizer) {
        case BleuTokenizer::mteval13a: return detail::tokenize_13a(line);
        case BleuTokenizer::international: return detail::tokenize_international(line);
        case BleuTokenizer::character: return detail::tokenize_character(line);
        case BleuTokenizer::none: break;
    }
    return std::string(line);
}

}  // namespace inkling::metric
