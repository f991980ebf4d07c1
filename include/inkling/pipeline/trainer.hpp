#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/io/atomic_file.hpp>
#include <inkling/io/file_lock.hpp>
#include <inkling/metric/bleu.hpp>       // what held-out text is scored by
#include <inkling/objective/levels.hpp>  // levels are drawn evenly where a user says nothing
#include <inkling/pipeline/run_options.hpp>
#include <inkling/pipeline/training.hpp>
#include <inkling/text/batching.hpp>
#include <inkling/train/adamw.hpp>  // the optimiser is no axis: checkpoints hold AdamW's state
#include <inkling/train/best_checkpoints.hpp>
#include <inkling/train/budget.hpp>
#include <inkling/train/checkpoint.hpp>
#include <inkling/train/clipping.hpp>
#include <inkling/train/concept.hpp>
#include <inkling/train/interrupt.hpp>
#include <inkling/train/metrics_log.hpp>
#include <inkling/train/moving_average.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <stop_token>
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
    Trainer(Pipeline& pipeline, Options options)
        : pipeline_(&pipeline),
          options_(std::move(options)),
          device_(pipeline.options().device),
          gradients_(pipeline.layout().size()),
          optimizer_(device_, pipeline.layout(), options_.adamw) {
        options_.check();
        training_.emplace(pipeline, options_);
        if (options_.ema_decay > 0.0)
            average_.emplace(device_, std::as_const(pipeline).weights(),
                             train::MovingAverageOptions{.decay = options_.ema_decay, .warm_up = options_.ema_warm_up});
    }

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
        backend::make_current(device_);
        bool const validates = held_out != nullptr && !held_out->empty();
        require_fits(corpus, "training");
        text::BatchPlan plan = batches(corpus, options_.seed);
        if (validates) {
            require_fits(*held_out, "held-out");
            (void)batches(*held_out,
                          held_out_seed);  // refuses a sentence over the budget now, not at the first validation
            if (scores_bleu()) training_->require_generates();
        }
        std::optional<train::InterruptGuard> guard;
        if (options_.handle_signals) guard.emplace();
        guard_ = guard ? &*guard : nullptr;
        struct Forget {  // even where something throws
            train::InterruptGuard const*& guard;
            ~Forget() { guard = nullptr; }
        } const forget{guard_};
        best_.reset();
        best_validation_.reset();
        if (validates && !options_.checkpoint.empty() && options_.average_best > 0)
            best_.emplace(
                options_.checkpoint,
                train::BestCheckpointsOptions{.keep = options_.average_best, .higher_is_better = scores_bleu()});
        run_options_ = pipeline::run_options(*pipeline_, *training_, device_.options(), options_, corpus,
                                             validates ? held_out : nullptr);
        double seconds_before = 0.0;
        std::optional<io::FileLock> alone;
        if (!options_.checkpoint.empty()) {
            alone.emplace(options_.checkpoint);
            if (std::filesystem::exists(options_.checkpoint)) seconds_before = resume(plan);
            io::AtomicFile const could_be_written(options_.checkpoint);
        }
        Index const first_step = step_;
        std::optional<train::MetricsLog> log;
        if (!options_.metrics.empty()) train::MetricsLog(options_.metrics, {.resumed_step = first_step});
        auto const open_log = [&] {  // once a loss has named its terms
            if (!options_.metrics.empty() && !log)
                log.emplace(options_.metrics,
                            train::MetricsLogOptions{.resumed_step = first_step, .columns = columns_});
        };
        train::Budget budget({.minutes = options_.minutes, .steps = options_.steps}, seconds_before, step_);

        TrainingReport report;
        double last_saved = budget.seconds();
        Pace pace{.since = budget.seconds()};
        std::span<Index const> sentences;
        bool validated_late = false;
        auto const validate_late = [&] {  // what a run that was stopped in a validation still owes
            numbers_.clear();
            if (asked_to_end() || !validate(*held_out)) return;
            validated_late = true;
            open_log();
            if (log) log->append(step_, numbers_);
        };
        bool last = budget.spent(step_);
        if (validates && step_ > 0 && validated_step_ != step_ && (last || step_ % options_.validate_every == 0))
            validate_late();
        while (!last && !asked_to_end()) {
            sentences = plan.next();
            auto const losses = update(step_ + 1, corpus, sentences, pace.tokens);
            ++step_;
            report.loss = losses.total();
            open_log();
            pace.measure(budget.seconds(), step_ == first_step + 1);
            last = budget.spent(step_);
            tell(losses, budget, pace.tokens_per_second);
            bool const validate_now = validates && (last || step_ % options_.validate_every == 0);
            bool const complete = !validate_now || validate(*held_out);
            if (log && complete && (validate_now || step_ % options_.log_every == 0 || step_ == 1))
                log->append(step_, numbers_);
            bool const save_now =
                !options_.checkpoint.empty() && budget.seconds() - last_saved >= 60.0 * options_.checkpoint_minutes;
            if (save_now) {
                require_sound(corpus, sentences);
                save(plan, budget.seconds());
                last_saved = budget.seconds();
            }
            if (validate_now || save_now) pace.restart(budget.seconds());
        }
        if (!options_.checkpoint.empty() && (step_ > first_step || validated_late)) {
            if (step_ > first_step) require_sound(corpus, sentences);
            save(plan, budget.seconds());
        }
        if (!asked_to_end()) use_the_best(validates ? held_out : nullptr);
        synchronize();
        if (asked_to_end()) {  // while the best were scored, too: another run chooses among them
            report.end = TrainingReport::End::stopped;
            if (guard && guard->requested()) {
                report.end = TrainingReport::End::interrupted;
                report.signal = guard->signal();
            }
        }
        report.steps = step_;
        report.seconds = budget.seconds();
        report.validation = best_validation_;
        if (options_.on_progress && step_ > first_step) {
            std::array<train::NamedNumber, 1> const loss{{{"loss", report.loss}}};
            options_.on_progress({.step = step_,
                                  .steps = options_.steps,
                                  .minutes = options_.minutes,
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
    using View = MatrixView<Scalar>;
    using Training = pipeline::Training<Pipeline, Objective_, Levels>;
    using Batch = typename Training::Batch;
    using Losses = objective::Losses<Device>;

    static constexpr std::uint64_t held_out_seed = 0;

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

    [[nodiscard]] bool asked_to_end() const {
        return options_.stop.stop_requested() || (guard_ != nullptr && guard_->requested());
    }

    /// Waits for the weights, before others read them.
    void synchronize() { backend::synchronize(device_, std::as_const(*pipeline_).weights().data); }

    /// Sets the weights that are the result: the mean of the best, or the best alone where it scores higher (in a short
    /// run they may lie far apart); without validations the moving average, or what is there. Asked to end meanwhile,
    /// it leaves the mean.
    void use_the_best(text::ParallelCorpus const* held_out) {
        if (!best_ || best_->snapshots().empty()) {
            if (average_)
                copy(device_, static_cast<Scalar const*>(average_->values().data), pipeline_->weights().data,
                     average_->values().size);
            return;
        }
        best_->load_mean(device_, pipeline_->layout(), pipeline_->weights());
        if (best_->snapshots().size() < 2) return;
        synchronize();
        auto const score = scores_bleu() ? held_out_bleu(*held_out) : held_out_loss(*held_out);
        double const single = best_->snapshots().front().score;
        if (score && (scores_bleu() ? *score < single : *score > single))
            best_->load_best(device_, pipeline_->layout(), pipeline_->weights());
    }

    [[nodiscard]] bool scores_bleu() const { return options_.bleu_sentences > 0; }

    [[nodiscard]] text::BatchPlan batches(text::ParallelCorpus const& corpus, std::uint64_t seed) const {
        return {corpus,
                {.tokens_per_batch = options_.tokens_per_batch, .pool = options_.length_pool, .seed = seed},
                pipeline_->wrapping()};
    }

    /// @throws Error naming the first sentence that the model has no positions or no embeddings for
    void require_fits(text::ParallelCorpus const& corpus, char const* name) const {
        auto const wrapping = pipeline_->wrapping();
        auto const& model = pipeline_->model();
        Index const vocabulary = pipeline_->space().vocabulary();
        auto const check = [&](Index i, char const* side, std::span<Token const> tokens, Index rows, Index longest) {
            require(rows <= longest, "inkling::Trainer: ", name, " sentence ", i, " has ", rows, " ", side,
                    " tokens, expected at most ", longest,
                    ", for which the model has positions (leave long sentences out when reading)");
            for (Token const token : tokens)
                require(token >= 0 && token < vocabulary, "inkling::Trainer: ", name, " sentence ", i, " has the ",
                        side, " token ", token, ", expected one of a vocabulary of ", vocabulary,
                        " (was it read with another tokenizer?)");
        };
        for (Index i = 0; i < corpus.size(); ++i) {
            auto const source = corpus.source(i);
            auto const target = corpus.target(i);
            check(i, "source", source, wrapping.source_length(static_cast<Index>(source.size())),
                  model.longest_source());
            check(i, "target", target, wrapping.target_length(static_cast<Index>(target.size())),
                  model.longest_target());
            if (wrapping.filled > 0)
                check(i, "source and target", target,
                      wrapping.source_length(static_cast<Index>(source.size()))
                          + wrapping.wrapped_target(static_cast<Index>(target.size())),
                      wrapping.filled);
        }
    }

    /// Update number `step` of the weights, which stay as they are where it throws.
    /// @param tokens  is raised by the tokens of both sides
    Losses update(Index step, text::ParallelCorpus const& corpus, std::span<Index const> sentences, Index& tokens) {
        auto const draw = static_cast<std::uint32_t>(step);
        workspace_.reset();
        nn::Pass<Device> pass{device_,
                              workspace_,
                              pipeline_->weights().data,
                              gradients_.data(),
                              pipeline_->model().dropout(),
                              RandomStream{options_.seed, Purpose::dropout, 0, draw}};
        training_->follow(pass, step);
        auto const batch = training_->batch(pass, corpus, sentences, options_.seed, draw, true);
        tokens += batch.source.segments.rows + batch.target.segments.rows;
        auto const [losses, clipped] = gradient("update ", step, pass, batch);
        optimizer_.step(device_, pipeline_->weights(), gradients(), options_.learning_rate.at(step), clipped.factor);
        gradient_norm_ = clipped.norm;
        if (average_) average_->update(device_, std::as_const(*pipeline_).weights());
        training_->learn(pass, batch, losses);
        return losses;
    }

    /// @throws Error unless loss and gradient are finite: what is written to a checkpoint must be worth going back to
    void require_sound(text::ParallelCorpus const& corpus, std::span<Index const> sentences) {
        workspace_.reset();
        nn::Pass<Device> pass{device_, workspace_, pipeline_->weights().data, gradients_.data()};
        (void)gradient("after update ", step_, pass,
                       training_->batch(pass, corpus, sentences, options_.seed, 0, false));
    }

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

    Losses loss(nn::Pass<Device>& pass, Batch const& batch) {
        Losses losses = training_->loss(pass, batch);
        losses.collect(pass);
        if (columns_.empty()) columns_ = columns(losses);
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
        auto const* weight = train::first_not_finite(device_, layout, std::as_const(*pipeline_).weights());
        auto const* slope = weight || gradients.empty() ? nullptr : train::first_not_finite(device_, layout, gradients);
        std::string const tensor = weight ? "the weights of '" + weight->name + "' are not finite"
            : slope                       ? "the gradient of '" + slope->name + "' is the first that is not finite"
                                          : "all weights are finite";
        fail("inkling::Trainer: ", when, step, ": ", found, ", ", tensor, "; a lower learning rate may help",
             std::filesystem::exists(options_.checkpoint) ? "; the last checkpoint is kept" : "");
    }

    /// What a row of the metrics file may hold: numbers of every run, and the objective's terms.
    [[nodiscard]] static std::vector<std::string> columns(Losses const& losses) {
        std::vector<std::string> names{"loss", "seconds", "learning_rate", "gradient_norm", "tokens_per_second"};
        for (objective::Term const& term : losses.terms())
            if (!term.name.empty() && std::find(names.begin(), names.end(), term.name) == names.end())
                names.emplace_back(term.name);
        for (char const* name : {"valid_loss", "valid_bleu", "nearest_distance", "norm_mean", "norm_spread"})
            names.emplace_back(name);
        return names;
    }

    /// Puts an update's numbers into numbers_, and tells who listens.
    void tell(Losses const& losses, train::Budget const& budget, double rate) {
        numbers_.clear();
        numbers_.push_back({"loss", losses.total()});
        for (objective::Term const& term : losses.terms())
            if (!term.name.empty()) numbers_.push_back({term.name, term.value});
        if (options_.on_progress) {
            synchronize();
            options_.on_progress({.step = step_,
                                  .steps = options_.steps,
                                  .minutes = options_.minutes,
                                  .seconds = budget.seconds(),
                                  .seconds_left = budget.seconds_left(step_),
                                  .tokens_per_second = rate,
                                  .learning_rate = options_.learning_rate.at(step_),
                                  .losses = numbers_});
        }
        numbers_.push_back({"seconds", budget.seconds()});
        numbers_.push_back({"learning_rate", options_.learning_rate.at(step_)});
        numbers_.push_back({"gradient_norm", gradient_norm_});
        numbers_.push_back({"tokens_per_second", rate});
    }

    /// Scores the weights, or their moving average, offers them to the best, and adds to numbers_. Asked to end
    /// meanwhile, it leaves no trace.
    /// @return whether it was done
    bool validate(text::ParallelCorpus const& held_out) {
        if (asked_to_end()) return false;
        ValidationReport found{.step = step_, .bleu = std::numeric_limits<double>::quiet_NaN()};
        {
            AverageInPlace const averaged(*this);
            auto const loss = held_out_loss(held_out);
            if (!loss) return false;
            found.loss = *loss;
            if (scores_bleu()) {
                synchronize();
                auto const bleu = held_out_bleu(held_out);
                if (!bleu) return false;
                found.bleu = *bleu;
            }
            found.embedding = health();
            if (best_)
                best_->offer(device_, pipeline_->layout(), std::as_const(*pipeline_).weights(), step_,
                             scores_bleu() ? found.bleu : found.loss);
        }
        validated_step_ = step_;
        if (!best_validation_
            || (scores_bleu() ? found.bleu >= best_validation_->bleu : found.loss <= best_validation_->loss))
            best_validation_ = found;
        numbers_.push_back({"valid_loss", found.loss});
        if (scores_bleu()) numbers_.push_back({"valid_bleu", found.bleu});
        numbers_.push_back({"nearest_distance", found.embedding.nearest_distance});
        numbers_.push_back({"norm_mean", found.embedding.norm_mean});
        numbers_.push_back({"norm_spread", found.embedding.norm_spread});
        synchronize();
        if (options_.on_validation) options_.on_validation(found);
        return true;
    }

    /// Has the averaged weights, where there are some, in place of the last ones for as long as it lives.
    class AverageInPlace {
    public:
        explicit AverageInPlace(Trainer& trainer) : trainer_(trainer) {
            if (!trainer_.average_) return;
            last_ = typename Device::template Buffer<Scalar>(size());
            copy(trainer_.device_, weights(), last_.data(), size());
            copy(trainer_.device_, static_cast<Scalar const*>(trainer_.average_->values().data), weights(), size());
        }
        AverageInPlace(AverageInPlace const&) = delete;
        AverageInPlace& operator=(AverageInPlace const&) = delete;
        ~AverageInPlace() {
            if (!trainer_.average_) return;
            try {
                copy(trainer_.device_, static_cast<Scalar const*>(last_.data()), weights(), size());
            } catch (Error const&) {}  // a destructor cannot tell; of a lost device the next call does
        }

    private:
        [[nodiscard]] Index size() const { return trainer_.pipeline_->layout().size(); }
        [[nodiscard]] Scalar* weights() const { return trainer_.pipeline_->weights().data; }

        Trainer& trainer_;
        typename Device::template Buffer<Scalar> last_;
    };

    /// Mean total loss over the held-out text with noise that is the same at every validation; nothing when asked to
    /// end.
    [[nodiscard]] std::optional<double> held_out_loss(text::ParallelCorpus const& held_out) {
        text::BatchPlan plan = batches(held_out, held_out_seed);
        double total = 0.0;
        double rows = 0.0;
        for (Index i = 0, batches = plan.steps_per_epoch(); i < batches; ++i) {
            if (asked_to_end()) return std::nullopt;
            workspace_.reset();
            nn::Pass<Device> pass{device_, workspace_, std::as_const(*pipeline_).weights().data};
            auto const batch = training_->batch(pass, held_out, plan.next(), held_out_seed, 0, false);
            Losses const losses = loss(pass, batch);
            if (!std::isfinite(losses.total())) refuse("validation after update ", step_, losses, {});
            double const share = static_cast<double>(batch.target.segments.rows);
            total += losses.total() * share;
            rows += share;
        }
        return total / rows;
    }

    /// BLEU of the first held-out sentences; nothing when asked to end.
    [[nodiscard]] std::optional<double> held_out_bleu(text::ParallelCorpus const& held_out) const {
        Index const count = std::min(options_.bleu_sentences, held_out.size());
        std::vector<std::vector<Token>> sources;
        std::vector<std::string> hypotheses, references;
        for (Index i = 0; i < count; ++i) {
            auto const source = held_out.source(i);
            sources.emplace_back(source.begin(), source.end());
            references.push_back(pipeline_->tokenizer().decode(held_out.target(i)));
        }
        std::stop_source ending;
        std::stop_callback const by_trainer(options_.stop, [&] { ending.request_stop(); });
        auto generating = options_.generate;
        generating.stop = ending.get_token();
        generating.on_progress = [&](Index done, Index total) {
            if (asked_to_end()) ending.request_stop();
            if (options_.generate.on_progress) options_.generate.on_progress(done, total);
        };
        for (Generated& generated : pipeline_->generate_tokens(sources, generating)) {
            if (!generated.finished) return std::nullopt;
            hypotheses.push_back(std::move(generated.text));
        }
        return metric::corpus_bleu(hypotheses, references, {.tokenizer = metric::BleuTokenizer::none}).score;
    }

    /// Of z0 over the whole vocabulary, special tokens left out.
    [[nodiscard]] train::EmbeddingHealth health() {
        auto const specials = pipeline_->tokenizer().specials();
        std::array<Token, 4> const excluded{specials.bos, specials.pad, specials.eos, specials.unk};
        return train::embedding_health(pipeline_->embeddings(), pipeline_->space().width(), {.excluded = excluded});
    }

    /// Takes up the run of the checkpoint. @return the seconds it has taken so far
    double resume(text::BatchPlan& plan) {
        auto const checkpoint = train::Checkpoint::open(options_.checkpoint);
        checkpoint.require_options(run_options_);
        auto const& state = checkpoint.state();
        auto const of = [&](auto const& numbers, char const* name) {
            auto const found = numbers.find(name);
            require(found != numbers.end(), "inkling::Trainer: file '", options_.checkpoint.string(),
                    "': lacks the number '", name, "'");
            return found->second;
        };
        plan.restore({static_cast<std::uint32_t>(of(state.counters, "epoch")), of(state.counters, "epoch_step"),
                      static_cast<std::uint64_t>(of(state.counters, "corpus"))});
        if (best_) best_->restore(state.best);
        double const seconds = of(state.numbers, "seconds");
        validated_step_ = of(state.counters, "validated_step");
        if (state.counters.contains("best_step")) {
            auto const number = [&](char const* name) { return of(state.numbers, name); };
            best_validation_ = {.step = of(state.counters, "best_step"),
                                .loss = number("best_loss"),
                                .bleu = scores_bleu() ? number("best_bleu") : std::numeric_limits<double>::quiet_NaN(),
                                .embedding = {number("nearest_distance"), number("norm_mean"), number("norm_spread")}};
        }
        training_->restore([&](std::string const& name, auto& to) {
            if constexpr (std::same_as<decltype(to), double&>)
                to = of(state.numbers, name.c_str());
            else
                to = of(state.arrays, name.c_str());
        });
        checkpoint.restore(device_, pipeline_->layout(), pipeline_->weights(), optimizer_,
                           average_ ? &*average_ : nullptr);
        step_ = state.step;
        return seconds;
    }

    void save(text::BatchPlan const& plan, double seconds) {
        auto const position = plan.position();
        train::RunState state{.step = step_,
                              .counters = {{"epoch", static_cast<std::int64_t>(position.epoch)},
                                           {"epoch_step", position.step},
                                           {"corpus", static_cast<std::int64_t>(position.fingerprint)},
                                           {"validated_step", validated_step_}},
                              .numbers = {{"seconds", seconds}},
                              .best = best_ ? best_->snapshots() : std::vector<train::Snapshot>{},
                              .options = run_options_};
        if (best_validation_) {
            state.counters["best_step"] = best_validation_->step;
            state.numbers["best_loss"] = best_validation_->loss;
            if (scores_bleu()) state.numbers["best_bleu"] = best_validation_->bleu;
            state.numbers["nearest_distance"] = best_validation_->embedding.nearest_distance;
            state.numbers["norm_mean"] = best_validation_->embedding.norm_mean;
            state.numbers["norm_spread"] = best_validation_->embedding.norm_spread;
        }
        training_->save([&](std::string const& name, auto const& value) {
            if constexpr (std::same_as<decltype(value), double const&>)
                state.numbers[name] = value;
            else
                state.arrays[name] = value;
        });
        train::save_checkpoint(options_.checkpoint, device_, pipeline_->layout(), std::as_const(*pipeline_).weights(),
                               optimizer_, average_ ? &*average_ : nullptr, state);
        if (best_) best_->remove_dropped();
    }

    Pipeline* pipeline_;
    Options options_;
    Device device_;
    nn::Workspace<Device> workspace_;
    typename Device::template Buffer<Scalar> gradients_;
    train::AdamW<Device> optimizer_;
    std::optional<train::MovingAverage<Device>> average_;
    std::optional<train::BestCheckpoints> best_;
    std::optional<ValidationReport> best_validation_;
    train::InterruptGuard const* guard_ = nullptr;
    std::string run_options_;
    std::vector<std::string> columns_;  ///< of the metrics file
    std::optional<Training> training_;
    std::vector<train::NamedNumber> numbers_;
    Index step_ = 0;
    Index validated_step_ = 0;
    double gradient_norm_ = 0.0;
};

}  // namespace inkling
