#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/core/random.hpp>
#include <inkling/schedule/concept.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace inkling::train {

/// Settings of Recoverability.
struct RecoverabilityOptions {
    Index sample = 512;                 ///< noisy tokens that are looked at, 1 to 2^24, spread evenly over the rows
    std::uint64_t seed = 0;             ///< of their noise, one stream a token for purpose `user`
    std::span<Token const> excluded{};  ///< rows that do not count: special tokens, often untrained
};

/// How much noise it takes until a token can no longer be told from its embedding alone.
///
/// Of z = a E[w] + n noise the likeliest token is the one whose a E is nearest. For a fixed noise that is w up to one
/// ratio n / a and never beyond it: the least |E_v - E_w|² / (2 noise (E_v - E_w)) over all v on the noise's side. Only
/// these limiting ratios are stored. Noise below them teaches a denoiser nothing, as it can look up the answer.
class Recoverability {
public:
    /// Looks at a table of embeddings as the denoiser meets them, z0 [V, D] row-major in the host's memory.
    /// @param width  D
    /// @throws Error when the table is not a whole number of rows or holds what is no finite number, fewer than two
    ///         rows count, or a setting is out of its range
    Recoverability(std::span<float const> table, Index width, RecoverabilityOptions const& options = {}) {
        constexpr char const* where = "inkling::train::Recoverability: ";
        Index const elements = static_cast<Index>(table.size());
        constexpr Index most = Index{1} << 24;
        require(width > 0 && elements % width == 0, where, "the table has ", elements,
                " elements, expected rows of width ", width);
        require(options.sample >= 1 && options.sample <= most, where, "sample is ", options.sample, ", expected 1 to ",
                most);
        std::vector<float const*> rows;
        for (Index row = 0; row < elements / width; ++row)
            if (std::find(options.excluded.begin(), options.excluded.end(), static_cast<Token>(row))
                == options.excluded.end())
                rows.push_back(table.data() + row * width);
        require(rows.size() >= 2, where, rows.size(), " rows count, expected 2 or more");
        for (float const* row : rows)
            require(std::all_of(row, row + width, [](float value) { return std::isfinite(value); }), where, "row ",
                    (row - table.data()) / width, " holds what is no finite number");

        std::vector<float> noise(static_cast<std::size_t>(width));
        auto const sampled = static_cast<std::size_t>(options.sample);
        for (std::size_t i = 0; i < sampled; ++i) {
            RandomStream const stream{options.seed, Purpose::user, static_cast<std::uint32_t>(i), 0};
            for (std::size_t at = 0; at < noise.size(); at += 4) {
                auto const four = normals<float>(stream.bits(static_cast<std::uint32_t>(at / 4)));
                std::copy_n(four.begin(), std::min<std::size_t>(4, noise.size() - at),
                            noise.begin() + static_cast<std::ptrdiff_t>(at));
            }
            limits_.push_back(limit(rows, i * rows.size() / sampled, noise));
        }
        std::sort(limits_.begin(), limits_.end());
    }

    /// Share of tokens that are still the nearest to their own noisy embedding, in [0, 1]; falls as the ratio rises, to
    /// what chance gives, about 1 / V.
    /// @param noise_to_signal  n / a, at least 0; may be infinite
    [[nodiscard]] double share(double noise_to_signal) const {
        auto const lost = std::upper_bound(limits_.begin(), limits_.end(),
                                           std::min(noise_to_signal, std::numeric_limits<double>::max()))
            - limits_.begin();
        return 1.0 - static_cast<double>(lost) / static_cast<double>(limits_.size());
    }

    /// The least ratio n / a at which no more than that share is recovered; infinite where chance gives more.
    /// @param share  in [0, 1]
    /// @throws Error when it is not
    [[nodiscard]] double noise_to_signal(double share) const {
        require(share >= 0.0 && share <= 1.0, "inkling::train::Recoverability: the share is ", share,
                ", expected a number in [0, 1]");
        auto const kept =
            static_cast<std::size_t>(share * static_cast<double>(limits_.size()) + 1e-6);  // a whole number
        return kept == limits_.size() ? 0.0 : limits_[limits_.size() - kept - 1];
    }

private:
    /// The ratio up to which noise added to row `own` leaves it the nearest.
    static double limit(std::vector<float const*> const& rows, std::size_t own, std::span<float const> noise) {
        double least = std::numeric_limits<double>::infinity();
        for (std::size_t other = 0; other < rows.size(); ++other) {
            if (other == own) continue;
            constexpr std::size_t lanes = 16;
            float squares[lanes] = {}, alongs[lanes] = {};  // nvcc 13.0 makes no C++ of std::array here
            for (std::size_t begin = 0; begin < noise.size(); begin += lanes)
                for (std::size_t at = begin; at < std::min(begin + lanes, noise.size()); ++at) {
                    float const apart = rows[other][at] - rows[own][at];
                    squares[at - begin] += apart * apart;
                    alongs[at - begin] += noise[at] * apart;
                }
            double square = 0.0, along = 0.0;
            for (std::size_t lane = 0; lane < lanes; ++lane) {
                square += static_cast<double>(squares[lane]);
                along += static_cast<double>(alongs[lane]);
            }
            if (square == 0.0) return 0.0;  // another token with the same embedding
            if (along > 0.0) least = std::min(least, square / (2.0 * along));
        }
        return least;
    }

    std::vector<double> limits_;  ///< rising
};

/// Share of tokens that a schedule leaves recoverable at time t while training, in [0, 1].
/// @throws Error when t is outside [0, 1], and whatever the schedule throws
template <NoiseSchedule Schedule>
[[nodiscard]] double recovered(Recoverability const& tokens, Schedule const& schedule, double t) {
    double const signal = schedule.alpha_bar(t);
    if (!(signal > 0.0)) return tokens.share(std::numeric_limits<double>::infinity());
    return tokens.share(schedule::training_noise_factor(schedule) * std::sqrt((1.0 - signal) / signal));
}

/// Settings of measured_noise_factor: where it looks, and what may be left there.
struct MeasuredNoiseOptions {
    double time = 0.5;        ///< in (0, 1)
    double recovered = 0.05;  ///< share of tokens, of those that chance leaves out; in [0, 1)
};

/// The noise factor F for schedule::Rescaled::training_noise by a rule: the least with which, half-way through the
/// diffusion, only one token of twenty can be read out of its own noisy embedding; all others need the context.
///
/// The paper (Gao et al. 2022, "Difformer", arXiv:2212.09412) gives its factors without a rule. This one asks the
/// table, and may be asked of a model that has not been trained yet. A factor that the schedule has already is left out
/// of account.
/// @throws Error when a setting is out of its range, the schedule has no noise or no signal at that time
template <NoiseSchedule Schedule>
[[nodiscard]] double measured_noise_factor(Recoverability const& tokens, Schedule const& schedule,
                                           MeasuredNoiseOptions const& options = {}) {
    constexpr char const* where = "inkling::train::measured_noise_factor: ";
    require(options.time > 0.0 && options.time < 1.0, where, "time is ", options.time, ", expected between 0 and 1");
    require(options.recovered >= 0.0 && options.recovered < 1.0, where, "recovered is ", options.recovered,
            ", expected a number in [0, 1)");
    double const signal = schedule.alpha_bar(options.time);
    require(signal > 0.0 && signal < 1.0, where, "at time ", options.time, " alpha_bar is ", signal,
            ", expected signal and noise");
    double const chance = tokens.share(std::numeric_limits<double>::infinity());
    double const ratio = tokens.noise_to_signal(chance + options.recovered * (1.0 - chance));
    return ratio * std::sqrt(signal / (1.0 - signal));
}

}  // namespace inkling::train
