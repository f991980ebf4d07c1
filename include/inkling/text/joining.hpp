#pragma once

#include <inkling/core/index.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace inkling::text {

/// Sentences of which each is its source and its target, one behind the other, as one sequence. Meant to be reused.
///
/// Sequence s is tokens[offsets[s] .. offsets[s + 1]); part 2 s of it is the source, part 2 s + 1 the target.
struct JoinedBatch {
    std::vector<Token> tokens;             ///< [N]
    std::vector<Index> offsets{Index{0}};  ///< [S + 1], from 0 to N
    std::vector<Index> parts{Index{0}};    ///< [2 S + 1], from 0 to N
    std::vector<std::uint8_t> kept;        ///< [2 S], 1 for a source, 0 for a target

    /// Number of sequences, S.
    [[nodiscard]] Index size() const { return static_cast<Index>(offsets.size()) - 1; }
    /// Rows in the longest part.
    [[nodiscard]] Index longest_part() const {
        Index longest = 0;
        for (std::size_t i = 1; i < parts.size(); ++i) longest = std::max(longest, parts[i] - parts[i - 1]);
        return longest;
    }
    /// The first row of sequence s's target.
    [[nodiscard]] Index target_begin(Index s) const { return parts[static_cast<std::size_t>(2 * s + 1)]; }

    /// Takes all sequences out and keeps the memory.
    void clear() {
        tokens.clear();
        offsets.assign(1, 0);
        parts.assign(1, 0);
        kept.clear();
    }
    /// Appends one sequence, of sides that are wrapped already.
    /// @param rows    of the target's place, at least as many as it has tokens
    /// @param filler  fills the place behind the target; the whole of it where the target is yet to be written
    void add(std::span<Token const> source, std::span<Token const> target, Index rows, Token filler) {
        tokens.insert(tokens.end(), source.begin(), source.end());
        parts.push_back(static_cast<Index>(tokens.size()));
        tokens.insert(tokens.end(), target.begin(), target.end());
        auto const place = static_cast<std::size_t>(parts.back() + std::max(rows, static_cast<Index>(target.size())));
        tokens.resize(place, filler);
        parts.push_back(static_cast<Index>(tokens.size()));
        offsets.push_back(static_cast<Index>(tokens.size()));
        kept.push_back(1);
        kept.push_back(0);
    }
};

}  // namespace inkling::text
