#pragma once

#include <inkling/core/index.hpp>
#include <inkling/text/concept.hpp>
#include <inkling/text/parallel_corpus.hpp>

#include <cstddef>
#include <span>
#include <vector>

namespace inkling::text {

/// Which sides get which special tokens when a sentence enters a batch.
///
/// The defaults are Difformer's: source = tokens eos, target = bos tokens eos. DiffuSeq's source is bos tokens eos eos,
/// where the last one separates it from the target behind it.
struct Wrapping {
    SpecialTokens specials{};
    bool source_bos = false;
    bool source_eos = true;
    bool target_bos = true;
    bool target_eos = true;
    bool source_separator = false;  ///< one eos more behind the source
    Index filled = 0;  ///< rows of source and target together, where both are one sequence of a fixed length; else 0

    /// Length in a batch of a source of `tokens` tokens.
    [[nodiscard]] constexpr Index source_length(Index tokens) const {
        return tokens + source_bos + source_eos + source_separator;
    }

    /// Length of a target of `tokens` tokens, wrapped.
    [[nodiscard]] constexpr Index wrapped_target(Index tokens) const { return tokens + target_bos + target_eos; }

    /// Length in a batch of a target of `tokens` tokens: that of the whole sequence where both sides fill one.
    [[nodiscard]] constexpr Index target_length(Index tokens) const {
        return filled > 0 ? filled : wrapped_target(tokens);
    }
};

/// Sentences laid end to end, never padded: what a model is fed. Meant to be reused from batch to batch.
///
/// Sentence s is source_tokens[source_offsets[s] .. source_offsets[s + 1]), the target likewise.
struct PackedBatch {
    std::vector<Token> source_tokens;             ///< [N_source]
    std::vector<Index> source_offsets{Index{0}};  ///< [S + 1], from 0 to N_source
    std::vector<Token> target_tokens;             ///< [N_target]
    std::vector<Index> target_offsets{Index{0}};  ///< [S + 1], from 0 to N_target
    std::vector<Index> sentences;  ///< [S], each sentence's index in its corpus: the key of its random numbers

    /// Number of sentences, S.
    [[nodiscard]] Index size() const { return static_cast<Index>(sentences.size()); }

    /// Takes all sentences out and keeps the memory.
    void clear() {
        source_tokens.clear();
        source_offsets.assign(1, 0);
        target_tokens.clear();
        target_offsets.assign(1, 0);
        sentences.clear();
    }

    /// Makes room, so that no batch of at most these sizes allocates.
    void reserve(Index source_token_count, Index target_token_count, Index sentence_count) {
        source_tokens.reserve(static_cast<std::size_t>(source_token_count));
        source_offsets.reserve(static_cast<std::size_t>(sentence_count) + 1);
        target_tokens.reserve(static_cast<std::size_t>(target_token_count));
        target_offsets.reserve(static_cast<std::size_t>(sentence_count) + 1);
        sentences.reserve(static_cast<std::size_t>(sentence_count));
    }

    /// Appends one sentence, wrapped; `sentence` is its index in the corpus.
    void add(std::span<Token const> source, std::span<Token const> target, Index sentence,
             Wrapping const& wrapping = {}) {
        add_side(source_tokens, source_offsets, source, wrapping.source_bos, wrapping.source_eos,
                 wrapping.source_separator, wrapping.specials);
        add_side(target_tokens, target_offsets, target, wrapping.target_bos, wrapping.target_eos, false,
                 wrapping.specials);
        sentences.push_back(sentence);
    }

private:
    static void add_side(std::vector<Token>& tokens, std::vector<Index>& offsets, std::span<Token const> side, bool bos,
                         bool eos, bool separator, SpecialTokens const& specials) {
        if (bos) tokens.push_back(specials.bos);
        tokens.insert(tokens.end(), side.begin(), side.end());
        if (eos) tokens.push_back(specials.eos);
        if (separator) tokens.push_back(specials.eos);
        offsets.push_back(static_cast<Index>(tokens.size()));
    }
};

/// Fills `batch` with the named sentences of `corpus`, in their order, wrapped. What it held before is gone, its memory
/// kept.
/// @param sentences  indices in [0, corpus.size())
inline void pack(ParallelCorpus const& corpus, std::span<Index const> sentences, PackedBatch& batch,
                 Wrapping const& wrapping = {}) {
    batch.clear();
    for (Index const sentence : sentences)
        batch.add(corpus.source(sentence), corpus.target(sentence), sentence, wrapping);
}

}  // namespace inkling::text
