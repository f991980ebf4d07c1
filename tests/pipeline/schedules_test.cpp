#include <inkling/pipeline/trainer.hpp>

#include <inkling/schedule/cdcd.hpp>
#include <inkling/schedule/edm.hpp>
#include <inkling/schedule/geometric.hpp>

#include <doctest/doctest.h>

#include "tiny.hpp"

#include <string>
#include <vector>

namespace {

using namespace inkling;

}  // namespace

TEST_CASE_TEMPLATE("a model is trained on all levels of a schedule, and cleans noise by as many steps as are asked for",
                   Schedule, schedule::Edm, schedule::Cdcd, schedule::Geometric) {
    using Model = TextDiffusion<Schedule, embedding::Learned, denoiser::EncoderDecoder<tests::Device<>>, sampler::Ddpm>;
    std::vector<std::string> const lines{"black ink dries", "paper falls", "water spreads slowly on ink", "drop"};
    auto const tokenizer = tiny::tokenizer();
    text::ParallelCorpus corpus;
    for (std::string const& line : lines) corpus.add(tokenizer.encode(line), tokenizer.encode(line));
    typename Model::Options model;
    model.embedding.width = 16;
    model.denoiser = tiny::options().denoiser;
    model.denoiser.width = 32;
    model.denoiser.dropout = 0.0;
    model.sampler.steps = 20;
    model.device.threads = 1;
    Model pipeline(tokenizer, model);
    typename Trainer<Model>::Options options;
    options.steps = 400;
    options.tokens_per_batch = 64;
    options.learning_rate = {.peak = 5e-3, .warm_up = 20};
    options.discrete_steps = 0;  // t is any number in [0, 1)
    (void)Trainer<Model>(pipeline, options).fit(corpus);
    for (Index const steps : {20, 7}) {
        pipeline.set_sampler({.steps = steps});
        CHECK(pipeline.generate(lines, {.seed = 1}) == lines);
    }
}
