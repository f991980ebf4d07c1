#pragma once

#include <inkling/denoiser/infiller.hpp>
#include <inkling/embedding/pretrained.hpp>
#include <inkling/guidance/classifier_free.hpp>
#include <inkling/objective/infilling.hpp>
#include <inkling/pipeline/text_diffusion.hpp>
#include <inkling/pipeline/trainer.hpp>
#include <inkling/sampler/ddpm.hpp>
#include <inkling/schedule/cosine.hpp>
#include <inkling/train/inverse_square_root.hpp>

#include <memory>
#include <utility>

namespace inkling::recipe {

/// SED: embeddings that were trained elsewhere and stay as they are, one Transformer that fills the gaps of a line and
/// sees its last estimate, and guidance by what it would say without the text around.
///
/// Source: Strudel et al. 2022, "Self-conditioned Embedding Diffusion for Text Generation", arXiv:2211.04236.
///
///     auto const preset = recipe::sed<backend::Cpu<>>(table);
///     recipe::Sed<backend::Cpu<>> writer(tokenizer, preset.model);
///     recipe::SedTrainer<backend::Cpu<>> trainer(writer, preset.training);
template <Backend B>
using Sed = TextDiffusion<schedule::Cosine,                                 //
                          embedding::Pretrained,                            // a frozen table behind a bottleneck
                          guidance::ClassifierFree<denoiser::Infiller<B>>,  // over the whole line
                          sampler::Ddpm>;

/// Trains it as published: regression and rounding over the spans that are to be written.
template <Backend B>
using SedTrainer = Trainer<Sed<B>, objective::Infilling<objective::Rounding>, train::InverseSquareRoot>;

/// The constants of the published system, in terms of our options.
template <Backend B>
struct SedPreset {
    typename Sed<B>::Options model{};
    typename SedTrainer<B>::Options training{};
    GenerateOptions generation{};
};

/// What is published of SED: T = 1000 on a cosine, D = 32 (or the table's width), noise of 0.01 on embeddings, spans of
/// at most 5, a tenth of the rows pads, guidance 2.5, 65,000 tokens a batch, a million updates.
///
/// There is no official code. The learning rate, its warm-up, the width of the Transformer and the share of conditions
/// that are hidden are ours; so is the number of steps that text is written in, 1000 as in training.
/// Source: Strudel et al. 2022, arXiv:2211.04236, sections 3 and 4.
/// @param table  from embedding::normalized; null for a model that is to be loaded
template <Backend B>
[[nodiscard]] SedPreset<B> sed(std::shared_ptr<embedding::VectorTable const> table) {
    SedPreset<B> preset;
    if (table) preset.model.embedding.width = table->width;
    preset.model.embedding.table = std::move(table);
    preset.model.denoiser.guidance = 2.5;
    auto& denoiser = preset.model.denoiser.model;
    denoiser.width = 1024;
    denoiser.layers = 12;
    denoiser.heads = 16;
    denoiser.longest = 256;
    preset.model.sampler.steps = 1000;
    preset.model.sampler.discrete_steps = 1000;

    preset.training.steps = 1'000'000;
    preset.training.learning_rate = {.peak = 2e-4, .warm_up = 10'000};
    preset.training.adamw = {.beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-8, .weight_decay = 0.01};
    preset.training.tokens_per_batch = 65'000;
    preset.training.clip = 1.0;
    preset.training.discrete_steps = 1000;
    preset.training.self_conditioning = 1.0;
    preset.training.train_first = true;  // both passes of every batch, their losses summed
    preset.training.bleu_sentences = 0;  // a line has no other side to be held against
    return preset;
}

}  // namespace inkling::recipe
