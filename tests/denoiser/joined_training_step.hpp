#pragma once

#include "device.hpp"

#include <inkling/embedding/noisy_learned.hpp>
#include <inkling/objective/diffusion_loss.hpp>
#include <inkling/testing/device_arrays.hpp>
#include <inkling/testing/gradient_check.hpp>

#include <doctest/doctest.h>

#include <span>
#include <vector>

namespace joined {

using namespace inkling;
using Device = tests::Device<double>;
using Space = embedding::NoisyLearned;
using Array = testing::DeviceArray<Device>;

constexpr Index vocabulary = 7;
constexpr Index latent = 4;

/// A training step of a denoiser that joins source and target, on two sentences, each of them twice, of which the first
/// rows are kept clean.
template <class Model>
struct TrainingStep {
    using Options = typename Model::Options;

    Options options;
    nn::ParameterLayout layout;
    Space space;
    Model model;
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    testing::RaggedBatch<Device> target{device, {4, 3, 4, 3}, vocabulary, 2};
    testing::DeviceArray<Device, Token> tokens{device, std::vector<Token>{1, 4, 0, 6, 2, 2, 5, 1, 4, 0, 6, 2, 2, 5}};
    testing::DeviceArray<Device, Index> parts{device, std::vector<Index>{0, 1, 4, 6, 7, 8, 11, 13, 14}};
    Array levels{device, std::vector<double>{1, 1, 0, 0.9, 1, 0.4, 1, 1, 0, 0.5, 1, 0.8,
                                             1, 1, 0, 0.7, 1, 0.6, 1, 1, 0, 0.2, 1, 0.95}};
    testing::DeviceArray<Device, double> labels{device, std::vector<double>{0.3, 1.7, 0.9, 1.2}};
    /// z0_hat of what the network says of each part; kept ones are their own.
    Array to_estimate{device, std::vector<double>(24)};
    Array noise, start;
    Array goals{device, std::vector<double>{1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0}};
    Array row_weights{device, testing::random_values<double>(14, 11)};
    Array pair_weights{device, std::vector<double>{0.1, 0.2, 0.3, 0.4, 0.0, 0.5, 0.6}};
    Array pair_order{device, std::vector<double>{0, 1, 1, 1, 0, 1}};
    std::vector<double> weights, gradients;
    objective::DiffusionSaved<Space, Model> saved;

    explicit TrainingStep(Options const& options_)
        : options(options_),
          space(layout, vocabulary, {.width = latent, .start_noise = 0.3}),
          model(layout, options_, space),
          noise(device, testing::random_values<double>(14 * latent, 3)),
          start(device, testing::random_values<double>(14 * latent, 4)),
          weights(static_cast<std::size_t>(layout.size())) {
        std::size_t part = 0;
        for (double const signal : {0.9, 0.5, 0.7, 0.2}) {
            auto const map = denoiser::to_estimate(denoiser::output_of(model), signal * signal);
            for (double const factor : {0.0, 1.0, 0.0, map.output, map.z_t, map.second})
                to_estimate.data()[part++] = factor;
        }
        auto const random = testing::random_values<double>(layout.size(), 6);
        for (auto const& entry : layout.entries()) {  // far from narrow starting values, so that nothing is nearly 0
            bool const gain =
                entry.initializer.kind == nn::Initializer::Kind::constant && entry.initializer.value == 1.0;
            for (Index i = entry.parameter.offset; i < entry.parameter.offset + entry.parameter.size(); ++i) {
                auto const at = static_cast<std::size_t>(i);
                weights[at] = gain ? 1 + 0.2 * random[at] : 0.4 * random[at];
            }
        }
    }

    template <class Chosen>
    double run(Chosen const& chosen, bool training) {
        workspace.reset();
        gradients.assign(weights.size(), 0.0);
        nn::Pass<Device> pass{device, workspace, weights.data(), training ? gradients.data() : nullptr};
        objective::NoisedBatch<Device> batch;
        batch.target = {target.segments(), tokens.vector(), target.positions()};
        batch.source = batch.target;
        batch.levels = levels.matrix(3);
        batch.labels = labels.vector();
        batch.noise = noise.matrix(latent);
        batch.spans = {parts.data(), 8, 14, 3};
        batch.start_noise = start.matrix(latent);
        batch.goals = goals.matrix(3);
        batch.row_weights = row_weights.vector();
        batch.pair_weights = pair_weights.vector();
        batch.pair_weight_sum = 2.1;
        batch.pair_order = pair_order.matrix(3);
        batch.last_signal = 0.7;
        if (denoiser::output_of(model) != denoiser::Output::z0) batch.to_estimate = to_estimate.matrix(3);
        auto losses = objective::diffusion_loss(pass, space, model, chosen, batch, saved);
        losses.collect(pass);
        return losses.total();
    }

    template <class Chosen>
    void check(Chosen const& chosen) {
        double const with = run(chosen, true);
        auto const analytic = gradients;
        CHECK(run(chosen, false) == doctest::Approx(with).epsilon(1e-13));
        for (auto const& entry : layout.entries()) {
            auto const first = static_cast<std::size_t>(entry.parameter.offset);
            auto const size = static_cast<std::size_t>(entry.parameter.size());
            std::vector<double> const own(analytic.begin() + static_cast<std::ptrdiff_t>(first),
                                          analytic.begin() + static_cast<std::ptrdiff_t>(first + size));
            auto const report =
                testing::check_gradient(std::span<double>(weights).subspan(first, size), own,
                                        [&] { return run(chosen, false); }, {.magnitude = 10.0, .most_elements = 12});
            INFO(entry.name, ": ", report.text());
            CHECK(report.passed());
            bool const nothing_to_learn =
                entry.name.ends_with("self.key.bias") || entry.name.ends_with("k_proj.bias");  // the same for all keys
            CHECK((report.largest > 1e-9) != nothing_to_learn);
        }
    }
};

}  // namespace joined
