#pragma once

#include <inkling/backend/cpu/detail/map.hpp>
#include <inkling/backend/detail/formulas.hpp>

namespace inkling::backend {

/// One AdamW update of all weights: m, v are the running means of the gradient and of its square.
///
/// Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", arXiv:1711.05101, algorithm 2.
template <class Real>
void adam_step(Cpu<Real>& device, AdamStep const& settings, InVector<Real> gradients, OutVector<Real> weights,
               OutVector<Real> m, OutVector<Real> v) {
    detail::AdamUpdate<Real> const update(settings);
    device.parallel(weights.size, 16384, [&](Index begin, Index end, int) {
        Index const size = end - begin;
        Real const* const gradient = gradients.data + begin;
        Real* const mean = m.data + begin;
        Real* const square = v.data + begin;
        Real* const weight = weights.data + begin;
        detail::transform(
            size, mean, [&](auto const& a, auto const& g) { return update.mean(a, g); }, mean, gradient);
        detail::transform(
            size, square, [&](auto const& a, auto const& g) { return update.square(a, g); }, square, gradient);
        detail::transform(
            size, weight, [&](auto const& w, auto const& a, auto const& b) { return update.weight(w, a, b); }, weight,
            mean, square);
    });
}

/// average = decay * average + (1 - decay) * x: exponential moving averages, and plain ones with decay = n / (n + 1).
template <class Real>
void average(Cpu<Real>& device, double decay, InVector<Real> x, OutVector<Real> average) {
    Real const keep = static_cast<Real>(decay);
    device.parallel(x.size, 16384, [&](Index begin, Index end, int) {
        Real* const to = average.data + begin;
        detail::transform(
            end - begin, to, [=](auto const& a, auto const& b) { return a + (1 - keep) * (b - a); }, to,
            x.data + begin);
    });
}

}  // namespace inkling::backend
