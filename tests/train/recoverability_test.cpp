#include <inkling/train/recoverability.hpp>

#include <inkling/schedule/cosine.hpp>
#include <inkling/schedule/rescaled.hpp>
#include <inkling/schedule/sqrt.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

using namespace inkling;
using train::Recoverability;

namespace {

std::vector<float> random_table(Index rows, Index width, std::uint64_t seed) {
    std::vector<float> table;
    RandomStream const stream{seed, Purpose::initial_weights, 0, 0};
    for (Index i = 0; i < rows * width; ++i)
        table.push_back(
            normals<float>(stream.bits(static_cast<std::uint32_t>(i / 4)))[static_cast<std::size_t>(i % 4)]);
    return table;
}

TEST_CASE("recoverability: of two tokens d apart the share is Gauss's Phi(d / 2 n), whatever the width") {
    for (Index const width : {1, 5, 40}) {
        CAPTURE(width);
        std::vector<float> table(static_cast<std::size_t>(2 * width), 1.0F);
        for (Index i = 0; i < width; ++i)
            table[static_cast<std::size_t>(i)] += 3.0F / std::sqrt(float(width));  // 3 apart
        Index const sample = 20000;
        Recoverability const tokens(table, width, {.sample = sample, .seed = 3});
        for (double const ratio : {0.5, 1.0, 2.0, 5.0}) {
            double const exact = 0.5 * std::erfc(-1.5 / ratio / std::sqrt(2.0));
            double const deviation = std::sqrt(exact * (1.0 - exact) / double(sample));
            CHECK(std::abs(tokens.share(ratio) - exact) < 4.0 * deviation + 1e-12);
        }
        CHECK(tokens.share(0.0) == 1.0);
    }
}

TEST_CASE("recoverability: the share is what trying all tokens at each ratio gives") {
    Index const width = 19, vocabulary = 50, sample = 100;
    std::array<Token, 2> const excluded{0, 33};
    std::vector<std::size_t> counted;
    for (std::size_t row = 0; row < std::size_t(vocabulary); ++row)
        if (row != 0 && row != 33) counted.push_back(row);
    auto const table = random_table(vocabulary, width, 8);
    Recoverability const tokens(table, width, {.sample = sample, .seed = 5, .excluded = excluded});
    for (double const ratio : {0.3, 0.8, 1.2, 2.0, 4.0}) {
        int right = 0;
        for (std::uint32_t i = 0; i < std::uint32_t(sample); ++i) {
            std::size_t const own = counted[i * counted.size() / std::size_t(sample)];
            double nearest = std::numeric_limits<double>::infinity();
            std::size_t best = 0;
            for (std::size_t const row : counted) {
                double square = 0.0;
                for (std::size_t at = 0; at < std::size_t(width); ++at) {
                    double const noise = double(
                        normals<float>(RandomStream{5, Purpose::user, i, 0}.bits(std::uint32_t(at / 4)))[at % 4]);
                    double const z = double(table[own * std::size_t(width) + at]) + ratio * noise;
                    square += std::pow(z - double(table[row * std::size_t(width) + at]), 2.0);
                }
                if (square < nearest) nearest = square, best = row;
            }
            right += best == own;
        }
        CAPTURE(ratio);
        CHECK(tokens.share(ratio) == doctest::Approx(right / double(sample)));
    }
}

TEST_CASE("recoverability: the ratio for a share is the least that leaves no more, and grows with the table") {
    auto table = random_table(80, 16, 2);
    Recoverability const tokens(table, 16);
    for (double const share : {0.02, 0.05, 0.33, 0.5, 0.99}) {
        double const ratio = tokens.noise_to_signal(share);
        CHECK(tokens.share(ratio) <= share);
        CHECK(tokens.share(ratio * (1.0 - 1e-12)) > share);
    }
    CHECK(tokens.noise_to_signal(1.0) == 0.0);
    CHECK(tokens.noise_to_signal(0.0) == std::numeric_limits<double>::infinity());
    CHECK(tokens.share(std::numeric_limits<double>::infinity()) == doctest::Approx(1.0 / 80.0).epsilon(0.8));  // chance
    for (float& value : table) value *= 4.0F;                                                                  // exact
    CHECK(Recoverability(table, 16).noise_to_signal(0.4) == doctest::Approx(4.0 * tokens.noise_to_signal(0.4)));
}

TEST_CASE(
    "recoverability: with the measured factor a schedule leaves the share that was asked for, with less it leaves "
    "more") {
    Recoverability const tokens(random_table(200, 24, 6), 24);
    for (double const time : {0.2, 0.5, 0.7}) {
        double const factor = train::measured_noise_factor(tokens, schedule::Sqrt{}, {.time = time, .recovered = 0.1});
        using Rescaled = schedule::Rescaled<schedule::Sqrt>;
        double const chance = tokens.share(std::numeric_limits<double>::infinity());
        double const wanted = chance + 0.1 * (1.0 - chance);
        CHECK(train::recovered(tokens, Rescaled{.training_noise = factor * 1.0001}, time) <= wanted);
        CHECK(train::recovered(tokens, Rescaled{.training_noise = factor * 0.9999}, time) > wanted);
        CHECK(train::recovered(tokens, Rescaled{.variance_preserving = factor * 1.0001}, time) <= wanted);
        CHECK(train::measured_noise_factor(tokens, Rescaled{.training_noise = 3.0}, {.time = time, .recovered = 0.1})
              == doctest::Approx(factor));
    }
    // Of few tokens chance alone finds many.
    Recoverability const few(random_table(8, 4, 6), 4, {.sample = 4000});
    double const factor = train::measured_noise_factor(few, schedule::Sqrt{}, {.recovered = 0.01});
    CHECK(train::recovered(few, schedule::Rescaled<schedule::Sqrt>{.training_noise = factor}, 0.5)
          == doctest::Approx(1.0 / 8.0 + 0.01 * 7.0 / 8.0).epsilon(0.1));
    double last = 1.0;
    for (int i = 0; i <= 20; ++i) {
        double const share = train::recovered(tokens, schedule::Cosine{}, i / 20.0);
        CHECK(share <= last);
        last = share;
    }
}

TEST_CASE("recoverability: tokens with one embedding cannot be told apart, and what makes no sense is refused") {
    std::vector<float> const equal(40, 0.5F);
    CHECK(Recoverability(equal, 4).share(0.0) == 0.0);
    std::vector<float> bad = random_table(10, 4, 1);
    CHECK_THROWS_WITH_AS(Recoverability(bad, 7),
                         "inkling::train::Recoverability: the table has 40 elements, expected rows of width 7", Error);
    CHECK_THROWS_AS(Recoverability(bad, 40), Error);
    CHECK_THROWS_AS(Recoverability(bad, 4, {.sample = 0}), Error);
    Recoverability const tokens(bad, 4);
    CHECK_THROWS_AS((void)tokens.noise_to_signal(1.5), Error);
    CHECK_THROWS_AS((void)train::measured_noise_factor(tokens, schedule::Sqrt{}, {.time = 0.0}), Error);
    CHECK_THROWS_AS((void)train::measured_noise_factor(tokens, schedule::Sqrt{}, {.recovered = 1.0}), Error);
    bad[21] = std::numeric_limits<float>::quiet_NaN();
    CHECK_THROWS_WITH_AS(Recoverability(bad, 4), "inkling::train::Recoverability: row 5 holds what is no finite number",
                         Error);
}

}  // namespace
