#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/random.hpp>
#include <inkling/text/joining.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <span>
#include <type_traits>

namespace inkling::text {

/// Which spans of a line a model is to write in training, and which it is shown: SED's choice.
///
/// A line is cut at n - 1 places, all different, into n spans, n ~ U{1..most_spans} (fewer in a shorter line); the
/// spans are shown and written by turns, and a coin says which of the two the first one is. n = 1 has all of the line
/// written: that is how unconditional text is learnt. Before that pad tokens come into the line, anywhere, so that a
/// model learns to leave room unused: each row is a pad with the same probability. `hidden` is ours: where the
/// condition of guidance is dropped its rows hold zeros, and this share of the conditions teaches what these mean.
/// Source: Strudel et al. 2022, "Self-conditioned Embedding Diffusion for Text Generation", arXiv:2211.04236,
/// section 3.
struct SpanMasking {
    Index most_spans = 5;  ///< M, 1 to 2^20
    double pads = 0.1;     ///< [0, 1), share of the rows that are pads
    double hidden = 0.1;   ///< [0, 1], share of the lines whose condition is hidden

    /// @throws Error naming the first option that is out of its range
    void check() const {
        constexpr char const* where = "inkling::text::SpanMasking: ";
        require(most_spans >= 1 && most_spans <= Index{1} << 20, where, "most_spans is ", most_spans,
                ", expected 1 to ", Index{1} << 20);
        require(pads >= 0.0 && pads < 1.0, where, "pads is ", pads, ", expected a share in [0, 1)");
        require(hidden >= 0.0 && hidden <= 1.0, where, "hidden is ", hidden, ", expected a share in [0, 1]");
    }

    /// Appends a line to the batch, in parts.
    ///
    /// @param stream   everything random is drawn from it, and from no other
    /// @param line     wrapped already, at least one token
    /// @param longest  rows that it may have with its pads; at least as many as it has tokens
    void draw(RandomStream const& stream, std::span<Token const> line, Index longest, Token pad,
              JoinedBatch& batch) const {
        Index const begin = static_cast<Index>(batch.tokens.size());
        Index room = longest - static_cast<Index>(line.size());
        std::uint32_t number = 0;
        auto const put_pads = [&] {
            for (; room > 0 && stream.uniform(number++) < pads; --room) batch.tokens.push_back(pad);
        };
        for (Token const token : line) {
            put_pads();
            batch.tokens.push_back(token);
        }
        put_pads();

        Index const rows = static_cast<Index>(batch.tokens.size()) - begin;
        std::uint32_t block = std::uint32_t{1} << 30;  // behind all blocks that pads may take
        auto const below = [&](Index bound) {
            return static_cast<Index>(stream.below(static_cast<std::uint64_t>(bound), block++));
        };
        Index const spans = std::min(rows, 1 + below(most_spans));
        bool writes = spans == 1 || below(2) == 0;
        bool const hides = unit_interval<double>(stream.bits(block++)[0]) < hidden;
        std::uint8_t const shown = hides ? part::hidden : part::kept;
        Index cuts = spans - 1;
        for (Index place = 1; place < rows && cuts > 0; ++place) {  // each set of places is as probable as any other
            if (below(rows - place) >= cuts) continue;
            batch.end_part(begin + place, writes ? part::written : shown);
            writes = !writes;
            --cuts;
        }
        batch.end_part(writes ? part::written : shown);
        batch.end_sequence();
    }
};

/// Names every setting once, for checkpoints and their checks.
template <class Masking, class Visit>
    requires std::same_as<std::remove_const_t<Masking>, SpanMasking>
void describe(Masking& masking, Visit const& visit) {
    visit("most_spans", masking.most_spans);
    visit("pads", masking.pads);
    visit("hidden", masking.hidden);
}

}  // namespace inkling::text
