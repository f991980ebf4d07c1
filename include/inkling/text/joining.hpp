#pragma once

#include <inkling/core/index.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace inkling::text {

/// What becomes of a part of a sequence.
namespace part {
inline constexpr std::uint8_t written = 0;  ///< noised in training, written in sampling
inline constexpr std::uint8_t kept = 1;     ///< stays as it is, and is seen
inline constexpr std::uint8_t hidden = 2;   ///< stays as it is, and is not seen
}  // namespace part

/// Sequences that are cut into parts, of which some stay as they are and others are written: a source and its target
/// one behind the other, or the spans of a line. Meant to be reused.
///
/// Sequence s is tokens[offsets[s] .. offsets[s + 1]), and its parts are first_parts[s] .. first_parts[s + 1] - 1; part
/// p is tokens[parts[p] .. parts[p + 1]).
struct JoinedBatch {
    std::vector<Token> tokens;                 ///< [N]
    std::vector<Index> offsets{Index{0}};      ///< [S + 1], from 0 to N
    std::vector<Index> first_parts{Index{0}};  ///< [S + 1], from 0 to P
    std::vector<Index> parts{Index{0}};        ///< [P + 1], from 0 to N
    std::vector<std::uint8_t> kept;            ///< [P], of `part`

    /// Number of sequences, S.
    [[nodiscard]] Index size() const { return static_cast<Index>(offsets.size()) - 1; }
    /// Rows in the longest part.
    [[nodiscard]] Index longest_part() const {
        Index longest = 0;
        for (std::size_t i = 1; i < parts.size(); ++i) longest = std::max(longest, parts[i] - parts[i - 1]);
        return longest;
    }
    /// The first row of the target of sequence s, which has a source.
    [[nodiscard]] Index target_begin(Index s) const {
        return parts[static_cast<std::size_t>(first_parts[static_cast<std::size_t>(s)] + 1)];
    }

    /// Takes all sequences out and keeps the memory.
    void clear() {
        tokens.clear();
        offsets.assign(1, 0);
        first_parts.assign(1, 0);
        parts.assign(1, 0);
        kept.clear();
    }
    /// Ends a part in front of row `end`.
    void end_part(Index end, std::uint8_t what) {
        parts.push_back(end);
        kept.push_back(what);
    }
    /// Ends a part behind all tokens that are there.
    void end_part(std::uint8_t what) { end_part(static_cast<Index>(tokens.size()), what); }
    /// Ends a sequence behind all parts that are there.
    void end_sequence() {
        offsets.push_back(parts.back());
        first_parts.push_back(static_cast<Index>(kept.size()));
    }
    /// Appends sequence s of another batch.
    void add_sequence(JoinedBatch const& other, Index s) {
        auto const sequence = static_cast<std::size_t>(s);
        Index const moved = static_cast<Index>(tokens.size()) - other.offsets[sequence];
        tokens.insert(tokens.end(), other.tokens.begin() + other.offsets[sequence],
                      other.tokens.begin() + other.offsets[sequence + 1]);
        for (auto p = static_cast<std::size_t>(other.first_parts[sequence]);
             p < static_cast<std::size_t>(other.first_parts[sequence + 1]); ++p)
            end_part(other.parts[p + 1] + moved, other.kept[p]);
        end_sequence();
    }
    /// Appends one sequence, of sides that are wrapped already.
    /// @param rows    of the target's place, at least as many as it has tokens
    /// @param filler  fills the place behind the target; the whole of it where the target is yet to be written
    void add(std::span<Token const> source, std::span<Token const> target, Index rows, Token filler) {
        tokens.insert(tokens.end(), source.begin(), source.end());
        end_part(part::kept);
        tokens.insert(tokens.end(), target.begin(), target.end());
        tokens.resize(static_cast<std::size_t>(parts.back() + std::max(rows, static_cast<Index>(target.size()))),
                      filler);
        end_part(part::written);
        end_sequence();
    }
};

}  // namespace inkling::text
