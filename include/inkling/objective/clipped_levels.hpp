#pragma once

#include <inkling/core/error.hpp>
#include <inkling/objective/levels.hpp>
#include <inkling/schedule/inverse.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

namespace inkling::objective {

namespace detail {

/// Token numbers made at once on the host.
inline constexpr Index block_of_tokens = 1024;

}  // namespace detail

/// The mean over all tokens of |z0 - z0'|^2 / D, z0' the nearest other token's: how far apart a space holds its tokens.
///
/// Waits for the device.
/// @throws Error when there are fewer than two tokens
template <Backend B, EmbeddingSpace Space>
[[nodiscard]] double token_spacing(nn::Pass<B>& pass, Space const& space) {
    Index const count = space.vocabulary();
    require(count >= 2, "inkling::objective::token_spacing: the space has ", count, " token, expected at least 2");
    nn::Scope<B> const scope(pass.workspace);
    Token* const tokens = pass.workspace.template take<Token>(count);
    for (Index begin = 0; begin < count; begin += detail::block_of_tokens) {
        Token own[detail::block_of_tokens];
        Index const size = std::min(detail::block_of_tokens, count - begin);
        for (Index i = 0; i < size; ++i) own[i] = static_cast<Token>(begin + i);
        upload(pass.device, std::span<Token const>(own, static_cast<std::size_t>(size)), tokens + begin);
    }
    auto const z0 = pass.take(count, space.width());
    space.embed(pass, TokenView(tokens, count), z0);
    double* const sum = pass.workspace.template take<double>(1);
    nearest_other_distance(pass.device, z0, sum);
    double total = 0.0;
    download(pass.device, static_cast<double const*>(sum), std::span<double>(&total, 1));
    return total / static_cast<double>(z0.size());
}

/// Only levels whose noise hides which of its neighbours a token is: below them there is nothing to learn but to copy,
/// and a model that can copy need not look at the source.
///
/// t is drawn from [t_min, last] with s(t_min) = √(δ² / (δ² + F²)), δ² = mean over tokens of the squared distance to
/// the nearest other / D, F the training noise factor: there the noise in z_t / a(t) has the variance δ². It follows
/// the embeddings as they move. `smoothed` adds 1 to δ².
/// Source: Ye et al. 2023, "DINOISER", arXiv:2302.10025, and its code ('clipped', 'clipped_s').
struct ClippedLevels {
    bool smoothed = false;
    Index every = 1;  ///< updates from one look at the embeddings to the next, at least 1; a look takes V^2 D products
    Index steps = 0;  ///< see TimeRange::steps
    double last = 1.0;  ///< the noisiest time, in (0, 1]; where t_min is above it, t is drawn from [last, t_min]

    struct State {
        double first = 0.0;  ///< t_min
        double noise = 0.0;  ///< s(t_min), which a table is entered by: its steps are at other levels than the schedule
    };

    /// @throws Error naming the first setting that is out of its range
    void check() const {
        require(every >= 1, "inkling::objective::ClippedLevels: every is ", every, ", expected at least 1");
        require(steps >= 0, "inkling::objective::ClippedLevels: steps is ", steps, ", expected 0 or more");
        require(last > 0.0 && last <= 1.0, "inkling::objective::ClippedLevels: last is ", last,
                ", expected a number above 0 and up to 1");
    }
    /// @throws Error where a table is given times of a range's own
    void check(schedule::Discrete const&) const {
        TimeRange{.steps = steps}.check_for_table("inkling::objective::ClippedLevels");
    }
    /// Waits for the device.
    template <Backend B, EmbeddingSpace Space, NoiseSchedule Schedule>
    void follow(State& state, nn::Pass<B>& pass, Space const& space, Schedule const& schedule, Index update) const {
        if ((update - 1) % every != 0) return;
        double const factor = schedule::training_noise_factor(schedule);
        state.noise = least_noise(token_spacing(pass, space), factor);
        state.first = schedule::time_at_noise(schedule, state.noise);
    }
    /// s(t_min). @param spacing  δ², 0 or more
    [[nodiscard]] double least_noise(double spacing, double noise_factor = 1.0) const {
        double const own = smoothed ? spacing + 1.0 : spacing;
        return std::sqrt(own / (own + noise_factor * noise_factor));
    }
    [[nodiscard]] double draw_time(State const& state, RandomStream const& stream) const {
        return now(state).draw_time(stream);
    }
    /// A step from that with so much noise to the last whose label_time is not above `last`, whichever is the lower.
    [[nodiscard]] Index draw_step(State const& state, schedule::Discrete const& table,
                                  RandomStream const& stream) const {
        Index const lowest =
            detail::steps_below(table, [&](Index i) { return std::sqrt(1.0 - table.level(i)) < state.noise; });
        Index const above = detail::steps_below(table, [&](Index i) { return table.label_time(i) <= last; });
        return detail::draw_between(lowest, above - 1, table, stream);
    }
    [[nodiscard]] TimeRange now(State const& state) const { return {state.first, last, steps}; }
};

/// Names the numbers of a run, for checkpoints.
template <class State, class Visit>
    requires std::same_as<std::remove_const_t<State>, ClippedLevels::State>
void describe(State& state, Visit const& visit) {
    visit("first", state.first);
    visit("noise", state.noise);
}

/// Names every setting once, for checkpoints and their checks.
template <class Levels, class Visit>
    requires std::same_as<std::remove_const_t<Levels>, ClippedLevels>
void describe(Levels& levels, Visit const& visit) {
    visit("smoothed", levels.smoothed);
    visit("every", levels.every);
    visit("steps", levels.steps);
    visit("last", levels.last);
}

}  // namespace inkling::objective
