#pragma once

#include <inkling/core/error.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

namespace inkling::text {

namespace detail {

/// Reads the decimal number that is all of `text`; false when it is anything else or does not fit.
template <class Integer>
[[nodiscard]] bool parse_integer(std::string_view text, Integer& number) {
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

/// Cuts `rest` at the first `end` and returns what stood before it; all of `rest` when there is none.
[[nodiscard]] inline std::string_view cut_before(std::string_view& rest, char end) {
    std::size_t const length = rest.find(end);
    std::string_view const before = rest.substr(0, length);
    rest = length == std::string_view::npos ? std::string_view{} : rest.substr(length + 1);
    return before;
}

/// 64-bit FNV-1a hash: tells damaged bytes from whole ones, no protection against malice.
[[nodiscard]] constexpr std::uint64_t checksum(std::string_view bytes) {
    std::uint64_t hash = 0xCBF29CE484222325u;
    for (char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001B3u;
    return hash;
}

inline constexpr std::string_view envelope_head = "inkling tokenizer ";

}  // namespace detail

/// Puts the line 'inkling tokenizer <kind> <size> <checksum>' before a tokenizer's own bytes: what `serialise` returns.
[[nodiscard]] inline std::string seal(std::string_view kind, std::string_view payload) {
    return message(detail::envelope_head, kind, ' ', payload.size(), ' ', detail::checksum(payload), '\n', payload);
}

/// The kind that sealed bytes say they are.
/// @throws Error when the bytes are not those of a tokenizer
[[nodiscard]] inline std::string_view sealed_kind(std::string_view bytes) {
    require(bytes.starts_with(detail::envelope_head), "inkling::text: these bytes do not begin with '",
            detail::envelope_head, "', expected a tokenizer");
    bytes.remove_prefix(detail::envelope_head.size());
    return detail::cut_before(bytes, ' ');
}

/// The tokenizer's own bytes inside sealed ones: what `deserialise` starts from. A view into `bytes`.
/// @throws Error when they are of another kind, cut short or damaged
[[nodiscard]] inline std::string_view unseal(std::string_view kind, std::string_view bytes) {
    std::string_view const seen = sealed_kind(bytes);
    require(seen == kind, "inkling::text: these bytes hold a tokenizer of kind '", seen.substr(0, 64), "', expected '",
            kind, "'");
    bytes.remove_prefix(std::min(bytes.size(), detail::envelope_head.size() + kind.size() + 1));
    std::size_t size = 0;
    std::uint64_t sum = 0;
    bool const numbers = detail::parse_integer(detail::cut_before(bytes, ' '), size)
        && detail::parse_integer(detail::cut_before(bytes, '\n'), sum);
    require(numbers, "inkling::text: the first line of a '", kind, "' tokenizer is broken, expected '",
            detail::envelope_head, kind, " <size> <checksum>'");
    require(bytes.size() == size, "inkling::text: a '", kind, "' tokenizer of ", bytes.size(), " bytes, expected ",
            size);
    require(detail::checksum(bytes) == sum, "inkling::text: the bytes of a '", kind,
            "' tokenizer are damaged: checksum ", detail::checksum(bytes), ", expected ", sum);
    return bytes;
}

}  // namespace inkling::text
