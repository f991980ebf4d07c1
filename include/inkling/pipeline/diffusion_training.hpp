#pragma once

#include <inkling/core/hash.hpp>
#include <inkling/objective/diffusion_loss.hpp>
#include <inkling/objective/levels.hpp>
#include <inkling/pipeline/configuration.hpp>
#include <inkling/pipeline/device_batch.hpp>
#include <inkling/sampler/plan.hpp>
#include <inkling/schedule/discrete.hpp>
#include <inkling/text/joining.hpp>
#include <inkling/text/packing.hpp>

#include <nlohmann/json.hpp>

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace inkling::pipeline {

/// How a denoiser learns: noise is drawn for every batch, and the objective compares what was clean with what is made
/// of it. One kind of pipeline::Training.
template <class Pipeline, class Objective_, class Levels>
class DiffusionTraining {
public:
    using Device = typename Pipeline::Device;
    using Scalar = typename Device::Scalar;
    using Batch = objective::NoisedBatch<Device>;
    using Losses = objective::Losses<Device>;

    /// @param pipeline  must outlive this
    /// @param options   a trainer's
    /// @throws Error when an option is out of range, naming it
    template <class Options>
    DiffusionTraining(Pipeline const& pipeline, Options const& options)
        : pipeline_(&pipeline),
          objective_(options.objective),
          levels_policy_(options.levels),
          self_conditioning_(options.self_conditioning),
          train_first_(options.train_first),
          drop_source_(options.drop_source),
          sentence_means_(options.sentence_means),
          length_weight_(options.length_weight),
          discrete_steps_(options.discrete_steps) {
        static_assert(!objective::is_masked<Objective_> || joins_source<typename Pipeline::ModelType>,
                      "inkling::Trainer: argument 2 shows parts of a line: the pipeline's denoiser must be one that "
                      "joins sources to targets ('static constexpr bool joins_source = true').");
        if constexpr (objective::is_masked<Objective_>)
            require(!sentence_means_,
                    "inkling::Trainer: sentence_means is true, expected false, as losses of an objective "
                    "that shows parts of a line are means over what is to be written");
        static_assert(
            !objective::learns_from_losses<Levels> || objective::tells_rows<Objective_>,
            "inkling::Trainer: argument 4 learns from losses of sentences: argument 2 must tell what each row "
            "adds ('static constexpr bool tells_rows = true', and 'losses.add_rows').");
        require(drop_source_ >= 0.0 && drop_source_ < 1.0, "inkling::Trainer: drop_source is ", drop_source_,
                ", expected a share in [0, 1)");
        if constexpr (!UnconditionalDenoiser<typename Pipeline::ModelType>)
            require(drop_source_ == 0.0, "inkling::Trainer: drop_source is ", drop_source_,
                    ", expected 0, as the denoiser has no 'encode_nothing(pass, sentences) const'");
        if constexpr (requires { levels_policy_.check(); }) levels_policy_.check();
        constexpr bool has_table = schedule::is_table<typename Pipeline::NoiseScheduleType>;
        if constexpr (objective::is_paired<Objective_>)
            require(discrete_steps_ > 0 || has_table, "inkling::Trainer: discrete_steps is ", discrete_steps_,
                    ", expected at least 1, as the objective compares levels of a table");
        if (discrete_steps_ > 0 || has_table) table_ = schedule::table_of(pipeline.schedule(), discrete_steps_);
        if constexpr (requires { levels_policy_.check(*table_); })
            if (table_) levels_policy_.check(*table_);
    }

    /// @throws Error when the pipeline cannot generate as it is
    void require_generates() const {
        sampler::require_valid(pipeline_->options().sampler.plan(pipeline_->schedule()), "inkling::Trainer");
    }

    /// Tells one way of walking noise back from another: scores of one run must be of one.
    [[nodiscard]] std::uint64_t plan_hash() const {
        auto const plan = pipeline_->options().sampler.plan(pipeline_->schedule());
        Hash hash(plan.steps.size());
        auto const add = [&](double number) { hash.add(std::bit_cast<std::uint64_t>(number)); };
        for (sampler::Step const& step : plan.steps)
            for (double const number : {step.time, step.alpha_bar, step.z0, step.z_t, step.noise, step.previous_z0})
                add(number);
        for (double const number : {plan.clamp ? 1.0 : 0.0, plan.initial_noise, plan.guidance}) add(number);
        return hash.value();
    }
    /// What of a trainer's options must not change within a run.
    void add_options(nlohmann::json& json) const {
        json["self_conditioning"] = self_conditioning_;
        json["length_weight"] = length_weight_;
        json["discrete_steps"] = discrete_steps_;
        if (train_first_) json["train_first"] = true;
        if (sentence_means_) json["sentence_means"] = true;
        if (drop_source_ > 0.0) json["drop_source"] = drop_source_;
        if constexpr (Described<Levels>) json["levels"] = to_json(levels_policy_);
    }

    /// Has the level policy look at the table before update number `step`.
    void follow(nn::Pass<Device>& pass, Index step) {
        levels_policy_.follow(levels_state_, pass, pipeline_->space(), pipeline_->schedule(), step);
    }
    /// Tells a level policy that learns from them the losses of the sentences of the batch that was made last, once an
    /// update by it is done. Waits for the device.
    void learn([[maybe_unused]] nn::Pass<Device>& pass, [[maybe_unused]] Batch const& batch,
               [[maybe_unused]] Losses const& losses) {
        if constexpr (objective::learns_from_losses<Levels>) {
            View const sums = pass.take(batch.target.segments.count, 1);
            sum_per_sentence(pass.device, batch.target.segments,
                             MatrixView<Scalar const>(losses.rows().data, losses.rows().size, 1), sums);
            sentence_sums_.resize(static_cast<std::size_t>(sums.rows));
            download(pass.device, static_cast<Scalar const*>(sums.data), std::span<Scalar>(sentence_sums_));
            constexpr std::size_t copies = objective::is_paired<Objective_> ? 2 : 1;
            std::size_t const count = sentence_sums_.size() / copies;
            told_times_.clear();
            told_losses_.clear();
            for (std::size_t s = 0; s < count; ++s) {
                double sum = 0.0, share = 0.0;
                for (std::size_t copy = s; copy < sentence_sums_.size(); copy += count) {
                    sum += static_cast<double>(sentence_sums_[copy]);
                    share += sentence_shares_[copy];
                }
                if (share == 0.0) continue;  // all of it was shown
                told_times_.push_back(level_times_[s]);
                told_losses_.push_back(sum / share);
            }
            levels_policy_.learn(levels_state_, told_times_, told_losses_);
        }
    }
    /// Gives what a checkpoint has to keep: keep(name, number), and keep(name, numbers).
    template <class Keep>
    void save(Keep const& keep) const {
        if constexpr (Described<typename Levels::State>)
            describe(levels_state_,
                     [&](std::string_view name, auto const& value) { keep(message("levels_", name), value); });
    }
    /// Takes up what save() gave: find(name, to) puts it there.
    template <class Find>
    void restore(Find const& find) {
        if constexpr (Described<typename Levels::State>)
            describe(levels_state_, [&](std::string_view name, auto& value) { find(message("levels_", name), value); });
    }

    /// Brings a batch to the device with its noise drawn: by the update in training, by `draw` in validation.
    [[nodiscard]] Batch batch(nn::Pass<Device>& pass, text::ParallelCorpus const& corpus,
                              std::span<Index const> sentences, std::uint64_t seed, std::uint32_t draw, bool training) {
        batch_.clear();
        auto const wrapping = pipeline_->wrapping();
        constexpr bool paired = objective::is_paired<Objective_>;
        for (int copy = 0; copy < (paired ? 2 : 1); ++copy)
            for (Index const i : sentences) batch_.add(corpus.source(i), corpus.target(i), i, wrapping);
        auto const& model = pipeline_->model();
        Batch result;
        result.source = to_device<Device>(pass, batch_.source_offsets, batch_.source_tokens, places_,
                                          model.longest_source(), "source");
        constexpr bool joins = joins_source<typename Pipeline::ModelType>;
        if constexpr (joins) {
            join(wrapping, seed, draw);
            result.target =
                to_device<Device>(pass, joined_.offsets, joined_.tokens, places_, model.longest_target(), "target");
            result.spans = parts_to_device(pass, joined_);
        } else {
            result.target = to_device<Device>(pass, batch_.target_offsets, batch_.target_tokens, places_,
                                              model.longest_target(), "target");
        }
        levels_.clear();
        labels_.clear();
        classes_.clear();
        goals_.clear();
        pair_weights_.clear();
        pair_order_.clear();
        error_factors_.clear();
        error_weights_.clear();
        level_weights_.clear();
        to_estimate_.clear();
        row_weights_.clear();
        level_times_.clear();
        sentence_shares_.clear();
        auto const output = denoiser::output_of(model);
        bool scales_errors = false, weighs_errors = false;
        double const factor = schedule::training_noise_factor(pipeline_->schedule());
        std::size_t const half = sentences.size();
        for (std::size_t s = 0; s < batch_.sentences.size(); ++s) {
            RandomStream const stream{seed, Purpose::training_time, static_cast<std::uint32_t>(batch_.sentences[s]),
                                      draw};
            double time = 0.0;
            double alpha_bar = 0.0;
            Index index = -1;
            if (table_) {
                index = levels_policy_.draw_step(levels_state_, *table_, stream);
                level_times_.push_back((static_cast<double>(index) + 0.5) / static_cast<double>(table_->steps()));
                if constexpr (paired) {
                    auto const& pairs = objective_.pairs;
                    Index const second = pairs.second_of(*table_, index, stream.uniform(1) < 0.5, stream.uniform(2));
                    if (s >= half) {
                        pair_weights_.resize(pair_weights_.size() + static_cast<std::size_t>(target_rows(s)),
                                             pairs.counts(*table_, index, second) ? Scalar{1} : Scalar{0});
                        for (double const share : {index <= second ? 1.0 : 0.0, index <= second ? 0.0 : 1.0, 1.0})
                            pair_order_.push_back(static_cast<Scalar>(share));
                        index = second;
                    }
                }
                time = table_->label_time(index);
                alpha_bar = table_->level(index);
            } else {
                time = levels_policy_.draw_time(levels_state_, stream);
                level_times_.push_back(time);
                alpha_bar = pipeline_->schedule().alpha_bar(time);
            }
            auto const level = schedule::noising(alpha_bar, factor);
            auto const estimate = denoiser::to_estimate(output, alpha_bar);
            auto const push = [](std::vector<Scalar>& to, double first, double second, double third) {
                for (double const c : {first, second, third}) to.push_back(static_cast<Scalar>(c));
            };
            auto const push_level = [&](double signal, double noise, bool written) {
                push(levels_, signal, 1.0, noise);
                if (output == denoiser::Output::z0) return;
                if (written)
                    push(to_estimate_, estimate.output, estimate.z_t, estimate.second);
                else
                    push(to_estimate_, 0.0, 1.0, 0.0);  // what is shown is its own estimate
            };
            if constexpr (joins) {
                for (Index p = joined_.first_parts[s]; p < joined_.first_parts[s + 1]; ++p) {
                    std::uint8_t const what = joined_.kept[static_cast<std::size_t>(p)];
                    if (what == text::part::written)
                        push_level(level.z0, level.noise, true);
                    else
                        push_level(what == text::part::hidden ? 0.0 : 1.0, 0.0, false);
                }
            } else {
                push_level(level.z0, level.noise, true);
            }
            push(goals_, index == 0 ? 0.0 : 1.0, index == 0 ? 1.0 : 0.0, 0.0);
            labels_.push_back(model.time_label({time, alpha_bar}));
            double const error_factor = objective::error_factor(objective_, alpha_bar);
            scales_errors = scales_errors || error_factor != 1.0;
            push(error_factors_, error_factor, 1.0, 0.0);
            level_weights_.push_back(objective::error_weight(objective_, pipeline_->schedule(), time, alpha_bar));
            weighs_errors = weighs_errors || level_weights_.back() != 1.0;
            if (sentence_means_)
                row_weights_.resize(
                    row_weights_.size() + static_cast<std::size_t>(target_rows(s)),
                    static_cast<Scalar>(
                        1.0 / (static_cast<double>(batch_.sentences.size()) * static_cast<double>(target_rows(s)))));
            classes_.push_back(model.length_class(batch_.source_offsets[s + 1] - batch_.source_offsets[s],
                                                  batch_.target_offsets[s + 1] - batch_.target_offsets[s]));
        }
        Index const count = batch_.size();
        Index const rows = result.target.segments.rows;
        result.length_classes = to_device<Token>(pass, std::span<Token const>(classes_));
        result.levels = {to_device<Scalar>(pass, std::span<Scalar const>(levels_)).data,
                         joins ? result.spans.count : count, 3};
        result.labels = to_device<double>(pass, std::span<double const>(labels_));
        if (scales_errors)
            result.error_factors = {to_device<Scalar>(pass, std::span<Scalar const>(error_factors_)).data, count, 3};
        if (!to_estimate_.empty())
            result.to_estimate = {to_device<Scalar>(pass, std::span<Scalar const>(to_estimate_)).data,
                                  joins ? result.spans.count : count, 3};
        if constexpr (objective::is_masked<Objective_>) weigh_written();
        if constexpr (objective::weighs_levels<Levels>) weigh_levels(rows);
        if (weighs_errors) {
            weigh_errors(rows);
            result.error_weights = to_device<Scalar>(pass, std::span<Scalar const>(error_weights_));
        }
        if (!row_weights_.empty()) result.row_weights = to_device<Scalar>(pass, std::span<Scalar const>(row_weights_));
        if constexpr (objective::learns_from_losses<Levels>) {
            result.follow_rows = training;
            share_rows(rows);
        }
        result.last_signal =
            table_ ? std::sqrt(table_->level(table_->steps() - 1)) : schedule::signal(pipeline_->schedule(), 1.0);
        auto const keys = to_device<Index>(pass, std::span<Index const>(batch_.sentences));
        if (embedding::start_noise(pipeline_->space()) > 0.0) {  // of a text, and so the same for both of a pair
            View const start = pass.take(rows, pipeline_->space().width());
            fill_normal(pass.device, RandomStream{seed, Purpose::start_noise, 0, draw}, result.target.segments, keys,
                        start);
            result.start_noise = start;
            result.goals = {to_device<Scalar>(pass, std::span<Scalar const>(goals_)).data, count, 3};
        }
        VectorView<Index> noise_keys = keys;
        if constexpr (paired) {
            double const even = 1.0 / static_cast<double>(rows);
            result.pair_weight_sum = 0.0;
            for (std::size_t row = 0; row < pair_weights_.size(); ++row) {  // both rows of a pair weigh the same
                double const own = row_weights_.empty() ? even : static_cast<double>(row_weights_[row]);
                pair_weights_[row] *= static_cast<Scalar>(2.0 * own);
                result.pair_weight_sum += static_cast<double>(pair_weights_[row]);
            }
            result.pair_weights = to_device<Scalar>(pass, std::span<Scalar const>(pair_weights_));
            result.pair_order = {to_device<Scalar>(pass, std::span<Scalar const>(pair_order_)).data,
                                 static_cast<Index>(half), 3};
            for (std::size_t s = half; s < batch_.sentences.size(); ++s)
                batch_.sentences[s] += corpus.size();  // noise of its own
            noise_keys = to_device<Index>(pass, std::span<Index const>(batch_.sentences));
        }
        View const noise = pass.take(rows, pipeline_->space().width());
        fill_normal(pass.device, RandomStream{seed, Purpose::training_noise, 0, draw}, result.target.segments,
                    noise_keys, noise);
        result.noise = noise;
        result.self_condition = training && model.self_conditioned()
            && RandomStream{seed, Purpose::self_conditioning, 0, draw}.uniform(0) < self_conditioning_;
        result.train_first = train_first_;
        result.without_source = training && drop_source_ > 0.0
            && RandomStream{seed, Purpose::self_conditioning, 0, draw}.uniform(1) < drop_source_;
        return result;
    }

    /// Loss of a batch, and where pass.gradients is set its gradient, added there.
    [[nodiscard]] Losses loss(nn::Pass<Device>& pass, Batch const& batch) {
        return objective::diffusion_loss(pass, pipeline_->space(), model(), objective_, batch, saved_,
                                         {.length_weight = length_weight_});
    }

private:
    using View = MatrixView<Scalar>;

    [[nodiscard]] auto const& model() const { return pipeline_->model(); }

    /// Makes one sequence of each sentence's sides, or of its target with parts that are shown, in joined_.
    void join(text::Wrapping const& wrapping, std::uint64_t seed, std::uint32_t draw) {
        joined_.clear();
        for (std::size_t s = 0; s < batch_.sentences.size(); ++s) {
            auto const side = [&](std::vector<Token> const& tokens, std::vector<Index> const& offsets) {
                return std::span<Token const>(tokens).subspan(static_cast<std::size_t>(offsets[s]),
                                                              static_cast<std::size_t>(offsets[s + 1] - offsets[s]));
            };
            auto const source = side(batch_.source_tokens, batch_.source_offsets);
            auto const target = side(batch_.target_tokens, batch_.target_offsets);
            if constexpr (objective::is_masked<Objective_>) {
                RandomStream const stream{seed, Purpose::span_masking, static_cast<std::uint32_t>(batch_.sentences[s]),
                                          draw};
                objective_.masking.draw(stream, target, model().longest_target(), wrapping.specials.pad, joined_);
            } else {
                joined_.add(source, target, model().length_of(static_cast<Index>(source.size()), 0),
                            wrapping.specials.pad);
            }
        }
    }
    /// Weights of rows: the same for every row that is to be written, of sum 1, and 0 for all others.
    void weigh_written() {
        Index count = 0;
        for (std::size_t p = 0; p < joined_.kept.size(); ++p) {
            bool const written = joined_.kept[p] == text::part::written;
            Index const rows = joined_.parts[p + 1] - joined_.parts[p];
            row_weights_.resize(row_weights_.size() + static_cast<std::size_t>(rows), written ? Scalar{1} : Scalar{0});
            if (written) count += rows;
        }
        for (Scalar& weight : row_weights_) weight /= static_cast<Scalar>(count);
    }
    /// Has the loss of each sentence count as the policy says of its level.
    /// @param rows  of the batch
    void weigh_levels(Index rows) {
        if (row_weights_.empty())
            row_weights_.assign(static_cast<std::size_t>(rows), static_cast<Scalar>(1.0 / static_cast<double>(rows)));
        std::size_t row = 0;
        for (std::size_t s = 0; s < batch_.sentences.size(); ++s) {
            auto const weight = static_cast<Scalar>(levels_policy_.weight(levels_state_, level_times_[s]));
            for (auto const end = row + static_cast<std::size_t>(target_rows(s)); row < end; ++row)
                row_weights_[row] *= weight;
        }
    }
    /// Weights of rows in a mean of errors, of each sentence as the objective says of its level.
    /// @param rows  of the batch
    void weigh_errors(Index rows) {
        for (std::size_t s = 0; s < batch_.sentences.size(); ++s)
            for (Index i = 0; i < target_rows(s); ++i) {
                double const own = row_weights_.empty() ? 1.0 / static_cast<double>(rows)
                                                        : static_cast<double>(row_weights_[error_weights_.size()]);
                error_weights_.push_back(static_cast<Scalar>(own * level_weights_[s]));
            }
    }
    /// Adds up the weights of each sentence's rows.
    /// @param rows  of the batch
    void share_rows(Index rows) {
        std::size_t row = 0;
        for (std::size_t s = 0; s < batch_.sentences.size(); ++s) {
            auto const end = row + static_cast<std::size_t>(target_rows(s));
            double share = row_weights_.empty() ? static_cast<double>(end - row) / static_cast<double>(rows) : 0.0;
            if (!row_weights_.empty())
                for (std::size_t i = row; i < end; ++i) share += static_cast<double>(row_weights_[i]);
            sentence_shares_.push_back(share);
            row = end;
        }
    }
    /// Rows that are denoised of sentence s of the batch, a joined source's among them.
    [[nodiscard]] Index target_rows(std::size_t s) const {
        auto const& offsets = joins_source<typename Pipeline::ModelType> ? joined_.offsets : batch_.target_offsets;
        return offsets[s + 1] - offsets[s];
    }

    Pipeline const* pipeline_;
    Objective_ objective_;
    Levels levels_policy_;
    typename Levels::State levels_state_{};
    double self_conditioning_;
    bool train_first_;
    double drop_source_;
    bool sentence_means_;
    double length_weight_;
    Index discrete_steps_;
    std::optional<schedule::Discrete> table_;
    objective::DiffusionSaved<typename Pipeline::SpaceType, typename Pipeline::ModelType> saved_;
    text::PackedBatch batch_;
    text::JoinedBatch joined_;
    std::vector<Token> places_, classes_;
    std::vector<Scalar> levels_, goals_, pair_weights_, pair_order_, error_factors_, error_weights_, to_estimate_,
        row_weights_, sentence_sums_;
    std::vector<double> labels_, level_times_, level_weights_, sentence_shares_, told_times_, told_losses_;
};

}  // namespace inkling::pipeline
