#pragma once

#include <inkling/denoiser/autoregressive.hpp>
#include <inkling/pipeline/text_autoregression.hpp>

#include "tiny.hpp"

namespace tiny {

using Autoregression = TextAutoregression<embedding::Learned, denoiser::Autoregressive<backend::Cpu<>>>;

inline Autoregression::Options autoregression_options() {
    Autoregression::Options options;
    options.embedding = {.width = 16};
    options.model.width = 16;
    options.model.layers = 1;
    options.model.heads = 2;
    options.model.hidden = 32;
    options.model.dropout = 0.0;
    options.model.longest_source = 12;
    options.model.longest_target = 16;
    options.device = {.threads = 1};
    options.seed = 3;
    return options;
}

/// Never trained, but it listens to what is written and to the source, so that every beginning goes on in its own way.
inline Autoregression talkative_autoregression(double loudness = 0.7, std::uint32_t seed = 1) {
    Autoregression pipeline(tokenizer(), autoregression_options());
    auto const more = testing::random_values<float>(pipeline.layout().size(), seed, loudness);
    for (Index i = 0; i < pipeline.layout().size(); ++i)
        pipeline.weights().data[i] += more[static_cast<std::size_t>(i)];
    return pipeline;
}

}  // namespace tiny
