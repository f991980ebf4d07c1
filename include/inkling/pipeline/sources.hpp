#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>
#include <string_view>
#include <vector>

namespace inkling::pipeline {

/// @throws Error naming the first source that has more rows than a model has positions for, or a token that the
///         vocabulary lacks
/// @param rows  rows(tokens), of a source of so many tokens
template <class Rows>
void require_sources(std::span<std::vector<Token> const> sources, Rows const& rows, Index longest, Index vocabulary,
                     std::string_view where) {
    for (std::size_t i = 0; i < sources.size(); ++i) {
        Index const own = rows(static_cast<Index>(sources[i].size()));
        require(own <= longest, where, ": source ", i, " has ", own, " tokens, expected at most ", longest,
                ", for which the model has positions");
        for (Token const token : sources[i])
            require(token >= 0 && token < vocabulary, where, ": source ", i, " has the token ", token,
                    ", expected one of a vocabulary of ", vocabulary);
    }
}

namespace detail {

/// Numbers of lines, shortest first.
[[nodiscard]] inline std::vector<Index> by_length(std::span<Index const> lengths) {
    std::vector<Index> order(lengths.size());
    std::iota(order.begin(), order.end(), Index{0});
    std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
        return lengths[static_cast<std::size_t>(a)] < lengths[static_cast<std::size_t>(b)];
    });
    return order;
}

}  // namespace detail

/// Numbers of what is of like length together, so that a batch wastes nothing; shortest first.
/// @param lengths  [S], rows of each
/// @param copies   of each in its batch
/// @param budget   rows of a batch; what has more has a batch of its own
[[nodiscard]] inline std::vector<std::vector<Index>> grouped(std::span<Index const> lengths, Index copies,
                                                             Index budget) {
    std::vector<std::vector<Index>> groups;
    Index rows = 0;
    for (Index const i : detail::by_length(lengths)) {
        Index const cost = lengths[static_cast<std::size_t>(i)] * copies;
        if (groups.empty() || rows + cost > budget) {
            groups.emplace_back();
            rows = 0;
        }
        groups.back().push_back(i);
        rows += cost;
    }
    return groups;
}

/// The same in at most so many groups of about as many rows: less than the longest of `lengths`, times copies, is what
/// one has beyond the mean.
/// @param lengths  [S], rows of each, at least 1
/// @param count    of groups, at least 1
[[nodiscard]] inline std::vector<std::vector<Index>> evenly_grouped(std::span<Index const> lengths, Index copies,
                                                                    Index count) {
    std::vector<std::vector<Index>> groups;
    auto const all = static_cast<double>(std::accumulate(lengths.begin(), lengths.end(), Index{0}) * copies);
    double before = 0.0;
    Index last = -1;
    for (Index const i : detail::by_length(lengths)) {
        auto const cost = static_cast<double>(lengths[static_cast<std::size_t>(i)] * copies);
        auto const group = static_cast<Index>((before + cost / 2.0) / all * static_cast<double>(count));
        if (group != last) groups.emplace_back();
        groups.back().push_back(i);
        last = group;
        before += cost;
    }
    return groups;
}

}  // namespace inkling::pipeline
