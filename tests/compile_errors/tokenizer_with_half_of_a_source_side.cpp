// expect: tokenizer_with_half_of_a_source_side.cpp:18:
// expect: Tokenizer
// expect-gcc: SharesVocabulary<T> || text::HasSourceVocabulary<T>
// expect-clang: no member named 'encode_source' in 'Half'
#include <inkling/text/word_tokenizer.hpp>

#include <string_view>

/// Says how large the vocabulary of sources is, and not how they are cut.
struct Half : inkling::text::WordTokenizer {
    using WordTokenizer::WordTokenizer;
    static Half deserialise(std::string_view);
    inkling::Index source_vocabulary_size() const { return 7; }
};

template <inkling::Tokenizer T>
struct Asked {};
using Broken = Asked<Half>;
