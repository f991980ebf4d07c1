#pragma once

#include <inkling/decode/beams.hpp>
#include <inkling/decode/selection.hpp>  // a beam asks for some choice where its user names none
#include <inkling/decode/step_data.hpp>
#include <inkling/denoiser/concept.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/io/json.hpp>
#include <inkling/io/model_file.hpp>
#include <inkling/pipeline/candidate_lengths.hpp>
#include <inkling/pipeline/candidate_writer.hpp>
#include <inkling/pipeline/configuration.hpp>
#include <inkling/pipeline/crew.hpp>
#include <inkling/pipeline/device_batch.hpp>
#include <inkling/pipeline/generate_options.hpp>
#include <inkling/pipeline/generated.hpp>
#include <inkling/pipeline/held_tokenizer.hpp>
#include <inkling/pipeline/sources.hpp>
#include <inkling/pipeline/text_model.hpp>
#include <inkling/pipeline/weights_file.hpp>
#include <inkling/pipeline/workers.hpp>
#include <inkling/sampler/concept.hpp>
#include <inkling/schedule/concept.hpp>
#include <inkling/text/gaps.hpp>
#include <inkling/text/joining.hpp>
#include <inkling/text/packing.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace inkling {

/// Settings of every part of a TextDiffusion; each part's defaults hold where nothing is said.
template <class Schedule, class Space, class Model, class Steps>
struct TextDiffusionOptions {
    Schedule schedule{};
    typename Space::Options embedding{};
    typename Model::Options denoiser{};
    Steps sampler{};
    typename Model::Device::Options device{};
    std::uint64_t seed = 1;  ///< of the starting weights
};

/// One text diffusion pipeline: how noise grows, where tokens live, what removes noise, and how noise is walked back.
///
/// Trains with Trainer, generates by itself; a const pipeline generates from many threads at once.
/// @tparam Schedule  alpha_bar(t) of the noise
/// @tparam Space     maps tokens to vectors and back
/// @tparam Model     the denoiser, on its backend
/// @tparam Steps     turns the schedule into a plan of denoising steps
template <class Schedule, class Space, class Model, class Steps>
    requires NoiseSchedule<Schedule> && EmbeddingSpace<Space> && Denoiser<Model> && Sampler<Steps>
    && EmbeddingSpaceOn<Space, typename Model::Device> && DenoiserOver<Model, Space>
class TextDiffusion : public pipeline::TextModel<TextDiffusionOptions<Schedule, Space, Model, Steps>, Space, Model> {
    using Base = pipeline::TextModel<TextDiffusionOptions<Schedule, Space, Model, Steps>, Space, Model>;
    using Base::borrow_worker, Base::fresh_pass, Base::model_, Base::options_, Base::space_, Base::tokenizer_;

public:
    using typename Base::Device, typename Base::Options, typename Base::Scalar;
    using NoiseScheduleType = Schedule;
    using GenerateOptionsType = GenerateOptions;

    /// A model with fresh weights.
    /// @throws Error when an option is out of range, naming it, or the tokenizer gives sources a vocabulary of their
    ///         own and the model has no table for it
    TextDiffusion(pipeline::HeldTokenizer tokenizer, Options options = {})
        : TextDiffusion(WithoutWeights{}, std::move(tokenizer), std::move(options)) {
        this->make_fresh_weights();
    }

    [[nodiscard]] Schedule const& schedule() const { return options_.schedule; }
    /// How sentences enter the model: source eos, with bos in front where the model says so; bos target eos. Where it
    /// joins them, bos source eos eos bos target eos, and pad tokens behind; where a target continues its source, bos
    /// source.
    [[nodiscard]] text::Wrapping wrapping() const {
        text::Wrapping wrapping{.specials = tokenizer_.specials(), .source_bos = begins_source<Model>};
        if constexpr (continues_source<Model>) {
            wrapping.source_bos = true;
            wrapping.source_eos = false;
        } else if constexpr (joins_source<Model>) {
            wrapping.source_bos = wrapping.source_separator = true;
            wrapping.filled = model_.length_of(0, 0);
        }
        return wrapping;
    }

    /// Sets how noise is walked back from now on; the weights do not depend on it.
    void set_sampler(Steps sampler) { options_.sampler = std::move(sampler); }

    /// One line of text for each source line; an empty one where the run was stopped before.
    ///
    /// @throws Error when a source has no tokens, or more than the model has positions for, naming its number, or an
    ///         option is out of range
    [[nodiscard]] std::vector<std::string> generate(std::span<std::string const> sources,
                                                    GenerateOptions const& options = {}) const {
        std::vector<std::string> lines;
        for (Generated& generated : generate_with(sources, options)) lines.push_back(std::move(generated.text));
        return lines;
    }

    /// The same with everything that is known of each sentence, chosen by `selection` and watched by `listener`.
    ///
    /// @param listener  called with a decode::StepData (or decode::StepView) after every step of every
    ///                  batch, candidates in the order of decode::Beams, sources shortest first (where the model joins
    ///                  source and target, a sentence is both); where it returns false its batch ends early. Without
    ///                  one nothing is read out or copied between steps
    template <class Choice = decode::MinimumBayesRisk, class ListenerType = decode::NoListener>
    [[nodiscard]] std::vector<Generated> generate_with(std::span<std::string const> sources,
                                                       GenerateOptions const& options, Choice const& selection = {},
                                                       ListenerType&& listener = {}) const {
        return generate_tokens(this->encode(sources, where_), options, selection, listener);
    }

    /// The same for sources that are tokens already, without special ones; a source may be empty.
    template <class Choice = decode::MinimumBayesRisk, class ListenerType = decode::NoListener>
    [[nodiscard]] std::vector<Generated> generate_tokens(std::span<std::vector<Token> const> sources,
                                                         GenerateOptions const& options, Choice const& selection = {},
                                                         ListenerType&& listener = {}) const {
        check_generation<Choice, ListenerType>();
        options.check();
        auto const wrapped = wrapping();
        pipeline::require_sources(
            sources, [&](Index tokens) { return wrapped.source_length(tokens); }, model_.longest_source(),
            this->source_vocabulary(), where_);
        std::vector<Index> lengths;
        for (auto const& source : sources) {
            Index const own = static_cast<Index>(source.size()) + 2;
            lengths.push_back(joins_source<Model> ? std::max(own, model_.length_of(0, 0)) : own);
        }
        return write_in_groups(lengths, options, selection, listener, [&](auto& worker, auto& pass, auto& candidates) {
            return encode_group(worker, pass, sources, options.first_source, candidates);
        });
    }

    /// Fills the gaps of lines, all gaps of a line at once: text stays as it is, and a gap is filled with as many
    /// tokens as it has rows, or with fewer where the model leaves some as pads. A line without text around its gap is
    /// text out of nothing, beginning and end included.
    ///
    /// The whole line is what comes back; `mean_log_probability` is of what was written. A line without a gap comes
    /// back as its tokens say.
    /// @param lines     from text::parse_gaps, say
    /// @param options   length_beam must be 1: how long a gap is stands in the line
    /// @param listener  as for generate_with
    /// @throws Error when a line has more rows than the model takes, naming it by first_source and its place, or an
    ///         option is out of range
    template <class Choice = decode::MinimumBayesRisk, class ListenerType = decode::NoListener>
        requires(joins_source<Model>)
    [[nodiscard]] std::vector<Generated> infill(std::span<text::GappedLine const> lines,
                                                GenerateOptions const& options = {}, Choice const& selection = {},
                                                ListenerType&& listener = {}) const {
        check_generation<Choice, ListenerType>();
        options.check();
        constexpr char const* where = "inkling::TextDiffusion::infill";
        require(options.beams.length_beam == 1, where, ": length_beam is ", options.beams.length_beam,
                ", expected 1, as the line says how long its gaps are");
        text::JoinedBatch all;
        std::vector<Index> lengths;
        for (std::size_t i = 0; i < lines.size(); ++i) {
            Index const number = options.first_source + static_cast<Index>(i);
            add_gapped(all, lines[i], message(where, ": line ", number));
            lengths.push_back(all.offsets[i + 1] - all.offsets[i]);
            require(lengths[i] <= model_.longest_target(), where, ": line ", number, " has ", lengths[i],
                    " rows, expected at most ", model_.longest_target(), ", as many as the model takes");
        }
        return write_in_groups(lengths, options, selection, listener, [&](auto&, auto&, auto& candidates) {
            repeat(all, options.first_source, candidates);
            return typename Model::Encoded{};
        });
    }

    /// Writes weights (in single precision), settings and tokenizer to one file, atomically.
    /// @throws Error when it cannot be written
    void save(std::filesystem::path const& path) const { this->write(path, configuration()); }

    /// Reads a model file that a pipeline of this type wrote: `load<text::WordTokenizer>(path)`, with every kind of
    /// tokenizer that it may hold.
    ///
    /// @param options  sampler and device; sizes and the schedule's settings are those of the file. A
    ///                 schedule that does not name its settings (see pipeline::Described) is given here, and held
    ///                 against the file's levels
    /// @throws Error when the file is damaged, of another model or schedule, or a tensor misses or has another shape
    template <Tokenizer... Tokenizers>
    [[nodiscard]] static TextDiffusion load(std::filesystem::path const& path, Options options = {}) {
        auto const file = io::ModelFile::open(path);
        auto const& description = file.description();
        std::string const where = "inkling::TextDiffusion::load: file '" + path.string() + "'";
        auto const json = io::parse_json(description.configuration);
        require(
            json.is_object() && json.contains("embedding") && json.contains("denoiser") && json.contains("schedule"),
            where, ": the configuration lacks 'embedding', 'denoiser' or 'schedule'");
        pipeline::from_json(json.at("embedding"), options.embedding, where + ", 'embedding'");
        pipeline::from_json(json.at("denoiser"), options.denoiser, where + ", 'denoiser'");
        auto const other_schedule = [&](char const* what, nlohmann::json const& its, nlohmann::json const& ours) {
            fail(where, ": was trained with another noise schedule: ", what, " are ", its.dump(),
                 ", those of this pipeline's ", ours.dump());
        };
        if constexpr (pipeline::Described<Schedule>) {
            auto const settings = json.value("schedule_settings", nlohmann::json());
            auto const expected = pipeline::to_json(options.schedule);
            if (!pipeline::same_names(settings, expected)) other_schedule("its settings", settings, expected);
            pipeline::from_json(settings, options.schedule, where + ", 'schedule_settings'");
        }
        if (auto const ours = schedule_samples(options.schedule); json.at("schedule") != ours)
            other_schedule("its alpha_bar at t = 0, 1/4, 1/2, 3/4, 1 and its training noise factor",
                           json.at("schedule"), ours);
        TextDiffusion loaded(WithoutWeights{}, pipeline::load_tokenizer<Tokenizers...>(file, where),
                             std::move(options));
        loaded.read_weights(file);
        return loaded;
    }

    /// The settings that a model file carries.
    [[nodiscard]] nlohmann::json configuration() const {
        static_assert(pipeline::Described<typename Space::Options> && pipeline::Described<typename Model::Options>,
                      "inkling::TextDiffusion: the Options of the embedding space or of the denoiser do not name their "
                      "settings: a model file needs 'describe(options, visit)' beside them.");
        nlohmann::json settings{{"embedding", pipeline::to_json(options_.embedding)},
                                {"denoiser", pipeline::to_json(options_.denoiser)},
                                {"schedule", schedule_samples(options_.schedule)}};
        if constexpr (pipeline::Described<Schedule>)
            settings["schedule_settings"] = pipeline::to_json(options_.schedule);
        return settings;
    }

private:
    using Worker = pipeline::Worker<Device>;
    static constexpr char const* where_ = "inkling::TextDiffusion::generate";
    struct WithoutWeights {};

    TextDiffusion(WithoutWeights, pipeline::HeldTokenizer tokenizer, Options options)
        : Base(std::move(tokenizer), options, options.denoiser) {
        schedule::require_falls(options_.schedule, "inkling::TextDiffusion");
    }

    /// Tells one noise schedule from another without knowing its type.
    [[nodiscard]] static nlohmann::json schedule_samples(Schedule const& schedule) {
        nlohmann::json samples = nlohmann::json::array();
        for (double const t : {0.0, 0.25, 0.5, 0.75, 1.0})
            samples.push_back(std::round(schedule.alpha_bar(t) * 1e9) / 1e9);
        samples.push_back(std::round(schedule::training_noise_factor(schedule) * 1e9) / 1e9);
        return samples;
    }

    template <class Choice, class ListenerType>
    static void check_generation() {
        static_assert(Selection<Choice>,
                      "inkling::TextDiffusion: argument 3 is not a Selection: it needs "
                      "'Index select(std::span<decode::Candidate const>) const', and to be copyable.");
        static_assert(Listener<ListenerType, Scalar>,
                      "inkling::TextDiffusion: argument 4 is not a Listener: it needs "
                      "'operator()(decode::StepData<Scalar> const&)' that returns bool or nothing.");
    }

    /// Writes lines, those of like length at once.
    /// @param lengths  [S], of the lines, as batches count them
    /// @param prepare  prepare(worker, pass, candidates) makes a group's candidates and returns what is encoded
    template <class Choice, class ListenerType, class Prepare>
    [[nodiscard]] std::vector<Generated> write_in_groups(std::vector<Index> const& lengths,
                                                         GenerateOptions const& options, Choice const& selection,
                                                         ListenerType& listener, Prepare const& prepare) const {
        Index const last = options.first_source + static_cast<Index>(lengths.size());
        require(last <= (Index{1} << 32) / options.beams.candidates(), where_, ": sources up to number ", last, " of ",
                options.beams.candidates(), " candidates each, expected at most 2^32 candidates");
        std::vector<Generated> result(lengths.size());
        auto const plan = options_.sampler.plan(options_.schedule);
        sampler::require_valid(plan, where_);
        pipeline::CandidateWriter<Space, Model, Choice, ListenerType> const writer{space_,  model_,    tokenizer_, plan,
                                                                                   options, selection, listener};
        auto worker = borrow_worker();
        Index const copies = options.beams.candidates();
        auto const batches = pipeline::cut_batches(worker->device, lengths, copies, options.tokens_per_batch,
                                                   decode::listens<ListenerType>);
        pipeline::Crew<Device> crew(*worker, this->one_thread_workers_);
        Index done = 0;
        for (auto next = batches.groups.begin(); next != batches.groups.end();) {
            if (options.stop.stop_requested()) break;
            auto const end = next + std::min(batches.at_once, batches.groups.end() - next);
            std::vector<pipeline::Candidates> candidates;
            for (; next != end; ++next) candidates.push_back({*next, options.beams});
            std::vector<std::optional<pipeline::ReadRows<Scalar>>> read(candidates.size());
            crew.each(candidates.size(), [&](std::size_t i, Worker& own) {
                auto pass = fresh_pass(own, worker->packed);
                auto encoded = prepare(own, pass, candidates[i]);
                read[i] = writer.clean(own, pass, encoded, candidates[i]);
            });
            Index const before = done;
            for (std::size_t i = 0; i < candidates.size(); ++i) {
                if (!read[i]) continue;  // stopped
                writer.choose(candidates[i], *read[i], result);
                done += static_cast<Index>(candidates[i].group.size());
            }
            if (options.on_progress && done > before) options.on_progress(done, static_cast<Index>(lengths.size()));
        }
        return result;
    }

    /// Encodes a group's sources, and makes candidates of every length and every noise of each.
    [[nodiscard]] typename Model::Encoded encode_group(Worker& worker, nn::Pass<Device>& pass,
                                                       std::span<std::vector<Token> const> sources, Index first_source,
                                                       pipeline::Candidates& candidates) const {
        text::PackedBatch& batch = worker.batch;
        batch.clear();
        for (Index const i : candidates.group) batch.add(sources[static_cast<std::size_t>(i)], {}, i, wrapping());
        auto encoded = model_.encode(pass,
                                     pipeline::to_device<Device>(pass, batch.source_offsets, batch.source_tokens,
                                                                 worker.places, model_.longest_source(), "source"));
        decode::Beams& beams = candidates.beams;
        beams.longest = std::min(beams.longest, model_.longest_target());
        beams.shortest = std::min(beams.shortest, beams.longest);
        std::vector<Index> source_lengths;
        for (std::size_t s = 0; s < candidates.group.size(); ++s)
            source_lengths.push_back(batch.source_offsets[s + 1] - batch.source_offsets[s]);
        auto const lengths = pipeline::candidate_lengths(pass, model_, encoded, source_lengths, beams);
        candidates.texts = sources;
        Index const each = beams.candidates();
        for (std::size_t s = 0; s < candidates.group.size(); ++s)
            for (Index c = 0; c < each; ++c) {
                std::span<Token const> prefix;  // the source, where the model joins it to the target
                if constexpr (joins_source<Model>)
                    prefix = std::span<Token const>(batch.source_tokens)
                                 .subspan(static_cast<std::size_t>(batch.source_offsets[s]),
                                          static_cast<std::size_t>(source_lengths[s]));
                Index const length = lengths[s * static_cast<std::size_t>(each) + static_cast<std::size_t>(c)];
                Index const room = model_.longest_target() - static_cast<Index>(prefix.size());
                candidates.rows.add(prefix, {}, std::min(length, room), tokenizer_.specials().pad);
                candidates.add(first_source, s, c);
            }
        return encoded;
    }

    /// Makes each line of a group as often a candidate as noises are tried.
    static void repeat(text::JoinedBatch const& lines, Index first_line, pipeline::Candidates& candidates) {
        Index const each = candidates.beams.candidates();
        for (std::size_t s = 0; s < candidates.group.size(); ++s)
            for (Index c = 0; c < each; ++c) {
                candidates.rows.add_sequence(lines, candidates.group[s]);
                candidates.add(first_line, s, c);
            }
    }

    /// Appends a line that is to be filled: what is known is kept, and everything is written where nothing is known.
    void add_gapped(text::JoinedBatch& batch, text::GappedLine const& line, std::string const& where) const {
        require(line.pieces.size() == line.rows.size() + 1, where, " has ", line.pieces.size(), " pieces and ",
                line.rows.size(), " gaps, expected one piece more than gaps");
        auto const wrap = wrapping();
        bool const known = std::any_of(line.pieces.begin(), line.pieces.end(),
                                       [&](std::string const& piece) { return !tokenizer_.encode(piece).empty(); });
        for (std::size_t i = 0; i < line.pieces.size(); ++i) {
            if (i == 0 && wrap.target_bos) batch.tokens.push_back(wrap.specials.bos);
            auto const tokens = tokenizer_.encode(line.pieces[i]);
            batch.tokens.insert(batch.tokens.end(), tokens.begin(), tokens.end());
            if (i == line.rows.size()) break;
            if (known) batch.end_part(text::part::kept);
            require(line.rows[i] >= 1 && line.rows[i] <= model_.longest_target(), where, ": gap ", i + 1, " has ",
                    line.rows[i], " rows, expected 1 to ", model_.longest_target(), ", as many as the model takes");
            batch.tokens.resize(batch.tokens.size() + static_cast<std::size_t>(line.rows[i]), wrap.specials.pad);
            if (known) batch.end_part(text::part::written);
        }
        if (wrap.target_eos) batch.tokens.push_back(wrap.specials.eos);
        batch.end_part(known || line.rows.empty() ? text::part::kept : text::part::written);
        batch.end_sequence();
    }
};

}  // namespace inkling
