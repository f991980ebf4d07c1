#include <inkling/testing/gradient_check.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

using namespace inkling;
using testing::check_gradient;

namespace {

using Values = std::vector<double>;

/// f(x) = sum_i sin(x_i) + x_0 x_1, at a place where no slope is small.
struct Waves {
    Values x{0.3, -1.2, 2.0, 4.5, -0.7};

    double operator()() const {
        double sum = x[0] * x[1];
        for (double const value : x) sum += std::sin(value);
        return sum;
    }
    [[nodiscard]] Values slopes() const {
        Values result;
        for (double const value : x) result.push_back(std::cos(value));
        result[0] += x[1];
        result[1] += x[0];
        return result;
    }
};

}  // namespace

TEST_CASE("check_gradient: a right gradient passes at every element, and the values are as before") {
    Waves f;
    Values const before = f.x, right = f.slopes();
    auto const report = check_gradient(f.x, right, f);
    CAPTURE(report.text());
    CHECK(report.passed());
    CHECK(report.checked == 5);
    CHECK(report.largest > 0.5);
    CHECK(report.text().starts_with("right at 5 elements"));
    CHECK(f.x == before);
}

TEST_CASE(
    "check_gradient: a slope that is off by a thousandth, has the wrong sign or is no number is found, and named") {
    double const not_a_number = std::numeric_limits<double>::quiet_NaN();
    for (std::size_t element = 0; element < 5; ++element) {
        Waves f;
        Values const right = f.slopes();
        for (double const wrong :
             {right[element] * 1.001, -right[element], not_a_number, 0.0, std::numeric_limits<double>::infinity()}) {
            Values analytic = right;
            analytic[element] = wrong;
            auto const report = check_gradient(f.x, analytic, f);
            CAPTURE(report.text());
            CHECK_FALSE(report.passed());
            CHECK(report.worst_element == static_cast<Index>(element));
            CHECK(report.text().starts_with("WRONG at 5 elements"));
        }
    }
}

TEST_CASE("check_gradient: a gradient of nothing but zeros fails, or shows that it proves little") {
    Waves f;
    Values const zeros(5);
    CHECK_FALSE(check_gradient(f.x, zeros, f).passed());
    auto const flat = check_gradient(f.x, zeros, [] { return 3.0; });
    CHECK(flat.passed());
    CHECK(flat.largest == 0.0);
}

TEST_CASE("check_gradient: a function that gives no number fails, whatever the gradient") {
    Waves f;
    double const not_a_number = std::numeric_limits<double>::quiet_NaN();
    CHECK_FALSE(check_gradient(f.x, f.slopes(), [&] { return not_a_number; }).passed());
    CHECK_FALSE(check_gradient(f.x, Values(5, not_a_number), [&] { return not_a_number; }).passed());
}

TEST_CASE("check_gradient: a kink inside the first step does not disturb, one at the place itself does") {
    Values x{1e-4};
    auto const relu = [&] { return x[0] > 0.0 ? x[0] : 0.0; };
    CHECK(check_gradient(x, Values{1.0}, relu).passed());
    CHECK_FALSE(check_gradient(x, Values{0.0}, relu).passed());
    x[0] = 0.0;
    CHECK_FALSE(check_gradient(x, Values{1.0}, relu).passed());
}

TEST_CASE("check_gradient: nothing looked at proves nothing, and sizes that differ are refused") {
    Waves f;
    CHECK_FALSE(check_gradient(f.x, f.slopes(), f, {.most_elements = 0}).passed());
    CHECK(check_gradient(f.x, f.slopes(), f, {.most_elements = 2}).checked == 2);
    CHECK_THROWS_WITH_AS(check_gradient(f.x, Values(4), f),
                         "inkling::testing::check_gradient: 5 values and 4 slopes, expected as many of both", Error);
}
