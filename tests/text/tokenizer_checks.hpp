#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/text/envelope.hpp>
#include <inkling/text/memory_lines.hpp>
#include <inkling/text/word_tokenizer.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// What the tests of all tokenizers share.
namespace inkling::text {

using Lines = std::vector<std::string>;

/// A few hundred made-up lines with repeated words, so that pieces longer than a letter are found.
inline Lines made_up_text() {
    Lines const who{"the writer", "a young printer", "my neighbour", "the café owner", "nobody", "der Drucker", "Zoë"};
    Lines const does{"spills", "mixes", "dries", "buys", "never reads", "mischt", "paints over"};
    Lines const what{"the blue ink", "an old letter", "seven pages", "die Tinte", "a map of the coast", "crème paper"};
    Lines lines;
    for (auto const& a : who)
        for (auto const& b : does)
            for (auto const& c : what) lines.push_back(a + " " + b + " " + c + " .");
    return lines;
}

inline WordTokenizer words() {
    Lines const text = made_up_text();
    MemoryLines lines{text};
    return WordTokenizer::train(lines);
}

inline std::string message_of(auto const& call) {
    try {
        call();
    } catch (Error const& error) { return error.what(); }
    return "no error";
}

template <class Kind>
void check_bytes_give_it_back(Kind const& tokenizer) {
    std::string const bytes = tokenizer.serialise();
    Kind const read = Kind::deserialise(bytes);
    CHECK(read.serialise() == bytes);
    CHECK(read.vocabulary_size() == tokenizer.vocabulary_size());
    CHECK(read.kind() == tokenizer.kind());
    for (std::string const& line : made_up_text()) CHECK(read.encode(line) == tokenizer.encode(line));
    CHECK(rc::check([&] {
        auto const position = static_cast<std::size_t>(*rc::gen::inRange<Index>(0, static_cast<Index>(bytes.size())));
        std::string changed = bytes;
        changed[position] = static_cast<char>(changed[position] ^ *rc::gen::inRange(1, 256));
        RC_ASSERT_THROWS_AS(static_cast<void>(Kind::deserialise(changed)), Error);
        RC_ASSERT_THROWS_AS(static_cast<void>(Kind::deserialise(std::string_view(bytes).substr(0, position))), Error);
    }));
    CHECK_THROWS_AS(Kind::deserialise(bytes + "x"), Error);
    std::size_t const whole = unseal(tokenizer.kind(), bytes).size();
    CHECK(message_of([&] { static_cast<void>(Kind::deserialise(std::string_view(bytes).substr(0, bytes.size() - 1))); })
          == message("inkling::text: a '", tokenizer.kind(), "' tokenizer of ", whole - 1, " bytes, expected ", whole));
}

}  // namespace inkling::text
