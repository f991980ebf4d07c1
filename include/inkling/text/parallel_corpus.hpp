#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <cstddef>
#include <span>
#include <vector>

namespace inkling::text {

/// Pairs of tokenised sentences, source and target, in four flat arrays: no vector a sentence.
///
/// Tokens carry no bos or eos; those are added when sentences are packed into a batch (packing.hpp).
class ParallelCorpus {
public:
    /// Number of pairs, S.
    [[nodiscard]] Index size() const { return static_cast<Index>(target_ends_.size()); }

    /// Whether there is no pair.
    [[nodiscard]] bool empty() const { return size() == 0; }

    /// Tokens of the i-th source sentence; i in [0, S). Valid until the corpus changes.
    [[nodiscard]] std::span<Token const> source(Index i) const {
        return source_is_target_ ? target(i) : slice(source_tokens_, source_ends_, i);
    }

    /// Tokens of the i-th target sentence; i in [0, S). Valid until the corpus changes.
    [[nodiscard]] std::span<Token const> target(Index i) const { return slice(target_tokens_, target_ends_, i); }

    /// Number of tokens on all source sides.
    [[nodiscard]] Index source_tokens() const {
        return source_is_target_ ? target_tokens() : static_cast<Index>(source_tokens_.size());
    }

    /// Number of tokens on all target sides.
    [[nodiscard]] Index target_tokens() const { return static_cast<Index>(target_tokens_.size()); }

    /// Appends a pair; either side may be empty, or a sentence of this corpus. Changes nothing if it throws.
    /// @throws Error when the corpus holds sentences that are their own source
    void add(std::span<Token const> source, std::span<Token const> target) {
        require(!source_is_target_ || empty(), "inkling::text::ParallelCorpus: add(source, target) on a corpus whose ",
                size(), " sentences are their own source, expected add_shared(sentence)");
        auto const old_source = reserve_one(source_tokens_, source_ends_, source.size());
        auto const old_target = reserve_one(target_tokens_, target_ends_, target.size());
        append(source_tokens_, source_ends_, source);
        append(target_tokens_, target_ends_, target);
        source_is_target_ = false;
    }

    /// Appends a sentence that is both source and target, stored once. Changes nothing if it throws.
    /// @throws Error when the corpus holds pairs
    void add_shared(std::span<Token const> sentence) {
        require(source_is_target_ || empty(), "inkling::text::ParallelCorpus: add_shared(sentence) on a corpus of ",
                size(), " pairs, expected add(source, target)");
        auto const old_target = reserve_one(target_tokens_, target_ends_, sentence.size());
        append(target_tokens_, target_ends_, sentence);
        source_is_target_ = true;
    }

private:
    static std::span<Token const> slice(std::vector<Token> const& tokens, std::vector<Index> const& ends, Index i) {
        auto const sentence = static_cast<std::size_t>(i);
        auto const begin = sentence == 0 ? std::size_t{0} : static_cast<std::size_t>(ends[sentence - 1]);
        return std::span(tokens).subspan(begin, static_cast<std::size_t>(ends[sentence]) - begin);
    }

    // Makes room for all arrays before any of them changes, growing geometrically. Gives the memory that held the
    // tokens before, where it is another now: the sentence to append may lie in it.
    [[nodiscard]] static std::vector<Token> reserve_one(std::vector<Token>& tokens, std::vector<Index>& ends,
                                                        std::size_t count) {
        if (ends.capacity() == ends.size()) ends.reserve(2 * ends.capacity() + 1);
        std::vector<Token> other;
        if (tokens.capacity() - tokens.size() < count) {
            other.reserve(2 * tokens.capacity() + count);
            other.assign(tokens.begin(), tokens.end());
            other.swap(tokens);
        }
        return other;
    }

    static void append(std::vector<Token>& tokens, std::vector<Index>& ends, std::span<Token const> sentence) {
        for (Token const token : sentence) tokens.push_back(token);  // insert() may not read its own vector
        ends.push_back(static_cast<Index>(tokens.size()));
    }

    std::vector<Token> source_tokens_;
    std::vector<Index> source_ends_;  // [S], or [0] when every sentence is its own source
    std::vector<Token> target_tokens_;
    std::vector<Index> target_ends_;  // [S]
    bool source_is_target_ = false;
};

}  // namespace inkling::text
