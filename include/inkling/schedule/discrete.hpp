#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/schedule/concept.hpp>
#include <inkling/schedule/detail/check.hpp>
#include <inkling/schedule/gaussian.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace inkling::schedule {

/// Which variance an ancestral step draws with: the posterior's ('fixed small') or all of beta ('fixed large').
enum class StepVariance { posterior, beta };

/// A schedule cut into T steps, with the tables of the published programs: step 0 is the cleanest, T - 1 the noisiest.
///
/// Three numbers belong to a step, and are easily taken for one another:
/// - its noise level: z after step i has `alphas_cumprod()[i]`. A continuous schedule has it at `time(i)` = (i + 1)/T,
///   divided by its own alpha_bar(0), because the first step starts from clean embeddings;
/// - what the denoiser is told: `label_time(i)` = i / T, in the same unit of time; a table `at_times` has both at
///   times[i];
/// - its number in the table it was respaced from, `timestep_map()[i]`, whose unit time and label_time keep.
///
/// It is a NoiseSchedule too: alpha_bar(t) is exact at every time(i), 1 at t = 0 unless that is time(0), a straight
/// line between, and constant after the last time.
/// Source: Ho et al. 2020, "DDPM", arXiv:2006.11239; Nichol & Dhariwal 2021, arXiv:2102.09672, and the code of both.
///
///     auto const table = schedule::Discrete::sampled(schedule::Sqrt{}, 2000);
///     auto const twenty = table.respaced(schedule::spaced_steps(2000, 20));
class Discrete {
public:
    /// A table of no steps, which has no levels: what options hold until they are given one.
    Discrete() = default;

    /// T steps of a continuous schedule: beta_i = min(1 - alpha_bar((i + 1) / T) / alpha_bar(i / T), max_beta).
    /// @param steps     T, at least 1
    /// @param max_beta  in (0, 1]; keeps some signal in a schedule that ends in pure noise
    /// @throws Error when an argument is out of range or the schedule adds no noise in some step, and whatever the
    ///         schedule throws
    template <NoiseSchedule Schedule>
    [[nodiscard]] static Discrete sampled(Schedule const& schedule, Index steps, double max_beta = 0.999) {
        require(steps >= 1, where, "sampled: steps is ", steps, ", expected at least 1");
        require(max_beta > 0.0 && max_beta <= 1.0, where, "sampled: max_beta is ", max_beta,
                ", expected a number above 0 and up to 1");
        std::vector<double> betas;
        double const count = static_cast<double>(steps);
        for (Index i = 0; i < steps; ++i) {
            double const now = schedule.alpha_bar(static_cast<double>(i) / count);
            double const next = schedule.alpha_bar(static_cast<double>(i + 1) / count);
            betas.push_back(now > 0.0 ? std::min(step_beta(next, now), max_beta) : max_beta);
            require(betas.back() > 0.0, where, "sampled: alpha_bar goes from ", now, " to ", next, " in step ", i,
                    ", expected less");
        }
        Discrete table = from_betas(std::move(betas));
        table.noise_factor_ = training_noise_factor(schedule);
        return table;
    }

    /// A table whose step k starts from the schedule's level at times[k], whatever the spacing: for samplers that plan
    /// in continuous time. Here label_time(k) is times[k] itself.
    /// @param times  rising, each in [0, 1], at least one
    /// @throws Error when the times do not rise or the schedule adds no noise between two of them, and whatever the
    ///         schedule throws
    template <NoiseSchedule Schedule>
    [[nodiscard]] static Discrete at_times(Schedule const& schedule, std::span<double const> times) {
        require(!times.empty(), where, "at_times: no times, expected at least one");
        std::vector<double> betas;
        double before = 1.0;
        for (std::size_t k = 0; k < times.size(); ++k) {
            detail::require_time("inkling::schedule::Discrete::at_times", times[k]);
            require(k == 0 || times[k] > times[k - 1], where, "at_times: time ", k, " is ", times[k],
                    ", expected above the one before it");
            double const level = schedule.alpha_bar(times[k]);
            require(level < before, where, "at_times: alpha_bar goes from ", before, " to ", level, " at time ", k,
                    ", expected less");
            betas.push_back(step_beta(level, before));
            before = level;
        }
        Discrete table = from_betas(std::move(betas));
        table.noise_factor_ = training_noise_factor(schedule);
        table.times_.assign(times.begin(), times.end());
        table.label_times_ = table.times_;
        return table;
    }

    /// A table from its betas: the share of variance that each step replaces by noise.
    /// @param betas  each in (0, 1], cleanest step first, at least one
    /// @throws Error naming the first beta that is out of range
    [[nodiscard]] static Discrete from_betas(std::vector<double> betas) {
        require(!betas.empty(), where, "from_betas: no betas, expected at least one");
        Discrete table;
        double const count = static_cast<double>(betas.size());
        for (std::size_t i = 0; i < betas.size(); ++i) {
            if (!(betas[i] > 0.0 && betas[i] <= 1.0))
                fail(where, "from_betas: beta ", i, " is ", betas[i], ", expected a number above 0 and up to 1");
            require(i > 0 || 1.0 - betas[0] < 1.0, where, "from_betas: beta 0 is ", betas[0],
                    ", too small to make any noise; expected 2^-52 or more");
            table.timestep_map_.push_back(static_cast<Index>(i));
            table.times_.push_back(static_cast<double>(i + 1) / count);
            table.label_times_.push_back(static_cast<double>(i) / count);
        }
        table.betas_ = std::move(betas);
        table.derive();
        return table;
    }

    /// A shorter table of only some steps, with their noise levels kept and betas derived anew; a step that starts from
    /// nothing but noise keeps its beta.
    /// @param kept  steps of this table, ascending, at least one; see spaced_steps and strided_steps
    /// @throws Error when they are not ascending or not steps of this table
    [[nodiscard]] Discrete respaced(std::span<Index const> kept) const {
        require(!kept.empty(), where, "respaced: no steps to keep, expected at least one");
        Discrete table;
        double before = 1.0;
        for (std::size_t k = 0; k < kept.size(); ++k) {
            std::size_t const step = checked("respaced", kept[k]);
            require(k == 0 || kept[k] > kept[k - 1], where, "respaced: step ", kept[k], " follows a step ",
                    k == 0 ? kept[0] : kept[k - 1], ", expected ascending steps");
            table.betas_.push_back(before > 0.0 ? step_beta(alphas_cumprod_[step], before) : betas_[step]);
            table.timestep_map_.push_back(timestep_map_[step]);
            table.times_.push_back(times_[step]);
            table.label_times_.push_back(label_times_[step]);
            before = alphas_cumprod_[step];
        }
        table.noise_factor_ = noise_factor_;
        table.derive();
        return table;
    }

    [[nodiscard]] Index steps() const { return static_cast<Index>(betas_.size()); }

    /// Share of variance that step i replaces by noise, in (0, 1].
    [[nodiscard]] std::vector<double> const& betas() const { return betas_; }
    /// Noise level after step i: the product of 1 - beta over steps 0..i.
    [[nodiscard]] std::vector<double> const& alphas_cumprod() const { return alphas_cumprod_; }
    /// Variance of q(z_{i-1} | z_i, z0); 0 for step 0.
    [[nodiscard]] std::vector<double> const& posterior_variance() const { return posterior_variance_; }
    /// Its logarithm, with step 1's value at step 0 (whose own is -infinity; a table of one step keeps that).
    [[nodiscard]] std::vector<double> const& posterior_log_variance_clipped() const {
        return posterior_log_variance_clipped_;
    }
    /// What the posterior's mean multiplies z0 by.
    [[nodiscard]] std::vector<double> const& posterior_mean_z0() const { return posterior_mean_z0_; }
    /// What the posterior's mean multiplies z_t by.
    [[nodiscard]] std::vector<double> const& posterior_mean_z_t() const { return posterior_mean_z_t_; }
    /// Step i's number in the table that was respaced; i itself where none was.
    [[nodiscard]] std::vector<Index> const& timestep_map() const { return timestep_map_; }

    /// Time at which z after step i is, in (0, 1]; from 0 on in a table at_times.  @throws Error when there is no such
    /// step
    [[nodiscard]] double time(Index step) const { return times_[checked("time", step)]; }
    /// Time that the denoiser is told at step i, in [0, 1), or up to 1 in a table at_times: the published programs tell
    /// 1000 times it, or T times it.
    /// @throws Error when there is no such step
    [[nodiscard]] double label_time(Index step) const { return label_times_[checked("label_time", step)]; }

    /// Noise level that step i starts from.  @throws Error when there is no such step
    [[nodiscard]] double level(Index step) const { return alphas_cumprod_[checked("level", step)]; }
    /// Noise level that step i leads to: that of step i - 1, or 1, clean, for step 0.
    /// @throws Error when there is no such step
    [[nodiscard]] double level_below(Index step) const {
        std::size_t const i = checked("level_below", step);
        return i == 0 ? 1.0 : alphas_cumprod_[i - 1];
    }

    /// The posterior of step i, with the clipped logarithm of its variance.  @throws Error when there is no such step
    [[nodiscard]] Posterior posterior(Index step) const {
        std::size_t const i = checked("posterior", step);
        return {posterior_mean_z0_[i], posterior_mean_z_t_[i], posterior_variance_[i],
                posterior_log_variance_clipped_[i]};
    }

    /// Logarithm of the variance an ancestral step draws with; at step 0 it is step 1's posterior variance in both.
    /// @throws Error when there is no such step
    [[nodiscard]] double log_variance(Index step, StepVariance variance = StepVariance::posterior) const {
        std::size_t const i = checked("log_variance", step);
        return variance == StepVariance::beta && i > 0 ? std::log(betas_[i]) : posterior_log_variance_clipped_[i];
    }

    /// One ancestral (DDPM) step from step i's level to the one below. Its noise at step 0 is step 1's: Difformer draws
    /// it, DiffuSeq leaves it out.
    /// @throws Error when there is no such step
    [[nodiscard]] StepCoefficients ddpm(Index step, StepVariance variance = StepVariance::posterior) const {
        std::size_t const i = checked("ddpm", step);
        return {posterior_mean_z0_[i], posterior_mean_z_t_[i], std::exp(0.5 * log_variance(step, variance))};
    }

    /// One DDIM step from step i's level to the one below.
    /// @param eta  in [0, 1]; 0 draws nothing
    /// @throws Error when there is no such step or eta is out of range
    [[nodiscard]] StepCoefficients ddim(Index step, double eta = 0.0) const {
        return inkling::schedule::ddim(level(step), level_below(step), eta);
    }

    /// One deterministic DDIM step back into noise: from step i's level to step i + 1's, or at the last to pure noise.
    /// @throws Error when there is no such step
    [[nodiscard]] StepCoefficients ddim_reverse(Index step) const {
        return inkling::schedule::ddim(level(step), step + 1 < steps() ? level(step + 1) : 0.0);
    }

    /// Share of signal at time t: exact at every time(i), a straight line between, from 1 at t = 0 unless that is
    /// time(0).
    /// @param t  diffusion time in [0, 1]
    /// @throws Error when t is outside [0, 1] or not a number, or the table is empty
    [[nodiscard]] double alpha_bar(double t) const {
        detail::require_time("inkling::schedule::Discrete", t);
        require(!betas_.empty(),
                "inkling::schedule::Discrete: the table is empty, expected one that was sampled from a "
                "schedule or made of betas");
        auto const after = std::lower_bound(times_.begin(), times_.end(), t);
        if (after == times_.end()) return alphas_cumprod_.back();
        std::size_t const i = static_cast<std::size_t>(after - times_.begin());
        if (times_[i] == t) return alphas_cumprod_[i];
        double const time_before = i == 0 ? 0.0 : times_[i - 1];
        double const level_before = i == 0 ? 1.0 : alphas_cumprod_[i - 1];
        return std::lerp(level_before, alphas_cumprod_[i], (t - time_before) / (times_[i] - time_before));
    }

    /// What training multiplies its noise by: that of the schedule it was made from. See training_noise_factor.
    [[nodiscard]] double noise_factor() const { return noise_factor_; }

private:
    static constexpr char const* where = "inkling::schedule::Discrete::";

    [[nodiscard]] std::size_t checked(char const* caller, Index step) const {
        if (step < 0 || step >= steps()) fail(where, caller, ": step is ", step, ", expected 0 to ", steps() - 1);
        return static_cast<std::size_t>(step);
    }

    /// Fills every table from betas_.
    void derive() {
        double before = 1.0;
        for (double const beta : betas_) {
            double const level = before * (1.0 - beta);
            Posterior const step = posterior_with_beta(beta, level, before);
            alphas_cumprod_.push_back(level);
            posterior_variance_.push_back(step.variance);
            posterior_log_variance_clipped_.push_back(step.log_variance);
            posterior_mean_z0_.push_back(step.z0);
            posterior_mean_z_t_.push_back(step.z_t);
            before = level;
        }
        if (betas_.size() > 1) posterior_log_variance_clipped_[0] = posterior_log_variance_clipped_[1];
    }

    std::vector<double> betas_, alphas_cumprod_;
    std::vector<double> posterior_variance_, posterior_log_variance_clipped_, posterior_mean_z0_, posterior_mean_z_t_;
    std::vector<Index> timestep_map_;
    std::vector<double> times_, label_times_;
    double noise_factor_ = 1.0;
};
static_assert(NoiseSchedule<Discrete>);

/// Whether a schedule is a table already.
template <NoiseSchedule Schedule>
inline constexpr bool is_table = std::same_as<Schedule, Discrete>;

/// A schedule's table of T steps; a schedule that is a table already is taken as it is.
/// @param steps  T, at least 1; without effect on a table
/// @throws Error as Discrete::sampled does
template <NoiseSchedule Schedule>
[[nodiscard]] Discrete table_of(Schedule const& schedule, Index steps) {
    if constexpr (is_table<Schedule>)
        return schedule;
    else
        return Discrete::sampled(schedule, steps);
}

}  // namespace inkling::schedule
