#pragma once

#include <inkling/testing/laws/support.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace inkling::testing::laws {

template <Backend B>
[[nodiscard]] std::string adam_step_and_average_are_their_formulas(B& device) {
    using Real = ScalarOf<B>;
    Index const size = 20'003;
    auto const start = random<B>(size, 1);
    std::vector<double> w(exact(start)), m(w.size()), v(w.size()), mean(exact(random<B>(size, 2)));
    DeviceArray<B> weights(device, start), first(device, size), second(device, size),
        running(device, random<B>(size, 2));
    backend::AdamStep settings;
    settings.learning_rate = 0.01;
    settings.weight_decay = 0.1;
    settings.gradient_factor = 0.5;
    for (Index step = 1; step <= 3; ++step) {
        settings.step = step;
        auto const g = random<B>(size, static_cast<std::uint32_t>(10 + step));
        DeviceArray<B> const gradients(device, g);
        adam_step(device, settings, gradients.vector(), weights.vector(), first.vector(), second.vector());
        average(device, 0.9, weights.vector(), running.vector());
        for (std::size_t i = 0; i < w.size(); ++i) {  // Loshchilov and Hutter 2019, algorithm 2
            double const gradient = 0.5 * static_cast<double>(g[i]);
            m[i] = settings.beta1 * m[i] + (1 - settings.beta1) * gradient;
            v[i] = settings.beta2 * v[i] + (1 - settings.beta2) * gradient * gradient;
            double const m_hat = m[i] / (1 - std::pow(settings.beta1, static_cast<double>(step)));
            double const v_hat = v[i] / (1 - std::pow(settings.beta2, static_cast<double>(step)));
            w[i] -=
                settings.learning_rate * (m_hat / (std::sqrt(v_hat) + settings.epsilon) + settings.weight_decay * w[i]);
            mean[i] = 0.9 * mean[i] + 0.1 * w[i];
        }
    }
    double const rounding = 64 * unit<B>();
    return first_of({far_apart<Real>("adam_step, weights", weights.get(device), w, {rounding}),
                     far_apart<Real>("adam_step, mean", first.get(device), m, {rounding}),
                     far_apart<Real>("adam_step, square", second.get(device), v, {rounding}),
                     far_apart<Real>("average", running.get(device), mean, {rounding})});
}

}  // namespace inkling::testing::laws
