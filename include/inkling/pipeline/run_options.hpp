#pragma once

#include <inkling/core/hash.hpp>
#include <inkling/core/index.hpp>
#include <inkling/pipeline/configuration.hpp>
#include <inkling/text/parallel_corpus.hpp>

#include <nlohmann/json.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace inkling::pipeline {

namespace detail {

[[nodiscard]] inline std::uint64_t hash_of(std::string const& text) {
    Hash hash(1);
    hash.add(text);
    return hash.value();
}

[[nodiscard]] inline std::uint64_t hash_of(text::ParallelCorpus const& corpus) {
    Hash hash(1);
    for (Index i = 0; i < corpus.size(); ++i) {
        hash.add(corpus.source(i));
        hash.add(corpus.target(i));
    }
    return hash.value();
}

/// Of the weights that files hold and training leaves alone, such as a table from elsewhere; nothing where there are
/// none.
template <class Pipeline>
[[nodiscard]] std::optional<std::uint64_t> hash_of_frozen(Pipeline const& pipeline) {
    using Scalar = typename Pipeline::Scalar;
    typename Pipeline::Device device(pipeline.options().device);
    std::optional<Hash> hash;
    std::vector<Scalar> values;
    for (auto const& entry : pipeline.layout().entries()) {
        if (entry.trained || !entry.stored) continue;
        if (!hash) hash.emplace(1);
        values.resize(static_cast<std::size_t>(entry.parameter.size()));
        download(device, pipeline.weights().data + entry.parameter.offset, std::span<Scalar>(values));
        for (Scalar const value : values) hash->add(std::bit_cast<std::uint32_t>(static_cast<float>(value)));
    }
    return hash ? std::optional(hash->value()) : std::nullopt;
}

}  // namespace detail

/// All that must not change within a training's run, as text for its checkpoints: not budget, learning rate, how often
/// to validate, log and save, which the user may want to change in it. Waits for the device.
/// @param training  a pipeline::Training, which adds options of its kind
/// @param device    options of the trainer's device
/// @param options   TrainerOptions
/// @param held_out  what is validated on; null: nothing
template <class Pipeline, class Training, class DeviceOptions, class Options>
[[nodiscard]] std::string run_options(Pipeline const& pipeline, Training const& training, DeviceOptions const& device,
                                      Options const& options, text::ParallelCorpus const& corpus,
                                      text::ParallelCorpus const* held_out) {
    nlohmann::json json{{"model", pipeline.configuration()},
                        {"tokenizer", detail::hash_of(pipeline.tokenizer().serialise())},
                        {"text", detail::hash_of(corpus)},
                        {"tokens_per_batch", options.tokens_per_batch},
                        {"length_pool", options.length_pool},
                        {"clip", options.clip},
                        {"ema_decay", options.ema_decay},
                        {"ema_warm_up", options.ema_warm_up},
                        {"seed", options.seed},
                        {"beta1", options.adamw.beta1},
                        {"beta2", options.adamw.beta2},
                        {"epsilon", options.adamw.epsilon},
                        {"weight_decay", options.adamw.weight_decay}};
    training.add_options(json);
    if constexpr (Described<DeviceOptions>) {
        auto const settings = to_json(device);
        if (settings != to_json(DeviceOptions{})) json["device"] = settings;
    }
    if constexpr (Described<decltype(options.objective)>) json["objective"] = to_json(options.objective);
    if (auto const frozen = detail::hash_of_frozen(pipeline)) json["frozen"] = *frozen;
    if (held_out != nullptr)  // else scores of the run would not be of one kind
        json["validation"] = {{"text", detail::hash_of(*held_out)},
                              {"bleu_sentences", options.bleu_sentences},
                              {"generate", to_json(options.generate)}};
    if constexpr (requires { training.plan_hash(); })
        if (held_out != nullptr && options.bleu_sentences > 0) json["validation"]["plan"] = training.plan_hash();
    return json.dump();
}

}  // namespace inkling::pipeline
