// Text out of noise from a model trained before your eyes: spoken English ("half past five") to written ("17:30").
//
// The task is inverse text normalisation; its sentences come from a seeded grammar, so nothing is downloaded, and those
// the model is asked about are in no training set.

#include "support/inverse_text_normalisation.hpp"
#include "support/terminal.hpp"

#include <inkling/backend/cpu.hpp>
#include <inkling/inkling.hpp>

#include <cstdio>
#include <iostream>
#include <numeric>
#include <vector>

using namespace inkling;
namespace itn = inverse_text_normalisation;

// [pipeline]
using Writer = TextDiffusion<schedule::Rescaled<schedule::Sqrt>,        // how noise grows
                             embedding::Learned,                        // where tokens live
                             denoiser::EncoderDecoder<backend::Cpu<>>,  // what removes noise, and where it runs
                             sampler::Ddpm>;                            // how noise is walked back
// [/pipeline]

int main() {
    constexpr std::uint64_t seed = 7;
    auto const pairs = itn::generate(60'000, seed);
    auto const unseen = itn::generate_unseen(200, seed + 1, pairs);
    auto const tokenizer = itn::make_tokenizer(pairs);
    auto const spoken = itn::spoken(pairs), written = itn::written(pairs);
    text::MemoryLines sources{spoken}, targets{written};
    auto const corpus = text::read_parallel(sources, targets, tokenizer).corpus;

    Writer writer(tokenizer,
                  {.schedule = {.training_noise = 4.0},
                   .embedding = {.width = 64},
                   .denoiser = {.width = 128,
                                .layers = 3,
                                .encoder_layers = 2,
                                .dropout = 0.0,
                                .longest_source = 64,
                                .longest_target = 64,
                                .encoder_embedding_norm = true},
                   .sampler = {.steps = 20},
                   .seed = seed});
    constexpr Index updates = 2800;
    std::printf("%zu weights learn to write what %zu sentences say\n", static_cast<std::size_t>(writer.layout().size()),
                pairs.size());
    train::ProgressBarOptions const bar{.terminal = support::is_terminal(STDOUT_FILENO),
                                        .columns = support::columns(STDOUT_FILENO)};
    Trainer<Writer, objective::Anchor, train::Cosine> trainer(
        writer,
        {.steps = updates,
         .objective = {.label_smoothing = 0.0},
         .learning_rate = {.peak = 1.5e-3, .steps = updates, .warm_up = 200},
         .tokens_per_batch = 768,
         .length_weight = 1.0,
         .seed = seed,
         .on_progress = train::progress_bar(std::cout, bar)});
    trainer.fit(corpus);

    // One sentence takes shape: what the vectors read as, which begin as noise, beside what the denoiser makes of them.
    std::vector<std::string> const one{unseen.front().spoken};
    std::printf("\nspoken:  %s\n", one.front().c_str());
    auto const places = writer.embeddings();  // [V, D]: a vector reads as the token that has most of its direction
    auto const show = [&](decode::StepData<float> const& step) {
        auto const width = static_cast<std::size_t>(step.width);
        std::vector<Token> seen;
        for (std::size_t row = 0; row < step.tokens.size(); ++row) {
            auto const along = [&](std::size_t token) {
                return std::inner_product(&places[token * width], &places[token * width] + width, &step.z[row * width],
                                          0.0F);
            };
            std::size_t best = 0;
            for (std::size_t token = 1; token < places.size() / width; ++token)
                if (along(token) > along(best)) best = token;
            seen.push_back(static_cast<Token>(best));
        }
        std::printf("step %2d  %s   <- %s\n", static_cast<int>(step.step) + 1,
                    tokenizer.decode(step.sentence(0)).c_str(), tokenizer.decode(seen).c_str());
    };
    (void)writer.generate_with(one, {.seed = seed}, decode::MinimumBayesRisk{}, show);

    auto const answers = writer.generate(itn::spoken(unseen), {.seed = seed});
    Index right = 0;
    for (std::size_t i = 0; i < unseen.size(); ++i) right += answers[i] == unseen[i].written;
    std::printf("\nexact_match=%.3f sentences=%zu steps=20 seed=%d\n",
                static_cast<double>(right) / static_cast<double>(unseen.size()), unseen.size(), static_cast<int>(seed));
}
