#pragma once

#include <inkling/backend/cpu/detail/map.hpp>

#include <cmath>

namespace inkling::backend {

/// One AdamW update of all weights: m, v are the running means of the gradient and of its square.
///
/// Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", arXiv:1711.05101, algorithm 2.
template <class Real>
void adam_step(Cpu<Real>& device, AdamStep const& settings, InVector<Real> gradients, OutVector<Real> weights,
               OutVector<Real> m, OutVector<Real> v) {
    auto const real = [](double value) { return static_cast<Real>(value); };
    double const count = static_cast<double>(settings.step);
    Real const step_size = real(settings.learning_rate / (1.0 - std::pow(settings.beta1, count)));
    Real const correction = real(1.0 / std::sqrt(1.0 - std::pow(settings.beta2, count)));
    Real const decay = real(1.0 - settings.learning_rate * settings.weight_decay);
    Real const beta1 = real(settings.beta1);
    Real const beta2 = real(settings.beta2);
    Real const factor = real(settings.gradient_factor);
    Real const epsilon = real(settings.epsilon);
    device.parallel(weights.size, 16384, [&](Index begin, Index end, int) {
        Index const size = end - begin;
        Real const* const gradient = gradients.data + begin;
        Real* const mean = m.data + begin;
        Real* const square = v.data + begin;
        Real* const weight = weights.data + begin;
        detail::transform(
            size, mean, [=](auto const& a, auto const& g) { return beta1 * a + (1 - beta1) * (factor * g); }, mean,
            gradient);
        detail::transform(
            size, square, [=](auto const& a, auto const& g) { return beta2 * a + (1 - beta2) * (factor * g).square(); },
            square, gradient);
        detail::transform(
            size, weight,
            [=](auto const& w, auto const& a, auto const& b) {
                return w * decay - step_size * a / (b.sqrt() * correction + epsilon);
            },
            weight, mean, square);
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
