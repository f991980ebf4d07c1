#include "support/skip_gram.hpp"

#include <inkling/text/memory_lines.hpp>
#include <inkling/text/reading.hpp>
#include <inkling/text/word_tokenizer.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace {

using namespace inkling;

std::vector<std::string> sentences() {
    std::vector<std::string> lines;
    for (char const* colour : {"red", "green", "black", "white"})
        for (char const* thing : {"boat", "house", "lamp", "stone"})
            lines.push_back(message("there stands a ", colour, " ", thing, " behind it"));
    return lines;
}

text::WordTokenizer tokenizer() {
    auto const lines = sentences();
    text::MemoryLines words{lines};
    return text::WordTokenizer::train(words);
}

text::ParallelCorpus corpus() {
    auto const all = sentences();
    text::MemoryLines lines{all};
    return text::read_monolingual(lines, tokenizer(), text::MonolingualSource::none).corpus;
}

double cosine(embedding::VectorTable const& table, Token a, Token b) {
    double product = 0.0, squares_a = 0.0, squares_b = 0.0;
    for (Index i = 0; i < table.width; ++i) {
        auto const of = [&](Token token) {
            return static_cast<double>(table.values[static_cast<std::size_t>(token * table.width + i)]);
        };
        product += of(a) * of(b);
        squares_a += of(a) * of(a);
        squares_b += of(b) * of(b);
    }
    return product / std::sqrt(squares_a * squares_b);
}

}  // namespace

TEST_CASE("SkipGram: words that are used alike come to lie alike") {
    auto const words = tokenizer();
    auto const table =
        support::SkipGram(words.vocabulary_size(), words.specials(), {.width = 12, .epochs = 100}).train(corpus());
    CHECK(table.rows() == words.vocabulary_size());
    auto const token = [&](char const* word) { return words.encode(word).front(); };
    for (char const* colour : {"green", "black", "white"})
        for (char const* other : {"boat", "there", "it"})
            CHECK(cosine(table, token("red"), token(colour)) > cosine(table, token("red"), token(other)));
}

TEST_CASE("SkipGram: the same seed learns the same vectors, and who watches may end it") {
    auto const words = tokenizer();
    auto const learned = [&](support::SkipGramOptions const& options) {
        return support::SkipGram(words.vocabulary_size(), words.specials(), options).train(corpus()).values;
    };
    auto const first = learned({.width = 6});
    CHECK(learned({.width = 6}) == first);
    CHECK(learned({.width = 6, .seed = 2}) != first);
    Index told = 0;
    (void)learned({.width = 6, .on_progress = [&](Index done, Index total) {
                       CHECK(total == 80);  // 16 lines, 5 times
                       told = done;
                       return done < 7;
                   }});
    CHECK(told == 7);
}
