#include "source_text.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

using house::Header;

constexpr std::string_view own = "inkling/";

/// Included by their own names: a further library comes with them.
constexpr std::array<std::string_view, 4> apart{"decode/listener.hpp", "io/npy.hpp", "text/sentencepiece_tokenizer.hpp",
                                                "text/wordpiece_tokenizer.hpp"};

/// Whether inkling.hpp brings a header: all but the backends, the helpers for tests, and what stands apart.
bool is_for_all(std::string_view path) {
    std::string const room = house::room_of(path);
    bool const private_part = path.find("/detail/") != std::string_view::npos;
    bool const backend = room == "backend" && path != "backend/concept.hpp" && path != "backend/view.hpp";
    return !private_part && !backend && room != "testing" && std::find(apart.begin(), apart.end(), path) == apart.end();
}

/// The paths of all headers that including `path` brings, itself among them.
std::set<std::string> brought_by(std::string const& path, std::vector<Header> const& headers) {
    std::set<std::string> found;
    std::vector<std::string> open{path};
    while (!open.empty()) {
        std::string const next = open.back();
        open.pop_back();
        auto const header =
            std::find_if(headers.begin(), headers.end(), [&](Header const& h) { return h.path == next; });
        if (header == headers.end() || !found.insert(next).second) continue;
        for (std::string const& name : house::includes_of(header->text))
            if (name.starts_with(own)) open.push_back(name.substr(own.size()));
    }
    return found;
}

std::vector<Header> library() { return house::read_headers(INKLING_TESTS_SOURCE_DIR "/include/inkling"); }

}  // namespace

TEST_CASE("inkling.hpp brings all of the library but the backends and what needs a further library") {
    auto const headers = library();
    auto const brought = brought_by("inkling.hpp", headers);
    CHECK(brought.size() > 50);
    for (Header const& header : headers) {
        CAPTURE(header.path);
        if (header.path.find("/detail/") == std::string::npos)
            CHECK(brought.contains(header.path) == is_for_all(header.path));
    }
}

TEST_CASE("<inkling/ROOM/ROOM.hpp> brings all of a room") {
    auto const headers = library();
    for (Header const& header : headers) {
        std::string const room = house::room_of(header.path);
        if (room.empty() || room == "backend" || !is_for_all(header.path)) continue;
        CAPTURE(header.path);
        CHECK(brought_by(room + "/" + room + ".hpp", headers).contains(header.path));
    }
}

TEST_CASE("headers of the library stand in rooms, but for inkling.hpp") {
    for (Header const& header : library()) {
        CAPTURE(header.path);
        CHECK((header.path == "inkling.hpp" || !house::room_of(header.path).empty()));
    }
}
