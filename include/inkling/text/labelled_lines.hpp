#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/text/concept.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inkling::text {

/// Lines of text, each with the name of its class.
struct LabelledLines {
    std::vector<std::string> lines;
    std::vector<std::string> labels;  ///< as many, none empty

    /// Number of lines, S.
    [[nodiscard]] Index size() const { return static_cast<Index>(lines.size()); }
    /// The names of all classes, each once, in the order of their bytes.
    [[nodiscard]] std::vector<std::string> classes() const {
        std::vector<std::string> names = labels;
        std::sort(names.begin(), names.end());
        names.erase(std::unique(names.begin(), names.end()), names.end());
        return names;
    }
};

/// Reads "label<TAB>text" line by line; the text may hold further tabs, and may be empty.
/// @param name  what messages call the lines: the file's path
/// @throws Error naming the line that has no tab or nothing in front of it, when there is no line, and whatever the
///         LineSource throws
template <LineSource Source>
[[nodiscard]] LabelledLines read_labelled(Source& source, std::string_view name) {
    LabelledLines result;
    for (std::string line; source.next(line);) {
        std::size_t const tab = line.find('\t');
        require(tab != std::string::npos && tab > 0, "inkling::text::read_labelled: ", name, " line ",
                result.size() + 1, tab == 0 ? " has no label" : " has no tab", ", expected a label, a tab and text");
        result.labels.push_back(line.substr(0, tab));
        result.lines.push_back(line.substr(tab + 1));
    }
    require(result.size() > 0, "inkling::text::read_labelled: ", name, " is empty, expected lines with labels");
    return result;
}

/// Reads lines from one source and their labels from another: line i of the one is of class line i of the other.
/// @throws Error when the numbers of lines differ, a label is empty, there is no line, and whatever the sources throw
template <LineSource Lines, LineSource Labels>
[[nodiscard]] LabelledLines read_labelled(Lines& lines, Labels& labels, std::string_view lines_name,
                                          std::string_view labels_name) {
    constexpr char const* where = "inkling::text::read_labelled: ";
    LabelledLines result;
    for (std::string line, label;;) {
        bool const has_line = lines.next(line), has_label = labels.next(label);
        if (!has_line && !has_label) break;
        require(has_line == has_label, where, has_line ? labels_name : lines_name, " ends after ", result.size(),
                " lines but ", has_line ? lines_name : labels_name, " goes on, expected as many lines in both");
        require(!label.empty(), where, labels_name, " line ", result.size() + 1, " is empty, expected a label");
        result.lines.push_back(line);
        result.labels.push_back(label);
    }
    require(result.size() > 0, where, lines_name, " is empty, expected lines with labels");
    return result;
}

}  // namespace inkling::text
