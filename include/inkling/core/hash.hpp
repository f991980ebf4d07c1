#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <string>
#include <type_traits>

namespace inkling {

/// Folds 64-bit words, in their order, into one: tells whether two things are the same. No secret is safe behind it.
///
/// Each step is a bijection of the state and of the word, so a change of any one word is seen for certain.
class Hash {
public:
    constexpr explicit Hash(std::uint64_t start) : state_(start) {}

    constexpr void add(std::uint64_t word) {
        state_ = (state_ ^ word) * 0x9E3779B97F4A7C15u;
        state_ ^= state_ >> 32;
    }
    /// How many numbers they are, and each of them: bytes or whole numbers. A char counts as signed on every machine.
    template <std::ranges::sized_range Numbers>
        requires(!std::is_array_v<Numbers>)  // whose last char would be a 0 that a text has not
    constexpr void add(Numbers const& numbers) {
        using Number = std::ranges::range_value_t<Numbers>;
        static_assert(std::integral<Number> || std::is_same_v<Number, std::byte>);
        using Counted = std::conditional_t<std::is_same_v<Number, char>, signed char, Number>;
        add(static_cast<std::uint64_t>(std::ranges::size(numbers)));
        for (Number const number : numbers) add(static_cast<std::uint64_t>(static_cast<Counted>(number)));
    }
    [[nodiscard]] constexpr std::uint64_t value() const { return state_; }
    /// The value as 16 hexadecimal digits.
    [[nodiscard]] std::string digits() const {
        std::string digits;
        for (int shift = 60; shift >= 0; shift -= 4) digits += "0123456789abcdef"[(state_ >> shift) & 15];
        return digits;
    }

private:
    std::uint64_t state_;
};

}  // namespace inkling
