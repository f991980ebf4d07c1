#pragma once

#include <inkling/core/index.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace inkling::metric::detail {

/// One token sequence.
using Sequence = std::span<Token const>;

/// Goes over the distinct n-grams of a few sequences, order by order, without hashing.
///
/// Each n-gram gets a rank; one of order n is the pair (rank of its first n - 1 tokens, rank of its last token), so
/// sorting pairs of integers groups equal ones. O(n log n) an order, n = all tokens.
class Ngrams {
public:
    explicit Ngrams(std::span<Sequence const> sequences) : counts_(sequences.size()) {
        std::size_t size = 0;
        for (Sequence const sequence : sequences) size += sequence.size();
        entries_.reserve(size);
        ranks_.resize(size);
        std::uint32_t position = 0;
        for (std::uint32_t s = 0; s < sequences.size(); ++s)
            for (std::uint32_t i = 0; i < sequences[s].size(); ++i, ++position)
                entries_.push_back({static_cast<std::uint32_t>(sequences[s][i]), position, s,
                                    static_cast<std::uint32_t>(sequences[s].size()) - i});
    }

    /// Calls `use(counts)` for each distinct n-gram of the current order, with how often each sequence has it, and goes
    /// on to the next order. The first call is for single tokens.
    template <class Use>
    void next_order(Use&& use) {
        std::sort(entries_.begin(), entries_.end(), [](Entry const& a, Entry const& b) { return a.key < b.key; });
        std::uint32_t rank = 0;
        for (std::size_t first = 0, end = 0; first < entries_.size(); first = end, ++rank) {
            std::fill(counts_.begin(), counts_.end(), Index{0});
            for (; end < entries_.size() && entries_[end].key == entries_[first].key; ++end)
                ++counts_[entries_[end].sequence];
            use(std::span<Index const>(counts_));
            for (std::size_t i = first; i < end; ++i) entries_[i].rank = rank;
        }
        if (order_ == 1)
            for (Entry const& entry : entries_) ranks_[entry.position] = entry.rank;
        std::erase_if(entries_, [&](Entry const& entry) { return entry.tokens_left <= order_; });
        for (Entry& entry : entries_) entry.key = std::uint64_t{entry.rank} << 32 | ranks_[entry.position + order_];
        ++order_;
    }

private:
    struct Entry {
        std::uint64_t key;
        std::uint32_t position, sequence, tokens_left;  // where it begins, in which sequence, how far that goes
        std::uint32_t rank = 0;
    };

    std::vector<Entry> entries_;        // one for each place where an n-gram of this order begins
    std::vector<std::uint32_t> ranks_;  // of the single tokens
    std::vector<Index> counts_;
    std::uint32_t order_ = 1;
};

}  // namespace inkling::metric::detail
