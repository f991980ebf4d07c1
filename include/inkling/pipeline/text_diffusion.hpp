#pragma once

#include <inkling/decode/beams.hpp>
#include <inkling/decode/selection.hpp>  // a beam asks for some choice where its user names none
#include <inkling/decode/step_data.hpp>
#include <inkling/denoiser/concept.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/io/json.hpp>
#include <inkling/io/model_file.hpp>
#include <inkling/pipeline/candidate_lengths.hpp>
#include <inkling/pipeline/configuration.hpp>
#include <inkling/pipeline/denoise.hpp>
#include <inkling/pipeline/generated.hpp>
#include <inkling/pipeline/held_tokenizer.hpp>
#include <inkling/pipeline/sources.hpp>
#include <inkling/pipeline/text_model.hpp>
#include <inkling/pipeline/workers.hpp>
#include <inkling/sampler/concept.hpp>
#include <inkling/schedule/concept.hpp>
#include <inkling/text/any_tokenizer.hpp>
#include <inkling/text/gaps.hpp>
#include <inkling/text/joining.hpp>
#include <inkling/text/packing.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace inkling {

/// How text is generated. Everything here is optional.
struct GenerateOptions {
    std::uint64_t seed = 0;  ///< the same seed gives the same text, whatever the threads and the batches
    Index first_source = 0;  ///< number of the first source: random numbers are keyed by it, so that a long list can be
                             ///< generated in pieces
    decode::Beams beams{};   ///< candidates a sentence: lengths x noises
    /// rows cleaned at once, at least 1, each candidate counted as long as its source and 2; a source whose candidates
    /// are more has a batch of its own
    Index tokens_per_batch = 4096;
    std::stop_token stop{};  ///< asked between steps; a stopped run returns what is finished
    /// Called after every batch with (sentences done, sentences in all); empty: nobody is told.
    std::function<void(Index, Index)> on_progress{};

    /// @throws Error when an option is out of its range, naming it
    void check() const {
        beams.check();
        require(tokens_per_batch >= 1, "inkling::GenerateOptions: tokens_per_batch is ", tokens_per_batch,
                ", expected at least 1");
        constexpr Index most = Index{1} << 32;
        require(first_source >= 0 && first_source <= most, "inkling::GenerateOptions: first_source is ", first_source,
                ", expected 0 to 2^32");
    }
};

/// Names every setting that the text depends on once, for whoever compares what was written.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, GenerateOptions>
void describe(Options& options, Visit const& visit) {
    visit("seed", options.seed);
    visit("first_source", options.first_source);
    visit("length_beam", options.beams.length_beam);
    visit("noise_beam", options.beams.noise_beam);
    visit("shortest", options.beams.shortest);
    visit("longest", options.beams.longest);
}

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

    /// A model with fresh weights. @throws Error when an option is out of range, naming it
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
            space_.vocabulary(), where_);
        std::vector<Index> lengths;
        for (auto const& source : sources) {
            Index const own = static_cast<Index>(source.size()) + 2;
            lengths.push_back(joins_source<Model> ? std::max(own, model_.length_of(0, 0)) : own);
        }
        return generate_in_groups(
            lengths, options, [&](auto& worker, auto const& plan, auto const& group, auto& result) {
                return generate_group(worker, plan, sources, group, options, selection, listener, result);
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
        return generate_in_groups(
            lengths, options, [&](auto& worker, auto const& plan, auto const& group, auto& result) {
                return infill_group(worker, plan, all, group, options, selection, listener, result);
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
        TextDiffusion loaded(WithoutWeights{}, text::AnyTokenizer<Tokenizers...>::deserialise(description.tokenizer),
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

    /// Calls clean(worker, plan, group, result), which returns whether it was done, for groups of lines of like
    /// length, [S] as they are counted.
    template <class Clean>
    [[nodiscard]] std::vector<Generated> generate_in_groups(std::vector<Index> const& lengths,
                                                            GenerateOptions const& options, Clean const& clean) const {
        Index const last = options.first_source + static_cast<Index>(lengths.size());
        require(last <= (Index{1} << 32) / options.beams.candidates(), where_, ": sources up to number ", last, " of ",
                options.beams.candidates(), " candidates each, expected at most 2^32 candidates");
        std::vector<Generated> result(lengths.size());
        auto const plan = options_.sampler.plan(options_.schedule);
        sampler::require_valid(plan, where_);
        auto worker = borrow_worker();
        Index done = 0;
        for (auto const& group : pipeline::grouped(lengths, options.beams.candidates(), options.tokens_per_batch)) {
            if (options.stop.stop_requested()) break;
            if (!clean(*worker, plan, group, result)) break;
            done += static_cast<Index>(group.size());
            if (options.on_progress) options.on_progress(done, static_cast<Index>(lengths.size()));
        }
        return result;
    }

    /// @return whether it was done; a batch that is stopped leaves no result
    template <class Choice, class ListenerType>
    bool generate_group(Worker& worker, sampler::Plan const& plan, std::span<std::vector<Token> const> tokens,
                        std::vector<Index> const& group, GenerateOptions const& options, Choice const& selection,
                        ListenerType& listener, std::vector<Generated>& result) const {
        auto pass = fresh_pass(worker);
        text::PackedBatch& batch = worker.batch;
        batch.clear();
        for (Index const i : group) batch.add(tokens[static_cast<std::size_t>(i)], {}, i, wrapping());
        auto const source = pipeline::to_device<Device>(pass, batch.source_offsets, batch.source_tokens, worker.places,
                                                        model_.longest_source(), "source");
        auto encoded = model_.encode(pass, source);
        Index const count = source.segments.count;

        // Candidates: every source with every length and every noise.
        decode::Beams beams = options.beams;
        beams.longest = std::min(beams.longest, model_.longest_target());
        beams.shortest = std::min(beams.shortest, beams.longest);
        Index const candidates = beams.candidates();
        std::vector<Index> source_lengths;
        for (std::size_t s = 0; s < group.size(); ++s)
            source_lengths.push_back(batch.source_offsets[s + 1] - batch.source_offsets[s]);
        auto const lengths = pipeline::candidate_lengths(pass, model_, encoded, source_lengths, beams);
        text::JoinedBatch
            joined;  // of what each candidate's rows are: its target, and the source where the model joins them
        std::vector<Index> sequences;
        std::vector<Index> sources;
        for (Index s = 0; s < count; ++s) {
            auto const at = static_cast<std::size_t>(s);
            for (Index c = 0; c < candidates; ++c) {
                Index const length = lengths[static_cast<std::size_t>(s * candidates + c)];
                std::span<Token const> prefix;
                if constexpr (joins_source<Model>)
                    prefix = std::span<Token const>(batch.source_tokens)
                                 .subspan(static_cast<std::size_t>(batch.source_offsets[at]),
                                          static_cast<std::size_t>(source_lengths[at]));
                Index const room = model_.longest_target() - static_cast<Index>(prefix.size());
                joined.add(prefix, {}, std::min(length, room), tokenizer_.specials().pad);
                sequences.push_back((options.first_source + group[at]) * candidates
                                    + static_cast<Index>(sequences.size()) % candidates);
                sources.push_back(s);
            }
        }
        return clean(worker, pass, plan, encoded, joined, sequences, sources, tokens, group, beams, options, selection,
                     listener, result);
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

    template <class Choice, class ListenerType>
    bool infill_group(Worker& worker, sampler::Plan const& plan, text::JoinedBatch const& lines,
                      std::vector<Index> const& group, GenerateOptions const& options, Choice const& selection,
                      ListenerType& listener, std::vector<Generated>& result) const {
        auto pass = fresh_pass(worker);
        Index const candidates = options.beams.candidates();
        text::JoinedBatch joined;
        std::vector<Index> sequences, sources;
        for (Index const i : group)
            for (Index c = 0; c < candidates; ++c) {
                joined.add_sequence(lines, i);
                sequences.push_back((options.first_source + i) * candidates + c);
                sources.push_back(static_cast<Index>(sources.size()) / candidates);
            }
        auto encoded = typename Model::Encoded{};
        return clean(worker, pass, plan, encoded, joined, sequences, sources, {}, group, options.beams, options,
                     selection, listener, result);
    }

    /// Cleans all candidates of a group, and chooses.
    /// @param joined     of what each candidate's rows are
    /// @param sequences  [C], the candidates' numbers, by which random numbers are keyed
    /// @param sources    [C], which source of the encoded ones each belongs to
    /// @param texts      the sources' tokens, each of whose lines is its target alone; empty: lines are all their rows
    /// @return whether it was done
    template <class Choice, class ListenerType>
    bool clean(Worker& worker, nn::Pass<Device>& pass, sampler::Plan const& plan, typename Model::Encoded& encoded,
               text::JoinedBatch const& joined, std::vector<Index> const& sequences, std::vector<Index> const& sources,
               std::span<std::vector<Token> const> texts, std::vector<Index> const& group, decode::Beams const& beams,
               GenerateOptions const& options, Choice const& selection, ListenerType& listener,
               std::vector<Generated>& result) const {
        std::vector<Index> const& offsets = joined.offsets;
        std::span<Token const> known;
        if constexpr (joins_source<Model>) known = joined.tokens;
        auto const target =
            pipeline::to_device<Device>(pass, offsets, known, worker.places, model_.longest_target(), "target");
        encoded.source_of = pipeline::to_device<Index>(pass, std::span<Index const>(sources)).data;
        VectorView<Index const> const keys = pipeline::to_device<Index>(pass, std::span<Index const>(sequences));
        auto const z = pass.take(target.segments.rows, space_.width());
        fill_normal(pass.device, RandomStream{options.seed, Purpose::initial_noise}, target.segments, keys, z);
        if (plan.initial_noise != 1.0) scale(pass.device, static_cast<Scalar>(plan.initial_noise), z, z);
        pipeline::Parts parts;
        if constexpr (joins_source<Model>) {
            parts = {pipeline::parts_to_device(pass, joined), joined.kept};
            start_clean(pass, parts, target, z);
            if constexpr (requires { model_.keep(pass, encoded, joined, parts.segments); })
                model_.keep(pass, encoded, joined, parts.segments);
        }
        std::vector<Index> numbers;  // of the sources, for who listens
        if constexpr (decode::listens<ListenerType>)
            for (Index const source : sources) numbers.push_back(group[static_cast<std::size_t>(source)]);
        bool stopped = false;
        auto const z0_hat = pipeline::denoise(
            pass, space_, model_, plan, target, encoded, z,
            [&](Index step, auto noise) {
                fill_normal(pass.device,
                            RandomStream{options.seed, Purpose::step_noise, 0, static_cast<std::uint32_t>(step)},
                            target.segments, keys, noise);
            },
            [&](pipeline::StepState<Device> const& state) {
                if constexpr (decode::listens<ListenerType>)
                    if (!tell(worker, pass, state, offsets, numbers, listener)) return false;
                stopped = state.step + 1 < state.steps && options.stop.stop_requested();
                return !stopped;
            },
            parts);
        if (stopped) return false;
        read_out(pass, z0_hat, joined, texts, group, beams, selection, result);
        return true;
    }

    /// Puts the embeddings of what is kept in the place of its noise.
    void start_clean(nn::Pass<Device>& pass, pipeline::Parts const& parts, PackedSequences const& target,
                     MatrixView<Scalar> z) const {
        auto const clean = pass.take(z.rows, z.cols);
        space_.embed(pass, target.tokens, clean);
        std::vector<Scalar> shares;
        for (std::uint8_t const kept : parts.kept)
            for (double const share : {kept != 0 ? 1.0 : 0.0, kept != 0 ? 0.0 : 1.0, 0.0})
                shares.push_back(static_cast<Scalar>(share));
        auto const factors = pipeline::to_device<Scalar>(pass, std::span<Scalar const>(shares));
        combine(pass.device, parts.segments, MatrixView<Scalar const>(factors.data, parts.segments.count, 3), clean, z,
                {}, z);
    }

    /// Copies what a step has come to for the listener. @return whether to go on
    template <class ListenerType>
    [[nodiscard]] bool tell(Worker& worker, nn::Pass<Device>& pass, pipeline::StepState<Device> const& state,
                            std::vector<Index> const& offsets, std::vector<Index> const& sources,
                            ListenerType& listener) const {
        nn::Scope<Device> const scope(pass.workspace);
        Index const rows = state.z.rows;
        worker.tokens.resize(static_cast<std::size_t>(rows));
        worker.z.resize(static_cast<std::size_t>(state.z.size()));
        worker.z0_hat.resize(worker.z.size());
        VectorView<Token> const nearest{pass.workspace.template take<Token>(rows), rows};
        embedding::read_out<Space, Device>(pass, space_, state.z0_hat, nearest);
        download(pass.device, static_cast<Token const*>(nearest.data), std::span<Token>(worker.tokens));
        download(pass.device, state.z.data, std::span<Scalar>(worker.z));
        download(pass.device, state.z0_hat.data, std::span<Scalar>(worker.z0_hat));
        return decode::notify(listener,
                              decode::StepData<Scalar>{state.step, state.steps, state.time, space_.width(), worker.z,
                                                       worker.z0_hat, worker.tokens, offsets, sources});
    }

    template <class Choice>
    void read_out(nn::Pass<Device>& pass, MatrixView<Scalar> z0_hat, text::JoinedBatch const& sequences,
                  std::span<std::vector<Token> const> sources, std::vector<Index> const& group,
                  decode::Beams const& beams, Choice const& selection, std::vector<Generated>& result) const {
        Index const candidates = beams.candidates();
        Index const rows = z0_hat.rows;
        VectorView<Token> const tokens{pass.workspace.template take<Token>(rows), rows};
        VectorView<Scalar> const scores{pass.workspace.template take<Scalar>(rows), rows};
        embedding::read_out<Space, Device>(pass, space_, z0_hat, tokens, scores);
        std::vector<Token> host_tokens(static_cast<std::size_t>(rows));
        std::vector<Scalar> host_scores(static_cast<std::size_t>(rows));
        download(pass.device, static_cast<Token const*>(tokens.data), std::span<Token>(host_tokens));
        download(pass.device, static_cast<Scalar const*>(scores.data), std::span<Scalar>(host_scores));
        std::vector<Generated> all;
        std::vector<decode::Candidate> choice;
        for (std::size_t s = 0; s < group.size(); ++s) {
            all.clear();
            choice.clear();
            for (Index c = 0; c < candidates; ++c) {
                auto const at = s * static_cast<std::size_t>(candidates) + static_cast<std::size_t>(c);
                std::vector<Token> own;
                double score = 0.0;
                Index written = 0;
                for (Index p = sequences.first_parts[at] + (sources.empty() ? 0 : 1); p < sequences.first_parts[at + 1];
                     ++p) {
                    auto const part = static_cast<std::size_t>(p);
                    bool const kept = sequences.kept[part] != text::part::written;
                    auto const& tokens_of = kept ? sequences.tokens : host_tokens;
                    for (Index row = sequences.parts[part]; row < sequences.parts[part + 1]; ++row) {
                        auto const i = static_cast<std::size_t>(row);
                        own.push_back(tokens_of[i]);
                        if (kept) continue;
                        score += static_cast<double>(host_scores[i]);
                        ++written;
                    }
                }
                std::string text = tokenizer_.decode(own);
                all.push_back(
                    {std::move(text), std::move(own), score / static_cast<double>(std::max<Index>(1, written)), true});
            }
            std::string const source = candidates == 1 || sources.empty()
                ? std::string{}
                : tokenizer_.decode(sources[static_cast<std::size_t>(group[s])]);
            for (Generated const& one : all)
                choice.push_back(
                    {one.text, one.mean_log_probability, beams.group(static_cast<Index>(choice.size())), source});
            Index const best = candidates == 1 ? 0 : selection.select(choice);
            require(best >= 0 && best < candidates, where_, ": the Selection chose candidate ", best,
                    ", expected 0 to ", candidates - 1);
            result[static_cast<std::size_t>(group[s])] = std::move(all[static_cast<std::size_t>(best)]);
        }
    }
};

}  // namespace inkling
