#include <inkling/backend/thrust_host.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/pipeline/trainer.hpp>

#include <doctest/doctest.h>

#include "pipeline/tiny.hpp"

#include <cstddef>
#include <set>
#include <string>
#include <vector>

namespace {

using namespace inkling;

using Learner = tiny::PipelineOn<backend::Cpu<float>>;

std::vector<std::string> sources() { return tiny::sentences(200); }

template <class Pipeline>
Pipeline fresh() {
    auto options = tiny::options<Pipeline>();
    options.embedding.standard_deviation = 1.0;
    return {tiny::tokenizer(sources()), options};
}

/// What a Cpu learnt of saying sentences again.
std::vector<float> const& learnt() {
    static std::vector<float> const weights = [] {
        auto pipeline = fresh<Learner>();
        text::ParallelCorpus corpus;
        for (std::string const& line : sources()) {
            auto const tokens = tiny::tokenizer(sources()).encode(line);
            corpus.add(tokens, tokens);
        }
        Trainer<Learner>::Options options;
        options.steps = 1500;
        options.learning_rate = {.peak = 5e-3, .warm_up = 40};
        options.tokens_per_batch = 128;
        options.discrete_steps = 100;
        options.bleu_sentences = 0;
        Trainer<Learner>(pipeline, options).fit(corpus);
        auto const view = pipeline.weights();
        return std::vector<float>(view.data, view.data + view.size);
    }();
    return weights;
}

template <class Device>
std::vector<Generated> generated(GenerateOptions const& options) {
    using Pipeline = tiny::PipelineOn<Device>;
    auto pipeline = fresh<Pipeline>();
    auto const view = pipeline.weights();
    for (Index i = 0; i < view.size; ++i)
        view.data[i] = static_cast<typename Pipeline::Scalar>(learnt()[static_cast<std::size_t>(i)]);
    return pipeline.generate_with(sources(), options);
}

}  // namespace

TEST_CASE_TEMPLATE("the same weights and seed give the same tokens on Cpu and on ThrustHost, for 200 sentences", Real,
                   float, double) {
    for (GenerateOptions const& options :
         {GenerateOptions{.seed = 5}, GenerateOptions{.seed = 6, .beams = {.length_beam = 2, .noise_beam = 2}}}) {
        auto const want = generated<backend::Cpu<Real>>(options);
        auto const got = generated<backend::ThrustHost<Real>>(options);
        REQUIRE(want.size() == 200);
        REQUIRE(got.size() == 200);
        std::set<std::string> texts;
        std::size_t tokens = 0, different_sentences = 0;
        for (std::size_t i = 0; i < want.size(); ++i) {
            texts.insert(want[i].text);
            tokens += want[i].tokens.size();
            different_sentences += got[i].tokens != want[i].tokens ? 1 : 0;
        }
        CHECK(texts.size() > 100);  // so that equality says something
        MESSAGE(different_sentences, " of 200 sentences differ, of ", texts.size(), " texts and ", tokens, " tokens");
        CHECK(different_sentences == 0);
    }
}
