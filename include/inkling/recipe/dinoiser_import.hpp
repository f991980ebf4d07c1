#pragma once

#include <inkling/embedding/unit_sphere.hpp>
#include <inkling/io/safetensors.hpp>
#include <inkling/pipeline/text_diffusion.hpp>
#include <inkling/recipe/dinoiser.hpp>
#include <inkling/recipe/dinoiser_settings.hpp>
#include <inkling/recipe/state_dict.hpp>

#include <concepts>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

namespace inkling::recipe {

/// DINOISER with every option of the official programs, chosen at run time: any of their noise schedulers, and any of
/// their solvers with guidance.
template <Backend B>
using OfficialDinoiser =
    TextDiffusion<DinoiserSchedule, embedding::UnitSphere, denoiser::BottleneckDecoder<B>, DinoiserSampler>;

/// Trains it with the loss and the time sampler that its settings choose at run time.
template <Backend B>
using OfficialDinoiserTrainer =
    Trainer<OfficialDinoiser<B>, objective::DiffuSeq, train::InverseSquareRoot, DinoiserLevels>;

namespace detail {

/// Which tensors of an official state_dict are no weights: the places 0, 1, 2 ... of both sides.
[[nodiscard]] inline bool is_no_weight_of_dinoiser(std::string_view name) {
    return name == "vae.position_ids" || name == "encoder.position_ids";
}

}  // namespace detail

/// Weights of an official DINOISER: its state_dict, saved as safetensors, laid out for our model.
///
/// @return [P]
/// @throws Error naming the tensors that are missing, of another shape, or of no use here
template <std::floating_point Real>
[[nodiscard]] std::vector<Real> read_dinoiser_weights(io::Safetensors const& file, nn::ParameterLayout const& layout) {
    return read_state_dict<Real>(file, layout, detail::is_no_weight_of_dinoiser,
                                 "inkling::recipe::read_dinoiser_weights");
}

/// Options for a pipeline that an official model is to be read into.
template <Backend B>
[[nodiscard]] typename OfficialDinoiser<B>::Options dinoiser_options(DinoiserSettings const& settings,
                                                                     DinoiserDecoding const& decoding) {
    return {.schedule = settings.schedule,
            .embedding = settings.embedding,
            .denoiser = settings.denoiser,
            .sampler = decoding.sampler};
}

/// Options to train an official model on: the published constants, with the loss and the time sampler of its settings.
/// A budget is the user's to set.
template <Backend B>
[[nodiscard]] typename OfficialDinoiserTrainer<B>::Options dinoiser_training(DinoiserSettings const& settings) {
    auto options = dinoiser_training<B, typename OfficialDinoiserTrainer<B>::Options>();
    options.objective = settings.objective;
    options.levels = settings.levels;
    return options;
}

/// An official model, ready to generate or to be trained on.
///
///     auto const settings = recipe::DinoiserSettings::read(args);
///     auto const decoding = recipe::DinoiserDecoding::read({{"solver", "cedi"}, {"denoise_end", 0.99}}, settings);
///     auto const model = recipe::import_dinoiser<backend::Cpu<>>(settings, decoding, file, tokenizer);
///     for (Generated const& one : model.generate_with(sources, {.beams = decoding.beams}, decoding.selection())) ...
///
/// @param weights  the state_dict as a safetensors file
/// @throws Error when the tokenizer is of another vocabulary or has other special tokens, a weight is not finite, and
///         as read_dinoiser_weights does
template <Backend B>
[[nodiscard]] OfficialDinoiser<B> import_dinoiser(DinoiserSettings const& settings, DinoiserDecoding const& decoding,
                                                  std::filesystem::path const& weights,
                                                  pipeline::HeldTokenizer tokenizer) {
    require_tokenizer(settings.vocabulary, settings.specials, tokenizer.vocabulary_size(), tokenizer.specials(),
                      "inkling::recipe::import_dinoiser");
    OfficialDinoiser<B> pipeline(std::move(tokenizer), dinoiser_options<B>(settings, decoding));
    using Scalar = typename B::Scalar;
    pipeline.set_weights(read_dinoiser_weights<Scalar>(io::Safetensors::open(weights), pipeline.layout()));
    return pipeline;
}

}  // namespace inkling::recipe
