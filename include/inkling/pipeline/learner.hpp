#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/core/random.hpp>
#include <inkling/nn/pass.hpp>
#include <inkling/nn/workspace.hpp>
#include <inkling/objective/concept.hpp>
#include <inkling/pipeline/training.hpp>
#include <inkling/text/batching.hpp>
#include <inkling/text/parallel_corpus.hpp>
#include <inkling/train/adamw.hpp>  // the optimiser is no axis: checkpoints hold AdamW's state
#include <inkling/train/clipping.hpp>
#include <inkling/train/health.hpp>
#include <inkling/train/moving_average.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace inkling::pipeline {

/// Changes a pipeline's weights, update by update; when to, and what to keep of them, is the Trainer's.
/// @tparam Options  TrainerOptions
template <class Pipeline, class Objective_, class Levels, class Options>
class Learner {
public:
    using Device = typename Pipeline::Device;
    using Scalar = typename Device::Scalar;
    using Losses = objective::Losses<Device>;

    /// @param options   that passed their check
    /// @param pipeline  must outlive the learner, which writes its weights
    Learner(Pipeline& pipeline, Options options)
        : pipeline_(&pipeline),
          options_(std::move(options)),
          device_(pipeline.options().device),
          gradients_(pipeline.layout().size()),
          optimizer_(device_, pipeline.layout(), options_.adamw),
          training_(pipeline, options_) {
        if (options_.ema_decay > 0.0)
            average_.emplace(device_, std::as_const(pipeline).weights(),
                             train::MovingAverageOptions{.decay = options_.ema_decay, .warm_up = options_.ema_warm_up});
    }

    [[nodiscard]] Options const& options() const { return options_; }
    [[nodiscard]] Pipeline& pipeline() { return *pipeline_; }
    [[nodiscard]] Pipeline const& pipeline() const { return *pipeline_; }
    [[nodiscard]] Device& device() { return device_; }
    [[nodiscard]] auto& training() { return training_; }
    [[nodiscard]] auto const& training() const { return training_; }
    [[nodiscard]] train::AdamW<Device>& optimizer() { return optimizer_; }
    /// The moving average of the weights; null where the options want none.
    [[nodiscard]] train::MovingAverage<Device>* average() { return average_ ? &*average_ : nullptr; }
    /// The gradient's norm in the last update, before it was clipped.
    [[nodiscard]] double gradient_norm() const { return gradient_norm_; }
    /// Waits for the weights, before others read them.
    void synchronize() { backend::synchronize(device_, weights().data); }

    [[nodiscard]] text::BatchPlan batches(text::ParallelCorpus const& corpus, std::uint64_t seed) const {
        return {corpus,
                {.tokens_per_batch = options_.tokens_per_batch, .pool = options_.length_pool, .seed = seed},
                pipeline_->wrapping()};
    }

    /// @throws Error naming the first sentence that the model has no positions or no embeddings for
    void require_fits(text::ParallelCorpus const& corpus, char const* name) const {
        auto const wrapping = pipeline_->wrapping();
        auto const& model = pipeline_->model();
        auto const check = [&](Index i, char const* side, std::span<Token const> tokens, Index vocabulary, Index rows,
                               Index longest) {
            require(rows <= longest, "inkling::Trainer: ", name, " sentence ", i, " has ", rows, " ", side,
                    " tokens, expected at most ", longest,
                    ", for which the model has positions (leave long sentences out when reading)");
            for (Token const token : tokens)
                require(token >= 0 && token < vocabulary, "inkling::Trainer: ", name, " sentence ", i, " has the ",
                        side, " token ", token, ", expected one of a vocabulary of ", vocabulary,
                        " (was it read with another tokenizer?)");
        };
        Index const vocabulary = pipeline_->space().vocabulary();
        for (Index i = 0; i < corpus.size(); ++i) {
            auto const source = corpus.source(i);
            auto const target = corpus.target(i);
            check(i, "source", source, pipeline_->source_vocabulary(),
                  wrapping.source_length(static_cast<Index>(source.size())), model.longest_source());
            check(i, "target", target, vocabulary, wrapping.target_length(static_cast<Index>(target.size())),
                  model.longest_target());
            if (wrapping.filled > 0)
                check(i, "source and target", target, vocabulary,
                      wrapping.source_length(static_cast<Index>(source.size()))
                          + wrapping.wrapped_target(static_cast<Index>(target.size())),
                      wrapping.filled);
        }
    }

    /// Update number `step` of the weights, which stay as they are where it throws.
    /// @param tokens  is raised by the tokens of both sides
    /// @throws Error naming the term and the tensor where loss or gradient is not finite
    Losses update(Index step, text::ParallelCorpus const& corpus, std::span<Index const> sentences, Index& tokens) {
        auto const draw = static_cast<std::uint32_t>(step);
        workspace_.reset();
        nn::Pass<Device> pass{device_,
                              workspace_,
                              pipeline_->weights().data,
                              gradients_.data(),
                              pipeline_->model().dropout(),
                              RandomStream{options_.seed, Purpose::dropout, 0, draw}};
        training_.follow(pass, step);
        auto const batch = training_.batch(pass, corpus, sentences, options_.seed, draw, true);
        tokens += batch.source.segments.rows + batch.target.segments.rows;
        auto const [losses, clipped] = gradient("update ", step, pass, batch);
        optimizer_.step(device_, pipeline_->weights(), gradients(), options_.learning_rate.at(step), clipped.factor);
        gradient_norm_ = clipped.norm;
        if (average_) average_->update(device_, weights());
        training_.learn(pass, batch, losses);
        return losses;
    }

    /// @param step  updates done
    /// @throws Error unless loss and gradient are finite: what is written to a checkpoint must be worth going back to
    void require_sound(Index step, text::ParallelCorpus const& corpus, std::span<Index const> sentences) {
        workspace_.reset();
        nn::Pass<Device> pass{device_, workspace_, pipeline_->weights().data, gradients_.data()};
        (void)gradient("after update ", step, pass, training_.batch(pass, corpus, sentences, options_.seed, 0, false));
    }

    /// What a batch of held-out sentences says.
    struct HeldOut {
        double loss = 0.0;  ///< in total, mean over rows
        Index rows = 0;     ///< of the target
    };
    /// The loss of held-out sentences with noise of `seed`; nothing is learned.
    /// @param step  updates done
    /// @throws Error where it is not finite
    HeldOut held_out_loss(Index step, text::ParallelCorpus const& corpus, std::span<Index const> sentences,
                          std::uint64_t seed) {
        workspace_.reset();
        nn::Pass<Device> pass{device_, workspace_, weights().data};
        auto const batch = training_.batch(pass, corpus, sentences, seed, 0, false);
        Losses const losses = loss(pass, batch);
        if (!std::isfinite(losses.total())) refuse("validation after update ", step, losses, {});
        return {losses.total(), batch.target.segments.rows};
    }

    /// Of z0 over the whole vocabulary, special tokens left out.
    [[nodiscard]] train::EmbeddingHealth embedding_health() const {
        auto const specials = pipeline_->tokenizer().specials();
        std::array<Token, 4> const excluded{specials.bos, specials.pad, specials.eos, specials.unk};
        return train::embedding_health(pipeline_->embeddings(), pipeline_->space().width(), {.excluded = excluded});
    }

    /// Makes the moving average, where there is one, the weights.
    void use_average() {
        if (average_)
            copy(device_, static_cast<Scalar const*>(average_->values().data), pipeline_->weights().data,
                 average_->values().size);
    }

    /// The columns of a metrics file: numbers of every run, and the objective's terms; empty before the first loss.
    [[nodiscard]] std::vector<std::string> const& columns() const { return columns_; }

    /// Has the averaged weights, where there are some, in place of the last ones for as long as it lives.
    class AverageInPlace {
    public:
        explicit AverageInPlace(Learner& learner) : learner_(learner) {
            if (!learner_.average_) return;
            last_ = typename Device::template Buffer<Scalar>(size());
            copy(learner_.device_, weights(), last_.data(), size());
            learner_.use_average();
        }
        AverageInPlace(AverageInPlace const&) = delete;
        AverageInPlace& operator=(AverageInPlace const&) = delete;
        ~AverageInPlace() {
            if (!learner_.average_) return;
            try {
                copy(learner_.device_, static_cast<Scalar const*>(last_.data()), weights(), size());
            } catch (Error const&) {}  // a destructor cannot tell; of a lost device the next call does
        }

    private:
        [[nodiscard]] Index size() const { return learner_.pipeline_->layout().size(); }
        [[nodiscard]] Scalar* weights() const { return learner_.pipeline_->weights().data; }

        Learner& learner_;
        typename Device::template Buffer<Scalar> last_;
    };

private:
    using Training = pipeline::Training<Pipeline, Objective_, Levels>;
    using Batch = typename Training::Batch;

    struct Gradient {
        Losses losses;
        train::Clipped clipped;
    };
    /// Loss of a batch, and its gradient in gradients().
    /// @throws Error naming the term and the tensor where they are not finite
    Gradient gradient(char const* when, Index step, nn::Pass<Device>& pass, Batch const& batch) {
        clear(device_, gradients_.data(), gradients_.size());
        Losses const losses = loss(pass, batch);
        auto const clipped = train::clip(device_, optimizer_.trained_ranges(), gradients(),
                                         pass.workspace.template take<double>(1), options_.clip);
        if (!std::isfinite(losses.total()) || !clipped.finite) refuse(when, step, losses, gradients());
        return {losses, clipped};
    }
    [[nodiscard]] VectorView<Scalar const> gradients() const { return {gradients_.data(), gradients_.size()}; }
    [[nodiscard]] VectorView<Scalar const> weights() const { return std::as_const(*pipeline_).weights(); }

    Losses loss(nn::Pass<Device>& pass, Batch const& batch) {
        Losses losses = training_.loss(pass, batch);
        losses.collect(pass);
        if (columns_.empty()) columns_ = columns_of(losses);
        return losses;
    }

    [[noreturn]] void refuse(char const* when, Index step, Losses const& losses, VectorView<Scalar const> gradients) {
        std::string found = "every loss term is finite";
        for (objective::Term const& term : losses.terms())
            if (!std::isfinite(term.value)) {
                found = message("loss term '", term.name, "' is ", term.value);
                break;
            }
        auto const& layout = pipeline_->layout();
        auto const* weight = train::first_not_finite(device_, layout, weights());
        auto const* slope = weight || gradients.empty() ? nullptr : train::first_not_finite(device_, layout, gradients);
        std::string const tensor = weight ? "the weights of '" + weight->name + "' are not finite"
            : slope                       ? "the gradient of '" + slope->name + "' is the first that is not finite"
                                          : "all weights are finite";
        fail("inkling::Trainer: ", when, step, ": ", found, ", ", tensor, "; a lower learning rate may help",
             std::filesystem::exists(options_.checkpoint) ? "; the last checkpoint is kept" : "");
    }

    [[nodiscard]] static std::vector<std::string> columns_of(Losses const& losses) {
        std::vector<std::string> names{"loss", "seconds", "learning_rate", "gradient_norm", "tokens_per_second"};
        for (objective::Term const& term : losses.terms())
            if (!term.name.empty() && std::find(names.begin(), names.end(), term.name) == names.end())
                names.emplace_back(term.name);
        for (char const* name : {"valid_loss", "valid_bleu", "nearest_distance", "norm_mean", "norm_spread"})
            names.emplace_back(name);
        return names;
    }

    Pipeline* pipeline_;
    Options options_;
    Device device_;
    nn::Workspace<Device> workspace_;
    typename Device::template Buffer<Scalar> gradients_;
    train::AdamW<Device> optimizer_;
    std::optional<train::MovingAverage<Device>> average_;
    Training training_;
    std::vector<std::string> columns_;
    double gradient_norm_ = 0.0;
};

}  // namespace inkling::pipeline
