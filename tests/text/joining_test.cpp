#include <inkling/text/joining.hpp>

#include <inkling/text/packing.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

using namespace inkling;

TEST_CASE("JoinedBatch: a source, its target, and pads up to the place that there is") {
    text::JoinedBatch batch;
    batch.add(std::vector<Token>{5, 6, 7}, std::vector<Token>{8}, 3, 1);
    batch.add(std::vector<Token>{9}, {}, 2, 1);     // yet to be written
    batch.add({}, std::vector<Token>{4, 4}, 1, 1);  // more than its place: nothing is lost
    CHECK(batch.tokens == std::vector<Token>{5, 6, 7, 8, 1, 1, 9, 1, 1, 4, 4});
    CHECK(batch.offsets == std::vector<Index>{0, 6, 9, 11});
    CHECK(batch.parts == std::vector<Index>{0, 3, 6, 7, 9, 9, 11});
    CHECK(batch.first_parts == std::vector<Index>{0, 2, 4, 6});
    CHECK(batch.kept == std::vector<std::uint8_t>{1, 0, 1, 0, 1, 0});
    CHECK(batch.size() == 3);
    CHECK(batch.longest_part() == 3);
    CHECK(batch.target_begin(1) == 7);
    batch.clear();
    CHECK(batch.size() == 0);
    CHECK(batch.tokens.empty());
}

TEST_CASE("Wrapping: DiffuSeq's source ends twice, and its target counts as the whole sequence") {
    text::Wrapping const wrapping{.specials = {.bos = 0, .pad = 1, .eos = 2, .unk = 3},
                                  .source_bos = true,
                                  .source_separator = true,
                                  .filled = 12};
    text::PackedBatch batch;
    batch.add(std::vector<Token>{5, 6}, std::vector<Token>{7}, 0, wrapping);
    CHECK(batch.source_tokens == std::vector<Token>{0, 5, 6, 2, 2});
    CHECK(batch.target_tokens == std::vector<Token>{0, 7, 2});
    CHECK(wrapping.source_length(2) == 5);
    CHECK(wrapping.wrapped_target(1) == 3);
    CHECK(wrapping.target_length(1) == 12);
}
