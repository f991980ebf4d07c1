#pragma once

#include <inkling/core/host_device.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

namespace inkling {

/// What a random number is for. Two purposes never share a number, whatever their other coordinates.
enum class Purpose : std::uint32_t {
    initial_weights,
    initial_noise,
    step_noise,
    training_noise,
    training_time,
    self_conditioning,
    dropout,
    batch_order,
    user,
    start_noise,
    span_masking,
    feature_noise,
};

/// Four 32-bit words: the counter and the output of one Philox call.
using PhiloxBlock = std::array<std::uint32_t, 4>;

/// Philox4x32-10: 128 random bits as a pure function of a 128-bit counter and a 64-bit key.
///
/// Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; checked against its known answers.
[[nodiscard]] constexpr PhiloxBlock philox(PhiloxBlock counter, std::uint64_t key) {
    std::uint32_t key0 = static_cast<std::uint32_t>(key);
    std::uint32_t key1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
        std::uint64_t const product0 = std::uint64_t{0xD2511F53u} * counter[0];
        std::uint64_t const product1 = std::uint64_t{0xCD9E8D57u} * counter[2];
        counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<std::uint32_t>(product1),
                   static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key1,
                   static_cast<std::uint32_t>(product0)};
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return counter;
}

/// A random number in the open interval (0, 1) from the upper 23 of 32 random bits: exact, and so the same, in float
/// and double.
template <class Real>
[[nodiscard]] constexpr Real unit_interval(std::uint32_t bits) {
    return (static_cast<Real>(bits >> 9) + Real{0.5}) * Real{0x1p-23};
}

/// One stream of random numbers: every element is a pure function of (seed, purpose, sequence, step, element).
///
/// The same coordinates give the same number whatever the thread count, the batch split or the order of calls.
struct RandomStream {
    std::uint64_t seed = 0;  ///< the user's seed
    Purpose purpose = Purpose::user;
    std::uint32_t sequence = 0;  ///< the sentence, or whatever else tells one sequence of numbers from another
    std::uint32_t step = 0;      ///< the update in training, the denoising step in sampling

    /// Four independent 32-bit numbers: elements 4 * block .. 4 * block + 3.
    [[nodiscard]] constexpr PhiloxBlock bits(std::uint32_t block) const {
        return philox({block, step, sequence, static_cast<std::uint32_t>(purpose)}, seed);
    }

    /// Uniform number in (0, 1).
    [[nodiscard]] constexpr double uniform(std::uint32_t element) const {
        return unit_interval<double>(bits(element / 4)[element % 4]);
    }

    /// Uniform integer in [0, bound), bound at least 1; the bias is below bound / 2^64.
    [[nodiscard]] constexpr std::uint64_t below(std::uint64_t bound, std::uint32_t element) const {
        PhiloxBlock const block = bits(element);
        std::uint64_t const word = (std::uint64_t{block[0]} << 32) | block[1];
        return static_cast<std::uint64_t>((static_cast<unsigned __int128>(word) * bound) >> 64);
    }
};

/// Four standard normal numbers from four words, by Box and Muller's transform; the largest magnitude is below 6.
template <class Real>
[[nodiscard]] INKLING_HOST_DEVICE inline std::array<Real, 4> normals(PhiloxBlock const& bits) {
    std::array<Real, 4> result{};
    for (std::size_t pair = 0; pair < 4; pair += 2) {
        Real const radius = std::sqrt(Real{-2} * std::log(unit_interval<Real>(bits[pair])));
        Real const angle = Real{2} * std::numbers::pi_v<Real> * unit_interval<Real>(bits[pair + 1]);
        result[pair] = radius * std::cos(angle);
        result[pair + 1] = radius * std::sin(angle);
    }
    return result;
}

}  // namespace inkling
