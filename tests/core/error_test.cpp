#include <inkling/core/error.hpp>

#include <inkling/core/index.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using namespace inkling;

TEST_CASE("message: joins text, numbers and truth in order") {
    CHECK(message("rows is ", 3, ", expected ", Index{4}) == "rows is 3, expected 4");
    CHECK(message(std::string("a"), std::string_view("b"), 'c', 1.5) == "abc1.500000");
    CHECK(message(true, ' ', false) == "true false");
    CHECK(message() == "");
}

TEST_CASE("require: throws Error with the joined message on failure, and nothing else") {
    CHECK_NOTHROW(require(true, "never"));
    CHECK_THROWS_WITH_AS(require(1 > 2, "rows is ", 3), "rows is 3", Error);
    CHECK_THROWS_WITH_AS(fail("file '", "x", "'"), "file 'x'", Error);
    CHECK_THROWS_AS(fail("caught as the standard's error too"), std::runtime_error);
}
