#pragma once

#include <inkling/backend/thrust/detail/map.hpp>
#include <inkling/backend/thrust/detail/team.hpp>

#include <cmath>

namespace inkling::backend::kernels {

/// sum_v exp(l_v - top) over logits [vocabulary], in double: the 1 of the greatest would swallow what the others add to
/// it, which is all of a small loss. put(v, e) sees each exponential, and may write to l_v.
template <class Real, class Put>
[[nodiscard]] INKLING_HOST_DEVICE double exponential_sum(Team const& team, FoldRoom<double>& room, Index vocabulary,
                                                         Real const* logits, Real top, Put const& put) {
    return sum_of(team, room, vocabulary, [=](Index v) {
        Real const exponential = std::exp(logits[v] - top);
        put(v, exponential);
        return static_cast<double>(exponential);
    });
}
template <class Real>
[[nodiscard]] INKLING_HOST_DEVICE double exponential_sum(Team const& team, FoldRoom<double>& room, Index vocabulary,
                                                         Real const* logits, Real top) {
    return exponential_sum(team, room, vocabulary, logits, top, [](Index, Real) {});
}

}  // namespace inkling::backend::kernels
