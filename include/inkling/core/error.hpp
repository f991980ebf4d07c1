#pragma once

#include <charconv>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace inkling {

/// What every failure caused by user input is thrown as: files, shapes, options, text.
///
/// The message says where, what was seen and what was expected, with the numbers.
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

namespace detail {

inline void append_part(std::string& joined, std::string_view part) { joined += part; }
inline void append_part(std::string& joined, char part) { joined += part; }

template <class Number>
    requires std::is_arithmetic_v<Number>
void append_part(std::string& joined, Number part) {
    if constexpr (std::is_same_v<Number, bool>) {
        joined += part ? "true" : "false";
    } else if constexpr (std::is_floating_point_v<Number>) {
        // six decimals where they tell the number, else as many digits as it takes, whatever the locale
        char digits[std::numeric_limits<Number>::max_exponent10 - std::numeric_limits<Number>::min_exponent10 + 60];
        auto const as_text = [&](auto const&... format) {
            char* const end = std::to_chars(std::begin(digits), std::end(digits), part, format...).ptr;
            return std::string(std::begin(digits), end);
        };
        std::string const exact = as_text(std::chars_format::fixed);
        std::size_t const point = exact.find('.');
        bool const short_enough = point == std::string::npos || exact.size() - point - 1 <= 6;
        joined += short_enough ? as_text(std::chars_format::fixed, 6) : as_text();
    } else {
        joined += std::to_string(part);
    }
}

/// A part of a message that forgot its type, so that one function joins the parts of all messages; refers to the part.
class MessagePart {
public:
    template <class Part>
    explicit MessagePart(Part const& part)
        : part_(&part),
          append_([](std::string& joined, void const* it) { append_part(joined, *static_cast<Part const*>(it)); }) {}
    explicit MessagePart(char const* text)  // literals of all lengths
        : part_(text),
          append_([](std::string& joined, void const* it) { append_part(joined, static_cast<char const*>(it)); }) {}

    void append_to(std::string& joined) const { append_(joined, part_); }

private:
    void const* part_;
    void (*append_)(std::string&, void const*);
};

inline std::string join(std::initializer_list<MessagePart> parts) {
    std::string joined;
    for (MessagePart const& part : parts) part.append_to(joined);
    return joined;
}

[[noreturn]] inline void throw_error(std::initializer_list<MessagePart> parts) { throw Error(join(parts)); }

}  // namespace detail

/// Joins text and numbers into one message: `message("rows is ", 3, ", expected ", 4)`.
///
/// A number with a fraction has six decimals where they read back as the same number, else the fewest digits that do.
template <class... Parts>
[[nodiscard]] std::string message(Parts const&... parts) {
    return detail::join({detail::MessagePart(parts)...});
}

/// Throws Error with the joined parts as its message.
template <class... Parts>
[[noreturn]] void fail(Parts const&... parts) {
    detail::throw_error({detail::MessagePart(parts)...});
}

/// Throws Error with the joined parts as its message unless `condition` holds; the parts are joined only on failure.
template <class... Parts>
void require(bool condition, Parts const&... parts) {
    if (!condition) fail(parts...);
}

}  // namespace inkling
