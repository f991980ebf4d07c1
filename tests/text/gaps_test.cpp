#include <inkling/text/gaps.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace inkling;
using Pieces = std::vector<std::string>;
using Rows = std::vector<Index>;

TEST_CASE("parse_gaps: pieces and gaps by turns, with as many rows as the mark says, or as the options do") {
    auto const line = text::parse_gaps("the ___ fell on ___(3).");
    CHECK(line.pieces == Pieces{"the ", " fell on ", "."});
    CHECK(line.rows == Rows{8, 3});
    auto const bare = text::parse_gaps("___", {.rows = 5});
    CHECK(bare.pieces == Pieces{"", ""});
    CHECK(bare.rows == Rows{5});
    auto const none = text::parse_gaps("ink (black) dries");
    CHECK(none.pieces == Pieces{"ink (black) dries"});
    CHECK(none.rows.empty());
    auto const beside = text::parse_gaps("<gap><gap>(2) end", {.mark = "<gap>"});
    CHECK(beside.pieces == Pieces{"", "", " end"});
    CHECK(beside.rows == Rows{8, 2});
    CHECK(text::parse_gaps("").pieces == Pieces{""});
}

TEST_CASE("parse_gaps: a number of rows that is none is refused, and so are options that mark nothing") {
    CHECK_THROWS_WITH_AS(
        (void)text::parse_gaps("a ___ b ___(many)"),
        "inkling::text::parse_gaps: gap 2 has 'many' rows, expected a number from 1 to 1048576 and ')'", Error);
    for (char const* line : {"___(0)", "___(-1)", "___(3", "___()", "___(3x)", "___(99999999999999999999)"})
        CHECK_THROWS_AS((void)text::parse_gaps(line), Error);
    CHECK_THROWS_AS((void)text::parse_gaps("a", {.mark = ""}), Error);
    CHECK_THROWS_AS((void)text::parse_gaps("a", {.rows = 0}), Error);
}
