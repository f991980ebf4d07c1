#pragma once

#include <inkling/core/index.hpp>

#include <concepts>

namespace inkling {

/// Tells how large the update of each step is. Models: train::Constant, train::InverseSquareRoot, train::Cosine,
/// train::Linear.
///
/// `at(step)` takes the number of the update, from 1, and gives the learning rate, 0 or more.
// clang-format off
template <class L>
concept LearningRate = std::copyable<L>
    && requires(L const& rate, Index step) { rate.at(step); }                                // has 'at(step) const'
    && requires(L const& rate, Index step) { { rate.at(step) } -> std::same_as<double>; };   // and it returns double
// clang-format on

}  // namespace inkling
