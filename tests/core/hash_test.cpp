#include <inkling/core/hash.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

std::uint64_t hash_of(std::vector<std::uint64_t> const& words) {
    inkling::Hash hash(1);
    for (std::uint64_t const word : words) hash.add(word);
    return hash.value();
}

}  // namespace

TEST_CASE("a hash sees any change of any one word, and a change of order") {
    CHECK(rc::check([](std::vector<std::uint64_t> words, std::uint64_t last, std::uint64_t difference) {
        words.push_back(last);
        std::uint64_t const before = hash_of(words);
        RC_ASSERT(hash_of(words) == before);
        RC_PRE(difference != 0);
        words[*rc::gen::inRange<std::size_t>(0, words.size())] ^= difference;
        RC_ASSERT(hash_of(words) != before);
    }));
    CHECK(hash_of({1, 2}) != hash_of({2, 1}));
    CHECK(hash_of({}) != hash_of({0}));
}
