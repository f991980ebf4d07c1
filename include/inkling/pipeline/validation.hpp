#pragma once

#include <inkling/core/index.hpp>
#include <inkling/metric/bleu.hpp>  // what held-out text is scored by
#include <inkling/pipeline/ending.hpp>
#include <inkling/pipeline/generated.hpp>
#include <inkling/pipeline/trainer_options.hpp>
#include <inkling/text/batching.hpp>
#include <inkling/text/parallel_corpus.hpp>
#include <inkling/train/best_checkpoints.hpp>
#include <inkling/train/checkpoint.hpp>
#include <inkling/train/named_number.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace inkling::pipeline {

/// Scores what a Learner learns on held-out text, and keeps the weights that score best.
template <class Learner>
class Validation {
public:
    /// Forgets an earlier run, all but at which update it validated last.
    /// @param held_out  outlives the run; null: there is no text to validate on
    /// @throws Error when a sentence does not fit the model or the budget of a batch, or text cannot be generated: now,
    ///         not at the first validation
    void begin(Learner const& learner, text::ParallelCorpus const* held_out) {
        auto const& options = learner.options();
        held_out_ = held_out;
        by_bleu_ = options.bleu_sentences > 0;
        kept_.reset();
        best_.reset();
        if (!held_out_) return;
        learner.require_fits(*held_out_, "held-out");
        (void)learner.batches(*held_out_, seed);
        if (by_bleu_) learner.training().require_generates();
        if (!options.checkpoint.empty() && options.average_best > 0)
            kept_.emplace(options.checkpoint,
                          train::BestCheckpointsOptions{.keep = options.average_best, .higher_is_better = by_bleu_});
    }

    /// Whether one is due: every so many updates, and after the last.
    /// @param step  updates done
    [[nodiscard]] bool due(Learner const& learner, Index step, bool last) const {
        return held_out_ != nullptr && (last || step % learner.options().validate_every == 0);
    }
    /// Updates done at the last validation.
    [[nodiscard]] Index last_step() const { return last_step_; }
    /// The best validation of the run; nothing before the first.
    [[nodiscard]] std::optional<ValidationReport> const& best() const { return best_; }

    /// Scores the weights, or their moving average, offers them to the best, and adds to `numbers`. Asked to end
    /// meanwhile, it leaves no trace.
    /// @param step  updates done
    /// @return whether it was done
    bool run(Learner& learner, Index step, Ending const& ending, std::vector<train::NamedNumber>& numbers) {
        if (ending.asked()) return false;
        ValidationReport found{.step = step, .bleu = std::numeric_limits<double>::quiet_NaN()};
        {
            typename Learner::AverageInPlace const averaged(learner);
            auto const loss = held_out_loss(learner, step, ending);
            if (!loss) return false;
            found.loss = *loss;
            if (by_bleu_) {
                auto const bleu = held_out_bleu(learner, ending);
                if (!bleu) return false;
                found.bleu = *bleu;
            }
            found.embedding = learner.embedding_health();
            if (kept_)
                kept_->offer(learner.device(), learner.pipeline().layout(), std::as_const(learner.pipeline()).weights(),
                             step, by_bleu_ ? found.bleu : found.loss);
        }
        last_step_ = step;
        if (!best_ || (by_bleu_ ? found.bleu >= best_->bleu : found.loss <= best_->loss)) best_ = found;
        numbers.push_back({"valid_loss", found.loss});
        if (by_bleu_) numbers.push_back({"valid_bleu", found.bleu});
        numbers.push_back({"nearest_distance", found.embedding.nearest_distance});
        numbers.push_back({"norm_mean", found.embedding.norm_mean});
        numbers.push_back({"norm_spread", found.embedding.norm_spread});
        learner.synchronize();
        if (learner.options().on_validation) learner.options().on_validation(found);
        return true;
    }

    /// Sets the weights that are the result: the mean of the best, or the best alone where it scores higher (in a short
    /// run they may lie far apart); without validations the moving average, or what is there. Asked to end meanwhile,
    /// it leaves the mean.
    /// @param step  updates done
    void use_the_best(Learner& learner, Index step, Ending const& ending) const {
        auto& pipeline = learner.pipeline();
        if (!kept_ || kept_->snapshots().empty()) {
            learner.use_average();
            return;
        }
        kept_->load_mean(learner.device(), pipeline.layout(), pipeline.weights());
        if (kept_->snapshots().size() < 2) return;
        auto const score = by_bleu_ ? held_out_bleu(learner, ending) : held_out_loss(learner, step, ending);
        double const single = kept_->snapshots().front().score;
        if (score && (by_bleu_ ? *score < single : *score > single))
            kept_->load_best(learner.device(), pipeline.layout(), pipeline.weights());
    }

    /// Adds to what a checkpoint holds; remove_dropped follows once it is written.
    void save(train::RunState& state) const {
        state.counters["validated_step"] = last_step_;
        if (kept_) state.best = kept_->snapshots();
        if (!best_) return;
        state.counters["best_step"] = best_->step;
        state.numbers["best_loss"] = best_->loss;
        if (by_bleu_) state.numbers["best_bleu"] = best_->bleu;
        state.numbers["nearest_distance"] = best_->embedding.nearest_distance;
        state.numbers["norm_mean"] = best_->embedding.norm_mean;
        state.numbers["norm_spread"] = best_->embedding.norm_spread;
    }
    /// Removes the files of weights that are no longer among the best.
    void remove_dropped() const {
        if (kept_) kept_->remove_dropped();
    }

    /// @throws Error when the checkpoint lacks a number, or a file of weights is gone or damaged
    void restore(train::Checkpoint const& checkpoint) {
        if (kept_) kept_->restore(checkpoint.state().best);
        last_step_ = checkpoint.counter("validated_step");
        if (!checkpoint.state().counters.contains("best_step")) return;
        best_ = {.step = checkpoint.counter("best_step"),
                 .loss = checkpoint.number("best_loss"),
                 .bleu = by_bleu_ ? checkpoint.number("best_bleu") : std::numeric_limits<double>::quiet_NaN(),
                 .embedding = {checkpoint.number("nearest_distance"), checkpoint.number("norm_mean"),
                               checkpoint.number("norm_spread")}};
    }

private:
    static constexpr std::uint64_t seed = 0;  // noise is the same at every validation

    /// Mean total loss over the held-out text; nothing when asked to end.
    [[nodiscard]] std::optional<double> held_out_loss(Learner& learner, Index step, Ending const& ending) const {
        text::BatchPlan plan = learner.batches(*held_out_, seed);
        double total = 0.0;
        double rows = 0.0;
        for (Index i = 0, batches = plan.steps_per_epoch(); i < batches; ++i) {
            if (ending.asked()) return std::nullopt;
            auto const found = learner.held_out_loss(step, *held_out_, plan.next(), seed);
            total += found.loss * static_cast<double>(found.rows);
            rows += static_cast<double>(found.rows);
        }
        return total / rows;
    }

    /// BLEU of the first held-out sentences; nothing when asked to end.
    [[nodiscard]] std::optional<double> held_out_bleu(Learner& learner, Ending const& ending) const {
        auto const& options = learner.options();
        auto const& pipeline = learner.pipeline();
        Index const count = std::min(options.bleu_sentences, held_out_->size());
        std::vector<std::vector<Token>> sources;
        std::vector<std::string> hypotheses, references;
        for (Index i = 0; i < count; ++i) {
            auto const source = held_out_->source(i);
            sources.emplace_back(source.begin(), source.end());
            references.push_back(pipeline.tokenizer().decode(held_out_->target(i)));
        }
        std::stop_source stopping;
        std::stop_callback const by_trainer(ending.stop, [&] { stopping.request_stop(); });
        auto generating = options.generate;
        generating.stop = stopping.get_token();
        generating.on_progress = [&](Index done, Index all) {
            if (ending.asked()) stopping.request_stop();
            if (options.generate.on_progress) options.generate.on_progress(done, all);
        };
        learner.synchronize();
        for (Generated& generated : pipeline.generate_tokens(sources, generating)) {
            if (!generated.finished) return std::nullopt;
            hypotheses.push_back(std::move(generated.text));
        }
        return metric::corpus_bleu(hypotheses, references, {.tokenizer = metric::BleuTokenizer::none}).score;
    }

    text::ParallelCorpus const* held_out_ = nullptr;
    bool by_bleu_ = false;  ///< which score is the better; else by loss
    std::optional<train::BestCheckpoints> kept_;
    std::optional<ValidationReport> best_;
    Index last_step_ = 0;
};

}  // namespace inkling::pipeline
