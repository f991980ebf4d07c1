#pragma once

#include <inkling/core/error.hpp>
#include <inkling/text/concept.hpp>

#include <algorithm>
#include <concepts>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inkling::pipeline {

/// Any tokenizer, held by value behind one type: a pipeline's type does not depend on how its text is cut.
class HeldTokenizer {
public:
    /// The requirement stands inside: as a constraint it would ask whether a pipeline, which is made from one of these,
    /// is copyable, while that very question is being answered.
    /// @throws Error when a special token is outside the vocabulary, or that of the sources
    template <class T>
        requires(!std::same_as<T, HeldTokenizer>)
    HeldTokenizer(T tokenizer) : held_(std::make_shared<Model<T> const>(std::move(tokenizer))) {
        static_assert(Tokenizer<T>,
                      "inkling::TextDiffusion: argument 1 is not a Tokenizer: see text/concept.hpp for what one has.");
        Index const vocabulary = std::min(vocabulary_size(), source_vocabulary_size().value_or(vocabulary_size()));
        auto const special = specials();
        for (Token const token : {special.bos, special.pad, special.eos, special.unk})
            require(token >= 0 && token < vocabulary, "inkling::pipeline: the tokenizer's special tokens are bos ",
                    special.bos, ", pad ", special.pad, ", eos ", special.eos, ", unk ", special.unk,
                    ", expected tokens of its vocabulary of ", vocabulary);
    }

    [[nodiscard]] std::vector<Token> encode(std::string_view line) const { return held_->encode(line); }
    [[nodiscard]] std::vector<Token> encode_source(std::string_view line) const { return held_->encode_source(line); }
    [[nodiscard]] std::string decode(std::span<Token const> tokens) const { return held_->decode(tokens); }
    [[nodiscard]] std::string decode_source(std::span<Token const> tokens) const {
        return held_->decode_source(tokens);
    }
    [[nodiscard]] Index vocabulary_size() const { return held_->vocabulary_size(); }
    /// Of the vocabulary that sources have for themselves; nothing where both sides share one.
    [[nodiscard]] std::optional<Index> source_vocabulary_size() const { return held_->source_vocabulary_size(); }
    [[nodiscard]] text::SpecialTokens specials() const { return held_->specials(); }
    [[nodiscard]] std::string_view kind() const { return held_->kind(); }
    [[nodiscard]] std::string serialise() const { return held_->serialise(); }

private:
    struct Interface {
        virtual ~Interface() = default;
        virtual std::vector<Token> encode(std::string_view) const = 0;
        virtual std::vector<Token> encode_source(std::string_view) const = 0;
        virtual std::string decode(std::span<Token const>) const = 0;
        virtual std::string decode_source(std::span<Token const>) const = 0;
        virtual Index vocabulary_size() const = 0;
        virtual std::optional<Index> source_vocabulary_size() const = 0;
        virtual text::SpecialTokens specials() const = 0;
        virtual std::string_view kind() const = 0;
        virtual std::string serialise() const = 0;
    };
    template <class T>
    struct Model final : Interface {
        T tokenizer;
        explicit Model(T tokenizer_) : tokenizer(std::move(tokenizer_)) {}
        std::vector<Token> encode(std::string_view line) const override { return tokenizer.encode(line); }
        std::vector<Token> encode_source(std::string_view line) const override {
            return text::encode_source(tokenizer, line);
        }
        std::string decode(std::span<Token const> tokens) const override { return tokenizer.decode(tokens); }
        std::string decode_source(std::span<Token const> tokens) const override {
            return text::decode_source(tokenizer, tokens);
        }
        Index vocabulary_size() const override { return tokenizer.vocabulary_size(); }
        std::optional<Index> source_vocabulary_size() const override { return text::source_vocabulary_size(tokenizer); }
        text::SpecialTokens specials() const override { return tokenizer.specials(); }
        std::string_view kind() const override { return tokenizer.kind(); }
        std::string serialise() const override { return tokenizer.serialise(); }
    };

    std::shared_ptr<Interface const> held_;
};

}  // namespace inkling::pipeline
