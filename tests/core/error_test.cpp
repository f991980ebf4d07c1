#include <inkling/core/error.hpp>

#include <inkling/core/index.hpp>

#include <doctest/doctest.h>

#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>

using namespace inkling;

TEST_CASE("message: joins text, numbers and truth in order") {
    CHECK(message("rows is ", 3, ", expected ", Index{4}) == "rows is 3, expected 4");
    CHECK(message(std::string("a"), std::string_view("b"), 'c', 1.5) == "abc1.500000");
    CHECK(message(true, ' ', false) == "true false");
    CHECK(message() == "");
}

TEST_CASE("message: a number with a fraction is told apart from its neighbours, and reads back") {
    CHECK(message(0.001) == "0.001000");
    CHECK(message(1.0 + 0x1p-52) == "1.0000000000000002");
    CHECK(message(1e-7) == "1e-07");
    CHECK(message(0.1f) == "0.100000");
    CHECK(message(-0.0) == "-0.000000");
    CHECK(message(1e22) == "10000000000000000000000.000000");
    CHECK(message(std::numeric_limits<double>::quiet_NaN(), ' ', -std::numeric_limits<double>::infinity())
          == "nan -inf");
    for (double const number : {1.0 / 3.0, 1e300, 5e-324, 123456.789, std::numeric_limits<double>::max()})
        CHECK(std::strtod(message(number).c_str(), nullptr) == number);
    CHECK(std::strtold(message(1.0L / 3.0L).c_str(), nullptr) == 1.0L / 3.0L);
}

TEST_CASE("require: throws Error with the joined message on failure, and nothing else") {
    CHECK_NOTHROW(require(true, "never"));
    CHECK_THROWS_WITH_AS(require(1 > 2, "rows is ", 3), "rows is 3", Error);
    CHECK_THROWS_WITH_AS(fail("file '", "x", "'"), "file 'x'", Error);
    CHECK_THROWS_AS(fail("caught as the standard's error too"), std::runtime_error);
}
