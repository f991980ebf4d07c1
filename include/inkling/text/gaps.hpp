#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace inkling::text {

/// A line with gaps: piece, gap, piece, ..., piece. Pieces may be empty; a line that is one gap and no text is text out
/// of nothing.
struct GappedLine {
    std::vector<std::string> pieces{""};  ///< one more than there are gaps
    std::vector<Index> rows{};            ///< of each gap, at least 1: tokens that may be written there
};

/// How gaps are marked in a line of text.
struct GapOptions {
    std::string mark = "___";  ///< not empty
    Index rows = 8;            ///< of a gap that does not say how many, at least 1
};

/// Reads a line with marked gaps: "The ___ fell on the ___(3)." has one of as many rows as the options say and one
/// of 3.
/// @throws Error when a number of rows is none, or an option is out of its range
[[nodiscard]] inline GappedLine parse_gaps(std::string_view line, GapOptions const& options = {}) {
    constexpr char const* where = "inkling::text::parse_gaps: ";
    constexpr Index most = Index{1} << 20;
    require(!options.mark.empty(), where, "mark is empty, expected what a gap is marked by");
    require(options.rows >= 1 && options.rows <= most, where, "rows is ", options.rows, ", expected 1 to ", most);
    GappedLine result;
    for (std::size_t begin = 0;;) {
        std::size_t const mark = line.find(options.mark, begin);
        result.pieces.back() = line.substr(begin, mark == std::string_view::npos ? mark : mark - begin);
        if (mark == std::string_view::npos) return result;
        begin = mark + options.mark.size();
        Index rows = options.rows;
        if (begin < line.size() && line[begin] == '(') {
            std::size_t const end = line.find(')', begin);
            std::string_view const number =
                line.substr(begin + 1, end == std::string_view::npos ? end : end - begin - 1);
            auto const [stop, problem] = std::from_chars(number.data(), number.data() + number.size(), rows);
            require(end != std::string_view::npos && problem == std::errc{} && stop == number.data() + number.size()
                        && rows >= 1 && rows <= most,
                    where, "gap ", result.rows.size() + 1, " has '", number, "' rows, expected a number from 1 to ",
                    most, " and ')'");
            begin = end + 1;
        }
        result.rows.push_back(rows);
        result.pieces.emplace_back();
    }
}

}  // namespace inkling::text
