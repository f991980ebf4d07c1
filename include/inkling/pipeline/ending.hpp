#pragma once

#include <inkling/train/interrupt.hpp>

#include <stop_token>

namespace inkling::pipeline {

/// Tells a run whether somebody wants its end before its budget is spent.
struct Ending {
    std::stop_token stop{};
    train::InterruptGuard const* signals = nullptr;  ///< null: they end the program as ever

    [[nodiscard]] bool asked() const { return stop.stop_requested() || (signals != nullptr && signals->requested()); }
};

}  // namespace inkling::pipeline
