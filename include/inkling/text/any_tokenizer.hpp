#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/text/concept.hpp>
#include <inkling/text/envelope.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace inkling::text {

/// One of several tokenizers, chosen at run time: `AnyTokenizer<WordTokenizer, SentencePieceTokenizer>`.
///
/// Its bytes are those of the tokenizer it holds, so a file written with one can be read as the other. Each tokenizer's
/// `kind()` must be static and differ from the others'.
template <Tokenizer... Tokenizers>
    requires(sizeof...(Tokenizers) > 0)
class AnyTokenizer {
public:
    /// Holds `tokenizer`.
    template <class Held>
        requires(std::same_as<Held, Tokenizers> || ...)
    AnyTokenizer(Held tokenizer) : held_(std::move(tokenizer)) {}  // implicit: it is one of them

    /// As the tokenizer held does.
    [[nodiscard]] std::vector<Token> encode(std::string_view line) const {
        return std::visit([&](auto const& tokenizer) { return tokenizer.encode(line); }, held_);
    }

    /// As text::encode_source and its like say of the tokenizer held.
    [[nodiscard]] std::vector<Token> encode_source(std::string_view line) const {
        return std::visit([&](auto const& tokenizer) { return text::encode_source(tokenizer, line); }, held_);
    }
    [[nodiscard]] std::string decode_source(std::span<Token const> tokens) const {
        return std::visit([&](auto const& tokenizer) { return text::decode_source(tokenizer, tokens); }, held_);
    }
    [[nodiscard]] std::optional<Index> source_vocabulary_size() const {
        return std::visit([](auto const& tokenizer) { return text::source_vocabulary_size(tokenizer); }, held_);
    }

    /// As the tokenizer held does.
    [[nodiscard]] std::string decode(std::span<Token const> tokens) const {
        return std::visit([&](auto const& tokenizer) { return tokenizer.decode(tokens); }, held_);
    }

    [[nodiscard]] Index vocabulary_size() const {
        return std::visit([](auto const& tokenizer) { return tokenizer.vocabulary_size(); }, held_);
    }
    [[nodiscard]] SpecialTokens specials() const {
        return std::visit([](auto const& tokenizer) { return tokenizer.specials(); }, held_);
    }

    /// The kind of the tokenizer held.
    [[nodiscard]] std::string_view kind() const {
        return std::visit([](auto const& tokenizer) { return tokenizer.kind(); }, held_);
    }

    /// The tokenizer held, if it is a `Held`; else null.
    template <class Held>
    [[nodiscard]] Held const* get_if() const {
        return std::get_if<Held>(&held_);
    }

    /// The bytes of the tokenizer held.
    [[nodiscard]] std::string serialise() const {
        return std::visit([](auto const& tokenizer) { return tokenizer.serialise(); }, held_);
    }

    /// Makes the tokenizer whose kind the bytes name.
    /// @throws Error when it is none of Tokenizers, when two of them are of the same kind, and what that tokenizer
    ///         throws
    [[nodiscard]] static AnyTokenizer deserialise(std::string_view bytes) {
        std::array<std::string_view, sizeof...(Tokenizers)> kinds{Tokenizers::kind()...};
        std::sort(kinds.begin(), kinds.end());
        auto const twice = std::adjacent_find(kinds.begin(), kinds.end());
        require(twice == kinds.end(), "inkling::text::AnyTokenizer: two of its tokenizers are of kind '",
                twice == kinds.end() ? std::string_view{} : *twice, "', expected a kind of its own for each");
        std::string_view const kind = sealed_kind(bytes);
        std::optional<AnyTokenizer> made;
        (void)((kind == Tokenizers::kind() && (made.emplace(Tokenizers::deserialise(bytes)), true)) || ...);
        if (!made) {
            std::string known;
            (known.append(known.empty() ? "'" : ", '").append(Tokenizers::kind()).append("'"), ...);
            fail("inkling::text::AnyTokenizer: these bytes hold a tokenizer of kind '", kind.substr(0, 64),
                 "', expected ", known);
        }
        return *std::move(made);
    }

private:
    std::variant<Tokenizers...> held_;
};

}  // namespace inkling::text
