#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/features/classifier.hpp>
#include <inkling/io/json.hpp>
#include <inkling/io/model_file.hpp>
#include <inkling/pipeline/configuration.hpp>
#include <inkling/pipeline/feature_batches.hpp>
#include <inkling/pipeline/fingerprint.hpp>
#include <inkling/pipeline/sources.hpp>
#include <inkling/pipeline/weights_file.hpp>
#include <inkling/pipeline/workers.hpp>
#include <inkling/text/labelled_lines.hpp>
#include <inkling/text/parallel_corpus.hpp>
#include <inkling/text/utf8.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inkling {

/// Lines as tokens, each with the number of its class: what a classifier is trained on and held against.
struct LabelledCorpus {
    text::ParallelCorpus lines;  ///< its targets
    std::vector<Token> classes;  ///< [S]
    Index cut = 0;               ///< lines that were longer than the model takes, and were cut

    [[nodiscard]] Index size() const { return lines.size(); }
};

/// What a classifier says of a line.
struct Classified {
    Token number = 0;              ///< of the class, in TextClassifier::classes()
    double log_probability = 0.0;  ///< of it
};

/// How lines are classified. Everything here is optional; nothing but the time it takes depends on it.
struct ClassifyOptions {
    Index tokens_per_batch = 4096;                    ///< rows read at once, at least 1
    std::stop_token stop{};                           ///< asked between batches
    std::function<void(Index, Index)> on_progress{};  ///< after every batch, with (lines done, lines in all)
};

/// What a model file says of the classifier in it, for whoever has several kinds.
struct ClassifierKind {
    std::string source;
    std::string pool;

    /// @throws Error when the file is no model file, or none of a classifier
    [[nodiscard]] static ClassifierKind of(std::filesystem::path const& path) { return of(io::ModelFile::open(path)); }
    [[nodiscard]] static ClassifierKind of(io::ModelFile const& file) {
        auto const json = io::parse_json(file.description().configuration);
        auto const word = [&](char const* name) {
            require(json.is_object() && json.contains("classifier") && json.at("classifier").is_object()
                        && json.at("classifier").contains(name) && json.at("classifier").at(name).is_string(),
                    "inkling::TextClassifier: file '", file.contents().name(),
                    "': is a model file of something else than a classifier (its configuration lacks '/classifier/",
                    name, "')");
            return json.at("classifier").at(name).template get<std::string>();
        };
        return {word("source"), word("pool")};
    }

    friend bool operator==(ClassifierKind const&, ClassifierKind const&) = default;
};

/// Tells of lines which of some classes they are of, by what a pipeline that is trained no more knows of them.
///
/// A const classifier classifies from many threads at once. ClassifierTrainer trains it. Its model file holds its own
/// weights alone, and is of use only with the pipeline that it was trained over, which it knows again.
/// @tparam Pipeline  a TextDiffusion over single lines
/// @tparam Source    what is read of lines
/// @tparam Pool      what makes one row of a line's
template <class Pipeline, class Source, class Pool>
    requires FeatureSource<Source, typename Pipeline::SpaceType, typename Pipeline::ModelType>
    && FeaturePool<Pool, typename Pipeline::Device>
class TextClassifier {
public:
    using Device = typename Pipeline::Device;
    using Scalar = typename Device::Scalar;
    using PipelineType = Pipeline;
    using NetworkType = features::Classifier<Source, Pool>;

    /// Settings of the parts; each part's defaults hold where nothing is said.
    struct Options {
        typename Source::Options source{};
        typename Pool::Options pool{};
        std::uint64_t seed = 1;  ///< of the starting weights, and of the noise that lines are read with
    };

    /// A classifier with fresh weights.
    /// @param pipeline  must outlive it, and keep its weights
    /// @param classes   names of the classes, each once, at least two
    /// @throws Error when an option is out of range, naming it, or a class has no name, that of another, or one that is
    ///         no UTF-8, or they are too many for a model file
    TextClassifier(Pipeline const& pipeline, std::vector<std::string> classes, Options options = {})
        : pipeline_(&pipeline),
          options_(std::move(options)),
          classes_(checked(std::move(classes))),
          network_(layout_, options_.source, options_.pool, pipeline.space(), pipeline.model(),
                   static_cast<Index>(classes_.size())),
          weights_(pipeline::fresh_weights<Device>(pipeline_->options().device, layout_, options_.seed)) {
        if constexpr (requires { network_.source().options(); }) options_.source = network_.source().options();
        if constexpr (requires { network_.pool().options(); }) options_.pool = network_.pool().options();
    }

    [[nodiscard]] Options const& options() const { return options_; }
    [[nodiscard]] Pipeline const& pipeline() const { return *pipeline_; }
    [[nodiscard]] std::vector<std::string> const& classes() const { return classes_; }
    [[nodiscard]] nn::ParameterLayout const& layout() const { return layout_; }
    [[nodiscard]] NetworkType const& network() const { return network_; }
    /// Its own weights, in the backend's memory.
    [[nodiscard]] VectorView<Scalar> weights() { return {weights_.data(), layout_.size()}; }
    [[nodiscard]] VectorView<Scalar const> weights() const { return {weights_.data(), layout_.size()}; }
    [[nodiscard]] static ClassifierKind kind() { return {std::string(Source::kind), std::string(Pool::kind)}; }

    /// Tokens and classes of labelled lines. A line longer than the model takes is cut.
    /// @param name  what messages call the lines
    /// @throws Error naming the first line whose label is none of the classes
    [[nodiscard]] LabelledCorpus encode(text::LabelledLines const& labelled, std::string_view name) const {
        LabelledCorpus corpus;
        for (std::size_t i = 0; i < labelled.lines.size(); ++i) {
            auto const found = std::find(classes_.begin(), classes_.end(), labelled.labels[i]);
            require(found != classes_.end(), "inkling::TextClassifier: ", name, " line ", i + 1, " has the label '",
                    labelled.labels[i], "', expected one of the ", classes_.size(), " classes from '", classes_.front(),
                    "' to '", classes_.back(), "'");
            corpus.classes.push_back(static_cast<Token>(found - classes_.begin()));
            corpus.lines.add({}, tokens_of(labelled.lines[i], &corpus.cut));
        }
        return corpus;
    }

    /// The class of each line; nothing more where the run was stopped. A line longer than the model takes is cut.
    /// @throws Error when an option is out of its range
    [[nodiscard]] std::vector<Classified> classify(std::span<std::string const> lines,
                                                   ClassifyOptions const& options = {}) const {
        text::ParallelCorpus corpus;
        for (std::string const& line : lines) corpus.add({}, tokens_of(line, nullptr));
        return classify(corpus, options);
    }
    /// The same for the targets of a corpus.
    [[nodiscard]] std::vector<Classified> classify(text::ParallelCorpus const& lines,
                                                   ClassifyOptions const& options = {}) const {
        require(options.tokens_per_batch >= 1, "inkling::ClassifyOptions: tokens_per_batch is ",
                options.tokens_per_batch, ", expected at least 1");
        std::vector<Classified> result(static_cast<std::size_t>(lines.size()));
        std::vector<Index> lengths;
        for (Index i = 0; i < lines.size(); ++i)
            lengths.push_back(pipeline_->wrapping().wrapped_target(static_cast<Index>(lines.target(i).size())));
        auto batches = feature_batches();
        auto worker = workers_.borrow(pipeline_->options().device);
        typename NetworkType::template Saved<typename Pipeline::ModelType> saved;
        std::vector<Token> classes;
        std::vector<Scalar> scores;
        Index done = 0;
        for (auto const& group : pipeline::grouped(lengths, batches.copies(), options.tokens_per_batch)) {
            if (options.stop.stop_requested()) return {};
            worker->workspace.reset();
            nn::Pass<Device> reading{worker->device, worker->workspace, pipeline_->weights().data};
            nn::Pass<Device> pass{worker->device, worker->workspace, weights_.data()};
            batches.clear();
            for (Index const i : group) batches.add(lines.target(i));
            auto const batch = batches.batch(pass, options_.seed, 0);
            auto const count = static_cast<Index>(group.size());
            VectorView<Token> const best{pass.workspace.template take<Token>(count), count};
            VectorView<Scalar> const score{pass.workspace.template take<Scalar>(count), count};
            network_.predict(frozen(reading), pass, batch, best, score, saved);
            classes.resize(group.size());
            scores.resize(group.size());
            download(pass.device, static_cast<Token const*>(best.data), std::span<Token>(classes));
            download(pass.device, static_cast<Scalar const*>(score.data), std::span<Scalar>(scores));
            for (std::size_t i = 0; i < group.size(); ++i)
                result[static_cast<std::size_t>(group[i])] = {classes[i], static_cast<double>(scores[i])};
            done += count;
            if (options.on_progress) options.on_progress(done, lines.size());
        }
        return result;
    }

    /// The share of lines, [0, 1], whose class it tells; nothing where the run was stopped, or there is no line.
    [[nodiscard]] std::optional<double> accuracy(LabelledCorpus const& corpus,
                                                 ClassifyOptions const& options = {}) const {
        auto const said = classify(corpus.lines, options);
        if (said.empty()) return std::nullopt;
        double right = 0.0;
        for (std::size_t i = 0; i < said.size(); ++i) right += said[i].number == corpus.classes[i];
        return right / static_cast<double>(said.size());
    }

    /// Writes its weights (in single precision), settings, classes, and by what the pipeline is known again, to one
    /// file, atomically.
    /// @throws Error when it cannot be written
    void save(std::filesystem::path const& path) const {
        Device device(pipeline_->options().device);
        std::vector<Scalar> host(static_cast<std::size_t>(layout_.size()));
        download(device, static_cast<Scalar const*>(weights_.data()), std::span<Scalar>(host));
        pipeline::save_weights(path, configuration(), pipeline_->tokenizer(), layout_,
                               std::vector<float>(host.begin(), host.end()));
    }

    /// Reads a file that a classifier of this type wrote.
    /// @param pipeline  that it was trained over
    /// @throws Error when the file is damaged, of another kind of classifier or another pipeline, or a tensor misses or
    ///         has another shape
    [[nodiscard]] static TextClassifier load(std::filesystem::path const& path, Pipeline const& pipeline) {
        auto const file = io::ModelFile::open(path);
        std::string const where = "inkling::TextClassifier::load: file '" + path.string() + "'";
        ClassifierKind const seen = ClassifierKind::of(file), ours = kind();
        require(seen == ours, where, ": is of a classifier with the source '", seen.source, "' and the pool '",
                seen.pool, "', expected '", ours.source, "' and '", ours.pool, "'");
        auto const json = io::parse_json(file.description().configuration).at("classifier");
        for (char const* const name : {"source_settings", "pool_settings", "classes", "seed", "pipeline"})
            require(json.contains(name), where, ": the configuration lacks '/classifier/", name, "'");
        Options options;
        pipeline::from_json(json.at("source_settings"), options.source, where + ", 'source_settings'");
        pipeline::from_json(json.at("pool_settings"), options.pool, where + ", 'pool_settings'");
        std::vector<std::string> classes;
        try {
            classes = json.at("classes").template get<std::vector<std::string>>();
            options.seed = json.at("seed").template get<std::uint64_t>();
        } catch (nlohmann::json::exception const&) { fail(where, ": the configuration's 'classes' or 'seed' is none"); }
        require(json.at("pipeline") == pipeline::fingerprint(pipeline), where,
                ": was trained over another model than this one, or over other weights of it");
        TextClassifier loaded(pipeline, std::move(classes), std::move(options));
        pipeline::require_weights(file, loaded.layout_);
        auto const values = pipeline::load_weights(file, loaded.layout_);
        loaded.weights_ =
            pipeline::stored<Device>(pipeline.options().device, std::vector<Scalar>(values.begin(), values.end()));
        return loaded;
    }

    /// The settings that a model file carries.
    [[nodiscard]] nlohmann::json configuration() const {
        ClassifierKind const own = kind();
        return {{"classifier",
                 {{"source", own.source},
                  {"pool", own.pool},
                  {"source_settings", pipeline::to_json(options_.source)},
                  {"pool_settings", pipeline::to_json(options_.pool)},
                  {"classes", classes_},
                  {"seed", options_.seed},
                  {"pipeline", pipeline::fingerprint(*pipeline_)}}}};
    }

    /// What packs lines for it.
    [[nodiscard]] pipeline::FeatureBatches<Pipeline> feature_batches() const {
        return {*pipeline_, network_.source().levels(), network_.source().states()};
    }
    /// What it reads, with a pass whose weights are the pipeline's.
    [[nodiscard]] features::Frozen<typename Pipeline::SpaceType, typename Pipeline::ModelType> frozen(
        nn::Pass<Device>& pass) const {
        return {pipeline_->space(), pipeline_->model(), pass};
    }

private:
    [[nodiscard]] static std::vector<std::string> checked(std::vector<std::string> classes) {
        constexpr char const* where = "inkling::TextClassifier: ";
        std::set<std::string_view> names;
        std::size_t bytes = 0;
        for (std::size_t i = 0; i < classes.size(); ++i) {
            std::string const& name = classes[i];
            require(!name.empty() && names.insert(name).second, where, "class ", i, " is named '", name,
                    "', expected a name that no other has");
            require(text::is_valid_utf8(name), where, "the name of class ", i, " is no valid UTF-8");
            bytes += 6 * name.size() + 16;  // in JSON, at most
        }
        constexpr std::size_t most = io::ModelFile::longest_configuration / 2;  // the rest of it is for settings
        require(bytes <= most, where, "the names of ", classes.size(), " classes may take ", bytes,
                " bytes of a model file, expected at most ", most);
        return classes;
    }

    /// Tokens of a line, and no more than the model takes.
    [[nodiscard]] std::vector<Token> tokens_of(std::string const& line, Index* cut) const {
        auto tokens = pipeline_->tokenizer().encode(line);
        Index const longest = pipeline_->model().longest_target() - pipeline_->wrapping().wrapped_target(0);
        if (static_cast<Index>(tokens.size()) > longest) {
            tokens.resize(static_cast<std::size_t>(longest));
            if (cut != nullptr) ++*cut;
        }
        return tokens;
    }

    Pipeline const* pipeline_;
    Options options_;
    std::vector<std::string> classes_;
    nn::ParameterLayout layout_;
    NetworkType network_;
    typename Device::template Buffer<Scalar> weights_;
    mutable pipeline::Workers<Device> workers_;
};

}  // namespace inkling
