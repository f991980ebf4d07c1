#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

std::string text_of(fs::path const& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

/// The lines between `// [name]` and `// [/name]`.
std::string cut(std::string const& program, std::string const& name) {
    std::size_t const begin = program.find("// [" + name + "]\n");
    std::size_t const end = program.find("// [/" + name + "]\n");
    if (begin == std::string::npos || end == std::string::npos || end < begin) return {};
    std::size_t const first = program.find('\n', begin) + 1;
    return program.substr(first, program.rfind('\n', end) + 1 - first);
}

TEST_CASE("code in the pages that says which example it is cut from is that of the example") {
    fs::path const root = INKLING_TESTS_SOURCE_DIR;
    std::vector<fs::path> pages{root / "README.md"};
    for (auto const& entry : fs::recursive_directory_iterator(root / "docs"))
        if (entry.path().extension() == ".md") pages.push_back(entry.path());
    std::string const opening = "<!-- cut: ", fence = "```cpp\n";
    int found = 0;
    for (fs::path const& page : pages) {
        std::string const text = text_of(page);
        for (std::size_t at = text.find(opening); at != std::string::npos; at = text.find(opening, at + 1)) {
            // <!-- cut: examples/custom_schedule.cpp [schedule] -->
            std::string const line = text.substr(at + opening.size(), text.find('\n', at) - at - opening.size());
            INFO(page.filename().string(), ": ", line);
            std::size_t const bracket = line.find(" ["), close = line.find("] -->");
            REQUIRE(bracket != std::string::npos);
            REQUIRE(close != std::string::npos);
            std::string const wanted =
                cut(text_of(root / line.substr(0, bracket)), line.substr(bracket + 2, close - bracket - 2));
            CHECK_FALSE(wanted.empty());
            std::size_t const code = text.find(fence, at) + fence.size();
            CHECK(text.substr(code, text.find("```", code) - code) == wanted);
            ++found;
        }
    }
    CHECK(found >= 5);
}

}  // namespace
