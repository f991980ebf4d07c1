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
        auto const gradient = detail::array(gradients.data + begin, size) * factor;
        auto mean = detail::array(m.data + begin, size);
        auto square = detail::array(v.data + begin, size);
        auto weight = detail::array(weights.data + begin, size);
        mean = beta1 * mean + (1 - beta1) * gradient;
        square = beta2 * square + (1 - beta2) * gradient.square();
        weight = weight * decay - step_size * mean / (square.sqrt() * correction + epsilon);
    });
}

/// average = decay * average + (1 - decay) * x: exponential moving averages, and plain ones with decay = n / (n + 1).
template <class Real>
void average(Cpu<Real>& device, double decay, InVector<Real> x, OutVector<Real> average) {
    Real const keep = static_cast<Real>(decay);
    device.parallel(x.size, 16384, [&](Index begin, Index end, int) {
        auto to = detail::array(average.data + begin, end - begin);
        to += (1 - keep) * (detail::array(x.data + begin, end - begin) - to);
    });
}

}  // namespace inkling::backend
