#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/random.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/schedule/concept.hpp>
#include <inkling/schedule/discrete.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <ranges>
#include <span>
#include <type_traits>

namespace inkling {

/// Which noise levels training draws. Models: objective::EvenLevels, objective::AnnealedLevels,
/// objective::ClippedLevels, objective::LossAwareLevels, objective::TimeWarping.
///
/// What changes in a run is `State`, which belongs to the trainer; `describe(state, visit)` beside it names the numbers
/// that a checkpoint must hold, doubles and vectors of them. `follow` is called in front of every update with its
/// number, from 1, and may look at the weights of the pass. `draw_time` and `draw_step` draw the level of one sentence,
/// from all of [0, 1] or from a table's steps. A policy with options may have `check() const`, and `describe(policy,
/// visit)` to make them part of a run.
///
/// A policy may learn from losses: `learn(state, times, losses) const` is then called after every update with the level
/// of each sentence of its batch and the sentence's loss, and `weight(state, time) const` tells what the loss of a
/// sentence at a level is multiplied by. Both see a step k of T as the time (k + 1/2) / T. A policy that not every
/// table is right for may have `check(table) const`.
// clang-format off
template <class L, class Space, class Schedule, class Device>
concept LevelPolicy = std::copyable<L>
    && requires { typename L::State; }                 // has 'State', what changes in a run
    && std::default_initializable<typename L::State>
    && requires(L const& levels, typename L::State& state, nn::Pass<Device>& pass, Space const& space,
                Schedule const& schedule) {
           levels.follow(state, pass, space, schedule, Index{});  // has 'follow(state, pass, space, schedule, update) const'
       }
    && requires(L const& levels, typename L::State const& state, RandomStream const& stream) {
           { levels.draw_time(state, stream) } -> std::same_as<double>;  // has 'draw_time(state, stream) const', in [0, 1]
       }
    && requires(L const& levels, typename L::State const& state, schedule::Discrete const& table,
                RandomStream const& stream) {
           { levels.draw_step(state, table, stream) } -> std::same_as<Index>;  // has 'draw_step(state, table, stream) const', in [0, T)
       };
// clang-format on

namespace objective {

namespace detail {

/// How many steps of a table are below a bound, where those that are come first: the number of the first that is not.
template <class Below>
[[nodiscard]] Index steps_below(schedule::Discrete const& table, Below const& below) {
    auto const steps = std::views::iota(Index{0}, table.steps());
    return static_cast<Index>(std::ranges::partition_point(steps, below) - steps.begin());
}

/// One of the steps from one to the other, whichever is the lower; of those there are, the nearest to them.
[[nodiscard]] inline Index draw_between(Index one, Index other, schedule::Discrete const& table,
                                        RandomStream const& stream) {
    auto const held = [&](Index step) { return std::clamp(step, Index{0}, table.steps() - 1); };
    Index const lowest = held(std::min(one, other)), highest = held(std::max(one, other));
    return lowest + static_cast<Index>(stream.below(static_cast<std::uint64_t>(highest - lowest + 1), 0));
}

}  // namespace detail

/// Whether a level policy learns from the losses of what it drew.
template <class L>
inline constexpr bool learns_from_losses =
    requires(L const& levels, typename L::State& state, std::span<double const> numbers) {
        levels.learn(state, numbers, numbers);
    };

/// Whether a level policy has the losses of some levels count for more than those of others.
template <class L>
inline constexpr bool weighs_levels = requires(L const& levels, typename L::State const& state, double time) {
    { levels.weight(state, time) } -> std::same_as<double>;
};

/// A stretch of times, each as probable as the others.
struct TimeRange {
    double first = 0.0;  ///< in [0, last]
    double last = 1.0;   ///< in [first, 1]
    Index steps = 0;  ///< only so many times, the last of as many equal parts each: first + k / steps (last - first), k
                      ///< from 1; 0: all, as it must be for a table, which has steps of its own

    /// @param where  names the policy in the message
    /// @throws Error naming the first setting that is out of its range
    void check(char const* where) const {
        require(first >= 0.0 && first <= 1.0, where, ": first is ", first, ", expected a number in [0, 1]");
        require(last >= first && last <= 1.0, where, ": last is ", last, ", expected first, ", first, ", to 1");
        require(steps >= 0, where, ": steps is ", steps, ", expected 0 or more");
    }
    /// @throws Error where a table is given times of a range's own
    void check_for_table(char const* where) const {
        require(steps == 0, where, ": steps is ", steps, ", expected 0, as the table has steps of its own");
    }

    /// The time at a share of the range. @param share in [0, 1]
    [[nodiscard]] double at(double share) const { return first + (last - first) * share; }

    /// A time of the range.
    [[nodiscard]] double draw_time(RandomStream const& stream) const {
        if (steps == 0) return at(stream.uniform(0));
        auto const k = stream.below(static_cast<std::uint64_t>(steps), 0);
        return at(static_cast<double>(k + 1) / static_cast<double>(steps));
    }
    /// A step of the table whose label_time lies between the ends; its nearest step where there is none.
    [[nodiscard]] Index draw_step(schedule::Discrete const& table, RandomStream const& stream) const {
        double const low = std::min(first, last), high = std::max(first, last);
        Index const lowest = detail::steps_below(table, [&](Index i) { return table.label_time(i) < low; });
        Index const above = detail::steps_below(table, [&](Index i) { return table.label_time(i) <= high; });
        return detail::draw_between(lowest, std::max(lowest, above - 1), table, stream);
    }
};

/// Every level of a stretch as often as the others: the first choice of all that was published before DINOISER.
struct EvenLevels {
    TimeRange range{};

    /// Nothing changes.
    struct State {};

    /// @throws Error naming the first setting that is out of its range
    void check() const { range.check("inkling::objective::EvenLevels"); }
    /// @throws Error where a table is given times of a range's own
    void check(schedule::Discrete const&) const { range.check_for_table("inkling::objective::EvenLevels"); }
    template <Backend B, EmbeddingSpace Space, NoiseSchedule Schedule>
    void follow(State&, nn::Pass<B>&, Space const&, Schedule const&, Index) const {}
    [[nodiscard]] double draw_time(State const&, RandomStream const& stream) const { return range.draw_time(stream); }
    [[nodiscard]] Index draw_step(State const&, schedule::Discrete const& table, RandomStream const& stream) const {
        return range.draw_step(table, stream);
    }
};

/// Names every setting once, for checkpoints and their checks.
template <class Levels, class Visit>
    requires std::same_as<std::remove_const_t<Levels>, EvenLevels>
void describe(Levels& levels, Visit const& visit) {
    visit("first", levels.range.first);
    visit("last", levels.range.last);
    visit("steps", levels.range.steps);
}

}  // namespace objective
}  // namespace inkling
