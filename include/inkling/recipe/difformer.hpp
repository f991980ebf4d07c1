#pragma once

#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/objective/anchor.hpp>
#include <inkling/pipeline/text_diffusion.hpp>
#include <inkling/pipeline/trainer.hpp>
#include <inkling/sampler/ddpm.hpp>
#include <inkling/schedule/rescaled.hpp>
#include <inkling/schedule/sqrt.hpp>
#include <inkling/train/inverse_square_root.hpp>

#include <array>
#include <cstddef>

namespace inkling::recipe {

/// Difformer: learned embeddings that an anchor loss keeps apart, training noise F times as strong, a layer norm at the
/// decoder's input, and self-conditioning.
///
/// Source: Gao et al. 2022, "Difformer", arXiv:2212.09412.
///
///     auto const preset = recipe::difformer<backend::Cpu<>>(recipe::DifformerTask::iwslt14_de_en);
///     recipe::Difformer<backend::Cpu<>> translator(tokenizer, preset.model);
///     recipe::DifformerTrainer<backend::Cpu<>> trainer(translator, preset.training);
template <Backend B>
using Difformer = TextDiffusion<schedule::Rescaled<schedule::Sqrt>,  // noise of training times F
                                embedding::Learned,                  // one table for source, target and read-out
                                denoiser::EncoderDecoder<B>,         //
                                sampler::Ddpm>;

/// Trains it as published: anchor loss, Adam with an inverse square root.
template <Backend B>
using DifformerTrainer = Trainer<Difformer<B>, objective::Anchor, train::InverseSquareRoot>;

/// What all published trainings share, for a model of any size: Adam (0.9, 0.98) to 5e-4 in 10,000 updates, weight
/// decay 0.01, clipping at 1, half of the batches self-conditioned, T = 2000, label smoothing 0.1, length loss by 0.1,
/// the mean of the five best. A budget is the user's to set.
///
///     auto options = recipe::difformer_training<backend::Cpu<>>();
///     options.minutes = 60;
///
/// @tparam B        the backend
/// @tparam Options  options of another trainer whose learning rate is train::InverseSquareRoot
/// Source: Gao et al. 2022, arXiv:2212.09412, section 4.1 and the code's `scripts/`.
template <Backend B, class Options = typename DifformerTrainer<B>::Options>
[[nodiscard]] Options difformer_training() {
    Options options;
    if constexpr (requires { options.objective.label_smoothing; }) options.objective.label_smoothing = 0.1;
    options.learning_rate = {.peak = 5e-4, .warm_up = 10'000, .initial = 1e-7};
    options.adamw = {.beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-8, .weight_decay = 0.01};
    options.clip = 1.0;
    options.self_conditioning = 0.5;
    options.length_weight = 0.1;
    options.discrete_steps = 2000;
    options.average_best = 5;
    return options;
}

/// The trainings that were published.
enum class DifformerTask {
    iwslt14_de_en,  ///< translation from German, distilled: 34.5 BLEU
    wmt14_en_de,    ///< translation to German, distilled: 27.7 BLEU
    qqp,            ///< paraphrase of questions: 30.4 BLEU
    wiki_auto,      ///< simplification: 40.8 BLEU
};

/// Every constant of one published training, in terms of our options.
template <Backend B>
struct DifformerPreset {
    typename Difformer<B>::Options model{};
    typename DifformerTrainer<B>::Options training{};
    GenerateOptions generation{};
};

namespace detail {

/// What the trainings differ in.
struct DifformerConstants {
    Index width, hidden, heads;
    double noise;  // F
    double dropout;
    Index tokens_per_batch;  // of all workers together
    Index updates;
    decode::Beams beams;
};

inline constexpr std::array<DifformerConstants, 4> difformer_constants{{
    {512, 1024, 4, 4.0, 0.3, 8'000, 300'000, {.length_beam = 7, .noise_beam = 3}},
    {512, 2048, 8, 3.5, 0.1, 4 * 16'000, 300'000, {.length_beam = 7, .noise_beam = 3}},
    {768, 3072, 12, 4.0, 0.1, 8'000, 50'000, {.length_beam = 5, .noise_beam = 2}},
    {768, 3072, 12, 4.0, 0.1, 4 * 16'000, 30'000, {.length_beam = 5, .noise_beam = 2}},
}};

}  // namespace detail

/// The constants of one published training.
///
/// They are those of the official scripts, where WMT14 and Wiki-Auto ran on four devices of 16,000 tokens each. What a
/// user must still say are files: TrainerOptions::checkpoint, for one, which also turns on the mean of the five best.
/// Source: Gao et al. 2022, arXiv:2212.09412, section 4.1 and the code's `scripts/`.
template <Backend B>
[[nodiscard]] DifformerPreset<B> difformer(DifformerTask task) {
    auto const& own = detail::difformer_constants[static_cast<std::size_t>(task)];
    DifformerPreset<B> preset;

    preset.model.schedule.training_noise = own.noise;
    preset.model.embedding.width = 128;
    auto& denoiser = preset.model.denoiser;
    denoiser.width = own.width;
    denoiser.layers = 6;
    denoiser.heads = own.heads;
    denoiser.hidden = own.hidden;
    denoiser.dropout = own.dropout;
    denoiser.longest_source = denoiser.longest_target = 1024;
    denoiser.self_conditioning = denoiser::SelfConditioning::after_projection;
    preset.model.sampler.steps = 20;
    preset.model.sampler.early_stopping = 5;
    preset.model.sampler.discrete_steps = 2000;

    preset.training = difformer_training<B>();
    preset.training.steps = own.updates;
    preset.training.tokens_per_batch = own.tokens_per_batch;

    preset.generation.beams = own.beams;
    return preset;
}

}  // namespace inkling::recipe
