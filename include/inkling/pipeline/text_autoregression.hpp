#pragma once

#include <inkling/decode/beam_search.hpp>
#include <inkling/denoiser/concept.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/io/json.hpp>
#include <inkling/io/model_file.hpp>
#include <inkling/pipeline/configuration.hpp>
#include <inkling/pipeline/device_batch.hpp>
#include <inkling/pipeline/generated.hpp>
#include <inkling/pipeline/held_tokenizer.hpp>
#include <inkling/pipeline/sources.hpp>
#include <inkling/pipeline/text_model.hpp>
#include <inkling/pipeline/weights_file.hpp>
#include <inkling/pipeline/workers.hpp>
#include <inkling/text/packing.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace inkling {

/// How text is written token after token. Everything here is optional.
struct SearchOptions {
    decode::BeamSearch search{};
    /// rows whose keys and values are kept at once, at least 1: as many as the longest text of a source may have, for
    /// each of its beginnings; a source that needs more has a batch of its own
    Index tokens_per_batch = 8192;
    std::stop_token stop{};  ///< asked between steps; a stopped run returns what is finished
    /// Called after every batch with (sentences done, sentences in all); empty: nobody is told.
    std::function<void(Index, Index)> on_progress{};

    /// @throws Error when an option is out of its range, naming it
    void check() const {
        search.check();
        require(tokens_per_batch >= 1, "inkling::SearchOptions: tokens_per_batch is ", tokens_per_batch,
                ", expected at least 1");
    }
};

/// Names every setting that the text depends on once, for whoever keeps what was written.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, SearchOptions>
void describe(Options& options, Visit const& visit) {
    visit("width", options.search.width);
    visit("length_penalty", options.search.length_penalty);
    visit("shortest", options.search.shortest);
    visit("longest_share", options.search.longest_share);
    visit("longest_beyond", options.search.longest_beyond);
}

/// Settings of every part of a TextAutoregression; each part's defaults hold where nothing is said.
template <class Space, class Model>
struct TextAutoregressionOptions {
    typename Space::Options embedding{};
    typename Model::Options model{};
    typename Model::Device::Options device{};
    std::uint64_t seed = 1;  ///< of the starting weights
};

/// A model that writes a text token after token, each from its source and all tokens before it: what text diffusion is
/// compared with, re-ranked and distilled by.
///
/// Trains with Trainer, generates by beam search, and tells how probable a given text is; a const pipeline serves many
/// threads at once.
/// @tparam Space  maps tokens to vectors and back
/// @tparam Model  the model, on its backend
template <class Space, class Model>
    requires EmbeddingSpace<Space> && NextTokenModel<Model> && EmbeddingSpaceOn<Space, typename Model::Device>
    && NextTokenModelOver<Model, Space>
class TextAutoregression : public pipeline::TextModel<TextAutoregressionOptions<Space, Model>, Space, Model> {
    using Base = pipeline::TextModel<TextAutoregressionOptions<Space, Model>, Space, Model>;
    using Base::borrow_worker, Base::fresh_pass, Base::model_, Base::options_, Base::space_, Base::tokenizer_;

public:
    using typename Base::Device, typename Base::Options, typename Base::Scalar;
    using GenerateOptionsType = SearchOptions;

    /// A model with fresh weights.
    /// @throws Error when an option is out of range, naming it, or the tokenizer gives sources a vocabulary of their
    ///         own and the model has no table for it
    TextAutoregression(pipeline::HeldTokenizer tokenizer, Options options = {})
        : TextAutoregression(WithoutWeights{}, std::move(tokenizer), std::move(options)) {
        this->make_fresh_weights();
    }

    /// How sentences enter the model: source eos; bos target. What it is to say in each row of a target is the next
    /// one, and eos behind the last.
    [[nodiscard]] text::Wrapping wrapping() const { return {.specials = tokenizer_.specials(), .target_eos = false}; }

    /// One line of text for each source line; an empty one where the run was stopped before.
    ///
    /// @throws Error when a source has no tokens, or more than the model has positions for, naming its number, or an
    ///         option is out of range
    [[nodiscard]] std::vector<std::string> generate(std::span<std::string const> sources,
                                                    SearchOptions const& options = {}) const {
        std::vector<std::string> lines;
        for (Generated& generated : generate_with(sources, options)) lines.push_back(std::move(generated.text));
        return lines;
    }
    /// The same with everything that is known of each sentence.
    [[nodiscard]] std::vector<Generated> generate_with(std::span<std::string const> sources,
                                                       SearchOptions const& options = {}) const {
        return generate_tokens(this->encode(sources, where_generate), options);
    }
    /// The same for sources that are tokens already, without special ones; a source may be empty.
    [[nodiscard]] std::vector<Generated> generate_tokens(std::span<std::vector<Token> const> sources,
                                                         SearchOptions const& options = {}) const {
        options.check();
        require_readable(sources, where_generate);
        std::vector<Generated> result(sources.size());
        std::vector<Index> lengths;  // rows of the cache
        for (auto const& source : sources) lengths.push_back(longest(options, static_cast<Index>(source.size())) + 1);
        auto worker = borrow_worker();
        Index done = 0;
        for (auto const& group : pipeline::grouped(lengths, options.search.width, options.tokens_per_batch)) {
            if (options.stop.stop_requested()) break;
            generate_group(*worker, sources, group, options, result);
            done += static_cast<Index>(group.size());
            if (options.on_progress) options.on_progress(done, static_cast<Index>(sources.size()));
        }
        return result;
    }

    /// log p of every token of each target, and of its eos, given its source and the tokens before it: [tokens + 1]
    /// natural logarithms a pair. Sources and targets are tokens without special ones; either may be empty.
    ///
    /// @param tokens_per_batch  rows of the targets of one batch; what is longer has a batch of its own
    /// @throws Error when there are not as many targets as sources, or one has more tokens than the model has positions
    ///         for, or a token that the vocabulary lacks, naming its number
    [[nodiscard]] std::vector<std::vector<double>> score_tokens(std::span<std::vector<Token> const> sources,
                                                                std::span<std::vector<Token> const> targets,
                                                                Index tokens_per_batch = 4096) const {
        require(sources.size() == targets.size(), where_score, ": there are ", sources.size(), " sources and ",
                targets.size(), " targets, expected as many");
        require(tokens_per_batch >= 1, where_score, ": tokens_per_batch is ", tokens_per_batch,
                ", expected at least 1");
        require_readable(sources, where_score);
        std::vector<Index> lengths;
        for (std::size_t i = 0; i < targets.size(); ++i) {
            lengths.push_back(wrapping().target_length(static_cast<Index>(targets[i].size())));
            require(lengths.back() <= model_.longest_target(), where_score, ": target ", i, " has ", lengths.back(),
                    " tokens, expected at most ", model_.longest_target(), ", for which the model has positions");
            for (Token const token : targets[i])
                require(token >= 0 && token < space_.vocabulary(), where_score, ": target ", i, " has the token ",
                        token, ", expected one of a vocabulary of ", space_.vocabulary());
        }
        std::vector<std::vector<double>> result(targets.size());
        auto worker = borrow_worker();
        for (auto const& group : pipeline::grouped(lengths, 1, tokens_per_batch))
            score_group(*worker, sources, targets, group, result);
        return result;
    }

    /// How probable each line is as an answer to one source: the mean of log p over its tokens, eos counted, which is
    /// minus the logarithm of its perplexity. Minus infinity where the model has no positions for a line.
    ///
    /// @throws Error when the model has no positions for the source
    [[nodiscard]] std::vector<double> mean_log_probabilities(std::string_view source,
                                                             std::span<std::string_view const> lines) const {
        std::vector<double> result(lines.size(), -std::numeric_limits<double>::infinity());
        std::vector<std::vector<Token>> targets;
        std::vector<std::size_t> numbers;
        for (std::size_t i = 0; i < lines.size(); ++i) {
            auto tokens = tokenizer_.encode(lines[i]);
            if (wrapping().target_length(static_cast<Index>(tokens.size())) > model_.longest_target()) continue;
            targets.push_back(std::move(tokens));
            numbers.push_back(i);
        }
        std::vector<std::vector<Token>> const sources(targets.size(), tokenizer_.encode_source(source));
        auto const scores = score_tokens(sources, targets);
        for (std::size_t i = 0; i < scores.size(); ++i) {
            double sum = 0.0;
            for (double const score : scores[i]) sum += score;
            result[numbers[i]] = sum / static_cast<double>(scores[i].size());
        }
        return result;
    }

    /// Writes weights (in single precision), settings and tokenizer to one file, atomically.
    /// @throws Error when it cannot be written
    void save(std::filesystem::path const& path) const { this->write(path, configuration()); }

    /// Reads a model file that a pipeline of this type wrote: `load<text::WordTokenizer>(path)`, with every kind of
    /// tokenizer that it may hold.
    ///
    /// @throws Error when the file is damaged or of another model, or a tensor misses or has another shape
    template <Tokenizer... Tokenizers>
    [[nodiscard]] static TextAutoregression load(std::filesystem::path const& path,
                                                 typename Device::Options device = {}) {
        auto const file = io::ModelFile::open(path);
        auto const& description = file.description();
        std::string const where = "inkling::TextAutoregression::load: file '" + path.string() + "'";
        auto const json = io::parse_json(description.configuration);
        require(json.is_object() && json.contains("embedding") && json.contains("autoregressive"), where,
                ": the configuration lacks 'embedding' or 'autoregressive' (is it a model of text diffusion?)");
        Options options{.device = std::move(device)};
        pipeline::from_json(json.at("embedding"), options.embedding, where + ", 'embedding'");
        pipeline::from_json(json.at("autoregressive"), options.model, where + ", 'autoregressive'");
        TextAutoregression loaded(WithoutWeights{}, pipeline::load_tokenizer<Tokenizers...>(file, where),
                                  std::move(options));
        loaded.read_weights(file);
        return loaded;
    }

    /// The settings that a model file carries.
    [[nodiscard]] nlohmann::json configuration() const {
        static_assert(pipeline::Described<typename Space::Options> && pipeline::Described<typename Model::Options>,
                      "inkling::TextAutoregression: the Options of the embedding space or of the model do not name "
                      "their settings: a model file needs 'describe(options, visit)' beside them.");
        return {{"embedding", pipeline::to_json(options_.embedding)},
                {"autoregressive", pipeline::to_json(options_.model)}};
    }

private:
    using Worker = pipeline::Worker<Device>;
    using View = MatrixView<Scalar>;
    using ConstView = MatrixView<Scalar const>;
    static constexpr char const* where_generate = "inkling::TextAutoregression::generate";
    static constexpr char const* where_score = "inkling::TextAutoregression::score";
    struct WithoutWeights {};

    TextAutoregression(WithoutWeights, pipeline::HeldTokenizer tokenizer, Options options)
        : Base(std::move(tokenizer), options, options.model) {}

    void require_readable(std::span<std::vector<Token> const> sources, char const* where) const {
        pipeline::require_sources(
            sources, [&](Index tokens) { return wrapping().source_length(tokens); }, model_.longest_source(),
            this->source_vocabulary(), where);
    }

    /// Most tokens in front of eos of the answer to a source of `source` tokens.
    [[nodiscard]] Index longest(SearchOptions const& options, Index source) const {
        return options.search.longest(source, model_.longest_target() - 1);
    }

    void generate_group(Worker& worker, std::span<std::vector<Token> const> tokens, std::vector<Index> const& group,
                        SearchOptions const& options, std::vector<Generated>& result) const {
        auto pass = fresh_pass(worker);
        worker.batch.clear();
        std::vector<Index> limits;
        for (Index const i : group) {
            auto const& source = tokens[static_cast<std::size_t>(i)];
            worker.batch.add(source, {}, i, wrapping());
            limits.push_back(longest(options, static_cast<Index>(source.size())));
        }
        auto encoded =
            model_.encode(pass,
                          pipeline::to_device<Device>(pass, worker.batch.source_offsets, worker.batch.source_tokens,
                                                      worker.places, model_.longest_source(), "source"));
        Index const width = options.search.width;
        decode::BeamTexts texts(options.search, tokenizer_.specials(), space_.vocabulary(), limits);
        Index const slots = texts.sources() * width;
        Index const choices = texts.choices();
        auto cache = model_.make_cache(pass, slots, *std::max_element(limits.begin(), limits.end()) + 1);
        auto* const sources = pass.workspace.template take<Index>(texts.sources());
        auto* const last = pass.workspace.template take<Token>(slots);
        auto* const next = pass.workspace.template take<Token>(slots * choices);
        View const z = pass.take(slots, space_.width());
        View const out = pass.take(slots, space_.width());
        View const scores = pass.take(slots, choices);
        VectorView<Scalar> const eos_scores{pass.workspace.template take<Scalar>(slots), slots};
        std::vector<Token> const eos(static_cast<std::size_t>(slots), tokenizer_.specials().eos);
        std::vector<Token> host_next(static_cast<std::size_t>(slots * choices));
        std::vector<Scalar> host_scores(host_next.size()), host_eos(static_cast<std::size_t>(slots));
        encoded.source_of = sources;
        auto const read = embedding::readout_matrix(pass, space_);
        auto const bias = pass.vector(embedding::readout_bias(space_));
        while (texts.sources() > 0) {
            if (options.stop.stop_requested()) return;
            nn::Scope<Device> const scope(pass.workspace);
            Index const rows = texts.sources() * texts.each();
            upload(pass.device, texts.numbers(), sources);
            upload(pass.device, texts.last(), last);
            View const in = z.row_range(0, rows);
            View const hidden = out.row_range(0, rows);
            space_.embed(pass, TokenView(last, rows), in);
            model_.predict_next(
                pass, encoded, cache,
                {.place = texts.length(), .sources = texts.sources(), .each = texts.each(), .slots = width},
                ConstView(in), hidden);
            readout_top(pass.device, ConstView(hidden), read, bias, MatrixView<Token>(next, rows, choices),
                        scores.row_range(0, rows));
            auto const of_rows = [&](auto& host, Index each) {
                return std::span(host).first(static_cast<std::size_t>(rows * each));
            };
            if (texts.some_must_end()) {
                upload(pass.device, std::span<Token const>(eos).first(static_cast<std::size_t>(rows)), last);
                readout_log_probabilities(pass.device, ConstView(hidden), read, bias, TokenView(last, rows),
                                          VectorView<Scalar>(eos_scores.data, rows));
                download(pass.device, static_cast<Scalar const*>(eos_scores.data), of_rows(host_eos, 1));
            }
            download(pass.device, static_cast<Token const*>(next), of_rows(host_next, choices));
            download(pass.device, static_cast<Scalar const*>(scores.data), of_rows(host_scores, choices));
            Index const written = texts.length() + 1;
            texts.advance<Scalar>(of_rows(host_next, choices), of_rows(host_scores, choices), of_rows(host_eos, 1));
            for (auto const& move : texts.moves()) model_.copy_sequence(pass, cache, move.from, move.to, written);
        }
        for (std::size_t s = 0; s < group.size(); ++s) {
            auto const& best = texts.best(static_cast<Index>(s));
            double const count = static_cast<double>(std::max<std::size_t>(1, best.tokens.size()));
            result[static_cast<std::size_t>(group[s])] = {tokenizer_.decode(best.tokens), best.tokens,
                                                          best.log_probability / count, true};
        }
    }

    void score_group(Worker& worker, std::span<std::vector<Token> const> sources,
                     std::span<std::vector<Token> const> targets, std::vector<Index> const& group,
                     std::vector<std::vector<double>>& result) const {
        auto pass = fresh_pass(worker);
        text::PackedBatch& batch = worker.batch;
        batch.clear();
        std::vector<Index> source_of;  // equal sources are read once
        std::vector<Index> read;
        std::vector<Token> next;
        text::PackedBatch distinct;
        for (Index const i : group) {
            auto const& source = sources[static_cast<std::size_t>(i)];
            auto const same = std::find_if(read.begin(), read.end(), [&](Index other) {
                return sources[static_cast<std::size_t>(other)] == source;
            });
            source_of.push_back(static_cast<Index>(same - read.begin()));
            if (same == read.end()) {
                read.push_back(i);
                distinct.add(source, {}, i, wrapping());
            }
            auto const& target = targets[static_cast<std::size_t>(i)];
            batch.add({}, target, i, wrapping());
            next.insert(next.end(), target.begin(), target.end());
            next.push_back(tokenizer_.specials().eos);
        }
        auto encoded = model_.encode(pass,
                                     pipeline::to_device<Device>(pass, distinct.source_offsets, distinct.source_tokens,
                                                                 worker.places, model_.longest_source(), "source"));
        encoded.source_of = pipeline::to_device<Index>(pass, std::span<Index const>(source_of)).data;
        auto const target = pipeline::to_device<Device>(pass, batch.target_offsets, batch.target_tokens, worker.places,
                                                        model_.longest_target(), "target");
        Index const rows = target.segments.rows;
        View const z = pass.take(rows, space_.width());
        View const out = pass.take(rows, space_.width());
        space_.embed(pass, target.tokens, z);
        model_.predict(pass, target, encoded, ConstView(z), out);
        VectorView<Scalar> const scores{pass.workspace.template take<Scalar>(rows), rows};
        readout_log_probabilities(pass.device, ConstView(out), embedding::readout_matrix(pass, space_),
                                  pass.vector(embedding::readout_bias(space_)),
                                  TokenView(pipeline::to_device<Token>(pass, std::span<Token const>(next))), scores);
        std::vector<Scalar> host(static_cast<std::size_t>(rows));
        download(pass.device, static_cast<Scalar const*>(scores.data), std::span<Scalar>(host));
        for (std::size_t s = 0; s < group.size(); ++s)
            result[static_cast<std::size_t>(group[s])].assign(host.begin() + batch.target_offsets[s],
                                                              host.begin() + batch.target_offsets[s + 1]);
    }
};

}  // namespace inkling
