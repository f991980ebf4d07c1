#pragma once

#include <inkling/denoiser/denoiser.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/pipeline/pipeline.hpp>
#include <inkling/sampler/ddpm.hpp>
#include <inkling/schedule/rescaled.hpp>
#include <inkling/schedule/sqrt.hpp>
#include <inkling/testing/device_arrays.hpp>
#include <inkling/text/memory_lines.hpp>
#include <inkling/text/word_tokenizer.hpp>

#include "allocations.hpp"
#include "device.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace tiny {

using namespace inkling;

template <class Device>
using PipelineOn = TextDiffusion<schedule::Rescaled<schedule::Sqrt>, embedding::Learned,
                                 denoiser::EncoderDecoder<Device>, sampler::Ddpm>;
using Pipeline = PipelineOn<tests::Device<>>;

/// Sentences of 1 to 6 words, all different.
inline std::vector<std::string> sentences(std::size_t count) {
    std::vector<std::string> const words{"ink",     "drop",  "water",  "paper", "falls",
                                         "spreads", "dries", "slowly", "black", "on"};
    RandomStream const stream{5, Purpose::user, 0, 0};
    std::vector<std::string> lines;
    for (std::uint32_t i = 0; i < count; ++i) {
        std::string line;
        for (std::uint32_t place = 0; place <= stream.below(6, 100 * i); ++place)
            line += (place == 0 ? "" : " ") + words[stream.below(words.size(), 100 * i + 1 + place)];
        lines.push_back(line);
    }
    return lines;
}

inline text::WordTokenizer tokenizer(std::vector<std::string> const& lines = sentences(100)) {
    text::MemoryLines source{lines};
    return text::WordTokenizer::train(source);
}

/// A pipeline that is soon trained.
template <class Chosen = Pipeline>
typename Chosen::Options options() {
    typename Chosen::Options options;
    options.schedule.training_noise = 2.0;
    options.embedding.width = 8;  // one by one: nvcc 13.0 loses names where braces are assigned in a template
    options.embedding.standard_deviation = 0.5;
    options.denoiser.width = 16;
    options.denoiser.layers = 1;
    options.denoiser.heads = 2;
    options.denoiser.hidden = 32;
    options.denoiser.longest_source = 12;
    options.denoiser.longest_target = 16;
    options.denoiser.length_classes = 16;
    options.sampler.steps = 6;
    options.sampler.discrete_steps = 100;
    if constexpr (requires { options.device.threads; }) options.device.threads = 1;
    options.seed = 3;
    return options;
}

/// Never trained, but it listens to z_t, so that every noise gives other text.
template <class Chosen = Pipeline>
Chosen talkative(text::WordTokenizer const& words = tokenizer(),
                 typename Chosen::Options const& chosen = options<Chosen>()) {
    Chosen pipeline(words, chosen);
    auto const more = testing::random_values<typename Chosen::Scalar>(pipeline.layout().size(), 1);
    for (char const* name : {"decoder.project_in_dim.weight", "decoder.self_cond_proj.0.weight",
                             "decoder.self_cond_proj.2.weight", "decoder.project_out_dim.weight"}) {
        auto const parameter = pipeline.layout().find(name)->parameter;
        for (Index i = parameter.offset; i < parameter.offset + parameter.size(); ++i)
            pipeline.weights().data[i] += more[static_cast<std::size_t>(i)];
    }
    return pipeline;
}

}  // namespace tiny
