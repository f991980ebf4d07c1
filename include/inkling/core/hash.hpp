#pragma once

#include <cstdint>

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

private:
    std::uint64_t state_;
};

}  // namespace inkling
