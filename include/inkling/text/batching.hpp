#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/hash.hpp>
#include <inkling/core/index.hpp>
#include <inkling/core/random.hpp>
#include <inkling/text/packing.hpp>
#include <inkling/text/parallel_corpus.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

namespace inkling::text {

/// How sentences are gathered into batches.
struct BatchingOptions {
    /// upper bound on the source tokens and, apart, on the target tokens of a batch, bos and eos counted
    Index tokens_per_batch = 8192;
    /// sentences sorted by length together; 1 keeps the shuffled order, a large number gives even lengths
    Index pool = 8192;
    std::uint64_t seed = 1;  ///< the order of sentences and batches is a pure function of (seed, epoch)
    Index rank = 0;          ///< this worker, in [0, ranks)
    Index ranks = 1;         ///< workers that share an epoch; each gets as many batches as every other
};

/// Lengths of both sides of every sentence, as they count in a batch.
struct SentenceLengths {
    std::vector<Index> source;  ///< [S]
    std::vector<Index> target;  ///< [S]

    /// Number of sentences, S.
    [[nodiscard]] Index size() const { return static_cast<Index>(target.size()); }
};

/// Lengths of a corpus' sentences once they are wrapped with bos and eos.
[[nodiscard]] inline SentenceLengths wrapped_lengths(ParallelCorpus const& corpus, Wrapping const& wrapping = {}) {
    SentenceLengths lengths;
    lengths.source.reserve(static_cast<std::size_t>(corpus.size()));
    lengths.target.reserve(static_cast<std::size_t>(corpus.size()));
    for (Index i = 0; i < corpus.size(); ++i) {
        lengths.source.push_back(wrapping.source_length(static_cast<Index>(corpus.source(i).size())));
        lengths.target.push_back(wrapping.target_length(static_cast<Index>(corpus.target(i).size())));
    }
    return lengths;
}

/// The batches of one epoch, in the order in which they are trained on. Reused from epoch to epoch without allocating.
class EpochBatches {
public:
    /// Number of batches; a multiple of BatchingOptions.ranks.
    [[nodiscard]] Index size() const { return static_cast<Index>(ranges_.size()); }

    /// Sentence indices of batch i, at least one; i in [0, size()).
    [[nodiscard]] std::span<Index const> operator[](Index i) const {
        auto const [begin, end] = ranges_[static_cast<std::size_t>(i)];
        return std::span(sentences_).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    }

    /// Makes room for the batches of so many sentences, so that draw allocates nothing.
    void reserve(Index sentences) {
        sentences_.reserve(static_cast<std::size_t>(sentences));
        shuffled_.reserve(static_cast<std::size_t>(sentences));
        ranges_.reserve(static_cast<std::size_t>(sentences));  // a batch holds at least one sentence
    }

    /// Draws the batches of `epoch`; see make_batches.
    /// @throws Error as make_batches does; the batches are those of no epoch then
    void draw(SentenceLengths const& lengths, BatchingOptions const& options, std::uint32_t epoch) {
        check(lengths, options);
        reserve(lengths.size());
        sentences_.resize(lengths.target.size());
        shuffled_.resize(lengths.target.size());
        std::iota(sentences_.begin(), sentences_.end(), Index{0});
        shuffle(sentences_, {.seed = options.seed, .purpose = Purpose::batch_order, .sequence = 0, .step = epoch});
        sort_pools(lengths, options.pool);
        cut(lengths, options.tokens_per_batch);
        split_until_multiple(options.ranks);
        shuffle(ranges_, {.seed = options.seed, .purpose = Purpose::batch_order, .sequence = 1, .step = epoch});
    }

private:
    using Range = std::pair<Index, Index>;  // begin and end in sentences_

    static void check(SentenceLengths const& lengths, BatchingOptions const& options) {
        constexpr char const* where = "inkling::text::make_batches: ";
        require(lengths.source.size() == lengths.target.size(), where, lengths.source.size(), " source lengths and ",
                lengths.target.size(), " target lengths, expected as many");
        require(lengths.size() < Index{std::numeric_limits<std::uint32_t>::max()}, where, lengths.size(),
                " sentences, expected fewer than 2^32");
        require(options.tokens_per_batch >= 1, where, "tokens_per_batch is ", options.tokens_per_batch,
                ", expected at least 1");
        require(options.pool >= 1, where, "pool is ", options.pool, ", expected at least 1");
        require(options.ranks >= 1, where, "ranks is ", options.ranks, ", expected at least 1");
        require(options.rank >= 0 && options.rank < options.ranks, where, "rank is ", options.rank,
                ", expected a number in [0, ", options.ranks, ")");
        require(lengths.size() >= options.ranks, where, lengths.size(), " sentences for ", options.ranks,
                " ranks, expected at least one each");
        for (std::size_t i = 0; i < lengths.target.size(); ++i) {
            require(lengths.source[i] >= 0 && lengths.target[i] >= 0, where, "sentence ", i, " has a negative length");
            require(std::max(lengths.source[i], lengths.target[i]) <= options.tokens_per_batch, where, "sentence ", i,
                    " (from 0) has ", lengths.source[i], " source and ", lengths.target[i],
                    " target tokens, expected at most tokens_per_batch = ", options.tokens_per_batch,
                    " (raise it, or leave long sentences out when reading)");
        }
    }

    // Fisher and Yates' shuffle; std::shuffle differs between standard libraries.
    template <class Value>
    static void shuffle(std::vector<Value>& values, RandomStream const& stream) {
        for (std::size_t last = values.size(); last > 1; --last)
            std::swap(values[last - 1],
                      values[static_cast<std::size_t>(stream.below(last, static_cast<std::uint32_t>(last)))]);
    }

    // Sorts each run of `pool` shuffled sentences by length. Equal lengths stay as shuffled, so batches differ between
    // epochs even where one pool holds all sentences; std::stable_sort would do so too, but allocates.
    void sort_pools(SentenceLengths const& lengths, Index pool) {
        for (std::size_t i = 0; i < sentences_.size(); ++i)
            shuffled_[static_cast<std::size_t>(sentences_[i])] = static_cast<Index>(i);
        auto const key = [&](Index sentence) {
            auto const i = static_cast<std::size_t>(sentence);
            return std::tuple(lengths.target[i], lengths.source[i], shuffled_[i]);
        };
        for (std::size_t begin = 0; begin < sentences_.size();) {
            std::size_t const end = begin + std::min(static_cast<std::size_t>(pool), sentences_.size() - begin);
            std::sort(sentences_.begin() + static_cast<std::ptrdiff_t>(begin),
                      sentences_.begin() + static_cast<std::ptrdiff_t>(end),
                      [&](Index a, Index b) { return key(a) < key(b); });
            begin = end;
        }
    }

    // Cuts the sorted sentences into the longest runs that keep to the budget.
    void cut(SentenceLengths const& lengths, Index budget) {
        ranges_.clear();
        Index begin = 0;
        Index source = 0;
        Index target = 0;
        for (Index position = 0; position < lengths.size(); ++position) {
            auto const sentence = static_cast<std::size_t>(sentences_[static_cast<std::size_t>(position)]);
            source += lengths.source[sentence];
            target += lengths.target[sentence];
            if (source > budget || target > budget) {
                ranges_.emplace_back(begin, position);
                begin = position;
                source = lengths.source[sentence];
                target = lengths.target[sentence];
            }
        }
        if (begin < lengths.size()) ranges_.emplace_back(begin, lengths.size());
    }

    // Halves the batch with the most sentences until every rank can have as many batches as every other.
    void split_until_multiple(Index ranks) {
        while (size() % ranks != 0) {
            auto const largest = std::max_element(ranges_.begin(), ranges_.end(), [](Range const& a, Range const& b) {
                return a.second - a.first < b.second - b.first;
            });
            require(largest->second - largest->first > 1, "inkling::text::make_batches: ", size(),
                    " batches of one sentence each cannot be dealt to ", ranks,
                    " ranks evenly, expected a larger tokens_per_batch or another number of ranks");
            Index const middle = largest->first + (largest->second - largest->first) / 2;
            Index const end = std::exchange(largest->second, middle);
            ranges_.emplace_back(middle, end);
        }
    }

    std::vector<Index> sentences_;  // [S], every sentence once
    std::vector<Index> shuffled_;   // [S], each sentence's place after the shuffle
    std::vector<Range> ranges_;
};

/// All batches of an epoch, of all ranks: a pure function of its arguments, the same on every platform.
///
/// Sentences are shuffled, sorted by length within pools, cut into runs that keep to the budget, and the runs are
/// shuffled. Every sentence is in exactly one batch. If ranks do not divide the number of batches, the largest ones are
/// halved.
/// @throws Error when a sentence alone is over the budget, an option is out of range, or the sentences cannot
///         be dealt to the ranks evenly: fewer sentences than ranks, or batches of one sentence whose number the ranks
///         do not divide
[[nodiscard]] inline EpochBatches make_batches(SentenceLengths const& lengths, BatchingOptions const& options,
                                               std::uint32_t epoch) {
    EpochBatches batches;
    batches.draw(lengths, options, epoch);
    return batches;
}

/// Which of an epoch's batches is the `step`-th of worker `rank`: the workers deal the batches out like cards.
[[nodiscard]] constexpr Index batch_of_rank(Index step, Index rank, Index ranks) { return step * ranks + rank; }

/// Where a BatchPlan stands: all that a checkpoint must keep to go on with the identical stream of batches.
struct BatchPosition {
    std::uint32_t epoch = 0;
    Index step = 0;  ///< batches of this rank already handed out in this epoch
    /// tells whether lengths, seed and options (all but the rank) are those it was taken with
    std::uint64_t fingerprint = 0;

    friend bool operator==(BatchPosition const&, BatchPosition const&) = default;
};

/// An endless, resumable stream of batches: epoch after epoch, this rank's share of each.
///
/// Batches are a pure function of (lengths, options, epoch), so a position is three numbers. Allocates only when built.
class BatchPlan {
public:
    /// @throws Error when make_batches does, or when there is no sentence
    BatchPlan(SentenceLengths lengths, BatchingOptions const& options)
        : lengths_(std::move(lengths)), options_(options) {
        require(lengths_.size() > 0, "inkling::text::BatchPlan: the corpus is empty, expected at least one sentence");
        batches_.draw(lengths_, options_, 0);
        drawn_.reserve(lengths_.size());
        position_.fingerprint = fingerprint();
    }

    /// Plans over a corpus whose sentences will be wrapped with `wrapping`.
    BatchPlan(ParallelCorpus const& corpus, BatchingOptions const& options, Wrapping const& wrapping = {})
        : BatchPlan(wrapped_lengths(corpus, wrapping), options) {}

    /// Sentence indices of the next batch; goes on to the next epoch at the end of one. Valid until the next call.
    /// @throws Error when the next epoch's batches cannot be dealt to the ranks evenly (see make_batches); nothing is
    ///         changed then
    [[nodiscard]] std::span<Index const> next() {
        if (position_.step == steps_per_epoch()) {
            drawn_.draw(lengths_, options_, position_.epoch + 1);
            std::swap(batches_, drawn_);
            ++position_.epoch;
            position_.step = 0;
        }
        return batches_[batch_of_rank(position_.step++, options_.rank, options_.ranks)];
    }

    /// Batches of this rank in the present epoch; may differ a little between epochs, not between ranks.
    [[nodiscard]] Index steps_per_epoch() const { return batches_.size() / options_.ranks; }

    /// The epoch of the batch handed out last, from 0.
    [[nodiscard]] std::uint32_t epoch() const { return position_.epoch; }

    /// Where the stream stands; restore() of it goes on with the batch that next() would give now.
    [[nodiscard]] BatchPosition position() const { return position_; }

    /// Goes to a position taken earlier, from this plan or from an equal one in another process.
    /// @throws Error when it belongs to other sentences, options or seed, or is out of range; nothing is changed then
    void restore(BatchPosition const& position) {
        require(position.fingerprint == position_.fingerprint,
                "inkling::text::BatchPlan: the saved position belongs to another corpus, seed, pool, budget or number "
                "of ranks, expected fingerprint ",
                position_.fingerprint, ", seen ", position.fingerprint);
        EpochBatches batches = make_batches(lengths_, options_, position.epoch);
        Index const steps = batches.size() / options_.ranks;
        require(position.step >= 0 && position.step <= steps, "inkling::text::BatchPlan: the saved position is step ",
                position.step, " of epoch ", position.epoch, ", expected a number in [0, ", steps, "]");
        batches_ = std::move(batches);
        position_ = position;
    }

private:
    // Depends on every length and option but the rank, as all ranks stand at the same step.
    [[nodiscard]] std::uint64_t fingerprint() const {
        Hash hash(0xCBF29CE484222325u);
        hash.add(options_.seed);
        for (Index option : {options_.tokens_per_batch, options_.pool, options_.ranks, lengths_.size()})
            hash.add(static_cast<std::uint64_t>(option));
        for (std::size_t i = 0; i < lengths_.target.size(); ++i) {
            hash.add(static_cast<std::uint64_t>(lengths_.source[i]));
            hash.add(static_cast<std::uint64_t>(lengths_.target[i]));
        }
        return hash.value();
    }

    SentenceLengths lengths_;
    BatchingOptions options_;
    EpochBatches batches_;
    EpochBatches drawn_;  // memory for the next epoch's
    BatchPosition position_;
};

}  // namespace inkling::text
