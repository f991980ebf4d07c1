#include <inkling/denoiser/encoder_only.hpp>

#include <inkling/embedding/noisy_learned.hpp>
#include <inkling/objective/diffusion_loss.hpp>
#include <inkling/objective/distance_penalty.hpp>

#include <doctest/doctest.h>

#include "device.hpp"
#include "joined_training_step.hpp"

#include <vector>

namespace {

using namespace inkling;
using Device = tests::Device<double>;
using Model = denoiser::EncoderOnly<Device>;
using Space = embedding::NoisyLearned;
using Options = denoiser::EncoderOnlyOptions;
using View = MatrixView<double>;

static_assert(TrainableDenoiser<Model> && joins_source<Model>);

using joined::latent;

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

using TrainingStep = joined::TrainingStep<Model>;

TEST_CASE("EncoderOnly: every gradient of DiffuSeq's loss is that of central differences") {
    TrainingStep(small()).check(objective::DiffuSeq{.label_smoothing = 0.1, .weight = 0.8, .prior_weight = 1.3});
    TrainingStep(small(latent)).check(objective::DiffuSeq{.clean_goal = true});  // D is the width: no maps up and down
}

TEST_CASE("DistancePenalty: every gradient is that of central differences, whatever the distance and the sign") {
    for (auto const distance :
         {objective::Distance::squared, objective::Distance::cosine, objective::Distance::divergence})
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
    Space const nearest(layout, 3, {.width = 2, .clamping = embedding::Clamping::nearest});
    nn::ParameterLayout other_layout;
    Space const likeliest(other_layout, 3, {.width = 2, .clamping = embedding::Clamping::readout});
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
