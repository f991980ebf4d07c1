// Vectors of one's own for embedding::Pretrained, where there are none to import: skip-gram over made-up sentences,
// then the bottleneck that makes them narrow and the norm that SED asks for.
//
// ctest: nearest to 'red': (green|black|white)

#include "support/skip_gram.hpp"

#include <inkling/backend/cpu/principal_components.hpp>
#include <inkling/embedding/pretrained.hpp>
#include <inkling/text/text.hpp>

#include <iostream>
#include <numeric>
#include <span>
#include <string>
#include <vector>

using namespace inkling;

int main() {
    std::vector<std::string> sentences;
    for (char const* colour : {"red", "green", "black", "white"})
        for (char const* thing : {"boat", "house", "lamp", "stone"})
            for (char const* place : {"on the hill", "by the sea", "behind the trees"}) {
                sentences.push_back(message("the ", colour, " ", thing, " stands ", place));
                sentences.push_back(message(place, " there is a ", colour, " ", thing));
            }
    text::MemoryLines words{sentences}, lines{sentences};
    auto const tokenizer = text::WordTokenizer::train(words);
    auto const corpus = text::read_monolingual(lines, tokenizer, text::MonolingualSource::none).corpus;

    // [table]
    auto const wide =
        support::SkipGram(tokenizer.vocabulary_size(), tokenizer.specials(), {.width = 32, .epochs = 60}).train(corpus);
    auto const narrow = embedding::normalized({8, backend::principal_components(wide.values, wide.width, 8)});
    embedding::PretrainedOptions const options{.width = 8, .table = narrow};  // of a pipeline's embedding
    // [/table]

    auto const vector = [&](Token token) {
        return std::span(options.table->values).subspan(8 * std::size_t(token), 8);
    };
    for (char const* word : {"red", "house"}) {
        Token const own = tokenizer.encode(word).front();
        Token nearest = own;
        float best = -1e9f;
        for (Token other = 4; other < tokenizer.vocabulary_size(); ++other) {  // behind the special tokens
            auto const a = vector(own), b = vector(other);
            float const likeness = std::inner_product(a.begin(), a.end(), b.begin(), 0.0f);
            if (other != own && likeness > best) best = likeness, nearest = other;
        }
        std::cout << "nearest to '" << word << "': " << tokenizer.decode(std::vector{nearest}) << '\n';
    }
}
