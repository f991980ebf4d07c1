#pragma once

#include <inkling/embedding/layer_normed.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/pipeline/text_diffusion.hpp>
#include <inkling/recipe/difformer.hpp>
#include <inkling/recipe/difformer_choices.hpp>
#include <inkling/recipe/difformer_settings.hpp>
#include <inkling/recipe/state_dict.hpp>
#include <inkling/sampler/rescheduled.hpp>
#include <inkling/text/concept.hpp>
#include <inkling/text/vocabulary.hpp>

#include <concepts>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inkling::recipe {

/// Difformer with every option of the official programs, chosen at run time: any of their schedules as a table of T
/// levels, and another of them for decoding.
///
/// @tparam Space  embedding::Learned, or embedding::LayerNormed where the official model says 'embed_norm_before_proj'
template <Backend B, EmbeddingSpace Space = embedding::Learned>
using OfficialDifformer = TextDiffusion<schedule::Discrete, Space, denoiser::EncoderDecoder<B>,
                                        sampler::Rescheduled<schedule::Discrete, sampler::Ddpm>>;

/// Trains it with the objective that its settings choose at run time.
template <Backend B, EmbeddingSpace Space = embedding::Learned>
using OfficialDifformerTrainer = Trainer<OfficialDifformer<B, Space>, DifformerObjective, train::InverseSquareRoot>;

namespace detail {

/// Which tensors of an official state_dict are no weights: version numbers, a note of the element type, and the norm
/// that fairseq's decoder registers under 'layernorm_embedding' and Difformer's never runs.
[[nodiscard]] inline bool is_no_weight_of_difformer(std::string_view name) {
    return name == "encoder.version" || name == "decoder.version" || name.ends_with("._float_tensor")
        || name.starts_with("decoder.layernorm_embedding.");
}

}  // namespace detail

/// Weights of an official Difformer: its state_dict, saved as safetensors, laid out for our model.
///
/// @return [P]
/// @throws Error naming the tensors that are missing, of another shape, unequal though shared, or of no use here
template <std::floating_point Real>
[[nodiscard]] std::vector<Real> read_difformer_weights(io::Safetensors const& file, nn::ParameterLayout const& layout) {
    return read_state_dict<Real>(file, layout, detail::is_no_weight_of_difformer,
                                 "inkling::recipe::read_difformer_weights");
}

/// Options for a pipeline that an official model is to be read into.
///
/// @tparam Pipeline  Difformer<B>, OfficialDifformer<B> or OfficialDifformer<B, embedding::LayerNormed>
/// @throws Error when the settings ask for another embedding or schedule than the pipeline has
template <class Pipeline>
[[nodiscard]] typename Pipeline::Options difformer_options(DifformerSettings const& settings,
                                                           DifformerDecoding const& decoding) {
    constexpr bool normed = std::same_as<typename Pipeline::SpaceType, embedding::LayerNormed>;
    constexpr bool any_schedule = std::same_as<typename Pipeline::NoiseScheduleType, schedule::Discrete>;
    constexpr char const* where = "inkling::recipe::difformer_options";
    require(settings.normed_embedding == normed, where, ": 'embed_norm_before_proj' is ", !normed, ", expected ",
            normed, " for this pipeline; the other one's embedding is embedding::", normed ? "Learned" : "LayerNormed");
    typename Pipeline::SpaceType::Options embedding;
    embedding.width = settings.embedding.width;
    embedding.scaled = settings.embedding.scaled;
    embedding.tied = settings.embedding.tied;
    if constexpr (normed) embedding.affine = settings.embedding.affine;
    if constexpr (any_schedule) {
        return {.schedule = settings.table(),
                .embedding = embedding,
                .denoiser = settings.denoiser,
                .sampler = {decoding.table(), decoding.sampler}};
    } else {
        bool const same = decoding.noise_schedule == settings.noise_schedule
            && decoding.variance_preserving == settings.variance_preserving;
        require(settings.noise_schedule == "sqrt" && same, where, ": the noise schedule is '", settings.noise_schedule,
                "' in training and '", decoding.noise_schedule, "' in decoding, with factors ",
                settings.variance_preserving, " and ", decoding.variance_preserving,
                ", expected 'sqrt' and equal factors for this pipeline; recipe::OfficialDifformer has them all");
        return {.schedule = {.variance_preserving = settings.variance_preserving,
                             .training_noise = settings.training_noise},
                .embedding = embedding,
                .denoiser = settings.denoiser,
                .sampler = decoding.sampler};
    }
}

/// Options to train an official model on: the published constants, with the objective, label smoothing, length weight
/// and T of its settings. A budget is the user's to set.
///
///     auto options = recipe::difformer_training<recipe::OfficialDifformerTrainer<backend::Cpu<>>>(settings);
///
/// @tparam TrainerType  OfficialDifformerTrainer<B, Space>, or DifformerTrainer<B>
/// @throws Error when the settings ask for another objective than the trainer has
template <class TrainerType>
[[nodiscard]] typename TrainerType::Options difformer_training(DifformerSettings const& settings) {
    using Options = typename TrainerType::Options;
    auto options = difformer_training<typename TrainerType::Device, Options>();
    if constexpr (std::same_as<decltype(options.objective), DifformerObjective>) {
        options.objective = settings.objective();
    } else {
        constexpr bool rounding = std::same_as<decltype(options.objective), objective::Rounding>;
        require(settings.rounding_loss == rounding, "inkling::recipe::difformer_training: 'rounding_loss' is ",
                settings.rounding_loss, ", expected ", rounding,
                " for this trainer; recipe::OfficialDifformerTrainer has both objectives");
        options.objective.label_smoothing = settings.label_smoothing;
    }
    options.length_weight = settings.length_weight;
    options.discrete_steps = settings.diffusion_steps;
    return options;
}

/// An official model, ready to generate or to be trained on.
///
///     auto const settings = recipe::DifformerSettings::read(json.at("settings"));
///     auto const decoding = recipe::DifformerDecoding::read({{"decoding_steps", 20}}, settings);
///     auto const model = recipe::import_difformer<recipe::Difformer<backend::Cpu<>>>(settings, decoding, file, tokenizer);
///
/// @param weights  the state_dict as a safetensors file
/// @throws Error when the tokenizer is of another vocabulary or has other special tokens, or gives sources a vocabulary
///         of their own and the model has no table for it, a weight is not finite, and as difformer_options and
///         read_difformer_weights do
template <class Pipeline>
[[nodiscard]] Pipeline import_difformer(DifformerSettings const& settings, DifformerDecoding const& decoding,
                                        std::filesystem::path const& weights, pipeline::HeldTokenizer tokenizer) {
    require_tokenizer(settings.vocabulary, settings.specials, tokenizer.vocabulary_size(), tokenizer.specials(),
                      "inkling::recipe::import_difformer");
    Pipeline pipeline(std::move(tokenizer), difformer_options<Pipeline>(settings, decoding));
    using Scalar = typename Pipeline::Scalar;
    pipeline.set_weights(read_difformer_weights<Scalar>(io::Safetensors::open(weights), pipeline.layout()));
    return pipeline;
}

/// Words of a fairseq dictionary, dict.txt, in its order: the word on line i, from 0, is token 4 + i.
///
/// @param lines  of 'word count', a blank between them
/// @throws Error naming the line that has no count, and as text::Vocabulary does
template <LineSource Lines>
[[nodiscard]] text::Vocabulary read_fairseq_dictionary(Lines& lines) {
    std::vector<std::string> words;
    for (std::string line; lines.next(line);) {
        auto const blank = line.find(' ');
        bool const good = blank != std::string::npos && blank > 0 && blank + 1 < line.size()
            && line.find_first_not_of("0123456789", blank + 1) == std::string::npos;
        require(good, "inkling::recipe::read_fairseq_dictionary: line ", words.size() + 1, " is '", line,
                "', expected a word, a blank and a count");
        words.push_back(line.substr(0, blank));
    }
    return text::Vocabulary(std::move(words));
}

}  // namespace inkling::recipe
