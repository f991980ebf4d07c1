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
#include <utility>
#include <vector>

namespace inkling::pipeline {

/// Lines in batches, and how many of these a device does side by side.
struct Batches {
    std::vector<std::vector<Index>> groups;  ///< numbers of lines; shortest lines first
    std::ptrdiff_t at_once = 1;
};

/// Cuts lines into batches as suits the device: where it splits batches among its threads, and there are rows enough
/// for all of them, into such as each thread does by itself, otherwise into such as they do together.
/// @param lengths  [S], rows of each line
/// @param copies   of each in its batch
/// @param budget   rows at once, at least 1; a line that has more, or more than its share of them, has its own batch
/// @param whole    whether batches are to be done one at a time, and as large as the budget lets them
template <Backend B>
[[nodiscard]] Batches cut_batches(B const& device, std::span<Index const> lengths, Index copies, Index budget,
                                  bool whole) {
    if constexpr (backend::SplitsBatches<B>) {
        Index const threads = device.threads();
        Index const rows = copies * std::accumulate(lengths.begin(), lengths.end(), Index{0});
        if (!whole && !lengths.empty() && (threads == 1 || rows >= B::least_thread_rows * threads)) {
            Index const most = std::clamp<Index>(budget / threads, 1, B::most_thread_rows);
            Index const longest = copies * *std::max_element(lengths.begin(), lengths.end());
            Index const round = std::max<Index>(1, most - longest) * threads;  // of even batches, none above the most
            auto groups = 2 * longest <= most ? evenly_grouped(lengths, copies, (rows + round - 1) / round * threads)
                                              : grouped(lengths, copies, most);
            if (static_cast<Index>(groups.size()) >= threads) return {std::move(groups), threads};
        }
    }
    return {grouped(lengths, copies, budget)};
}

/// Workers that do batches side by side, each on a thread of its own, or one batch on all threads.
template <Backend B>
class Crew {
public:
    /// @param whole  has all of the device's threads
    /// @param pool   of workers that have one; where the backend splits batches among its threads
    Crew(Worker<B>& whole, Workers<B>& pool) : whole_(&whole), pool_(&pool) {}

    /// Calls body(i, worker) for all i in [0, count), several at once.
    /// @throws what the first of them throws, when all are done
    template <class Body>
    void each(std::size_t count, Body const& body) {
        if constexpr (backend::SplitsBatches<B>) {
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
