#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

namespace inkling::train {

/// Gives the time in seconds, from any start; it never runs backwards.
using Clock = std::function<double()>;

/// The machine's steady clock.
[[nodiscard]] inline double steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// How long to train. 0 is no limit; of two limits the first one that is reached counts.
struct BudgetOptions {
    double minutes = 0.0;
    Index steps = 0;
};

/// Watches over time and steps of a run, what it used before it was resumed included.
class Budget {
public:
    using Options = BudgetOptions;

    /// Starts the clock.
    /// @param seconds_before  what earlier parts of the run took
    /// @param step_before     updates they did
    /// @param clock           for tests, and for programs that count otherwise
    /// @throws Error when a limit is negative or not a number
    explicit Budget(Options options, double seconds_before = 0.0, Index step_before = 0, Clock clock = steady_seconds)
        : options_(options), clock_(std::move(clock)), before_(seconds_before), step_before_(step_before) {
        require(options.minutes >= 0.0 && std::isfinite(options.minutes), "inkling::train::Budget: minutes is ",
                options.minutes, ", expected 0 (no limit) or more");
        require(options.steps >= 0, "inkling::train::Budget: steps is ", options.steps,
                ", expected 0 (no limit) or more");
        start_ = clock_();
    }

    [[nodiscard]] Options const& options() const { return options_; }
    /// Seconds of the whole run so far.
    [[nodiscard]] double seconds() const { return before_ + (clock_() - start_); }
    /// @param step  updates done
    /// @return whether no further update should be started
    [[nodiscard]] bool spent(Index step) const {
        return (options_.steps > 0 && step >= options_.steps)
            || (options_.minutes > 0.0 && seconds() >= 60.0 * options_.minutes);
    }
    /// How long it will still take: what is left of the minutes, or of the steps at the pace so far, whichever ends
    /// first.
    /// @param step  updates done
    /// @return nothing when there is no limit, or no pace yet to judge by
    [[nodiscard]] std::optional<double> seconds_left(Index step) const {
        double left = std::numeric_limits<double>::infinity();
        double const here = clock_() - start_;
        if (options_.minutes > 0.0) left = std::max(0.0, 60.0 * options_.minutes - before_ - here);
        if (options_.steps > 0 && step > step_before_) {
            double const pace = here / static_cast<double>(step - step_before_);
            left = std::min(left, pace * static_cast<double>(std::max<Index>(0, options_.steps - step)));
        }
        return std::isfinite(left) ? std::optional<double>(left) : std::nullopt;
    }

private:
    Options options_;
    Clock clock_;
    double before_;
    Index step_before_;
    double start_ = 0.0;
};

}  // namespace inkling::train
