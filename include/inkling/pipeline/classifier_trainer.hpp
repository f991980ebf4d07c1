#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/pipeline/text_classifier.hpp>
#include <inkling/pipeline/trainer_options.hpp>
#include <inkling/text/batching.hpp>
#include <inkling/train/adamw.hpp>
#include <inkling/train/budget.hpp>
#include <inkling/train/clipping.hpp>
#include <inkling/train/concept.hpp>
#include <inkling/train/interrupt.hpp>
#include <inkling/train/progress.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <stop_token>
#include <utility>
#include <vector>

namespace inkling {

/// Settings of ClassifierTrainer; every one has a default but the budget.
template <LearningRate Rate>
struct ClassifierTrainerOptions {
    double minutes = 0.0;  ///< budget; 0: no limit. One of the two must be set
    Index steps = 0;       ///< budget of updates; 0: no limit
    Rate learning_rate{};  ///< of every update
    train::AdamWOptions adamw{.weight_decay = 0.05};
    Index tokens_per_batch = 2048;  ///< of all lines of a batch, each counted once, at least 1
    double clip = 1.0;              ///< largest norm of the gradient; 0: not clipped
    double dropout = 0.1;           ///< [0, 1), of what is trained; what is frozen has none
    double label_smoothing = 0.0;   ///< [0, 1)
    std::uint64_t seed = 1;         ///< of noise, dropout and the order of batches
    Index validate_every = 100;     ///< updates, at least 1; the last update is validated too
    bool handle_signals = false;    ///< SIGINT and SIGTERM end the training in good order
    std::stop_token stop{};         ///< asked after every update and during validations
    std::function<void(train::Progress const&)> on_progress{};  ///< after every update
    std::function<void(Index step, double accuracy)> on_validation{};
};

/// Why the training of a classifier ended, and what it reached.
struct ClassifierReport {
    TrainingReport::End end = TrainingReport::End::budget;
    int signal = 0;                                          ///< SIGINT or SIGTERM where it was interrupted
    Index steps = 0;                                         ///< updates
    double seconds = 0.0;                                    ///< of the whole run
    double loss = std::numeric_limits<double>::quiet_NaN();  ///< of the last update; NaN where none was done
    std::optional<double> accuracy{};                        ///< [0, 1], the best one on held-out lines
};

/// Trains a TextClassifier: cross-entropy of the classes, lines in noise that is drawn anew for every update. The
/// pipeline it reads stays as it is.
///
/// Every random number is a function of the seed, the update and the line. Held-out lines choose: the weights that tell
/// most of them are the result, of equal ones the last.
/// @tparam Classifier  a TextClassifier
/// @tparam Rate        how large each update is
template <class Classifier, LearningRate Rate>
class ClassifierTrainer {
public:
    using Device = typename Classifier::Device;
    using Scalar = typename Device::Scalar;
    using Options = ClassifierTrainerOptions<Rate>;

    /// @param classifier  must outlive the trainer, which writes its weights
    /// @throws Error when an option is out of range, naming it
    ClassifierTrainer(Classifier& classifier, Options options)
        : classifier_(&classifier),
          options_(std::move(options)),
          device_(classifier.pipeline().options().device),
          gradients_(classifier.layout().size()),
          optimizer_(device_, classifier.layout(), options_.adamw),
          batches_(classifier.feature_batches()) {
        auto const check = [](bool good, char const* name, auto seen, char const* expected) {
            require(good, "inkling::ClassifierTrainer: ", name, " is ", seen, ", expected ", expected);
        };
        check(options_.minutes >= 0.0 && std::isfinite(options_.minutes), "minutes", options_.minutes, "0 or more");
        check(options_.steps >= 0, "steps", options_.steps, "0 or more");
        check(options_.minutes > 0.0 || options_.steps > 0, "minutes and steps", 0, "a budget in one of them");
        check(options_.tokens_per_batch > 0, "tokens_per_batch", options_.tokens_per_batch, "at least 1");
        check(options_.clip >= 0.0, "clip", options_.clip, "0 (no clipping) or more");
        check(options_.dropout >= 0.0 && options_.dropout < 1.0, "dropout", options_.dropout, "a number in [0, 1)");
        check(options_.label_smoothing >= 0.0 && options_.label_smoothing < 1.0, "label_smoothing",
              options_.label_smoothing, "a number in [0, 1)");
        check(options_.validate_every > 0, "validate_every", options_.validate_every, "at least 1");
        (void)options_.learning_rate.at(1);  // refuses settings that are out of range
    }

    /// Trains until the budget is spent.
    ///
    /// A run that was stopped or interrupted leaves the weights as its last update left them.
    /// @param held_out  null or empty: the last weights are the result
    /// @throws Error when a line alone is over tokens_per_batch, or the loss is not finite; the weights are then as the
    ///         last update left them
    ClassifierReport fit(LabelledCorpus const& corpus, LabelledCorpus const* held_out = nullptr) {
        backend::make_current(device_);
        bool const validates = held_out != nullptr && held_out->size() > 0;
        text::BatchPlan plan(corpus.lines,
                             {.tokens_per_batch = options_.tokens_per_batch, .pool = 1, .seed = options_.seed},
                             classifier_->pipeline().wrapping());
        std::optional<train::InterruptGuard> guard;
        if (options_.handle_signals) guard.emplace();
        auto const asked_to_end = [&] { return options_.stop.stop_requested() || (guard && guard->requested()); };
        train::Budget budget({.minutes = options_.minutes, .steps = options_.steps});
        ClassifierReport report;
        typename Device::template Buffer<Scalar> best;
        bool last = budget.spent(0);
        Index tokens = 0;
        while (!last && !asked_to_end()) {
            report.loss = update(report.steps + 1, corpus, plan.next(), tokens);
            ++report.steps;
            last = budget.spent(report.steps);
            if (options_.on_progress || validates) synchronize();
            tell(report, budget, tokens, false);
            if (!validates || !(last || report.steps % options_.validate_every == 0)) continue;
            std::stop_source ending;
            auto const found =
                classifier_->accuracy(*held_out, {.stop = ending.get_token(), .on_progress = [&](Index, Index) {
                                                      if (asked_to_end()) ending.request_stop();
                                                  }});
            if (!found) break;
            if (options_.on_validation) options_.on_validation(report.steps, *found);
            if (report.accuracy && *found < *report.accuracy) continue;
            report.accuracy = *found;
            auto const weights = std::as_const(*classifier_).weights();
            if (best.size() == 0) best = typename Device::template Buffer<Scalar>(weights.size);
            copy(device_, weights.data, best.data(), weights.size);
        }
        if (asked_to_end()) {
            report.end = TrainingReport::End::stopped;
            if (guard && guard->requested()) {
                report.end = TrainingReport::End::interrupted;
                report.signal = guard->signal();
            }
        } else if (report.accuracy) {
            copy(device_, static_cast<Scalar const*>(best.data()), classifier_->weights().data, best.size());
        }
        synchronize();
        report.seconds = budget.seconds();
        if (report.steps > 0) tell(report, budget, tokens, true);
        return report;
    }

private:
    /// Waits for the weights, before others read them.
    void synchronize() { backend::synchronize(device_, std::as_const(*classifier_).weights().data); }

    /// Update number `step`; the weights stay as they are where it throws.
    /// @param tokens  is raised by the rows of the lines
    double update(Index step, LabelledCorpus const& corpus, std::span<Index const> lines, Index& tokens) {
        auto const draw = static_cast<std::uint32_t>(step);
        workspace_.reset();
        nn::Pass<Device> reading{device_, workspace_, classifier_->pipeline().weights().data};
        nn::Pass<Device> pass{
            device_,           workspace_,       classifier_->weights().data,
            gradients_.data(), options_.dropout, RandomStream{options_.seed, Purpose::dropout, 0, draw}};
        batches_.clear();
        targets_.clear();
        for (Index const i : lines) {
            batches_.add(corpus.lines.target(i));
            targets_.push_back(corpus.classes[static_cast<std::size_t>(i)]);
        }
        auto const batch = batches_.batch(pass, options_.seed, draw);
        tokens += batch.lines.segments.rows / batch.levels;
        double* const sums = workspace_.template take<double>(2);
        clear(device_, gradients_.data(), gradients_.size());
        classifier_->network().loss(classifier_->frozen(reading), pass, batch,
                                    pipeline::to_device<Token>(pass, std::span<Token const>(targets_)),
                                    options_.label_smoothing, sums, saved_);
        std::array<double, 2> host{};
        download(device_, static_cast<double const*>(sums), std::span<double>(host));
        double const loss = host[1] / static_cast<double>(lines.size());
        VectorView<Scalar const> const gradients{gradients_.data(), gradients_.size()};
        auto const clipped = train::clip(device_, optimizer_.trained_ranges(), gradients, sums, options_.clip);
        require(std::isfinite(loss) && clipped.finite, "inkling::ClassifierTrainer: update ", step, ": the loss is ",
                loss, " and the gradient ", clipped.finite ? "finite" : "not finite",
                ", expected finite numbers; a lower learning rate may help");
        optimizer_.step(device_, classifier_->weights(), gradients, options_.learning_rate.at(step), clipped.factor);
        return loss;
    }

    void tell(ClassifierReport const& report, train::Budget const& budget, Index tokens, bool finished) const {
        if (!options_.on_progress) return;
        std::array<train::NamedNumber, 1> const loss{{{"loss", report.loss}}};
        double const seconds = budget.seconds();
        options_.on_progress({.step = report.steps,
                              .steps = options_.steps,
                              .minutes = options_.minutes,
                              .seconds = seconds,
                              .seconds_left = budget.seconds_left(report.steps),
                              .tokens_per_second = static_cast<double>(tokens) / std::max(1e-9, seconds),
                              .learning_rate = options_.learning_rate.at(report.steps),
                              .losses = loss,
                              .finished = finished});
    }

    Classifier* classifier_;
    Options options_;
    Device device_;
    nn::Workspace<Device> workspace_;
    typename Device::template Buffer<Scalar> gradients_;
    train::AdamW<Device> optimizer_;
    pipeline::FeatureBatches<typename Classifier::PipelineType> batches_;
    typename Classifier::NetworkType::template Saved<typename Classifier::PipelineType::ModelType> saved_;
    std::vector<Token> targets_;
};

}  // namespace inkling
