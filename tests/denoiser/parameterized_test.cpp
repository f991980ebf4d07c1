#include <inkling/denoiser/parameterized.hpp>

#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/denoiser/encoder_only.hpp>
#include <inkling/denoiser/infiller.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/objective/diffuseq.hpp>

#include "joined_training_step.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace {

using namespace inkling;
using denoiser::Output;
using denoiser::Parameterized;
using joined::Device;
using Joined = denoiser::EncoderOnly<Device>;
using Gaps = denoiser::Infiller<Device>;
using Pair = denoiser::EncoderDecoder<Device>;

static_assert(TrainableDenoiser<Parameterized<Joined>> && joins_source<Parameterized<Joined>>);
static_assert(TrainableDenoiser<Parameterized<Gaps>> && continues_source<Parameterized<Gaps>>);
static_assert(TrainableDenoiser<Parameterized<Pair>> && DenoiserOver<Parameterized<Pair>, embedding::Learned>);
static_assert(!joins_source<Parameterized<Pair>> && UnconditionalDenoiser<Parameterized<Pair>>);

template <class Options>
Options small() {
    Options options;
    options.width = 6;
    options.layers = 1;
    options.heads = 2;
    options.hidden = 5;
    options.dropout = 0.0;
    options.longest = 8;
    return options;
}

TEST_CASE("Parameterized: gradients are right whatever the network says") {
    for (Output const output : {Output::z0, Output::noise, Output::velocity, Output::score}) {
        CAPTURE(static_cast<int>(output));
        joined::TrainingStep<Parameterized<Joined>>({.base = small<Joined::Options>(), .output = output})
            .check(objective::DiffuSeq{});
        joined::TrainingStep<Parameterized<Gaps>>({.base = small<Gaps::Options>(), .output = output})
            .check(objective::DiffuSeq{});
    }
}

TEST_CASE("Parameterized: the weights are those of the network, and so is what it says where that is z0") {
    joined::TrainingStep<Joined> plain(small<Joined::Options>());
    joined::TrainingStep<Parameterized<Joined>> same({.base = small<Joined::Options>(), .output = Output::z0});
    REQUIRE(plain.layout.entries().size() == same.layout.entries().size());
    for (std::size_t i = 0; i < plain.layout.entries().size(); ++i)
        CHECK(plain.layout.entries()[i].name == same.layout.entries()[i].name);
    CHECK(same.run(objective::DiffuSeq{}, false) == plain.run(objective::DiffuSeq{}, false));
    joined::TrainingStep<Parameterized<Joined>> other({.base = small<Joined::Options>(), .output = Output::velocity});
    CHECK(other.run(objective::DiffuSeq{}, false) != plain.run(objective::DiffuSeq{}, false));
}

TEST_CASE("Parameterized: two guesses side by side have no columns here") {
    nn::ParameterLayout layout;
    CHECK_THROWS_WITH_AS((Parameterized<Joined>(layout, {.output = Output::mixed}, joined::latent)),
                         doctest::Contains("output is mixed, expected z0, noise, velocity or score"), Error);
}

}  // namespace
