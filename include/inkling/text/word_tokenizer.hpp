#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/text/concept.hpp>
#include <inkling/text/envelope.hpp>
#include <inkling/text/utf8.hpp>
#include <inkling/text/vocabulary.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inkling::text {

/// The bytes that part words: blank, tab and the line ends of ASCII.
inline constexpr std::string_view blanks = " \t\n\r\v\f";

/// Calls use(word) with each blank-separated word of `line`, in order.
template <class Use>
void for_each_word(std::string_view line, Use&& use) {
    for (;;) {
        std::size_t const begin = line.find_first_not_of(blanks);
        if (begin == std::string_view::npos) return;
        line.remove_prefix(begin);
        std::string_view const word = line.substr(0, line.find_first_of(blanks));
        use(word);
        line.remove_prefix(word.size());
    }
}

/// One token a blank-separated word: for text that is tokenised already, and for small closed vocabularies.
///
/// Words the vocabulary lacks become unk. decode joins with single blanks, so runs of blanks do not come back.
class WordTokenizer {
public:
    /// @param joint  what a part of a word ends in that the next part continues, such as "@@" of subword-nmt: decode
    ///               leaves it out, and the blank behind it; empty: words are whole. Text for encode has it already
    /// @throws Error when a word of the vocabulary has a blank in it, as no text could ever match it, or the joint has
    ///         one
    explicit WordTokenizer(Vocabulary vocabulary, std::string joint = {})
        : vocabulary_(std::move(vocabulary)), joint_(std::move(joint)) {
        require(joint_.find_first_of(blanks) == std::string::npos, "inkling::text::WordTokenizer: the joint '", joint_,
                "' has a blank, expected none");
        for (Index token = Vocabulary::special_count; token < vocabulary_.size(); ++token) {
            std::string_view const word = vocabulary_.spelling(static_cast<Token>(token));
            require(word.find_first_of(blanks) == std::string_view::npos, "inkling::text::WordTokenizer: word '", word,
                    "' has a blank, expected none");
        }
    }

    /// Gives a token to each word that `lines` hold, as far as the options allow.
    /// @throws Error when an option is out of range, and as add_words does
    template <LineSource Lines>
    [[nodiscard]] static WordTokenizer train(Lines& lines, VocabularyOptions const& options = {}) {
        WordCounts counts;
        add_words(counts, lines);
        return WordTokenizer(Vocabulary::from_counts(counts, options));
    }

    /// Counts the words of `lines`, for a vocabulary that several files share.
    /// @throws Error, naming the line, when it is not UTF-8 or has a zero byte, and what `lines` throws
    template <LineSource Lines>
    static void add_words(WordCounts& counts, Lines& lines) {
        std::string line;
        for (Index number = 1; lines.next(line); ++number) {
            std::size_t const valid = std::min(valid_utf8_prefix(line), line.find('\0'));
            require(valid >= line.size(), "inkling::text::WordTokenizer: line ", number, ": byte ", valid + 1, " is ",
                    valid < line.size() && line[valid] == '\0' ? "zero" : "not valid UTF-8", ", expected UTF-8 text");
            for_each_word(line, [&](std::string_view word) { counts.add(word); });
        }
    }

    /// Tokens of the words of `line`, unk for unknown ones; nothing else is added.
    /// @throws Error when the line is not UTF-8
    [[nodiscard]] std::vector<Token> encode(std::string_view line) const {
        std::size_t const valid = valid_utf8_prefix(line);
        require(valid == line.size(), "inkling::text::WordTokenizer: byte ", valid + 1,
                " of the line is not valid UTF-8");
        std::vector<Token> tokens;
        for_each_word(line, [&](std::string_view word) { tokens.push_back(vocabulary_.token(word)); });
        return tokens;
    }

    /// The words with single blanks between them; bos, pad and eos are left out, unk is `<unk>`.
    /// @throws Error when a token is outside [0, V)
    [[nodiscard]] std::string decode(std::span<Token const> tokens) const {
        SpecialTokens const& specials = vocabulary_.specials();
        std::string line;
        bool continued = true;  // of a word there is a part, or the line begins
        for (Token const token : tokens) {
            if (token == specials.bos || token == specials.pad || token == specials.eos) continue;
            std::string_view word = vocabulary_.spelling(token);
            if (!continued) line.push_back(' ');
            continued = !joint_.empty() && word.ends_with(joint_);
            if (continued) word.remove_suffix(joint_.size());
            line.append(word);
        }
        return line;
    }

    [[nodiscard]] Vocabulary const& vocabulary() const { return vocabulary_; }
    [[nodiscard]] std::string const& joint() const { return joint_; }
    [[nodiscard]] Index vocabulary_size() const { return vocabulary_.size(); }
    [[nodiscard]] SpecialTokens specials() const { return vocabulary_.specials(); }
    [[nodiscard]] static std::string_view kind() { return "word"; }

    /// Bytes that deserialise takes back, of the same tokenizer always the same.
    [[nodiscard]] std::string serialise() const {
        return seal(kind(), (joint_.empty() ? "" : message(joint_key, joint_, '\n')) + vocabulary_.serialise());
    }

    /// @throws Error when the bytes are not those of a WordTokenizer, or damaged
    [[nodiscard]] static WordTokenizer deserialise(std::string_view bytes) {
        std::string_view own = unseal(kind(), bytes);
        std::string_view joint;
        if (own.starts_with(joint_key)) {
            own.remove_prefix(joint_key.size());
            joint = detail::cut_before(own, '\n');
        }
        return WordTokenizer(Vocabulary::deserialise(own), std::string(joint));
    }

private:
    static constexpr std::string_view joint_key = "joint ";

    Vocabulary vocabulary_;
    std::string joint_;
};
static_assert(Tokenizer<WordTokenizer>);

}  // namespace inkling::text
