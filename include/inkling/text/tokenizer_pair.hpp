#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/text/concept.hpp>
#include <inkling/text/envelope.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inkling::text {

/// Two tokenizers as one, for a model whose sources have a vocabulary of their own: sources are read with the first,
/// and all that is said of a Tokenizer, decode too, is said of the second, the targets'.
///
///     TextDiffusion<...> model(text::TokenizerPair(german, english), options);
template <Tokenizer Source, Tokenizer Target = Source>
class TokenizerPair {
public:
    /// @throws Error when their special tokens differ, which both sides of a batch share, or one is a pair itself
    TokenizerPair(Source source, Target target) : source_(std::move(source)), target_(std::move(target)) {
        require(!text::source_vocabulary_size(source_) && !text::source_vocabulary_size(target_),
                "inkling::text::TokenizerPair: a side gives sources a vocabulary of their own, expected one tokenizer "
                "for each side");
        auto const ours = source_.specials(), theirs = target_.specials();
        require(ours == theirs, "inkling::text::TokenizerPair: the source's special tokens are bos ", ours.bos,
                ", pad ", ours.pad, ", eos ", ours.eos, ", unk ", ours.unk, ", expected the target's, bos ", theirs.bos,
                ", pad ", theirs.pad, ", eos ", theirs.eos, ", unk ", theirs.unk);
    }

    [[nodiscard]] Source const& source() const { return source_; }
    [[nodiscard]] Target const& target() const { return target_; }

    /// As the source's tokenizer does.
    [[nodiscard]] std::vector<Token> encode_source(std::string_view line) const { return source_.encode(line); }
    [[nodiscard]] std::string decode_source(std::span<Token const> tokens) const { return source_.decode(tokens); }
    [[nodiscard]] Index source_vocabulary_size() const { return source_.vocabulary_size(); }

    /// As the target's tokenizer does.
    [[nodiscard]] std::vector<Token> encode(std::string_view line) const { return target_.encode(line); }
    [[nodiscard]] std::string decode(std::span<Token const> tokens) const { return target_.decode(tokens); }
    [[nodiscard]] Index vocabulary_size() const { return target_.vocabulary_size(); }
    [[nodiscard]] SpecialTokens specials() const { return target_.specials(); }

    [[nodiscard]] static constexpr std::string_view kind() { return "pair"; }

    /// The number of bytes of the source's tokenizer, a line end, and the bytes of both.
    [[nodiscard]] std::string serialise() const {
        std::string const source = source_.serialise();
        return seal(kind(), message(source.size(), '\n', source, target_.serialise()));
    }

    /// @throws Error when the bytes are no pair, damaged, or what the two tokenizers and the constructor throw
    [[nodiscard]] static TokenizerPair deserialise(std::string_view bytes) {
        std::string_view both = unseal(kind(), bytes);
        std::size_t size = 0;
        bool const number = detail::parse_integer(detail::cut_before(both, '\n'), size);
        require(number && size <= both.size(), "inkling::text::TokenizerPair: the source's tokenizer has ", size,
                " bytes of ", both.size(), ", expected a line with a number of them, and as many");
        return {Source::deserialise(both.substr(0, size)), Target::deserialise(both.substr(size))};
    }

private:
    Source source_;
    Target target_;
};

}  // namespace inkling::text
