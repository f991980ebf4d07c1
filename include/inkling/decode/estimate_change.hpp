#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/decode/step_data.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace inkling::decode {

/// Measures along a run how much a model's answer changes, and at which times: a listener, whose change() is what
/// sampler::FittedSteps puts steps by.
///
///     decode::EstimateChange measured;
///     (void)model.generate_with(lines, {}, decode::MinimumBayesRisk{}, measured);    // with a plan of many even steps
///     sampler::Ddpm const few{.steps = 10, .step_plan = sampler::FittedSteps{measured.change()}};
///
/// Between two steps it is the sum over rows and dimensions of |z0_hat - z0_hat before|, spread evenly over the time
/// between them; batches and runs add up. Times are those that the denoiser is told: of a sampler that tells it others
/// than the levels, as Cedi does, nothing can be learned. For one run at a time.
class EstimateChange {
public:
    /// @param parts  into how many equal parts the times [0, 1] are cut, at least 1
    /// @throws Error when there is none
    explicit EstimateChange(Index parts = 50) {
        require(parts >= 1, "inkling::decode::EstimateChange: parts is ", parts, ", expected at least 1");
        change_.resize(static_cast<std::size_t>(parts));
    }

    /// @throws Error when a step has another number of rows than the one before
    template <class Scalar>
    void operator()(StepData<Scalar> const& step) {
        if (step.step > 0) {
            require(step.z0_hat.size() == before_.size(), "inkling::decode::EstimateChange: step ", step.step, " has ",
                    static_cast<Index>(step.z0_hat.size()), " elements, expected ", static_cast<Index>(before_.size()),
                    ", as the step before it");
            double sum = 0.0;
            for (std::size_t i = 0; i < step.z0_hat.size(); ++i)
                sum += std::abs(static_cast<double>(step.z0_hat[i]) - before_[i]);
            add(step.time, time_, sum);
        }
        before_.assign(step.z0_hat.begin(), step.z0_hat.end());
        time_ = step.time;
    }

    /// [parts], each at least 0, the cleanest first, of all runs together.
    [[nodiscard]] std::vector<double> const& change() const { return change_; }

private:
    /// Spreads `change` over the times from `from` to `to`.
    void add(double from, double to, double change) {
        if (from > to) std::swap(from, to);
        double const parts = static_cast<double>(change_.size());
        auto const part_of = [&](double time) {
            return std::min(static_cast<std::size_t>(std::max(time, 0.0) * parts), change_.size() - 1);
        };
        if (to - from <= 0.0) {
            change_[part_of(from)] += change;
            return;
        }
        for (std::size_t part = part_of(from); part <= part_of(to); ++part) {
            double const begin = std::max(from, static_cast<double>(part) / parts);
            double const end = part + 1 == change_.size() ? to : std::min(to, static_cast<double>(part + 1) / parts);
            change_[part] += change * std::max(0.0, end - begin) / (to - from);
        }
    }

    std::vector<double> change_;
    std::vector<double> before_;  ///< the last z0_hat
    double time_ = 0.0;
};

}  // namespace inkling::decode
