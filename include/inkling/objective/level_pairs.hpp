#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/schedule/discrete.hpp>

#include <algorithm>
#include <cmath>
#include <optional>

namespace inkling::objective {

/// Where a second noise level of a pair lies.
enum class SecondLevel {
    steps,       ///< a fixed number of steps away
    window_end,  ///< as far as the noise differs by no more than the window
    in_window    ///< anywhere between: the published choice
};

/// Which second level training draws beside the first, for an objective that compares two estimates of one text.
///
/// Source: Tang et al. 2023, arXiv:2305.04465, section 3.1 and code ('l2', 'l2_noise', 'l2_noise_random').
struct LevelPairs {
    SecondLevel second = SecondLevel::in_window;
    Index steps = 10;      ///< for SecondLevel::steps, at least 1
    double window = 0.05;  ///< how much noise s may differ by, in (0, 1]

    /// @throws Error naming the first option that is out of its range
    void check() const {
        require(steps >= 1, "inkling::objective::LevelPairs: steps is ", steps, ", expected at least 1");
        require(window > 0.0 && window <= 1.0, "inkling::objective::LevelPairs: window is ", window,
                ", expected a number above 0 and up to 1");
    }

    /// The last step in that direction whose noise differs from step t's by no more than the window; nothing where the
    /// table ends before the window does.
    /// @throws Error when there is no step t
    [[nodiscard]] std::optional<Index> window_end_of(schedule::Discrete const& table, Index t, bool noisier) const {
        auto const noise = [&](Index step) { return std::sqrt(1.0 - table.level(step)); };
        double const own = noise(t);
        Index const way = noisier ? 1 : -1;
        for (Index step = t + way; step >= 0 && step < table.steps(); step += way)
            if (std::abs(noise(step) - own) > window) return step - way;
        return std::nullopt;
    }

    /// The second step of a pair; t itself where there is none.
    /// @param noisier  which way it lies
    /// @param uniform  in [0, 1), for SecondLevel::in_window
    [[nodiscard]] Index second_of(schedule::Discrete const& table, Index t, bool noisier, double uniform) const {
        if (second == SecondLevel::steps)
            return std::clamp<Index>(t + (noisier ? steps : -steps), 0, table.steps() - 1);
        Index const end = window_end_of(table, t, noisier).value_or(t);
        if (second == SecondLevel::window_end || end == t) return end;
        auto const share = static_cast<Index>(uniform * static_cast<double>(std::abs(end - t)));  // 0 to |end - t| - 1
        return t + (noisier ? 1 + share : -1 - share);
    }

    /// Whether a pair enters the loss. `steps`: unless its second level is the first or last of the table; otherwise:
    /// unless both levels are the same.
    [[nodiscard]] bool counts(schedule::Discrete const& table, Index t, Index other) const {
        return second == SecondLevel::steps ? other != 0 && other != table.steps() - 1 : other != t;
    }
};

}  // namespace inkling::objective
