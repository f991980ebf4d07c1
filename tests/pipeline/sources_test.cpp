#include <inkling/pipeline/sources.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

using namespace inkling;

TEST_CASE("lines in even groups: each is in one, shorter ones first, and none has a whole line beyond the mean") {
    CHECK(rc::check([] {
        auto const lengths = *rc::gen::container<std::vector<Index>>(rc::gen::inRange<Index>(1, 60));
        auto const copies = *rc::gen::inRange<Index>(1, 6), count = *rc::gen::inRange<Index>(1, 30);
        auto const groups = pipeline::evenly_grouped(lengths, copies, count);
        RC_ASSERT(static_cast<Index>(groups.size()) <= count);
        Index const all = copies * std::accumulate(lengths.begin(), lengths.end(), Index{0});
        Index const longest = lengths.empty() ? 0 : copies * *std::max_element(lengths.begin(), lengths.end());
        std::vector<Index> order;
        for (auto const& group : groups) {
            RC_ASSERT(!group.empty());
            Index rows = 0;
            for (Index const i : group) rows += lengths[static_cast<std::size_t>(i)] * copies;
            RC_ASSERT((rows - longest) * count <= all);
            order.insert(order.end(), group.begin(), group.end());
        }
        RC_ASSERT(std::is_sorted(order.begin(), order.end(), [&](Index a, Index b) {
            return lengths[static_cast<std::size_t>(a)] < lengths[static_cast<std::size_t>(b)];
        }));
        std::sort(order.begin(), order.end());
        RC_ASSERT(order.size() == lengths.size());
        for (std::size_t i = 0; i < order.size(); ++i) RC_ASSERT(order[i] == static_cast<Index>(i));
    }));
}
