#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/text/concept.hpp>
#include <inkling/text/parallel_corpus.hpp>
#include <inkling/text/utf8.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace inkling::text {

/// What to do with a line that cannot be used.
enum class BadLine {
    refuse,  ///< throw an Error that names it
    skip,    ///< leave the pair out and count it
};

/// Settings of read_parallel and read_monolingual.
struct ReadingOptions {
    std::string source_name = "source";  ///< names the source lines in messages: the file's path
    std::string target_name = "target";  ///< names the target lines in messages
    BadLine empty = BadLine::refuse;     ///< lines without a token on either side
    Index max_tokens = 1024;  ///< the longest sentence wanted on either side, bos and eos not counted; at least 1
    BadLine too_long = BadLine::refuse;  ///< lines with more than max_tokens tokens on either side
};

/// What read_parallel and read_monolingual saw. lines = corpus.size() + empty + too_long.
struct ReadingReport {
    Index lines = 0;     ///< pairs read
    Index empty = 0;     ///< pairs skipped, as one side had no token
    Index too_long = 0;  ///< pairs skipped, as one side had more than max_tokens tokens
    Index unknown = 0;   ///< tokens kept that are unk, both sides together
};

/// A corpus and what was left out of it.
struct ReadCorpus {
    ParallelCorpus corpus;
    ReadingReport report;
};

/// What a monolingual corpus is conditioned on.
enum class MonolingualSource {
    same,  ///< the sentence itself, stored once
    none,  ///< nothing: every source is empty
};

namespace detail {

// A line must be UTF-8; the message names the file and the line, counted from 1.
inline void require_text(std::string_view line, std::string_view name, Index number) {
    std::size_t const valid = valid_utf8_prefix(line);
    require(valid == line.size(), "inkling::text: ", name, " line ", number, ": byte ", valid + 1,
            " is not valid UTF-8, expected UTF-8 text");
}

enum class Fate { kept, empty, too_long };

// Decides on one side of a pair; throws where the options say so.
inline Fate judge(std::vector<Token> const& tokens, ReadingOptions const& options, std::string_view name,
                  Index number) {
    if (tokens.empty()) {
        require(options.empty == BadLine::skip, "inkling::text: ", name, " line ", number,
                " is empty, expected text (ReadingOptions.empty = BadLine::skip leaves such lines out)");
        return Fate::empty;
    }
    if (static_cast<Index>(tokens.size()) > options.max_tokens) {
        require(options.too_long == BadLine::skip, "inkling::text: ", name, " line ", number, " has ", tokens.size(),
                " tokens, expected at most ", options.max_tokens,
                " (raise ReadingOptions.max_tokens, or set too_long = BadLine::skip)");
        return Fate::too_long;
    }
    return Fate::kept;
}

inline void count(ReadingReport& report, Fate fate) {
    if (fate == Fate::empty) ++report.empty;
    if (fate == Fate::too_long) ++report.too_long;
}

inline Index count_unknown(std::vector<Token> const& tokens, Token unk) {
    Index count = 0;
    for (Token token : tokens) count += token == unk;
    return count;
}

inline void check_reading(ReadingOptions const& options) {
    require(options.max_tokens >= 1, "inkling::text: ReadingOptions.max_tokens is ", options.max_tokens,
            ", expected at least 1");
}

}  // namespace detail

/// Reads two aligned files line by line into tokens: the sources as text::encode_source says, so that a TokenizerPair
/// has a tokenizer for each.
///
/// @param source, target  LineSources in step: line i of one is the translation of line i of the other
/// @return  the pairs, in the order of the lines, and the counts of what was skipped
/// @throws Error naming file and line when the numbers of lines differ, a line is not UTF-8, is empty or is too long
///         (the last two unless `options` says skip), and whatever the LineSources and the tokenizer throw
template <LineSource Source, LineSource Target, Tokenizer TokenizerType>
[[nodiscard]] ReadCorpus read_parallel(Source& source, Target& target, TokenizerType const& tokenizer,
                                       ReadingOptions const& options = {}) {
    detail::check_reading(options);
    ReadCorpus result;
    std::string source_line;
    std::string target_line;
    for (;;) {
        bool const has_source = source.next(source_line);
        bool const has_target = target.next(target_line);
        if (!has_source && !has_target) return result;
        Index const number = result.report.lines + 1;
        require(has_source == has_target, "inkling::text: ", has_source ? options.target_name : options.source_name,
                " ends after ", number - 1, " lines but ", has_source ? options.source_name : options.target_name,
                " goes on, expected the same number of lines in both");
        detail::require_text(source_line, options.source_name, number);
        std::vector<Token> const source_tokens = text::encode_source(tokenizer, source_line);
        detail::require_text(target_line, options.target_name, number);
        std::vector<Token> const target_tokens = tokenizer.encode(target_line);
        detail::Fate fate = detail::judge(source_tokens, options, options.source_name, number);
        if (fate == detail::Fate::kept) fate = detail::judge(target_tokens, options, options.target_name, number);
        detail::count(result.report, fate);
        if (fate == detail::Fate::kept) {
            result.corpus.add(source_tokens, target_tokens);
            result.report.unknown += detail::count_unknown(source_tokens, tokenizer.specials().unk);
            result.report.unknown += detail::count_unknown(target_tokens, tokenizer.specials().unk);
        }
        ++result.report.lines;
    }
}

/// Reads one file of text, for unconditional generation or for learning to reconstruct; messages use `target_name`.
/// @throws Error as read_parallel does, and when a sentence is to be its own source, but sources have a vocabulary of
///         their own
template <LineSource Lines, Tokenizer TokenizerType>
[[nodiscard]] ReadCorpus read_monolingual(Lines& lines, TokenizerType const& tokenizer,
                                          MonolingualSource source = MonolingualSource::same,
                                          ReadingOptions const& options = {}) {
    detail::check_reading(options);
    require(source == MonolingualSource::none || !source_vocabulary_size(tokenizer),
            "inkling::text::read_monolingual: the tokenizer gives sources a vocabulary of their own, expected one for "
            "both sides, or MonolingualSource::none");
    ReadCorpus result;
    std::string line;
    while (lines.next(line)) {
        Index const number = result.report.lines + 1;
        detail::require_text(line, options.target_name, number);
        std::vector<Token> const tokens = tokenizer.encode(line);
        detail::Fate const fate = detail::judge(tokens, options, options.target_name, number);
        detail::count(result.report, fate);
        if (fate == detail::Fate::kept) {
            if (source == MonolingualSource::same) {
                result.corpus.add_shared(tokens);
            } else {
                result.corpus.add({}, tokens);
            }
            result.report.unknown += detail::count_unknown(tokens, tokenizer.specials().unk);
        }
        ++result.report.lines;
    }
    return result;
}

}  // namespace inkling::text
