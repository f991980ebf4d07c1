#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/text/concept.hpp>
#include <inkling/text/envelope.hpp>
#include <inkling/text/utf8.hpp>

#include <utf8proc.h>

#include <array>
#include <cctype>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace inkling::text {

/// Settings of WordPieceTokenizer; the defaults are those of BERT's 'uncased' vocabularies.
struct WordPieceOptions {
    bool lower_case = true;  ///< letters are made small and lose their accents
    bool clean_up = true;    ///< decode puts punctuation and English endings ('s, n't) behind the word before, unparted
    Index longest_word = 100;  ///< characters; a longer word is unk; 1 to 2^20
    std::string bos = "[CLS]";
    std::string pad = "[PAD]";
    std::string eos = "[SEP]";
    std::string unk = "[UNK]";
};

/// BERT's subwords, by a vocabulary that is there: what DiffuSeq's published models read. Needs inkling::utf8proc.
///
/// Control characters go, white space parts words, punctuation and Chinese characters stand alone; then each word is
/// cut from the left into the longest pieces that the vocabulary has, '##' before all but the first, and is unk where
/// that fails. Names of special tokens in the text are text. Copies share the vocabulary.
/// Source: Devlin et al. 2018, "BERT", arXiv:1810.04805, in the form of the Hugging Face tokenizers; Wu et al. 2016,
/// arXiv:1609.08144 (WordPiece).
class WordPieceTokenizer {
public:
    /// Takes the lines of a 'vocab.txt', a piece a line, the first of them token 0.
    /// @throws Error, naming the line, when one is empty, not UTF-8 or there twice; when a special token is lacking or
    ///         an option out of its range; and what `lines` throws
    template <LineSource Lines>
    [[nodiscard]] static WordPieceTokenizer from_vocabulary(Lines& lines, WordPieceOptions options = {}) {
        require(options.longest_word >= 1 && options.longest_word <= Index{1} << 20, where, "longest_word is ",
                options.longest_word, ", expected 1 to ", Index{1} << 20);
        auto pieces = std::make_shared<Pieces>();
        for (std::string line; lines.next(line);) {
            Index const number = static_cast<Index>(pieces->spellings.size()) + 1;
            require(number <= most_tokens, where, "the vocabulary has over ", most_tokens, " lines");
            require(!line.empty(), where, "line ", number, " of the vocabulary is empty, expected a piece");
            require(is_valid_utf8(line), where, "line ", number, " of the vocabulary is not valid UTF-8");
            require(pieces->tokens.emplace(line, static_cast<Token>(number - 1)).second, where, "line ", number,
                    " of the vocabulary, '", line, "', was there before");
            pieces->spellings.push_back(std::move(line));
        }
        pieces->options = std::move(options);
        auto const special = [&](std::string const& name) {
            auto const found = pieces->tokens.find(name);
            require(found != pieces->tokens.end(), where, "the vocabulary of ", pieces->spellings.size(),
                    " pieces lacks the special token '", name, "'");
            return found->second;
        };
        SpecialTokens const specials{.bos = special(pieces->options.bos),
                                     .pad = special(pieces->options.pad),
                                     .eos = special(pieces->options.eos),
                                     .unk = special(pieces->options.unk)};
        return WordPieceTokenizer(std::move(pieces), specials);
    }

    /// Tokens of the pieces of `line`, unk for words that cannot be made of them; nothing else is added.
    /// @throws Error when the line is not UTF-8
    [[nodiscard]] std::vector<Token> encode(std::string_view line) const {
        std::size_t const valid = valid_utf8_prefix(line);
        require(valid == line.size(), where, "byte ", valid + 1, " of the line is not valid UTF-8");
        std::vector<Token> tokens;
        std::string word;
        auto const end_word = [&] {
            if (!word.empty()) add_pieces(word, tokens);
            word.clear();
        };
        for_each_character(normalised(line), [&](utf8proc_int32_t character, std::string_view bytes) {
            bool const alone = is_punctuation(character);
            if (alone || character == ' ') end_word();
            if (character != ' ') word += bytes;
            if (alone) end_word();
        });
        end_word();
        return tokens;
    }

    /// The pieces put together again; bos, pad and eos are left out. What encode took away does not come back.
    /// @throws Error when a token is outside [0, V)
    [[nodiscard]] std::string decode(std::span<Token const> tokens) const {
        std::string line;
        for (Token const token : tokens) {
            std::string_view const piece = spelling(token);
            if (token == specials_.bos || token == specials_.pad || token == specials_.eos) continue;
            if (line.empty())
                line = piece;
            else if (piece.starts_with(inner))
                line += piece.substr(inner.size());
            else
                line.append(" ").append(piece);
        }
        if (pieces_->options.clean_up) clean_up(line);
        return line;
    }

    /// How a token is spelt, '##' before what goes on a word.
    /// @throws Error when the token is outside [0, V)
    [[nodiscard]] std::string_view spelling(Token token) const {
        require(token >= 0 && token < vocabulary_size(), where, "token ", token, ", expected a number in [0, ",
                vocabulary_size(), ")");
        return pieces_->spellings[static_cast<std::size_t>(token)];
    }

    [[nodiscard]] Index vocabulary_size() const { return static_cast<Index>(pieces_->spellings.size()); }
    [[nodiscard]] SpecialTokens specials() const { return specials_; }
    [[nodiscard]] static std::string_view kind() { return "wordpiece"; }

    /// Bytes that deserialise takes back, of the same tokenizer always the same.
    [[nodiscard]] std::string serialise() const {
        WordPieceOptions const& options = pieces_->options;
        std::string payload =
            message(options.lower_case ? 1 : 0, '\n', options.clean_up ? 1 : 0, '\n', options.longest_word, '\n',
                    specials_.bos, '\n', specials_.pad, '\n', specials_.eos, '\n', specials_.unk, '\n');
        for (std::string const& piece : pieces_->spellings) payload.append(piece).push_back('\n');
        return seal(kind(), payload);
    }

    /// @throws Error when the bytes are not those of a WordPieceTokenizer, or damaged
    [[nodiscard]] static WordPieceTokenizer deserialise(std::string_view bytes) {
        std::string_view rest = unseal(kind(), bytes);
        auto const number = [&](Index most) {
            Index value = 0;
            require(detail::parse_integer(detail::cut_before(rest, '\n'), value) && value >= 0 && value <= most, where,
                    "the settings in these bytes are broken");
            return value;
        };
        WordPieceOptions options{
            .lower_case = number(1) == 1, .clean_up = number(1) == 1, .longest_word = number(Index{1} << 20)};
        std::array<Index, 4> specials{};
        for (Index& special : specials) special = number(most_tokens);
        std::vector<std::string> lines;
        while (!rest.empty()) lines.emplace_back(detail::cut_before(rest, '\n'));
        for (std::size_t i = 0; i < specials.size(); ++i) {
            require(specials[i] < static_cast<Index>(lines.size()), where, "special token ", specials[i],
                    " is not one of the ", lines.size(), " pieces in these bytes");
            std::array{&options.bos, &options.pad, &options.eos, &options.unk}[i]->assign(
                lines[static_cast<std::size_t>(specials[i])]);
        }
        struct {
            std::vector<std::string> lines;
            std::size_t next_line = 0;
            bool next(std::string& line) {
                if (next_line == lines.size()) return false;
                line = std::move(lines[next_line++]);
                return true;
            }
        } source{std::move(lines)};
        return from_vocabulary(source, std::move(options));
    }

private:
    static constexpr std::string_view where = "inkling::text::WordPieceTokenizer: ";
    static constexpr std::string_view inner = "##";
    static constexpr Index most_tokens = 10'000'000;

    struct Hash : std::hash<std::string_view> {
        using is_transparent = void;
    };
    struct Pieces {
        std::vector<std::string> spellings;
        std::unordered_map<std::string, Token, Hash, std::equal_to<>> tokens;
        WordPieceOptions options;
    };

    WordPieceTokenizer(std::shared_ptr<Pieces const> pieces, SpecialTokens const& specials)
        : pieces_(std::move(pieces)), specials_(specials) {}

    template <class Use>
    static void for_each_character(std::string_view text, Use const& use) {
        while (!text.empty()) {
            utf8proc_int32_t character = 0;
            auto const bytes = static_cast<std::size_t>(
                utf8proc_iterate(reinterpret_cast<utf8proc_uint8_t const*>(text.data()),
                                 static_cast<utf8proc_ssize_t>(utf8_length(text.front())), &character));
            use(character, text.substr(0, bytes));
            text.remove_prefix(bytes);
        }
    }
    static void append(std::string& text, utf8proc_int32_t character) {
        std::array<utf8proc_uint8_t, 4> bytes{};
        auto const length = utf8proc_encode_char(character, bytes.data());
        text.append(reinterpret_cast<char const*>(bytes.data()), static_cast<std::size_t>(length));
    }

    static bool is_punctuation(utf8proc_int32_t character) {
        if (character < 0x80) return character > ' ' && character < 0x7F && std::isalnum(character) == 0;
        auto const category = utf8proc_category(character);
        return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
    }
    static bool is_chinese(utf8proc_int32_t character) {
        struct Range {
            utf8proc_int32_t first, last;
        };
        static constexpr std::array ranges{Range{0x4E00, 0x9FFF},   Range{0x3400, 0x4DBF},   Range{0x20000, 0x2A6DF},
                                           Range{0x2A700, 0x2B73F}, Range{0x2B740, 0x2B81F}, Range{0x2B920, 0x2CEAF},
                                           Range{0xF900, 0xFAFF},   Range{0x2F800, 0x2FA1F}};
        for (Range const& range : ranges)
            if (character >= range.first && character <= range.last) return true;
        return false;
    }

    /// Without control characters, with blanks for all white space and around Chinese characters, letters small.
    [[nodiscard]] std::string normalised(std::string_view line) const {
        std::string text;
        for_each_character(line, [&](utf8proc_int32_t character, std::string_view bytes) {
            auto const category = utf8proc_category(character);
            bool const line_end = character == '\t' || character == '\n' || character == '\r';
            bool const blank = line_end || (category >= UTF8PROC_CATEGORY_ZS && category <= UTF8PROC_CATEGORY_ZP);
            bool const other = category >= UTF8PROC_CATEGORY_CC;
            if (blank)
                text += ' ';
            else if (is_chinese(character))
                text.append(" ").append(bytes).append(" ");
            else if (!other && character != 0xFFFD)
                text += bytes;
        });
        if (!pieces_->options.lower_case) return text;
        utf8proc_uint8_t* decomposed = nullptr;
        auto const length = utf8proc_map(reinterpret_cast<utf8proc_uint8_t const*>(text.data()),
                                         static_cast<utf8proc_ssize_t>(text.size()), &decomposed,
                                         static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE));
        std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> const owner(decomposed, &std::free);
        require(length >= 0, where, "decomposing a line failed: ", utf8proc_errmsg(length));
        std::string small;
        for_each_character({reinterpret_cast<char const*>(decomposed), static_cast<std::size_t>(length)},
                           [&](utf8proc_int32_t character, std::string_view) {
                               if (utf8proc_category(character) != UTF8PROC_CATEGORY_MN)
                                   append(small, utf8proc_tolower(character));
                           });
        return small;
    }

    void add_pieces(std::string_view word, std::vector<Token>& tokens) const {
        std::vector<std::size_t> ends;  // of the characters
        for (std::size_t end = 0; end < word.size();) ends.push_back(end += utf8_length(word[end]));
        std::size_t const before = tokens.size();
        bool whole = static_cast<Index>(ends.size()) <= pieces_->options.longest_word;
        std::string piece;
        for (std::size_t begin = 0; whole && begin < word.size();) {
            whole = false;
            for (std::size_t i = ends.size(); !whole && i-- > 0 && ends[i] > begin;) {
                piece.assign(begin == 0 ? std::string_view{} : inner).append(word.substr(begin, ends[i] - begin));
                if (auto const found = pieces_->tokens.find(piece); found != pieces_->tokens.end()) {
                    tokens.push_back(found->second);
                    begin = ends[i];
                    whole = true;
                }
            }
        }
        if (whole) return;
        tokens.resize(before);
        tokens.push_back(specials_.unk);
    }

    static void clean_up(std::string& line) {
        static constexpr std::array<std::string_view, 10> parted{" .",   " ?",  " !",  " ,",   " ' ",
                                                                 " n't", " 'm", " 's", " 've", " 're"};
        for (std::string_view const apart : parted) {
            std::string_view const together = apart == " ' " ? "'" : apart.substr(1);
            for (std::size_t at = line.find(apart); at != std::string::npos;
                 at = line.find(apart, at + together.size()))
                line.replace(at, apart.size(), together);
        }
    }

    std::shared_ptr<Pieces const> pieces_;
    SpecialTokens specials_;
};
static_assert(Tokenizer<WordPieceTokenizer>);

}  // namespace inkling::text
