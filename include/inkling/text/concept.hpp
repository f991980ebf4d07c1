#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inkling::text {

/// The tokens that are not text. The defaults are fairseq's order, which the published checkpoints keep.
struct SpecialTokens {
    Token bos = 0;  ///< begins a sentence
    Token pad = 1;  ///< fills a rectangle; never in a packed batch
    Token eos = 2;  ///< ends a sentence
    Token unk = 3;  ///< stands for what the vocabulary lacks

    friend bool operator==(SpecialTokens const&, SpecialTokens const&) = default;
};

/// Throws Error unless the special tokens are 0, 1, 2 and 3 in some order; `where` opens the message.
inline void require_special_tokens(SpecialTokens const& specials, std::string_view where) {
    std::array<Token, 4> ids{specials.bos, specials.pad, specials.eos, specials.unk};
    std::sort(ids.begin(), ids.end());
    require(ids == std::array<Token, 4>{0, 1, 2, 3}, where, "special tokens bos ", specials.bos, ", pad ", specials.pad,
            ", eos ", specials.eos, ", unk ", specials.unk, ", expected 0, 1, 2, 3 in some order");
}

}  // namespace inkling::text

namespace inkling {

namespace text {

// clang-format off
/// A tokenizer whose sources may have a vocabulary of their own, with the special tokens of the other: what it says
/// of sources apart.
template <class T>
concept HasSourceVocabulary =
    requires(T const& t, std::string_view line) { { t.encode_source(line) } -> std::same_as<std::vector<Token>>; }  // has 'std::vector<Token> encode_source(std::string_view) const'
    && requires(T const& t, std::span<Token const> tokens) { { t.decode_source(tokens) } -> std::same_as<std::string>; }  // has 'std::string decode_source(std::span<Token const>) const'
    && requires(T const& t) { { t.source_vocabulary_size() } -> std::convertible_to<std::optional<Index>>; };  // has 'source_vocabulary_size() const', empty where there is none

/// One that says nothing of sources apart.
template <class T>
concept SharesVocabulary =
    !requires(T& t, std::string_view line) { t.encode_source(line); }
    && !requires(T& t, std::span<Token const> tokens) { t.decode_source(tokens); }
    && !requires(T& t) { t.source_vocabulary_size(); };
// clang-format on

/// The size of the vocabulary that sources have for themselves; nothing where both sides share one.
template <class T>
[[nodiscard]] std::optional<Index> source_vocabulary_size(T const& tokenizer) {
    if constexpr (HasSourceVocabulary<T>)
        return tokenizer.source_vocabulary_size();
    else
        return std::nullopt;
}

/// The tokens of a source; of that vocabulary, where there is one.
template <class T>
[[nodiscard]] std::vector<Token> encode_source(T const& tokenizer, std::string_view line) {
    if constexpr (HasSourceVocabulary<T>)
        return tokenizer.encode_source(line);
    else
        return tokenizer.encode(line);
}

/// The text of a source's tokens.
template <class T>
[[nodiscard]] std::string decode_source(T const& tokenizer, std::span<Token const> tokens) {
    if constexpr (HasSourceVocabulary<T>)
        return tokenizer.decode_source(tokens);
    else
        return tokenizer.decode(tokens);
}

}  // namespace text

// clang-format off
/// Turns a line of text into tokens and back.
/// Models: text::WordTokenizer, text::SentencePieceTokenizer, text::WordPieceTokenizer, text::AnyTokenizer,
/// text::TokenizerPair.
///
/// `encode` adds no special token but unk; `decode` leaves out bos, pad and eos, so it takes tokens as they come out of
/// a model. `serialise` gives bytes that say their own kind and `deserialise` takes them back, or throws Error. One
/// whose sources have a vocabulary of their own models text::HasSourceVocabulary too.
template <class T>
concept Tokenizer = std::copyable<T>
    && requires(T const& t, std::string_view line) { t.encode(line); }  // has 'encode(std::string_view) const'
    && requires(T const& t, std::string_view line) { { t.encode(line) } -> std::same_as<std::vector<Token>>; }  // and it returns std::vector<Token>
    && requires(T const& t, std::span<Token const> tokens) { t.decode(tokens); }  // has 'decode(std::span<Token const>) const'
    && requires(T const& t, std::span<Token const> tokens) { { t.decode(tokens) } -> std::same_as<std::string>; }  // and it returns std::string
    && requires(T const& t) { { t.vocabulary_size() } -> std::same_as<Index>; }    // has 'Index vocabulary_size() const'
    && requires(T const& t) { { t.specials() } -> std::same_as<text::SpecialTokens>; }   // has 'text::SpecialTokens specials() const'
    && requires(T const& t) { { t.kind() } -> std::same_as<std::string_view>; }    // has 'std::string_view kind()', static or const
    && requires(T const& t) { { t.serialise() } -> std::same_as<std::string>; }    // has 'std::string serialise() const'
    && (text::SharesVocabulary<T> || text::HasSourceVocabulary<T>)
    && requires(std::string_view bytes) { { T::deserialise(bytes) } -> std::same_as<T>; };  // has 'static T deserialise(std::string_view)'

/// Hands out lines of text one by one, without their line ends. Models: io::LineReader, text::MemoryLines.
///
/// `next(line)` overwrites `line` and returns true, or returns false when there are no more lines.
template <class L>
concept LineSource = requires(L& lines, std::string& line) { lines.next(line); }              // has 'next(std::string&)'
    && requires(L& lines, std::string& line) { { lines.next(line) } -> std::same_as<bool>; };  // and it returns bool
// clang-format on

}  // namespace inkling
