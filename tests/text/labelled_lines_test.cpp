#include <inkling/text/labelled_lines.hpp>

#include <inkling/text/memory_lines.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

using namespace inkling;
using Words = std::vector<std::string>;

text::LabelledLines read(Words const& lines) {
    text::MemoryLines source{lines};
    return text::read_labelled(source, "few.tsv");
}
text::LabelledLines read(Words const& lines, Words const& labels) {
    text::MemoryLines own{lines}, beside{labels};
    return text::read_labelled(own, beside, "few.txt", "few.labels");
}

}  // namespace

TEST_CASE("labelled lines: the label ends at the first tab, and classes are named once, in order") {
    auto const read_lines = read({"dry\tink on paper", "wet\tink\tin water", "dry\t"});
    CHECK(read_lines.lines == Words{"ink on paper", "ink\tin water", ""});
    CHECK(read_lines.labels == Words{"dry", "wet", "dry"});
    CHECK(read_lines.classes() == Words{"dry", "wet"});
    CHECK(read_lines.size() == 3);
}

TEST_CASE("labelled lines: labels may have a file of their own") {
    auto const read_lines = read({"ink on paper", ""}, {"dry paper", "wet"});
    CHECK(read_lines.lines == Words{"ink on paper", ""});
    CHECK(read_lines.labels == Words{"dry paper", "wet"});
}

TEST_CASE("labelled lines: what is no label is refused with the number of its line") {
    CHECK_THROWS_WITH_AS(read({"dry\tink", "wet ink"}),
                         "inkling::text::read_labelled: few.tsv line 2 has no tab, expected a label, a tab and text",
                         Error);
    CHECK_THROWS_WITH_AS(read({"\tink"}),
                         "inkling::text::read_labelled: few.tsv line 1 has no label, expected a label, a tab and text",
                         Error);
    CHECK_THROWS_WITH_AS(read(Words{}), "inkling::text::read_labelled: few.tsv is empty, expected lines with labels",
                         Error);
    CHECK_THROWS_WITH_AS(read({"ink", "water"}, {"dry"}),
                         "inkling::text::read_labelled: few.labels ends after 1 lines but few.txt goes on, expected as "
                         "many lines in both",
                         Error);
    CHECK_THROWS_WITH_AS(read({"ink"}, {"dry", "wet"}),
                         "inkling::text::read_labelled: few.txt ends after 1 lines but few.labels goes on, expected as "
                         "many lines in both",
                         Error);
    CHECK_THROWS_WITH_AS(read({"ink"}, {""}),
                         "inkling::text::read_labelled: few.labels line 1 is empty, expected a label", Error);
}
