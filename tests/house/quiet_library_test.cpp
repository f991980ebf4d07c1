#include "source_text.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cctype>
#include <string>
#include <string_view>
#include <vector>

namespace {

using house::Header;

/// Names that print, or that end the host's process. Progress goes to a stream or a callback the user hands in.
constexpr std::array<std::string_view, 16> forbidden{
    "cout",    "cerr",   "clog",  "printf", "fprintf",    "vprintf",   "puts",  "fputs",
    "putchar", "perror", "abort", "exit",   "quick_exit", "terminate", "_Exit", "_exit"};

bool is_word(char character) { return std::isalnum(static_cast<unsigned char>(character)) || character == '_'; }

/// One line for each forbidden word in code, comments and text in quotes aside.
std::vector<std::string> loud_words(std::vector<Header> const& headers) {
    std::vector<std::string> found;
    for (Header const& header : headers) {
        std::string const code = house::code_of(header.text);
        std::size_t line = 1;
        for (std::size_t i = 0; i < code.size(); ++i) {
            if (code[i] == '\n') ++line;
            if (!is_word(code[i]) || (i > 0 && is_word(code[i - 1]))) continue;
            std::size_t end = i;
            while (end < code.size() && is_word(code[end])) ++end;
            std::string_view const word = std::string_view(code).substr(i, end - i);
            for (std::string_view const name : forbidden)
                if (word == name)
                    found.push_back(header.path + ":" + std::to_string(line) + " has '" + std::string(word) + "'");
        }
    }
    return found;
}

}  // namespace

TEST_CASE("the library never prints to the terminal and never ends the process") {
    for (std::string const& line : loud_words(house::read_headers(INKLING_TESTS_SOURCE_DIR "/include/inkling")))
        FAIL_CHECK(line);
}

TEST_CASE("the check for prints sees code, and neither comments nor strings") {
    CHECK(loud_words({{"a.hpp", "// std::abort()\n/* printf\n */ auto s = \"exit(1) \\\" cout\"; char c = '\"';\n"}})
              .empty());
    CHECK(loud_words({{"a.hpp", "auto s = R\"x(abort() \" )x\"; int const n = 1'000; bool exit_early = at_exit;\n"}})
              .empty());
    CHECK(loud_words({{"a.hpp", "int x;\nstd::cout << 'a';\n"}}) == std::vector<std::string>{"a.hpp:2 has 'cout'"});
    CHECK(loud_words({{"a.hpp", "char c = '\"'; abort(); auto n = 1'000; exit(1);"}}).size() == 2);
}
