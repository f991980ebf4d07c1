#include <inkling/core/random.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <vector>

using namespace inkling;

TEST_CASE(
    "philox: the known answers of the authors' Philox4x32-10") {  // Salmon et al. 2011, file kat_vectors of Random123
    CHECK(philox({0, 0, 0, 0}, 0) == PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    constexpr std::uint32_t ones = 0xffffffff;
    CHECK(philox({ones, ones, ones, ones}, ~std::uint64_t{0})
          == PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822)
          == PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
    static_assert(philox({0, 0, 0, 0}, 0)[0] == 0x6627e8d5);  // and at compile time
}

TEST_CASE("unit_interval: no bits give 0 or 1, and float and double give the same number") {
    constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
    CHECK(unit_interval<double>(0) == 0x1p-24);
    CHECK(unit_interval<double>(most) == 1.0 - 0x1p-24);
    for (std::uint32_t const bits : {0u, 1u, 0x7fffffffu, 0x80000000u, 0x9e3779b9u, most - 512, most})
        CHECK(static_cast<double>(unit_interval<float>(bits)) == unit_interval<double>(bits));
}

TEST_CASE("RandomStream: every coordinate matters, and the same coordinates give the same number") {
    RandomStream const stream{7, Purpose::initial_noise, 3, 5};
    RandomStream same = stream;
    CHECK(stream.bits(2) == same.bits(2));
    std::vector<PhiloxBlock> others{stream.bits(2), stream.bits(3)};
    for (int changed = 0; changed < 5; ++changed) {
        RandomStream other = stream;
        if (changed == 0) other.seed = 8;
        if (changed == 1) other.seed = 7 + (std::uint64_t{1} << 32);  // the upper half of the seed counts
        if (changed == 2) other.purpose = Purpose::step_noise;
        if (changed == 3) other.sequence = 4;
        if (changed == 4) other.step = 6;
        others.push_back(other.bits(2));
    }
    CHECK(std::set<PhiloxBlock>(others.begin(), others.end()).size() == others.size());
}

TEST_CASE("RandomStream: uniform numbers lie in (0, 1) with the mean and variance of the uniform distribution") {
    RandomStream const stream{1, Purpose::training_time, 0, 0};
    constexpr std::uint32_t count = 100'000;
    double sum = 0.0;
    double squares = 0.0;
    for (std::uint32_t i = 0; i < count; ++i) {
        double const u = stream.uniform(i);
        REQUIRE(u > 0.0);
        REQUIRE(u < 1.0);
        sum += u;
        squares += (u - 0.5) * (u - 0.5);
    }
    double const n = count;
    CHECK(std::abs(sum / n - 0.5) < 5 * std::sqrt(1.0 / 12 / n));  // five standard errors
    CHECK(std::abs(squares / n - 1.0 / 12) < 5 * std::sqrt(1.0 / 180 / n));
    CHECK(stream.uniform(4) == unit_interval<double>(stream.bits(1)[0]));
    CHECK(stream.uniform(7) == unit_interval<double>(stream.bits(1)[3]));
}

TEST_CASE("RandomStream: below(bound) takes every value under its bound equally often, and none above") {
    RandomStream const stream{2, Purpose::batch_order, 0, 0};
    std::array<int, 7> seen{};
    for (std::uint32_t i = 0; i < 70'000; ++i) {
        auto const value = stream.below(7, i);
        REQUIRE(value < 7);
        ++seen[value];
    }
    for (int const count : seen) CHECK(std::abs(count - 10'000) < 5 * 93);  // sqrt(70,000 * 1/7 * 6/7) = 92.6
    for (std::uint32_t i = 0; i < 100; ++i) CHECK(stream.below(1, i) == 0);
    std::uint64_t const huge = std::uint64_t{1} << 63;
    for (std::uint32_t i = 0; i < 100; ++i) CHECK(stream.below(huge, i) < huge);
}

TEST_CASE_TEMPLATE("normals: moments of the standard normal distribution, and independent pairs", Real, float, double) {
    RandomStream const stream{3, Purpose::initial_noise, 0, 0};
    constexpr std::uint32_t blocks = 50'000;
    std::array<double, 5> moments{};
    double pairs = 0.0;
    double inside = 0.0;
    for (std::uint32_t i = 0; i < blocks; ++i) {
        auto const four = normals<Real>(stream.bits(i));
        for (Real const value : four) {
            REQUIRE(std::abs(value) < 6);
            for (int power = 1; power <= 4; ++power)
                moments[static_cast<std::size_t>(power)] += std::pow(static_cast<double>(value), power);
            inside += std::abs(value) < 1 ? 1.0 : 0.0;
        }
        pairs += static_cast<double>(four[0] * four[1] + four[2] * four[3] + four[0] * four[2]);
    }
    double const n = 4.0 * blocks;  // variances of the moments: 1, 2, 15, 96; each within five standard errors
    CHECK(std::abs(moments[1] / n) < 5 * std::sqrt(1.0 / n));
    CHECK(std::abs(moments[2] / n - 1) < 5 * std::sqrt(2.0 / n));
    CHECK(std::abs(moments[3] / n) < 5 * std::sqrt(15.0 / n));
    CHECK(std::abs(moments[4] / n - 3) < 5 * std::sqrt(96.0 / n));
    CHECK(std::abs(pairs / (3.0 * blocks)) < 5 * std::sqrt(1.0 / (3.0 * blocks)));
    CHECK(std::abs(inside / n - std::erf(1 / std::sqrt(2.0))) < 5 * std::sqrt(0.683 * 0.317 / n));
}

TEST_CASE("normals: the extreme bits give finite numbers below 6") {
    constexpr std::uint32_t most = std::numeric_limits<std::uint32_t>::max();
    for (auto const& bits : {PhiloxBlock{0, 0, 0, most}, PhiloxBlock{most, 0, most, most}}) {
        for (float const value : normals<float>(bits)) CHECK(std::abs(value) < 6.0F);
        for (double const value : normals<double>(bits)) CHECK(std::abs(value) < 6.0);
    }
}
