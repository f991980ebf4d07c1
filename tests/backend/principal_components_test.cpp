#include <inkling/backend/cpu/principal_components.hpp>

#include <inkling/core/error.hpp>
#include <inkling/core/random.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace {

using namespace inkling;

double squared_distance(std::vector<float> const& x, std::size_t width, std::size_t a, std::size_t b) {
    double sum = 0.0;
    for (std::size_t i = 0; i < width; ++i) {
        double const apart = static_cast<double>(x[a * width + i]) - static_cast<double>(x[b * width + i]);
        sum += apart * apart;
    }
    return sum;
}

}  // namespace

TEST_CASE("principal components: points of a plane keep all distances in two dimensions, whatever space it lies in") {
    constexpr std::size_t points = 40, width = 7;
    auto const random = testing::random_values<float>(points * 2 + 3 * width, 5);
    std::vector<float> x(points * width);
    for (std::size_t p = 0; p < points; ++p)
        for (std::size_t i = 0; i < width; ++i)
            x[p * width + i] = random[i] + random[3 * width + 2 * p] * random[width + i]
                + random[3 * width + 2 * p + 1] * random[2 * width + i];
    auto const flat = backend::principal_components(x, width, 2);
    REQUIRE(flat.size() == points * 2);
    for (std::size_t p = 1; p < points; ++p)
        CHECK(squared_distance(flat, 2, 0, p) == doctest::Approx(squared_distance(x, width, 0, p)).epsilon(1e-4));
    double mean[2] = {0.0, 0.0}, squares[2] = {0.0, 0.0}, across = 0.0;
    for (std::size_t p = 0; p < points; ++p) {
        for (std::size_t i = 0; i < 2; ++i) {
            auto const value = static_cast<double>(flat[2 * p + i]);
            mean[i] += value;
            squares[i] += value * value;
        }
        across += static_cast<double>(flat[2 * p]) * static_cast<double>(flat[2 * p + 1]);
    }
    for (double const m : mean) CHECK(std::abs(m) < 1e-3);
    CHECK(squares[0] > squares[1]);               // in falling order
    CHECK(std::abs(across) < 1e-3 * squares[0]);  // and not correlated
}

TEST_CASE("principal components: the direction of most variance is the diagonal that points lie along") {
    std::vector<float> const x{-2, -2, 0, -1, -1, 0, 1, 1, 0, 2, 2, 0, 0, 0, 0.5, 0, 0, -0.5};
    auto const line = backend::principal_components(x, 3, 1);
    std::vector<double> const expected{-2, -1, 1, 2, 0, 0};
    for (std::size_t i = 0; i < expected.size(); ++i)
        CHECK(static_cast<double>(line[i]) == doctest::Approx(expected[i] * std::sqrt(2.0)).epsilon(1e-6));
}

TEST_CASE("principal components: of each direction the coordinate of largest magnitude is positive") {
    constexpr std::size_t width = 5;
    for (std::uint32_t const seed : {1u, 2u, 3u, 4u}) {
        auto x = testing::random_values<float>(30 * width, seed);
        for (std::size_t i = 0; i < (width + 1) * width; ++i) x[i] = 0.0f;  // the origin, and one step along each axis
        for (std::size_t i = 0; i < width; ++i) x[(i + 1) * width + i] = 1.0f;
        auto const z = backend::principal_components(x, width, width);
        for (std::size_t component = 0; component < width; ++component) {
            float top = 0.0f;
            for (std::size_t i = 0; i < width; ++i) {
                float const coordinate = z[(i + 1) * width + component] - z[component];
                if (std::abs(coordinate) > std::abs(top)) top = coordinate;
            }
            CHECK(top > 0.0f);
        }
    }
}

TEST_CASE("principal components: what is no table, or asks for more than there is, is refused") {
    std::vector<float> const six{1, 2, 3, 4, 5, 6};
    CHECK_THROWS_WITH_AS(backend::principal_components(six, 4, 1),
                         "inkling::backend::principal_components: 6 elements and a width of 4, expected at least two "
                         "whole rows",
                         Error);
    CHECK_THROWS_WITH_AS(backend::principal_components(six, 3, 4),
                         "inkling::backend::principal_components: 4 components wanted, expected 1 to 3, the width",
                         Error);
    CHECK_THROWS_AS(backend::principal_components(six, 6, 1), Error);
    CHECK_THROWS_AS(backend::principal_components(six, 3, 0), Error);
    auto const broken = std::vector<float>{1, 2, std::numeric_limits<float>::quiet_NaN(), 4};
    CHECK_THROWS_AS(backend::principal_components(broken, 2, 1), Error);
}
