#pragma once

#include <cstdint>
#include <string>

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
