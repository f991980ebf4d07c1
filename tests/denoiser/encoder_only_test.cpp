#include <inkling/denoiser/encoder_only.hpp>

#include <inkling/embedding/noisy_learned.hpp>
#include <inkling/objective/diffusion_loss.hpp>
#include <inkling/objective/distance_penalty.hpp>
#include <inkling/testing/device_arrays.hpp>
#include <inkling/testing/gradient_check.hpp>

#include <doctest/doctest.h>

#include "device.hpp"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace inkling;
using Device = tests::Device<double>;
using Model = denoiser::EncoderOnly<Device>;
using Space = embedding::NoisyLearned;
using Options = denoiser::EncoderOnlyOptions;
using Array = testing::DeviceArray<Device>;
using View = MatrixView<double>;

static_assert(TrainableDenoiser<Model> && joins_source<Model>);

constexpr Index vocabulary = 7;
constexpr Index latent = 4;

Options small(Index width = 6) {
    Options options;
    options.width = width;
    options.layers = 2;
    options.heads = 2;
    options.hidden = 5;
    options.time_width = 4;
    options.dropout = 0.0;
    options.longest = 6;
    return options;
}

/// DiffuSeq's training step on two sentences, each of them twice, of which the first rows are kept clean.
struct TrainingStep {
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
    Array noise, start;
    Array goals{device, std::vector<double>{1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0}};
    Array row_weights{device, testing::random_values<double>(14, 11)};
    Array pair_weights{device, std::vector<double>{0.1, 0.2, 0.3, 0.4, 0.0, 0.5, 0.6}};
    std::vector<double> weights, gradients;
    objective::DiffusionSaved<Space, Model> saved;

    explicit TrainingStep(Options const& options_)
        : options(options_),
          space(layout, vocabulary, {.width = latent, .start_noise = 0.3}),
          model(layout, options_, space),
          noise(device, testing::random_values<double>(14 * latent, 3)),
          start(device, testing::random_values<double>(14 * latent, 4)),
          weights(static_cast<std::size_t>(layout.size())) {
        auto const random = testing::random_values<double>(layout.size(), 6);
        for (auto const& entry : layout.entries())  // far from the narrow starting values, so that nothing is nearly 0
            for (Index i = entry.parameter.offset; i < entry.parameter.offset + entry.parameter.size(); ++i) {
                auto const at = static_cast<std::size_t>(i);
                weights[at] = entry.name.ends_with("LayerNorm.weight") ? 1 + 0.2 * random[at] : 0.4 * random[at];
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
        batch.last_signal = 0.7;
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
            bool const nothing_to_learn = entry.name.ends_with("self.key.bias");  // the same for all keys
            CHECK((report.largest > 1e-9) != nothing_to_learn);
        }
    }
};

TEST_CASE("EncoderOnly: every gradient of DiffuSeq's loss is that of central differences") {
    TrainingStep(small()).check(objective::DiffuSeq{.label_smoothing = 0.1, .weight = 0.8, .prior_weight = 1.3});
    TrainingStep(small(latent)).check(objective::DiffuSeq{.clean_goal = true});  // D is the width: no maps up and down
}

TEST_CASE("DistancePenalty: every gradient is that of central differences, whatever the distance and the sign") {
    for (auto const distance : {objective::Distance::squared, objective::Distance::cosine})
        for (double const weight : {1.5, -0.5}) {
            CAPTURE(weight);
            TrainingStep(small()).check(objective::DistancePenalty<>{.distance = distance, .weight = weight});
        }
}

TEST_CASE("EncoderOnly: what is kept clean reaches the denoiser as it is, whatever the noise") {
    TrainingStep step(small());
    double const before = step.run(objective::DiffuSeq{}, false);
    for (Index const row : {0, 4, 5, 7, 11, 12})  // the sources
        for (Index i = 0; i < latent; ++i) step.noise.data()[row * latent + i] += 3.0;
    CHECK(step.run(objective::DiffuSeq{}, false) == before);
    step.noise.data()[1 * latent] += 3.0;  // a target
    CHECK(step.run(objective::DiffuSeq{}, false) != before);
}

TEST_CASE("EncoderOnly: options out of their range are refused by name") {
    auto const made = [](Options const& options, Index width = latent) {
        nn::ParameterLayout layout;
        (void)Model(layout, options, width);
    };
    auto wrong = small();
    wrong.filled = 7;
    CHECK_THROWS_WITH_AS(made(wrong), "inkling::denoiser::EncoderOnly: filled is 7, expected 0 to 6", Error);
    wrong = small();
    wrong.longest = 1;
    CHECK_THROWS_WITH_AS(made(wrong), "inkling::denoiser::EncoderOnly: longest is 1, expected 2 to 1048576", Error);
    wrong = small();
    wrong.dropout = 1.0;
    CHECK_THROWS_WITH_AS(made(wrong),
                         "inkling::denoiser::EncoderOnly: dropout is 1.000000, expected a number in [0, 1)", Error);
    CHECK_THROWS_AS(made(small(), 0), Error);
}

TEST_CASE("EncoderOnly: a target has the place that its source leaves") {
    nn::ParameterLayout layout;
    auto options = small();
    options.filled = 5;
    Model const model(layout, options, latent);
    CHECK(model.length_of(2, 0) == 3);
    CHECK(model.length_of(0, 0) == 5);
    CHECK(model.longest_source() == 4);
}

TEST_CASE("NoisyLearned: clamping takes the nearest embedding, where the read-out prefers a long one") {
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    nn::ParameterLayout layout;
    Space const nearest(layout, 3, {.width = 2, .clamping = embedding::Rounding::nearest});
    nn::ParameterLayout other_layout;
    Space const likeliest(other_layout, 3, {.width = 2, .clamping = embedding::Rounding::readout});
    std::vector<double> weights{1.0, 0.0, 10.0, 10.0, 0.0, 1.0, 0.0, 0.0, 0.0};
    nn::Pass<Device> pass{device, workspace, weights.data()};
    std::vector<double> z{1.1, 0.2, 0.2, 1.1};
    std::vector<Token> tokens(2);
    embedding::round_to_tokens<Space, Device>(pass, nearest, View(z.data(), 2, 2), VectorView<Token>(tokens.data(), 2));
    CHECK(tokens == std::vector<Token>{0, 2});
    embedding::round_to_tokens<Space, Device>(pass, likeliest, View(z.data(), 2, 2),
                                              VectorView<Token>(tokens.data(), 2));
    CHECK(tokens == std::vector<Token>{1, 1});
    weights[7] = -100.0;  // the read-out's bias
    embedding::read_out<Space, Device>(pass, nearest, View(z.data(), 2, 2), VectorView<Token>(tokens.data(), 2));
    CHECK(tokens == std::vector<Token>{0, 2});
}

}  // namespace
