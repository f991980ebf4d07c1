#pragma once

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace house {

/// A header of the library: its path below include/inkling, with '/', and its text.
struct Header {
    std::string path;
    std::string text;
};

/// The first folder of a header's path, "sampler" of "sampler/ddim.hpp"; empty for "inkling.hpp".
inline std::string room_of(std::string_view path) {
    std::size_t const slash = path.find('/');
    return slash == std::string_view::npos ? std::string{} : std::string(path.substr(0, slash));
}

/// All headers below `root` in the order of their paths.
inline std::vector<Header> read_headers(std::filesystem::path const& root) {
    std::vector<Header> headers;
    for (auto const& entry : std::filesystem::recursive_directory_iterator(root)) {
        if (!entry.is_regular_file()) continue;
        std::ifstream file(entry.path(), std::ios::binary);
        if (!file) throw std::runtime_error("cannot read " + entry.path().string());
        headers.push_back({std::filesystem::relative(entry.path(), root).generic_string(),
                           {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()}});
    }
    std::sort(headers.begin(), headers.end(), [](Header const& a, Header const& b) { return a.path < b.path; });
    return headers;
}

/// `text` with comments and the insides of string and character literals blanked; line breaks stay where they are.
inline std::string code_of(std::string_view text) {
    std::string code(text);
    auto const blank = [&](std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < std::min(to, code.size()); ++i)
            if (code[i] != '\n') code[i] = ' ';
    };
    auto const end_of = [&](std::string_view mark, std::size_t from) {
        std::size_t const found = text.find(mark, from);
        return found == std::string_view::npos ? text.size() : found;
    };
    for (std::size_t i = 0; i < text.size();) {
        std::string_view const rest = text.substr(i);
        std::size_t next = i + 1;
        if (rest.starts_with("//")) {
            blank(i, next = end_of("\n", i));
        } else if (rest.starts_with("/*")) {
            blank(i, next = end_of("*/", i + 2) + 2);
        } else if (rest.starts_with("R\"")) {
            std::size_t const open = end_of("(", i);
            std::string const close = ")" + std::string(text.substr(i + 2, open - i - 2)) + "\"";
            blank(i + 2, (next = end_of(close, open) + close.size()) - 1);
        } else if (text[i] == '"'
                   || (text[i] == '\'' && (i == 0 || !std::isalnum(static_cast<unsigned char>(text[i - 1]))))) {
            while (next < text.size() && text[next] != text[i] && text[next] != '\n')
                next += text[next] == '\\' ? 2 : 1;
            blank(i + 1, next++);
        }
        i = next;
    }
    return code;
}

/// What stands between the brackets or quotes of the #include lines.
inline std::vector<std::string> includes_of(std::string_view text) {
    std::vector<std::string> names;
    for (std::size_t line = 0; line < text.size();) {
        std::size_t const end = std::min(text.find('\n', line), text.size());
        std::string_view row = text.substr(line, end - line);
        line = end + 1;
        auto const skip_blanks = [&] { row.remove_prefix(std::min(row.find_first_not_of(" \t"), row.size())); };
        skip_blanks();
        if (!row.starts_with('#')) continue;
        row.remove_prefix(1);
        skip_blanks();
        if (!row.starts_with("include")) continue;
        std::size_t const open = row.find_first_of("<\"");
        if (open == std::string_view::npos) continue;
        std::size_t const close = row.find_first_of(">\"", open + 1);
        if (close == std::string_view::npos) continue;
        names.emplace_back(row.substr(open + 1, close - open - 1));
    }
    return names;
}

}  // namespace house
