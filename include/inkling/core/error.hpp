#pragma once

#include <charconv>
#include <cstddef>
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

inline std::string to_text(std::string_view part) { return std::string(part); }
inline std::string to_text(char part) { return std::string(1, part); }

template <class Number>
    requires std::is_arithmetic_v<Number>
std::string to_text(Number part) {
    if constexpr (std::is_same_v<Number, bool>) {
        return part ? "true" : "false";
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
        return short_enough ? as_text(std::chars_format::fixed, 6) : as_text();
    } else {
        return std::to_string(part);
    }
}

}  // namespace detail

/// Joins text and numbers into one message: `message("rows is ", 3, ", expected ", 4)`.
///
/// A number with a fraction has six decimals where they read back as the same number, else the fewest digits that do.
template <class... Parts>
[[nodiscard]] std::string message(Parts const&... parts) {
    std::string joined;
    (joined.append(detail::to_text(parts)), ...);
    return joined;
}

/// Throws Error with the joined parts as its message.
template <class... Parts>
[[noreturn]] void fail(Parts const&... parts) {
    throw Error(message(parts...));
}

/// Throws Error with the joined parts as its message unless `condition` holds; the parts are joined only on failure.
template <class... Parts>
void require(bool condition, Parts const&... parts) {
    if (!condition) fail(parts...);
}

}  // namespace inkling
