#pragma once

#include <inkling/pipeline/trainer.hpp>

#include <doctest/doctest.h>

#include "pipeline/tiny.hpp"

#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <vector>

/// \file
/// Whether one backend writes what another does: the same weights, the same seed, 200 sentences; and learns as it does.

namespace same_tokens {

using namespace inkling;

inline std::vector<std::string> sources() { return tiny::sentences(200); }

template <class Pipeline>
Pipeline fresh(typename Pipeline::Device::Options const& device) {
    auto options = tiny::options<Pipeline>();
    options.embedding.standard_deviation = 1.0;
    options.device = device;
    return {tiny::tokenizer(sources()), options};
}

/// Sentences that are to be said again, from `first` on.
inline text::ParallelCorpus echoes(std::size_t first, std::size_t last) {
    auto const lines = sources();
    auto const tokenizer = tiny::tokenizer(lines);
    text::ParallelCorpus corpus;
    for (std::size_t i = first; i < last; ++i) {
        auto const tokens = tokenizer.encode(lines[i]);
        corpus.add(tokens, tokens);
    }
    return corpus;
}

/// What a training of so many steps reaches: the weights of the pipeline, and the report.
template <class Pipeline>
TrainingReport train(Pipeline& pipeline, Index steps, text::ParallelCorpus const& corpus,
                     text::ParallelCorpus const* held_out = nullptr) {
    typename Trainer<Pipeline>::Options options;
    options.steps = steps;
    options.learning_rate = {.peak = 5e-3, .warm_up = 40};
    options.tokens_per_batch = 128;
    options.discrete_steps = 100;
    options.bleu_sentences = 0;
    return Trainer<Pipeline>(pipeline, options).fit(corpus, held_out);
}

/// Weights that say sentences again; of a device whose memory the host can read.
template <class Device>
std::vector<float> learnt(typename Device::Options const& device) {
    auto pipeline = fresh<tiny::PipelineOn<Device>>(device);
    train(pipeline, 1500, echoes(0, 200));
    auto const view = pipeline.weights();
    return std::vector<float>(view.data, view.data + view.size);
}

/// The loss on held-out text after 20 steps.
template <class Device>
double held_out_loss(typename Device::Options const& device) {
    auto pipeline = fresh<tiny::PipelineOn<Device>>(device);
    auto const held_out = echoes(150, 200);
    return train(pipeline, 20, echoes(0, 150), &held_out).validation.value().loss;
}

/// With one candidate, and with four.
inline std::vector<GenerateOptions> settings() {
    return {{.seed = 5}, {.seed = 6, .beams = {.length_beam = 2, .noise_beam = 2}}};
}

/// What a backend with such weights writes.
template <class Device>
std::vector<Generated> generated(std::span<float const> weights, GenerateOptions const& options,
                                 typename Device::Options const& device) {
    using Pipeline = tiny::PipelineOn<Device>;
    auto pipeline = fresh<Pipeline>(device);
    pipeline.set_weights(std::vector<typename Pipeline::Scalar>(weights.begin(), weights.end()));
    return pipeline.generate_with(sources(), options);
}

inline void check(std::vector<Generated> const& want, std::vector<Generated> const& got) {
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

}  // namespace same_tokens
