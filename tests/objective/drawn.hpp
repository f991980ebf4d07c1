#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

/// What many draws at fixed seeds are like.
namespace drawn {

/// The mean of numbers, and how far it may lie from what it is the mean of.
class Mean {
public:
    void add(double number) {
        ++count_;
        sum_ += number;
        squares_ += number * number;
    }
    [[nodiscard]] double value() const { return sum_ / count_; }
    /// One standard deviation of the mean.
    [[nodiscard]] double error() const { return std::sqrt((squares_ / count_ - value() * value()) / (count_ - 1.0)); }

private:
    double count_ = 0.0, sum_ = 0.0, squares_ = 0.0;
};

/// CHECKs that draw(0), draw(1), ... take each value as often as its chance says: Pearson's chi-square lies within five
/// standard deviations.
template <class Draw>
void check_distribution(std::vector<double> const& chances, Draw const& draw, std::uint32_t draws = 40000) {
    std::vector<double> counts(chances.size());
    for (std::uint32_t i = 0; i < draws; ++i) {
        std::size_t const value = draw(i);
        REQUIRE(value < counts.size());
        counts[value] += 1.0;
    }
    double square = 0.0, degrees = -1.0;
    for (std::size_t value = 0; value < chances.size(); ++value) {
        double const expected = chances[value] * draws;
        if (expected == 0.0) {
            CHECK(counts[value] == 0.0);
            continue;
        }
        square += std::pow(counts[value] - expected, 2) / expected;
        degrees += 1.0;
    }
    INFO("chi-square ", square, " of ", degrees, " degrees of freedom");
    CHECK(square < degrees + 5.0 * std::sqrt(2.0 * degrees));
}

}  // namespace drawn
