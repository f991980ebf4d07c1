#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/text/concept.hpp>
#include <inkling/text/envelope.hpp>
#include <inkling/text/utf8.hpp>
#include <inkling/text/vocabulary.hpp>
#include <inkling/text/word_tokenizer.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// A tokenizer of one's own: words, single digits and single signs, so that a model can write numbers it has never
/// seen.
///
/// '2026-03-03 at 17:30' becomes 2 ~0 ~2 ~6 ~- ~0 ~3 ~- ~0 ~3 at 1 ~7 ~: ~3 ~0: a token that begins with ~ is joined to
/// the one before it. decode(encode(text)) is `text` where blanks are single, all pieces are in the vocabulary and no
/// word begins with ~ itself (that sign becomes unk).
class DigitTokenizer {
public:
    /// @throws inkling::Error when a word has a blank
    explicit DigitTokenizer(inkling::text::Vocabulary vocabulary) : words_(std::move(vocabulary)) {}

    /// Gives a token to every piece of `lines`.
    template <inkling::LineSource Lines>
    [[nodiscard]] static DigitTokenizer train(Lines& lines) {
        inkling::text::WordCounts counts;
        std::string line;
        while (lines.next(line))
            for (std::string const& piece : pieces(line)) counts.add(piece);
        return DigitTokenizer(inkling::text::Vocabulary::from_counts(counts));
    }

    /// Cuts blank-separated words into runs of letters, single digits and single signs; all but a word's first get a
    /// '~'.
    [[nodiscard]] static std::vector<std::string> pieces(std::string_view line) {
        std::vector<std::string> all;
        inkling::text::for_each_word(line, [&](std::string_view word) {
            for (std::size_t begin = 0; begin < word.size();) {
                std::size_t end = begin;
                while (end < word.size() && is_letter(word[end])) ++end;
                if (end == begin) end += std::min(inkling::text::utf8_length(word[begin]), word.size() - begin);
                std::string piece(word.substr(begin, end - begin));
                if (begin > 0) piece.insert(piece.begin(), '~');
                all.push_back(std::move(piece));
                begin = end;
            }
        });
        return all;
    }

    [[nodiscard]] std::vector<inkling::Token> encode(std::string_view line) const {
        std::vector<inkling::Token> tokens;
        for (std::string const& piece : pieces(line))
            tokens.push_back(piece == "~" ? specials().unk : words_.vocabulary().token(piece));
        return tokens;
    }

    [[nodiscard]] std::string decode(std::span<inkling::Token const> tokens) const {
        std::string const spaced = words_.decode(tokens);
        std::string line;
        inkling::text::for_each_word(spaced, [&](std::string_view piece) {
            bool const joined = piece.starts_with('~');
            if (!joined && !line.empty()) line.push_back(' ');
            line.append(piece.substr(joined));
        });
        return line;
    }

    [[nodiscard]] inkling::Index vocabulary_size() const { return words_.vocabulary_size(); }
    [[nodiscard]] inkling::text::SpecialTokens specials() const { return words_.specials(); }
    [[nodiscard]] static std::string_view kind() { return "digit"; }
    [[nodiscard]] std::string serialise() const { return inkling::text::seal(kind(), words_.vocabulary().serialise()); }
    [[nodiscard]] static DigitTokenizer deserialise(std::string_view bytes) {
        return DigitTokenizer(inkling::text::Vocabulary::deserialise(inkling::text::unseal(kind(), bytes)));
    }

private:
    static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '\''; }

    inkling::text::WordTokenizer words_;
};
static_assert(inkling::Tokenizer<DigitTokenizer>);
