#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/text/concept.hpp>
#include <inkling/text/envelope.hpp>
#include <inkling/text/utf8.hpp>

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace inkling::text {

/// How SentencePiece finds its pieces.
enum class PieceModel {
    unigram,  ///< Kudo 2018, "Subword Regularization", arXiv:1804.10959: the likeliest segmentation
    bpe,      ///< Sennrich et al. 2016, arXiv:1508.07909: byte-pair encoding, merges of the most frequent pairs
};

/// Settings of SentencePieceTokenizer::train.
struct SentencePieceOptions {
    Index vocabulary_size = 8000;  ///< number of tokens wanted, the four special ones counted; 5 to 10 million
    PieceModel model = PieceModel::unigram;
    bool exact_size = true;  ///< false: take fewer tokens where the text cannot fill vocabulary_size
    /// true: SentencePiece's nmt_nfkc normalisation; false: text comes back as it went in, up to tabs and blanks
    bool nfkc = false;
    int threads = 1;               ///< in [1, 128]; the pieces found depend on it in the last digits of their scores
    Index max_line_bytes = 16384;  ///< longer lines are left out of training (not of encoding); 1 to 2^30
    SpecialTokens specials{};
    /// words that are one token each wherever they stand, such as '<2de>' in front of sources for whichever language is
    /// wanted; without blanks and commas
    std::vector<std::string> tags{};
};

/// Subwords by SentencePiece, trained from the program or loaded from a model. Needs inkling::sentencepiece.
///
/// Every character of the training text has a piece; others become unk. A tab is read as a blank, as SentencePiece has
/// no piece for one; runs of blanks come back as one blank, '▁' as a blank, and those at the ends of a line not at all.
/// Many threads may use one tokenizer, and copies share the model. Training sets SentencePiece's process-wide log level
/// to silent.
class SentencePieceTokenizer {
public:
    /// Learns pieces from `lines`. The same lines, options and library version give the same bytes.
    /// @throws Error when there is no text, a line is not UTF-8 or holds U+2585, which SentencePiece keeps for
    ///         itself, or the vocabulary asked for is too large or too small for the text; and what `lines` throws
    template <LineSource Lines>
    [[nodiscard]] static SentencePieceTokenizer train(Lines& lines, SentencePieceOptions const& options = {}) {
        check(options);
        Sentences<Lines> sentences(lines, options.max_line_bytes);
        sentences.rethrow();
        require(!sentences.done(), where,
                "there is no text to train on, expected at least one line that is not blank and not over ",
                options.max_line_bytes, " bytes");
        std::string model;
        sentencepiece::util::Status const status =
            sentencepiece::SentencePieceTrainer::Train(arguments(options), &sentences, &model);
        sentences.rethrow();
        require(status.ok(), where, "training ", options.vocabulary_size, " tokens failed: ", reason(status));
        return from_model(model);
    }

    /// Takes a model as SentencePiece writes it to a '.model' file. Load only files you trust: SentencePiece does not
    /// check a normalisation table, and a damaged one crashes it. Bytes of serialise() are safe against damage by their
    /// checksum.
    /// @throws Error when the bytes are no such model, or when it lacks one of bos, pad, eos and unk
    [[nodiscard]] static SentencePieceTokenizer from_model(std::string_view model) {
        require(!model.empty(), where, "there are no bytes, expected a SentencePiece model");
        auto processor = std::make_shared<sentencepiece::SentencePieceProcessor>();
        try {
            sentencepiece::util::Status const status = processor->LoadFromSerializedProto(model);
            require(status.ok(), where, "these ", model.size(),
                    " bytes are no SentencePiece model, expected those of a ", "'.model' file: ", reason(status));
        } catch (Error const&) {
            throw;
        } catch (std::exception const& error) {  // its index of pieces throws on an empty piece
            fail(where, "these ", model.size(),
                 " bytes are no SentencePiece model, expected those of a '.model' file: ", error.what());
        }
        SpecialTokens const specials{.bos = processor->bos_id(),
                                     .pad = processor->pad_id(),
                                     .eos = processor->eos_id(),
                                     .unk = processor->unk_id()};
        require(specials.bos >= 0 && specials.pad >= 0 && specials.eos >= 0 && specials.unk >= 0, where,
                "the model has bos ", specials.bos, ", pad ", specials.pad, ", eos ", specials.eos, ", unk ",
                specials.unk, ", expected all four (train it with --bos_id, --pad_id, --eos_id, --unk_id)");
        return SentencePieceTokenizer(std::move(processor), specials);
    }

    /// Tokens of the likeliest pieces of `line`; nothing is added but unk.
    /// @throws Error when the line is not UTF-8
    [[nodiscard]] std::vector<Token> encode(std::string_view line) const {
        std::size_t const valid = valid_utf8_prefix(line);
        require(valid == line.size(), where, "byte ", valid + 1, " of the line is not valid UTF-8");
        std::vector<int> pieces;
        std::string without_tabs;
        if (tab_is_blank_ && line.find('\t') != std::string_view::npos) {
            without_tabs = line;
            std::replace(without_tabs.begin(), without_tabs.end(), '\t', ' ');
            line = without_tabs;
        }
        sentencepiece::util::Status const status = processor_->Encode(line, &pieces);
        require(status.ok(), where, "encoding failed: ", reason(status));
        return {pieces.begin(), pieces.end()};
    }

    /// The text of the pieces; bos, pad and eos are left out, unk is `<unk>`, in models from elsewhere what they say.
    /// @throws Error when a token is outside [0, V)
    [[nodiscard]] std::string decode(std::span<Token const> tokens) const {
        std::vector<int> pieces;
        pieces.reserve(tokens.size());
        for (Token const token : tokens) {
            require(token >= 0 && token < vocabulary_size(), where, "token ", token, ", expected a number in [0, ",
                    vocabulary_size(), ")");
            if (token != specials_.bos && token != specials_.pad && token != specials_.eos) pieces.push_back(token);
        }
        std::string line;
        sentencepiece::util::Status const status = processor_->Decode(pieces, &line);
        require(status.ok(), where, "decoding failed: ", reason(status));
        return line;
    }

    /// How a token is spelt, '▁' standing for a blank.
    /// @throws Error when the token is outside [0, V)
    [[nodiscard]] std::string spelling(Token token) const {
        require(token >= 0 && token < vocabulary_size(), where, "token ", token, ", expected a number in [0, ",
                vocabulary_size(), ")");
        return processor_->IdToPiece(token);
    }

    [[nodiscard]] Index vocabulary_size() const { return processor_->GetPieceSize(); }
    [[nodiscard]] SpecialTokens specials() const { return specials_; }
    [[nodiscard]] static std::string_view kind() { return "sentencepiece"; }

    /// The model as SentencePiece writes it to a '.model' file.
    [[nodiscard]] std::string model() const { return processor_->serialized_model_proto(); }

    /// Bytes that deserialise takes back.
    [[nodiscard]] std::string serialise() const { return seal(kind(), model()); }

    /// @throws Error when the bytes are not those of a SentencePieceTokenizer, or damaged
    [[nodiscard]] static SentencePieceTokenizer deserialise(std::string_view bytes) {
        return from_model(unseal(kind(), bytes));
    }

private:
    static constexpr std::string_view where = "inkling::text::SentencePieceTokenizer: ";
    static constexpr Index most_tokens = 10'000'000;     // near 2^31 SentencePiece never comes back
    static constexpr Index most_bytes = Index{1} << 30;  // SentencePiece counts in 32 bits

    // What SentencePiece writes for an unknown character while it trains; it passes over lines that hold one.
    static constexpr std::string_view reserved = "\u2585";

    // Hands lines to SentencePiece, which knows no exceptions: one that `lines` throws is kept and thrown again later.
    template <class Lines>
    class Sentences final : public sentencepiece::SentenceIterator {
    public:
        Sentences(Lines& lines, Index max_line_bytes) : lines_(lines), max_line_bytes_(max_line_bytes) { advance(); }

        bool done() const override { return done_; }
        void Next() override { advance(); }
        std::string const& value() const override { return line_; }
        sentencepiece::util::Status status() const override {
            return failure_ ? sentencepiece::util::Status(sentencepiece::util::StatusCode::kInternal, "reading failed")
                            : sentencepiece::util::Status();
        }

        void rethrow() const {
            if (failure_) std::rethrow_exception(failure_);
        }

    private:
        // Goes to the next line that is neither blank nor too long.
        void advance() try {
            do {
                done_ = !lines_.next(line_);
                ++number_;
                std::size_t const valid = valid_utf8_prefix(line_);
                require(done_ || valid == line_.size(), where, "line ", number_, ": byte ", valid + 1,
                        " is not valid UTF-8, expected UTF-8 text");
                std::size_t const taken = line_.find(reserved);
                require(done_ || taken == std::string::npos, where, "line ", number_, ": byte ", taken + 1, " begins '",
                        reserved, "' (U+2585), which SentencePiece keeps for itself, expected text without it");
                std::replace(line_.begin(), line_.end(), '\t', ' ');
            } while (!done_
                     && (static_cast<Index>(line_.size()) > max_line_bytes_
                         || line_.find_first_not_of(" \r") == std::string::npos));
        } catch (...) {
            failure_ = std::current_exception();
            done_ = true;
        }

        Lines& lines_;
        Index max_line_bytes_;
        std::string line_;
        Index number_ = 0;
        bool done_ = false;
        std::exception_ptr failure_;
    };

    SentencePieceTokenizer(std::shared_ptr<sentencepiece::SentencePieceProcessor const> processor,
                           SpecialTokens const& specials)
        : processor_(std::move(processor)), specials_(specials) {
        auto const unknown = [&](char const* piece) { return processor_->PieceToId(piece) == specials_.unk; };
        tab_is_blank_ = unknown("\t") && unknown("<0x09>");  // models from elsewhere may have a piece for it
    }

    // SentencePiece's message without the place in its source, and without the condition where it says more.
    static std::string reason(sentencepiece::util::Status const& status) {
        std::string_view text = status.message();
        std::size_t const condition = text.find(") [");
        std::size_t const condition_end = text.rfind("] ");
        if (condition != std::string_view::npos && condition_end != std::string_view::npos) {
            bool const says_more = condition_end + 2 < text.size();
            text =
                says_more ? text.substr(condition_end + 2) : text.substr(condition + 3, condition_end - condition - 3);
        }
        return std::string(text);
    }

    static void check(SentencePieceOptions const& options) {
        require(options.vocabulary_size > 4 && options.vocabulary_size <= most_tokens, where, "vocabulary_size is ",
                options.vocabulary_size, ", expected more than the 4 special tokens and at most ", most_tokens);
        require(options.threads >= 1 && options.threads <= 128, where, "threads is ", options.threads,
                ", expected a number in [1, 128]");
        require(options.max_line_bytes >= 1 && options.max_line_bytes <= most_bytes, where, "max_line_bytes is ",
                options.max_line_bytes, ", expected 1 to ", most_bytes);
        require_special_tokens(options.specials, where);
        for (std::string const& tag : options.tags)
            require(!tag.empty() && valid_utf8_prefix(tag) == tag.size()
                        && tag.find_first_of(" \t\n,") == std::string::npos,
                    where, "a tag is '", tag, "', expected UTF-8 text without blanks and commas");
    }

    static std::unordered_map<std::string, std::string> arguments(SentencePieceOptions const& options) {
        std::string tags;
        for (std::string const& tag : options.tags) tags += (tags.empty() ? "" : ",") + tag;
        return {{"vocab_size", std::to_string(options.vocabulary_size)},
                {"model_type", options.model == PieceModel::bpe ? "bpe" : "unigram"},
                {"character_coverage", "1.0"},
                {"normalization_rule_name", options.nfkc ? "nmt_nfkc" : "identity"},
                {"hard_vocab_limit", options.exact_size ? "true" : "false"},
                {"num_threads", std::to_string(options.threads)},
                {"max_sentence_length", std::to_string(options.max_line_bytes)},
                {"input_sentence_size", "0"},
                {"shuffle_input_sentence", "false"},
                {"bos_id", std::to_string(options.specials.bos)},
                {"pad_id", std::to_string(options.specials.pad)},
                {"eos_id", std::to_string(options.specials.eos)},
                {"unk_id", std::to_string(options.specials.unk)},
                {"user_defined_symbols", tags},
                {"unk_surface", "<unk>"},
                {"minloglevel", "3"}};
    }

    std::shared_ptr<sentencepiece::SentencePieceProcessor const> processor_;
    SpecialTokens specials_;
    bool tab_is_blank_ = true;
};
static_assert(Tokenizer<SentencePieceTokenizer>);

}  // namespace inkling::text
