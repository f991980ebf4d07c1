#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace inkling::schedule {

/// Rounds to the nearest whole number, halves to the even one, as Python's `round` does: 0.5 -> 0, 1.5 -> 2, 2.5 -> 2.
[[nodiscard]] inline Index round_half_to_even(double number) {
    double const below = std::floor(number);
    double const rest = number - below;
    Index const whole = static_cast<Index>(below);
    if (rest > 0.5 || (rest == 0.5 && whole % 2 != 0)) return whole + 1;
    return whole;
}

/// Chooses steps evenly within sections: T steps are cut into as many equal parts as there are counts, and part k gives
/// `counts[k]` of them, its first and last included. `spaced_steps(2000, {20})` is the usual even choice.
///
/// Source: Nichol & Dhariwal 2021, "Improved DDPM", arXiv:2102.09672, section 4, and its code (`space_timesteps`), step
/// for step.
/// @param steps   T, number of steps of the full table, at least 1
/// @param counts  how many steps to keep of each part; each from 0 to the size of its part, not all 0
/// @return        the kept steps, ascending, each in [0, T)
/// @throws Error when a count does not fit
[[nodiscard]] inline std::vector<Index> spaced_steps(Index steps, std::vector<Index> const& counts) {
    require(steps >= 1, "inkling::schedule::spaced_steps: steps is ", steps, ", expected at least 1");
    require(!counts.empty(), "inkling::schedule::spaced_steps: no section counts, expected at least one");
    Index const sections = static_cast<Index>(counts.size());
    std::vector<Index> kept;
    Index start = 0;
    for (Index section = 0; section < sections; ++section) {
        Index const size = steps / sections + (section < steps % sections ? 1 : 0);
        Index const count = counts[static_cast<std::size_t>(section)];
        require(count >= 0 && count <= size, "inkling::schedule::spaced_steps: section ", section, " is to keep ",
                count, " steps, expected 0 to ", size, ", its size");
        double const stride = count <= 1 ? 1.0 : static_cast<double>(size - 1) / static_cast<double>(count - 1);
        double position = 0.0;  // summed up, not multiplied, as the rounding of halves depends on it
        for (Index i = 0; i < count; ++i, position += stride) kept.push_back(start + round_half_to_even(position));
        start += size;
    }
    require(!kept.empty(),
            "inkling::schedule::spaced_steps: every section count is 0, expected at least one step to keep");
    kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
    return kept;
}

/// Chooses `count` of T steps evenly, first and last included.
/// @throws Error unless 1 <= count <= steps
[[nodiscard]] inline std::vector<Index> spaced_steps(Index steps, Index count) {
    return spaced_steps(steps, std::vector<Index>{count});
}

/// Chooses steps 0, k, 2k, ... with the smallest whole k that gives exactly `count` of them ('ddimN' in the official
/// programs).
///
/// Unlike spaced_steps it does not keep the noisiest step.
/// Source: Song et al. 2021, "DDIM", arXiv:2010.02502, appendix D.2, 'linear'.
/// @return  the kept steps, ascending, each in [0, steps)
/// @throws Error when no whole stride gives that count
[[nodiscard]] inline std::vector<Index> strided_steps(Index steps, Index count) {
    require(steps >= 1, "inkling::schedule::strided_steps: steps is ", steps, ", expected at least 1");
    auto const parts = [steps](Index size) { return steps / size + (steps % size != 0 ? 1 : 0); };
    Index const stride = count >= 1 ? parts(count) : steps;  // no smaller one gives as few
    require(parts(stride) == count, "inkling::schedule::strided_steps: count is ", count,
            ", expected one that a whole stride gives of ", steps, " steps; spaced_steps takes any from 1 to ", steps);
    std::vector<Index> kept;
    for (Index i = 0; i < count; ++i) kept.push_back(i * stride);
    return kept;
}

}  // namespace inkling::schedule
