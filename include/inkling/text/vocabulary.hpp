#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/text/concept.hpp>
#include <inkling/text/envelope.hpp>
#include <inkling/text/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace inkling::text {

namespace detail {

// Lets maps with std::string keys be asked with a std::string_view.
struct StringHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

template <class Value>
using StringMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

}  // namespace detail

/// How the special tokens are spelt wherever tokens are shown.
struct SpecialSpellings {
    static constexpr std::string_view bos = "<s>";
    static constexpr std::string_view pad = "<pad>";
    static constexpr std::string_view eos = "</s>";
    static constexpr std::string_view unk = "<unk>";

    /// Whether `word` is spelt like a special token.
    [[nodiscard]] static constexpr bool contains(std::string_view word) {
        return word == bos || word == pad || word == eos || word == unk;
    }
};

/// How often each word was seen.
class WordCounts {
public:
    /// Counts `word` `times` times more.
    void add(std::string_view word, std::int64_t times = 1) {
        auto const found = counts_.find(word);
        if (found != counts_.end()) {
            found->second += times;
        } else {
            counts_.emplace(std::string(word), times);
        }
    }

    /// How often `word` was seen.
    [[nodiscard]] std::int64_t count(std::string_view word) const {
        auto const found = counts_.find(word);
        return found == counts_.end() ? 0 : found->second;
    }

    /// Number of different words.
    [[nodiscard]] Index size() const { return static_cast<Index>(counts_.size()); }

    /// All words with their counts, most frequent first, equally frequent ones by their bytes: the same order
    /// everywhere.
    [[nodiscard]] std::vector<std::pair<std::string, std::int64_t>> sorted() const {
        std::vector<std::pair<std::string, std::int64_t>> words(counts_.begin(), counts_.end());
        std::sort(words.begin(), words.end(), [](auto const& a, auto const& b) {
            return a.second != b.second ? a.second > b.second
                                        : a.first < b.first;  // std::string compares as unsigned bytes
        });
        return words;
    }

private:
    detail::StringMap<std::int64_t> counts_;
};

/// Which of the words seen get a token.
struct VocabularyOptions {
    std::int64_t minimum_count = 1;  ///< rarer words become unk; at least 1
    /// largest number of tokens, the four special ones counted; 0 is no limit, else at least 5
    Index maximum_size = 0;
    SpecialTokens specials{};
};

/// Words and their tokens, both ways. Tokens 0 to 3 are the special ones, words follow from 4 on.
class Vocabulary {
public:
    /// Number of special tokens.
    static constexpr Index special_count = 4;

    /// Gives words[i] the token 4 + i.
    /// @throws Error when a word is empty, twice there, not UTF-8, has a line break, is spelt like a special
    ///         token, or when `specials` are not the numbers 0 to 3 in some order
    explicit Vocabulary(std::vector<std::string> words = {}, SpecialTokens const& specials = {})
        : specials_(specials), words_(std::move(words)) {
        require_special_tokens(specials, where);
        require(words_.size() <= static_cast<std::size_t>(std::numeric_limits<Token>::max() - special_count), where,
                words_.size(), " words are more than tokens can number");
        tokens_.reserve(words_.size());
        for (std::size_t i = 0; i < words_.size(); ++i) {
            std::string const& word = words_[i];
            require(!word.empty(), where, "word ", i, " is empty");
            require(is_valid_utf8(word), where, "word ", i, " is not valid UTF-8");
            require(word.find_first_of(std::string_view("\n\r\0", 3)) == std::string::npos, where, "word ", i,
                    " has a line break or a zero byte");
            require(!SpecialSpellings::contains(word), where, "word ", i, " is '", word,
                    "', spelt like a special token");
            bool const is_new = tokens_.emplace(word, static_cast<Token>(i) + static_cast<Token>(special_count)).second;
            require(is_new, where, "word ", i, " '", word, "' is there twice");
        }
    }

    /// Builds from counts: the most frequent words first, ties by bytes. Words spelt like a special token are left out,
    /// so that no text can smuggle one in.
    /// @throws Error when an option is out of range, and as the constructor does
    [[nodiscard]] static Vocabulary from_counts(WordCounts const& counts, VocabularyOptions const& options = {}) {
        require(options.minimum_count >= 1, where, "minimum_count is ", options.minimum_count, ", expected at least 1");
        require(options.maximum_size == 0 || options.maximum_size > special_count, where, "maximum_size is ",
                options.maximum_size, ", expected 0 (no limit) or more than the ", special_count, " special tokens");
        std::vector<std::string> words;
        for (auto& [word, count] : counts.sorted()) {
            if (count < options.minimum_count) break;
            if (options.maximum_size != 0 && static_cast<Index>(words.size()) + special_count == options.maximum_size)
                break;
            if (!SpecialSpellings::contains(word)) words.push_back(word);
        }
        return Vocabulary(std::move(words), options.specials);
    }

    /// Number of tokens, V, the special ones counted.
    [[nodiscard]] Index size() const { return static_cast<Index>(words_.size()) + special_count; }

    [[nodiscard]] SpecialTokens const& specials() const { return specials_; }

    /// Whether `word` has a token of its own; special spellings have none.
    [[nodiscard]] bool contains(std::string_view word) const { return tokens_.find(word) != tokens_.end(); }

    /// The word's token, or unk.
    [[nodiscard]] Token token(std::string_view word) const {
        auto const found = tokens_.find(word);
        return found == tokens_.end() ? specials_.unk : found->second;
    }

    /// How a token is spelt: the word, or `<s>`, `<pad>`, `</s>`, `<unk>`.
    /// @throws Error when the token is outside [0, V)
    [[nodiscard]] std::string_view spelling(Token token) const {
        require(token >= 0 && token < size(), where, "token ", token, ", expected a number in [0, ", size(), ")");
        if (token >= special_count) return words_[static_cast<std::size_t>(token - special_count)];
        return token == specials_.bos ? SpecialSpellings::bos
            : token == specials_.pad  ? SpecialSpellings::pad
            : token == specials_.eos  ? SpecialSpellings::eos
                                      : SpecialSpellings::unk;
    }

    /// Text of a head line, a line `specials <bos> <pad> <eos> <unk>`, a line `words <n>` and the n words, a line each.
    [[nodiscard]] std::string serialise() const {
        std::string bytes = message(head, "\nspecials ", specials_.bos, ' ', specials_.pad, ' ', specials_.eos, ' ',
                                    specials_.unk, "\nwords ", words_.size(), '\n');
        for (std::string const& word : words_) bytes.append(word).push_back('\n');
        return bytes;
    }

    /// Takes back what serialise() gave. Memory used is in proportion to `bytes`, whatever they say.
    /// @throws Error when the bytes are cut short, have more after the last word, or the constructor refuses what
    ///         they hold
    [[nodiscard]] static Vocabulary deserialise(std::string_view bytes) {
        require(bytes.starts_with(head) && bytes.substr(head.size()).starts_with('\n'), where,
                "the bytes do not begin with the line '", head, "'");
        bytes.remove_prefix(head.size() + 1);

        std::string_view line = detail::cut_before(bytes, '\n');
        SpecialTokens specials;
        bool readable = detail::cut_before(line, ' ') == "specials";
        for (Token* token : {&specials.bos, &specials.pad, &specials.eos, &specials.unk})
            readable = readable && detail::parse_integer(detail::cut_before(line, ' '), *token);
        require(readable && line.empty(), where,
                "the second line is broken, expected 'specials <bos> <pad> <eos> <unk>'");

        line = detail::cut_before(bytes, '\n');
        std::size_t count = 0;
        readable = detail::cut_before(line, ' ') == "words" && detail::parse_integer(line, count);
        require(readable, where, "the third line is broken, expected 'words <n>'");

        auto const lines = static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), '\n'));
        require(lines == count && (bytes.empty() || bytes.back() == '\n'), where, lines, " lines of words, expected ",
                count, ", each with its line end");
        std::vector<std::string> words;
        words.reserve(count);
        while (!bytes.empty()) words.emplace_back(detail::cut_before(bytes, '\n'));
        return Vocabulary(std::move(words), specials);
    }

    friend bool operator==(Vocabulary const& a, Vocabulary const& b) {
        return a.specials_ == b.specials_ && a.words_ == b.words_;
    }

private:
    static constexpr std::string_view where = "inkling::text::Vocabulary: ";
    static constexpr std::string_view head = "inkling vocabulary 1";

    SpecialTokens specials_;
    std::vector<std::string> words_;   // [V - 4]
    detail::StringMap<Token> tokens_;  // of words_, not of the special spellings
};

}  // namespace inkling::text
