#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/objective/levels.hpp>
#include <inkling/pipeline/generate_options.hpp>
#include <inkling/train/adamw.hpp>
#include <inkling/train/health.hpp>
#include <inkling/train/progress.hpp>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <stop_token>

namespace inkling {

/// What a validation found.
struct ValidationReport {
    Index step = 0;     ///< updates done then
    double loss = 0.0;  ///< total, on held-out text, without dropout
    double bleu = 0.0;  ///< [0, 100], sacreBLEU's corpus score on the tokens as they are; NaN where not asked for
    train::EmbeddingHealth embedding{};  ///< nearest-neighbour distance and norm spread of z0 over the vocabulary
};

/// Why a training ended, and what it reached.
struct TrainingReport {
    enum class End { budget, stopped, interrupted };
    End end = End::budget;
    int signal = 0;                                          ///< SIGINT or SIGTERM where it was interrupted
    Index steps = 0;                                         ///< updates in all, resumed ones included
    double seconds = 0.0;                                    ///< of the whole run, resumed parts included
    double loss = std::numeric_limits<double>::quiet_NaN();  ///< total of the last update; NaN where none was done
    /// the best one of the whole run, by BLEU where it is asked for, else by loss; of equal ones the last
    std::optional<ValidationReport> validation{};
};

/// Settings of Trainer; every one has a default but the budget. Levels, self-conditioning, what is done with the
/// source, weight of the length loss and T are of diffusion alone, and without effect where nothing is diffused.
template <class Objective_, class Rate, class Generate = GenerateOptions, class Levels = objective::EvenLevels>
struct TrainerOptions {
    double minutes = 0.0;    ///< budget; 0: no limit. One of the two must be set
    Index steps = 0;         ///< budget of updates; 0: no limit
    Objective_ objective{};  ///< what training lowers
    Rate learning_rate{};    ///< of every update; may be another one in a resumed run
    Levels levels{};         ///< which noise levels training draws
    train::AdamWOptions adamw{};
    Index tokens_per_batch = 4096;  ///< the longer side of all sentences of a batch, at least 1
    Index length_pool = 1;  ///< sentences sorted by length together before batches are cut; 1: none. Packed rows waste
                            ///< nothing on uneven lengths, while batches of one length are of one kind and teach less
    double clip = 1.0;      ///< largest norm of the gradient; 0: not clipped
    double self_conditioning = 0.5;  ///< [0, 1], share of the batches that see an estimate of z0
    bool train_first = false;        ///< of these batches the first estimate has a loss of its own, and a gradient
    double drop_source = 0.0;        ///< [0, 1), share of the batches whose source the model is not shown: for guidance
    bool sentence_means = false;     ///< losses are means over sentences of means over their rows; else over all rows
    double length_weight = 0.1;      ///< of the length loss in the total; 0 or more
    Index discrete_steps = 2000;  ///< T: t is drawn from {0, 1/T, ...}; 0: from all of [0, 1]. Without effect where the
                                  ///< pipeline's schedule is a schedule::Discrete, which is drawn from as it is
    double ema_decay = 0.0;       ///< moving average of the weights, [0, 1); 0: none
    bool ema_warm_up = true;      ///< whether its decay grows to that, see train::MovingAverageOptions
    std::uint64_t seed = 1;       ///< of noise, times, dropout and the order of batches

    Index validate_every = 500;  ///< updates, at least 1; the last update is validated too
    Index bleu_sentences = 200;  ///< of the held-out text that are generated and scored; 0: none
    Generate generate{};         ///< how they are generated; without a stop, which is the trainer's
    Index average_best = 5;  ///< the trained model is the mean of the best so many validated weights (or the very best,
                             ///< where that scores higher), kept as files beside the checkpoint; 0, or without a
                             ///< checkpoint: the last weights, or their moving average

    std::filesystem::path checkpoint{};  ///< file to resume from and to write; empty: none
    double checkpoint_minutes = 5.0;     ///< from one checkpoint to the next; 0: one after every update
    std::filesystem::path metrics{};     ///< .csv or .jsonl file; empty: none
    Index log_every = 50;                ///< updates from one row of it to the next; validations have rows as well
    bool handle_signals = false;         ///< SIGINT and SIGTERM end the training in good order
    std::stop_token stop{};              ///< asked after every update and during validations
    std::function<void(train::Progress const&)> on_progress{};  ///< after every update
    std::function<void(ValidationReport const&)> on_validation{};

    /// @throws Error when an option is out of its range, naming it
    void check() const {
        auto const expect = [](bool good, char const* name, auto seen, char const* expected) {
            require(good, "inkling::Trainer: ", name, " is ", seen, ", expected ", expected);
        };
        expect(minutes >= 0.0 && std::isfinite(minutes), "minutes", minutes, "0 or more");
        expect(steps >= 0, "steps", steps, "0 or more");
        expect(minutes > 0.0 || steps > 0, "minutes and steps", 0, "a budget in one of them");
        expect(tokens_per_batch > 0, "tokens_per_batch", tokens_per_batch, "at least 1");
        expect(self_conditioning >= 0.0 && self_conditioning <= 1.0, "self_conditioning", self_conditioning,
               "a share in [0, 1]");
        expect(clip >= 0.0, "clip", clip, "0 (no clipping) or more");
        expect(length_weight >= 0.0 && std::isfinite(length_weight), "length_weight", length_weight, "0 or more");
        expect(ema_decay >= 0.0 && ema_decay < 1.0, "ema_decay", ema_decay, "a number in [0, 1)");
        expect(validate_every > 0, "validate_every", validate_every, "at least 1");
        expect(bleu_sentences >= 0, "bleu_sentences", bleu_sentences, "0 or more");
        expect(average_best >= 0, "average_best", average_best, "0 or more");
        expect(checkpoint_minutes >= 0.0, "checkpoint_minutes", checkpoint_minutes, "0 or more");
        expect(discrete_steps >= 0, "discrete_steps", discrete_steps, "0 or more");
        expect(log_every > 0, "log_every", log_every, "at least 1");
        expect(length_pool > 0, "length_pool", length_pool, "at least 1");
        (void)learning_rate.at(1);  // refuses settings that are out of range
        generate.check();
        expect(!generate.stop.stop_possible(), "generate.stop", "set", "none: stop ends a training");
        if constexpr (requires { objective.check(); }) objective.check();
    }
};

}  // namespace inkling
