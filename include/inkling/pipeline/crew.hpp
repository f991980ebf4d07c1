#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/core/index.hpp>
#include <inkling/pipeline/sources.hpp>
#include <inkling/pipeline/workers.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <numeric>
#include <span>
#include <vector>

namespace inkling::pipeline {

/// Lines in batches, and how many of these a device does side by side.
struct Batches {
    std::vector<std::vector<Index>> groups;  ///< numbers of lines; shortest lines first
    std::ptrdiff_t at_once = 1;
};

/// Cuts lines into batches as suits the device: where its threads share rows, and there are enough of them, into even
/// ones, a round of which has one for each thread.
/// @param lengths  [S], rows of each line
/// @param copies   of each in its batch
/// @param budget   rows at once, at least 1; a line that has more has a batch of its own
/// @param whole    whether batches are to be as large as the budget lets them, and one at a time
template <Backend B>
[[nodiscard]] Batches batches(B const& device, std::span<Index const> lengths, Index copies, Index budget, bool whole) {
    if constexpr (backend::SharesRows<B>) {
        constexpr Index least = 64;  // rows of a thread: with fewer, reading the weights takes as long as using them
        Index const threads = device.threads();
        Index const rows = copies * std::accumulate(lengths.begin(), lengths.end(), Index{0});
        if (!whole && (threads == 1 || rows >= least * threads)) {
            Index const most = std::clamp<Index>(budget / threads, 1, B::rows_in_cache) * threads;
            Index const rounds = (rows + most - 1) / most;
            return {evenly_grouped(lengths, copies, rounds * threads), threads};
        }
    }
    return {grouped(lengths, copies, budget)};
}

/// Workers that do batches side by side, each on a thread of its own, or one batch on all threads.
template <Backend B>
class Crew {
public:
    /// @param whole  has all of the device's threads
    /// @param pool   of workers that have one; where the backend's threads share rows
    Crew(Worker<B>& whole, Workers<B>& pool) : whole_(&whole), pool_(&pool) {}

    /// Calls body(i, worker) for all i in [0, count), several at once.
    /// @throws what the first of them throws, when all are done
    template <class Body>
    void each(std::size_t count, Body const& body) {
        if constexpr (backend::SharesRows<B>) {
            if (count > 1) {
                auto const threads = static_cast<std::size_t>(whole_->device.threads());
                while (one_thread_.size() < threads) one_thread_.push_back(pool_->borrow(whole_->device.one_thread()));
                std::vector<std::exception_ptr> problems(count);
                whole_->device.parallel(static_cast<Index>(count), 1, [&](Index i, Index, int thread) {
                    auto const at = static_cast<std::size_t>(i);
                    try {
                        body(at, *one_thread_[static_cast<std::size_t>(thread)]);
                    } catch (...) { problems[at] = std::current_exception(); }
                });
                for (std::exception_ptr const& problem : problems)
                    if (problem) std::rethrow_exception(problem);
                return;
            }
        }
        for (std::size_t i = 0; i < count; ++i) body(i, *whole_);
    }

private:
    Worker<B>* whole_;
    Workers<B>* pool_;
    std::vector<typename Workers<B>::Loan> one_thread_;
};

}  // namespace inkling::pipeline
