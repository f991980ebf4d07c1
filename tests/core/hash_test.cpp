#include <inkling/core/hash.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cstddef>
#include <cstdint>
#include <string>
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

TEST_CASE("a hash of texts sees where one ends and the next begins") {
    auto const of_two = [](std::string const& first, std::string const& second) {
        inkling::Hash hash(1);
        hash.add(first);
        hash.add(second);
        return hash.value();
    };
    CHECK(rc::check([&](std::string const& first, std::string const& second) {
        RC_PRE(!second.empty());
        RC_ASSERT(of_two(first, second) == of_two(first, second));
        RC_ASSERT(of_two(first + second.front(), second.substr(1)) != of_two(first, second));
    }));
    CHECK(of_two("\xC3\xA4", "") == hash_of({2, ~std::uint64_t{0x3C}, ~std::uint64_t{0x5B}, 0}));
}
