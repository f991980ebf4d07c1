#pragma once

#include <inkling/denoiser/bottleneck_decoder.hpp>
#include <inkling/embedding/unit_sphere.hpp>
#include <inkling/objective/clipped_levels.hpp>
#include <inkling/objective/diffuseq.hpp>
#include <inkling/objective/length_only.hpp>
#include <inkling/pipeline/text_diffusion.hpp>
#include <inkling/pipeline/trainer.hpp>
#include <inkling/sampler/cedi.hpp>
#include <inkling/schedule/sigma_linear.hpp>
#include <inkling/train/inverse_square_root.hpp>

#include <array>
#include <cstddef>

namespace inkling::recipe {

/// DINOISER: tokens on a sphere, and training and sampling that stay where there is so much noise that a model must
/// look at the source.
///
/// Source: Ye et al. 2023, "DINOISER: Diffused Conditional Sequence Learning by Manipulating Noises", arXiv:2302.10025.
///
///     auto const preset = recipe::dinoiser<backend::Cpu<>>(recipe::DinoiserTask::iwslt14_de_en);
///     recipe::Dinoiser<backend::Cpu<>> translator(tokenizer, preset.model);
///     recipe::DinoiserTrainer<backend::Cpu<>>(translator, preset.training).fit(corpus);
///     recipe::DinoiserLengthTrainer<backend::Cpu<>>(translator, preset.length_training).fit(corpus);
template <Backend B>
using Dinoiser = TextDiffusion<schedule::SigmaLinear,           // time is the noise itself
                               embedding::UnitSphere,           // all tokens at one distance
                               denoiser::BottleneckDecoder<B>,  // narrow vectors, a source table of its own
                               sampler::Cedi>;                  // told that there is much noise to the end

/// Trains it as published: both estimates' lower bounds, from the noise on that hides a token's neighbours.
template <Backend B>
using DinoiserTrainer = Trainer<Dinoiser<B>, objective::DiffuSeq, train::InverseSquareRoot, objective::ClippedLevels>;

/// Then trains its length head, as published, and nothing else.
template <Backend B>
using DinoiserLengthTrainer = Trainer<Dinoiser<B>, objective::LengthOnly, train::InverseSquareRoot>;

/// What all published trainings share, for a model of any size: Adam (0.9, 0.98) to 5e-4 in 4,000 updates, weight decay
/// 0.01, every batch self-conditioned with both estimates trained, means of sentences, t from all of [0, 1], no length
/// loss. A budget is the user's to set.
///
/// @tparam B        the backend
/// @tparam Options  options of another trainer whose learning rate is train::InverseSquareRoot
/// Source: Ye et al. 2023, arXiv:2302.10025, and the code's `scripts/`.
template <Backend B, class Options = typename DinoiserTrainer<B>::Options>
[[nodiscard]] Options dinoiser_training() {
    Options options;
    options.learning_rate = {.peak = 5e-4, .warm_up = 4'000, .initial = 1e-7};
    options.adamw = {.beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-8, .weight_decay = 0.01};
    options.clip = 0.0;
    options.self_conditioning = 1.0;
    options.train_first = true;
    options.sentence_means = true;
    options.length_weight = 0.0;
    options.discrete_steps = 0;
    options.average_best = 0;
    return options;
}

/// The same for the length head alone: without weight decay, which would move what the loss does not reach.
template <Backend B, class Options = typename DinoiserLengthTrainer<B>::Options>
[[nodiscard]] Options dinoiser_length_training() {
    auto options = dinoiser_training<B, Options>();
    options.adamw.weight_decay = 0.0;
    options.length_weight = 1.0;
    return options;
}

/// The trainings that were published.
enum class DinoiserTask {
    iwslt14_de_en,  ///< translation from German: 31.6 BLEU
    wmt14_en_de,    ///< translation to German: 24.6 BLEU
    wmt16_en_ro,    ///< translation to Romanian
};

/// Every constant of one published training, in terms of our options.
template <Backend B>
struct DinoiserPreset {
    typename Dinoiser<B>::Options model{};
    typename DinoiserTrainer<B>::Options training{};
    typename DinoiserLengthTrainer<B>::Options length_training{};
    GenerateOptions generation{};
};

namespace detail {

/// What the trainings differ in.
struct DinoiserConstants {
    Index latent, hidden, heads;
    double dropout;
    bool smoothed;
    Index tokens_per_batch;  // of all workers together
};

inline constexpr std::array<DinoiserConstants, 3> dinoiser_constants{{
    {16, 1024, 4, 0.2, false, 32 * 1024},
    {64, 2048, 8, 0.1, true, 128 * 1024},
    {64, 2048, 8, 0.05, false, 128 * 1024},
}};

}  // namespace detail

/// The constants of one published training.
///
/// They are those of the official scripts, but for the number of updates, which there is a number of epochs and a
/// patience: 300,000 here, and 10,000 for the length head.
/// Source: Ye et al. 2023, arXiv:2302.10025, and the code's `scripts/`.
template <Backend B>
[[nodiscard]] DinoiserPreset<B> dinoiser(DinoiserTask task) {
    auto const& own = detail::dinoiser_constants[static_cast<std::size_t>(task)];
    DinoiserPreset<B> preset;
    preset.model.embedding.width = own.latent;
    auto& denoiser = preset.model.denoiser;
    denoiser.width = 512;
    denoiser.layers = 6;
    denoiser.heads = own.heads;
    denoiser.hidden = own.hidden;
    denoiser.dropout = own.dropout;
    denoiser.longest_source = denoiser.longest_target = 256;
    preset.model.sampler.steps = 20;

    preset.training = dinoiser_training<B>();
    preset.training.levels.smoothed = own.smoothed;
    preset.training.steps = 300'000;
    preset.training.tokens_per_batch = own.tokens_per_batch;
    preset.length_training = dinoiser_length_training<B>();
    preset.length_training.steps = 10'000;
    preset.length_training.tokens_per_batch = own.tokens_per_batch;

    preset.generation.beams = {.length_beam = 5, .noise_beam = 10};
    return preset;
}

}  // namespace inkling::recipe
