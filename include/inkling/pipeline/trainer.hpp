#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/io/atomic_file.hpp>
#include <inkling/io/file_lock.hpp>
#include <inkling/objective/levels.hpp>  // levels are drawn evenly where a user says nothing
#include <inkling/pipeline/ending.hpp>
#include <inkling/pipeline/learner.hpp>
#include <inkling/pipeline/run_options.hpp>
#include <inkling/pipeline/trainer_options.hpp>
#include <inkling/pipeline/training.hpp>
#include <inkling/pipeline/validation.hpp>
#include <inkling/text/batching.hpp>
#include <inkling/train/budget.hpp>
#include <inkling/train/checkpoint.hpp>
#include <inkling/train/concept.hpp>
#include <inkling/train/interrupt.hpp>
#include <inkling/train/metrics_log.hpp>
#include <inkling/train/named_number.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace inkling {

/// Trains a pipeline on pairs of sentences.
///
/// Every random number is a function of the seed, the update and the sentence, and a checkpoint holds all the rest: a
/// resumed run ends in bit-identical weights, unless its learning rate was changed. A NaN or infinity stops it with an
/// Error that names update, term and tensor, and leaves the last good checkpoint: one is written only of weights whose
/// loss is finite. trainer_defaults.hpp, which pipeline.hpp brings, names an objective and a learning rate for whoever
/// names none: `Trainer<Model>`.
/// pipeline::Training tells what a batch and its loss are of each kind of pipeline.
/// @tparam Pipeline    what is trained: a TextDiffusion, or a TextAutoregression
/// @tparam Objective_  what training lowers
/// @tparam Rate        how large each update is
/// @tparam Levels      which noise levels it draws; of diffusion alone
template <class Pipeline, class Objective_, LearningRate Rate, class Levels = objective::EvenLevels>
    requires pipeline::Trainable<Pipeline>
    && Objective<Objective_, typename Pipeline::SpaceType, typename Pipeline::Device>
    && LevelPolicy<Levels, typename Pipeline::SpaceType, pipeline::ScheduleOf<Pipeline>, typename Pipeline::Device>
class Trainer {
public:
    using Device = typename Pipeline::Device;
    using Scalar = typename Device::Scalar;
    using Options = TrainerOptions<Objective_, Rate, typename Pipeline::GenerateOptionsType, Levels>;

    /// @param pipeline  must outlive the trainer, which writes its weights
    /// @throws Error when an option is out of range, naming it
    Trainer(Pipeline& pipeline, Options options) : learner_(pipeline, checked(std::move(options))) {}

    /// Trains on `corpus` until the budget is spent; where a checkpoint is there, goes on from it.
    ///
    /// What cannot work (a folder that cannot be written to, say) is found before the first update. A run that was
    /// stopped or interrupted leaves the weights as its last update left them (or, where the best are being compared,
    /// their mean); without a checkpoint, another call goes on with them, and with the batches from the start.
    /// @param held_out  pairs to validate on; null or empty: the last weights, or their moving average, are the result
    /// @throws Error when a sentence is too long for the model or of another vocabulary, a file cannot be read
    ///         or written, a checkpoint is of other options or texts, or another run writes to it, or the loss is not
    ///         finite. The weights are then as the last update left them
    TrainingReport fit(text::ParallelCorpus const& corpus, text::ParallelCorpus const* held_out = nullptr) {
        Options const& options = learner_.options();
        backend::make_current(learner_.device());
        if (held_out != nullptr && held_out->empty()) held_out = nullptr;
        learner_.require_fits(corpus, "training");
        text::BatchPlan plan = learner_.batches(corpus, options.seed);
        validation_.begin(learner_, held_out);
        std::optional<train::InterruptGuard> guard;
        if (options.handle_signals) guard.emplace();
        pipeline::Ending const ending{options.stop, guard ? &*guard : nullptr};
        run_options_ = pipeline::run_options(learner_.pipeline(), learner_.training(), learner_.device().options(),
                                             options, corpus, held_out);
        double seconds_before = 0.0;
        std::optional<io::FileLock> alone;
        if (!options.checkpoint.empty()) {
            alone.emplace(options.checkpoint);
            if (std::filesystem::exists(options.checkpoint)) seconds_before = resume(plan);
            io::AtomicFile const could_be_written(options.checkpoint);
        }
        Index const first_step = step_;
        std::optional<train::MetricsLog> log;
        if (!options.metrics.empty()) train::MetricsLog(options.metrics, {.resumed_step = first_step});
        auto const open_log = [&] {  // once a loss has named its terms
            if (!options.metrics.empty() && !log)
                log.emplace(options.metrics,
                            train::MetricsLogOptions{.resumed_step = first_step, .columns = learner_.columns()});
        };
        train::Budget budget({.minutes = options.minutes, .steps = options.steps}, seconds_before, step_);

        TrainingReport report;
        double last_saved = budget.seconds();
        Pace pace{.since = budget.seconds()};
        std::span<Index const> sentences;
        bool last = budget.spent(step_);
        bool validated_late = false;
        if (step_ > 0 && validation_.last_step() != step_ && validation_.due(learner_, step_, last)) {
            numbers_.clear();  // what a run that was stopped in a validation still owes
            validated_late = validation_.run(learner_, step_, ending, numbers_);
            if (validated_late) open_log();
            if (validated_late && log) log->append(step_, numbers_);
        }
        while (!last && !ending.asked()) {
            sentences = plan.next();
            auto const losses = learner_.update(step_ + 1, corpus, sentences, pace.tokens);
            ++step_;
            report.loss = losses.total();
            open_log();
            pace.measure(budget.seconds(), step_ == first_step + 1);
            last = budget.spent(step_);
            tell(losses, budget, pace.tokens_per_second);
            bool const validate_now = validation_.due(learner_, step_, last);
            bool const complete = !validate_now || validation_.run(learner_, step_, ending, numbers_);
            if (log && complete && (validate_now || step_ % options.log_every == 0 || step_ == 1))
                log->append(step_, numbers_);
            bool const save_now =
                !options.checkpoint.empty() && budget.seconds() - last_saved >= 60.0 * options.checkpoint_minutes;
            if (save_now) {
                learner_.require_sound(step_, corpus, sentences);
                save(plan, budget.seconds());
                last_saved = budget.seconds();
            }
            if (validate_now || save_now) pace.restart(budget.seconds());
        }
        if (!options.checkpoint.empty() && (step_ > first_step || validated_late)) {
            if (step_ > first_step) learner_.require_sound(step_, corpus, sentences);
            save(plan, budget.seconds());
        }
        if (!ending.asked()) validation_.use_the_best(learner_, step_, ending);
        learner_.synchronize();
        if (ending.asked()) {  // while the best were scored, too: another run chooses among them
            report.end = TrainingReport::End::stopped;
            if (guard && guard->requested()) {
                report.end = TrainingReport::End::interrupted;
                report.signal = guard->signal();
            }
        }
        report.steps = step_;
        report.seconds = budget.seconds();
        report.validation = validation_.best();
        if (options.on_progress && step_ > first_step) {
            std::array<train::NamedNumber, 1> const loss{{{"loss", report.loss}}};
            options.on_progress({.step = step_,
                                 .steps = options.steps,
                                 .minutes = options.minutes,
                                 .seconds = report.seconds,
                                 .tokens_per_second = pace.tokens_per_second,
                                 .losses = loss,
                                 .finished = true});
        }
        return report;
    }

    /// Updates done, resumed ones included.
    [[nodiscard]] Index steps() const { return step_; }

private:
    using Learner = pipeline::Learner<Pipeline, Objective_, Levels, Options>;

    /// How fast training is, validations and checkpoints not counted.
    struct Pace {
        double since = 0.0;
        double tokens_per_second = 0.0;
        Index tokens = 0;  ///< since then

        void measure(double now, bool first) {
            if (now - since < 1.0 && !first) return;
            tokens_per_second = static_cast<double>(tokens) / std::max(1e-9, now - since);
            restart(now);
        }
        void restart(double now) {
            tokens = 0;
            since = now;
        }
    };

    [[nodiscard]] static Options checked(Options options) {
        options.check();
        return options;
    }

    /// Puts an update's numbers into numbers_, and tells who listens.
    void tell(typename Learner::Losses const& losses, train::Budget const& budget, double rate) {
        Options const& options = learner_.options();
        double const learning_rate = options.learning_rate.at(step_);
        numbers_.clear();
        numbers_.push_back({"loss", losses.total()});
        for (objective::Term const& term : losses.terms())
            if (!term.name.empty()) numbers_.push_back({term.name, term.value});
        if (options.on_progress) {
            learner_.synchronize();
            options.on_progress({.step = step_,
                                 .steps = options.steps,
                                 .minutes = options.minutes,
                                 .seconds = budget.seconds(),
                                 .seconds_left = budget.seconds_left(step_),
                                 .tokens_per_second = rate,
                                 .learning_rate = learning_rate,
                                 .losses = numbers_});
        }
        numbers_.push_back({"seconds", budget.seconds()});
        numbers_.push_back({"learning_rate", learning_rate});
        numbers_.push_back({"gradient_norm", learner_.gradient_norm()});
        numbers_.push_back({"tokens_per_second", rate});
    }

    /// Takes up the run of the checkpoint. @return the seconds it has taken so far
    double resume(text::BatchPlan& plan) {
        auto const checkpoint = train::Checkpoint::open(learner_.options().checkpoint);
        checkpoint.require_options(run_options_);
        plan.restore({static_cast<std::uint32_t>(checkpoint.counter("epoch")), checkpoint.counter("epoch_step"),
                      static_cast<std::uint64_t>(checkpoint.counter("corpus"))});
        double const seconds = checkpoint.number("seconds");
        validation_.restore(checkpoint);
        learner_.training().restore([&](std::string const& name, auto& to) {
            if constexpr (std::same_as<decltype(to), double&>)
                to = checkpoint.number(name);
            else
                to = checkpoint.array(name);
        });
        auto& pipeline = learner_.pipeline();
        checkpoint.restore(learner_.device(), pipeline.layout(), pipeline.weights(), learner_.optimizer(),
                           learner_.average());
        step_ = checkpoint.state().step;
        return seconds;
    }

    void save(text::BatchPlan const& plan, double seconds) {
        auto const position = plan.position();
        train::RunState state{.step = step_,
                              .counters = {{"epoch", static_cast<std::int64_t>(position.epoch)},
                                           {"epoch_step", position.step},
                                           {"corpus", static_cast<std::int64_t>(position.fingerprint)}},
                              .numbers = {{"seconds", seconds}},
                              .options = run_options_};
        validation_.save(state);
        learner_.training().save([&](std::string const& name, auto const& value) {
            if constexpr (std::same_as<decltype(value), double const&>)
                state.numbers[name] = value;
            else
                state.arrays[name] = value;
        });
        auto const& pipeline = learner_.pipeline();
        train::save_checkpoint(learner_.options().checkpoint, learner_.device(), pipeline.layout(),
                               std::as_const(pipeline).weights(), learner_.optimizer(), learner_.average(), state);
        validation_.remove_dropped();
    }

    Learner learner_;
    pipeline::Validation<Learner> validation_;
    std::string run_options_;
    std::vector<train::NamedNumber> numbers_;
    Index step_ = 0;
};

}  // namespace inkling
