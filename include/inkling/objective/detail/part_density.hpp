#pragma once

#include <inkling/core/index.hpp>
#include <inkling/core/random.hpp>
#include <inkling/objective/levels.hpp>
#include <inkling/schedule/discrete.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace inkling::objective::detail {

/// Which of so many equal parts of [0, 1] a time lies in.
[[nodiscard]] inline std::size_t part_of(double time, std::size_t parts) {
    return std::min(parts - 1, static_cast<std::size_t>(std::max(0.0, time) * static_cast<double>(parts)));
}

/// A density of times that is constant on each of equal parts of [0, 1].
struct PartDensity {
    std::vector<double> cumulative{};  ///< [parts], how probable a part or one in front of it is; empty: all are even

    /// Takes up these weights of parts, 0 or more, and has an even share of all drawn whatever they are.
    /// @param even  in [0, 1]
    void set(std::span<double const> weights, double even) {
        double total = 0.0;
        for (double const weight : weights) total += weight;
        auto const count = static_cast<double>(weights.size());
        cumulative.resize(weights.size());
        double sum = 0.0;
        for (std::size_t part = 0; part < weights.size(); ++part) {
            sum += total > 0.0 ? (1.0 - even) * (weights[part] / total) + even / count : 1.0 / count;
            cumulative[part] = sum;
        }
        for (double& one : cumulative) one /= sum;
    }
    /// The density at a time.
    [[nodiscard]] double at(double time) const {
        if (cumulative.empty()) return 1.0;
        return chance(part_of(time, cumulative.size())) * static_cast<double>(cumulative.size());
    }
    [[nodiscard]] double draw_time(RandomStream const& stream) const {
        return cumulative.empty() ? TimeRange{}.draw_time(stream)
                                  : place(stream) / static_cast<double>(cumulative.size());
    }
    /// A step of the table, each of those that share a part as often as the others.
    [[nodiscard]] Index draw_step(schedule::Discrete const& table, RandomStream const& stream) const {
        if (cumulative.empty()) return TimeRange{}.draw_step(table, stream);
        double const steps = static_cast<double>(table.steps()) / static_cast<double>(cumulative.size());  // of a part
        return std::min(table.steps() - 1, static_cast<Index>(place(stream) * steps));
    }

private:
    [[nodiscard]] double chance(std::size_t part) const {
        return part == 0 ? cumulative[0] : cumulative[part] - cumulative[part - 1];
    }
    /// A time in parts.
    [[nodiscard]] double place(RandomStream const& stream) const {
        constexpr double below_1 = 1.0 - 0x1p-30;  // so that no sum with a part's number is rounded to the next
        double const drawn = static_cast<double>(stream.below(std::uint64_t{1} << 53, 1)) * 0x1p-53;
        auto const found = std::upper_bound(cumulative.begin(), cumulative.end() - 1, drawn);
        auto const part = static_cast<std::size_t>(found - cumulative.begin());
        double const begin = part == 0 ? 0.0 : cumulative[part - 1];
        return static_cast<double>(part) + std::clamp((drawn - begin) / chance(part), 0.0, below_1);
    }
};

}  // namespace inkling::objective::detail
