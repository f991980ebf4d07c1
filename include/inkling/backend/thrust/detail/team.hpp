#pragma once

#include <inkling/backend/thrust/device.hpp>
#include <inkling/core/host_device.hpp>
#include <inkling/core/index.hpp>

#include <cstddef>

/// \file
/// Threads that work side by side on one piece of a verb: a block of a CUDA device's, and elsewhere one thread that
/// plays them all. What a verb's teams do is written once and runs on both.

namespace inkling::backend::kernels {

/// Which way a team's steps go where one thread plays them all: a right kernel does not care.
enum class Order { forwards, backwards };

/// Threads that share memory and wait for each other.
struct Team {
    static constexpr int threads = 128;
    /// Bytes of memory that a team's threads may share.
    static constexpr std::size_t most_shared = 48 * 1024;

    Index index;                    ///< which of a verb's teams
    Order order = Order::forwards;  ///< of no meaning on a CUDA device

    /// body(i) for i in [0, count), side by side and in any order; all are done and seen by all when it returns.
    ///
    /// All threads run what stands between two such steps: it may read what steps before have written and the next one
    /// leaves as it is.
    template <class Body>
    INKLING_HOST_DEVICE void each(Index count, Body const& body) const {
#ifdef __CUDA_ARCH__
        for (Index i = threadIdx.x; i < count; i += threads) body(i);
        __syncthreads();
#else
        if (order == Order::forwards)
            for (Index i = 0; i < count; ++i) body(i);
        else
            for (Index i = count; i-- > 0;) body(i);
#endif
    }
};

/// Room for what a team folds; its result stays until the team folds in the same room again.
template <class T>
struct FoldRoom {
    static constexpr int few = 16;
    T of_lanes[Team::threads];
    T of_few[few];
    T whole;
};

/// `nothing` combined with term(0) .. term(count - 1), in an order that depends on the count alone. Each term is asked
/// for once.
template <class T, class Term, class Combine>
INKLING_HOST_DEVICE T fold(Team const& team, FoldRoom<T>& room, Index count, T const& nothing, Term const& term,
                           Combine const& combine) {
    constexpr int few = FoldRoom<T>::few, each = Team::threads / few;
    team.each(Team::threads, [&](Index lane) {
        T own = nothing;
        for (Index i = lane; i < count; i += Team::threads) own = combine(own, term(i));
        room.of_lanes[lane] = own;
    });
    team.each(few, [&](Index group) {
        T own = room.of_lanes[group * each];
        for (Index lane = 1; lane < each; ++lane) own = combine(own, room.of_lanes[group * each + lane]);
        room.of_few[group] = own;
    });
    team.each(1, [&](Index) {
        room.whole = room.of_few[0];
        for (Index group = 1; group < few; ++group) room.whole = combine(room.whole, room.of_few[group]);
    });
    return room.whole;
}

/// The sum of term(0) .. term(count - 1).
template <class T, class Term>
INKLING_HOST_DEVICE T sum_of(Team const& team, FoldRoom<T>& room, Index count, Term const& term) {
    return fold(team, room, count, T{0}, term, [](T const& a, T const& b) { return a + b; });
}

/// The greatest of count numbers, at least one.
template <class T>
INKLING_HOST_DEVICE T greatest(Team const& team, FoldRoom<T>& room, Index count, T const* numbers) {
    return fold(
        team, room, count, numbers[0], [numbers](Index i) { return numbers[i]; },
        [](T const& a, T const& b) { return b > a ? b : a; });
}

/// Plays one team of a body after the other.
template <class Body>
struct PlayTeam {
    Body body;
    Order order = Order::forwards;
    INKLING_HOST_DEVICE void operator()(Index index) const {
        typename Body::Shared shared;
        body(Team{index, order}, shared);
    }
};

/// Runs body(team, shared) with `count` teams; Body::Shared is a trivial type of what a team's threads share, and is
/// not initialised. A system that has teams of its own says so by `for_each_team(count, body)`.
template <class Real, class System, class Body>
void for_each_team(ThrustDevice<Real, System>& device, Index count, Body const& body) {
    static_assert(sizeof(typename Body::Shared) <= Team::most_shared);
    if (count == 0) return;
    if constexpr (requires { device.system().for_each_team(count, body); })
        device.system().for_each_team(count, body);
    else
        device.system().for_each(count, PlayTeam<Body>{body});
}

}  // namespace inkling::backend::kernels
