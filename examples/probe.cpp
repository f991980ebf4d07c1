// Classifies lines by what a model that was trained to fill gaps knows of them, without training that any further:
// hidden states of its layers at some noise levels, attention over them, and what that is held against.
//
//   infill train --lines lines.txt --model lines.inkling --minutes 60
//   probe train --denoiser lines.inkling --data train.tsv --valid val.tsv --model topics.probe
//   probe evaluate --denoiser lines.inkling --model topics.probe --data test.tsv
//   probe predict --denoiser lines.inkling --model topics.probe < new.txt
//
// Data are lines of a label, a tab and text; or text, with a label a line in a second file (--labels). Files may be
// compressed with gzip. Training compares five kinds of classifier and writes the one that is right most often.

#include "support/device.hpp"
#include "support/program.hpp"
#include "support/terminal.hpp"

#include <inkling/inkling.hpp>
#include <inkling/text/sentencepiece_tokenizer.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>

using namespace inkling;

namespace {

using Denoiser = recipe::Sed<support::Device>;
using Bag = recipe::BagOfEmbeddings<Denoiser>;
using Probe = recipe::LinearProbe<Denoiser>;
using Fused = recipe::FusedFeatures<Denoiser>;
using FedBack = recipe::FedBackFeatures<Denoiser>;

std::vector<std::string> const all_kinds{"bag", "words", "probe", "fusion", "feedback"};

/// Labelled lines, in one file or in two.
struct DataFiles {
    std::string lines, labels;
    [[nodiscard]] bool given() const { return !lines.empty(); }
};

struct TrainSettings : support::DeviceSettings {
    std::string denoiser, model;
    DataFiles data, valid, test;
    std::vector<std::string> kinds = all_kinds;
    std::vector<Index> layers;
    std::vector<double> levels{0.05, 0.3};
    std::optional<Index> probe_layer;
    double probe_level = 0.05, hold_out = 0.1, epochs = 10.0, minutes = 0.0;
    double learning_rate = 1e-3, linear_learning_rate = 1e-2, weight_decay = 0.05, dropout = 0.1, smoothing = 0.0;
    Index width = 128, attention_layers = 2, heads = 4, feedback_width = 32, tokens_per_batch = 1024;
    std::uint64_t seed = 1;
    bool restart = false;
};

struct ReadSettings : support::DeviceSettings {
    std::string denoiser, model;
    DataFiles data;
    bool scores = false;
    Index tokens_per_batch = 4096;
};

text::LabelledLines read(DataFiles const& files) {
    io::LineReader lines(files.lines);
    if (files.labels.empty()) return text::read_labelled(lines, "'" + files.lines + "'");
    io::LineReader labels(files.labels);
    return text::read_labelled(lines, labels, "'" + files.lines + "'", "'" + files.labels + "'");
}

Denoiser load_denoiser(std::string const& path, support::DeviceSettings const& settings) {
    return Denoiser::load<text::SentencePieceTokenizer, text::WordTokenizer>(path, {.device = settings.device()});
}

void print(std::string const& line) {
    std::cout << line << std::endl;
    require(std::cout.good(), "standard output cannot be written");
}

/// To four decimals.
double rounded(double share) { return std::round(share * 1e4) / 1e4; }

/// What all kinds of a comparison share.
struct Comparison {
    TrainSettings const& settings;
    Denoiser const& denoiser;
    text::LabelledLines training, held_out{}, test{};
    std::string held_out_name{};
    std::vector<std::string> classes{};
    double best = -1.0;
    std::string best_kind{};
    std::function<void()> save{};  ///< writes the best classifier
};

/// Takes a share of the training lines out of them, evenly, where no others are held out.
void hold_out(Comparison& all, double share) {
    text::LabelledLines rest;
    for (std::size_t i = 0; i < all.training.lines.size(); ++i) {
        auto const position = static_cast<double>(i);
        bool const out = std::floor((position + 1.0) * share) > std::floor(position * share);
        auto& to = out ? all.held_out : rest;
        to.lines.push_back(all.training.lines[i]);
        to.labels.push_back(all.training.labels[i]);
    }
    all.training = std::move(rest);
    require(all.held_out.size() > 0 && all.training.size() > 0, "--hold-out ", share, " leaves ", all.training.size(),
            " lines to train on and ", all.held_out.size(), " to choose by, expected some of both");
}

/// Trains one kind, prints how often it is right, and remembers it where it is the best so far.
template <class Classifier>
void train_one(Comparison& all, std::string const& kind, typename Classifier::Options options) {
    TrainSettings const& settings = all.settings;
    options.seed = settings.seed;
    auto classifier = std::make_shared<Classifier>(all.denoiser, all.classes, options);
    auto const corpus = classifier->encode(all.training, "'" + settings.data.lines + "'");
    auto const held_out = classifier->encode(all.held_out, all.held_out_name);
    if (corpus.cut > 0) std::cerr << corpus.cut << " lines are longer than the model takes, and were cut\n";
    Index rows = 0;
    for (Index i = 0; i < corpus.size(); ++i)
        rows += all.denoiser.wrapping().wrapped_target(static_cast<Index>(corpus.lines.target(i).size()));
    Index const of_epoch = rows / settings.tokens_per_batch + 1;
    auto const steps = std::max<Index>(2, static_cast<Index>(settings.epochs * static_cast<double>(of_epoch)));
    bool const linear = kind == "bag" || kind == "words" || kind == "probe";
    typename recipe::FeatureTrainer<Classifier>::Options training{
        .minutes = settings.minutes,
        .steps = steps,
        .learning_rate = {.peak = linear ? settings.linear_learning_rate : settings.learning_rate,
                          .steps = steps,
                          .warm_up = std::min<Index>(100, steps / 10)},
        .tokens_per_batch = settings.tokens_per_batch,
        .dropout = settings.dropout,
        .label_smoothing = settings.smoothing,
        .seed = settings.seed,
        .validate_every = of_epoch,
        .handle_signals = true,
        .on_progress = train::progress_bar(
            std::cerr, {.terminal = support::is_terminal(STDERR_FILENO), .columns = support::columns(STDERR_FILENO)}),
        .on_validation = [&](Index step, double accuracy) {
            std::cerr << "\n" << kind << " at step " << step << ": accuracy " << rounded(accuracy) << '\n';
        }};
    training.adamw.weight_decay = settings.weight_decay;
    auto const report = recipe::FeatureTrainer<Classifier>(*classifier, training).fit(corpus, &held_out);
    if (report.end == TrainingReport::End::interrupted)
        support::end_by(report.signal, message("stopped while '", kind, "' was trained; nothing is written"));
    require(report.accuracy.has_value(), "--minutes is ", settings.minutes, ", too few for one update of '", kind,
            "', expected more");
    double const accuracy = rounded(*report.accuracy);
    std::string line = message("kind=", kind, " weights=", classifier->layout().size(), " updates=", report.steps,
                               " seconds=", static_cast<Index>(report.seconds), " valid_accuracy=", accuracy);
    if (all.test.size() > 0)
        line += message(" test_accuracy=",
                        rounded(*classifier->accuracy(classifier->encode(all.test, "'" + settings.test.lines + "'"))));
    print(line);
    if (accuracy <= all.best) return;
    all.best = accuracy;
    all.best_kind = kind;
    all.save = [classifier, path = settings.model] { classifier->save(path); };
}

void run_training(TrainSettings const& settings) {
    require(settings.epochs > 0.0 && settings.epochs <= 1e6, "--epochs is ", settings.epochs,
            ", expected a number above 0");
    require(settings.hold_out > 0.0 && settings.hold_out < 1.0, "--hold-out is ", settings.hold_out,
            ", expected a share in (0, 1)");
    require(settings.tokens_per_batch > 0, "--tokens-per-batch is ", settings.tokens_per_batch,
            ", expected at least 1");
    support::refuse_to_replace({settings.denoiser, settings.data.lines, settings.data.labels, settings.valid.lines,
                                settings.valid.labels, settings.test.lines, settings.test.labels},
                               settings.model, "--model");
    require(settings.restart || !std::filesystem::exists(settings.model), "'", settings.model,
            "' is there (--restart would replace it)");
    Denoiser const denoiser = load_denoiser(settings.denoiser, settings);
    Comparison all{.settings = settings, .denoiser = denoiser, .training = read(settings.data)};
    all.classes = all.training.classes();
    all.held_out_name = "'" + (settings.valid.given() ? settings.valid : settings.data).lines + "'";
    if (settings.valid.given())
        all.held_out = read(settings.valid);
    else
        hold_out(all, settings.hold_out);
    if (settings.test.given()) all.test = read(settings.test);
    { io::AtomicFile const can_be_written(settings.model); }
    std::cerr << all.training.size() << " lines to train on and " << all.held_out.size() << " to choose by, of "
              << all.classes.size() << " classes\n";

    features::DenoiserStatesOptions const states{.layers = settings.layers, .times = settings.levels};
    features::DenoiserStatesOptions const one{.layers = {settings.probe_layer.value_or(denoiser.model().depth() / 2)},
                                              .times = {settings.probe_level}};
    features::AttentionPoolOptions const attention{
        .width = settings.width, .layers = settings.attention_layers, .heads = settings.heads};
    for (std::string const& kind : settings.kinds) {
        if (kind == "bag") train_one<Bag>(all, kind, {});
        if (kind == "words") train_one<Bag>(all, kind, {.source = {.learned = true}});
        if (kind == "probe") train_one<Probe>(all, kind, {.source = one});
        if (kind == "fusion") train_one<Fused>(all, kind, {.source = states, .pool = attention});
        if (kind == "feedback")
            train_one<FedBack>(all, kind,
                               {.source = {.states = states, .width = settings.feedback_width}, .pool = attention});
    }
    all.save();
    std::cerr << "'" << all.best_kind << "' is right most often and was written to " << settings.model << '\n';
}

/// Calls use(classifier) with what the file holds, of whatever kind.
template <class Use>
void with_classifier(ReadSettings const& settings, Use const& use) {
    Denoiser const denoiser = load_denoiser(settings.denoiser, settings);
    ClassifierKind const kind = ClassifierKind::of(settings.model);
    auto const load = [&]<class Classifier>(std::type_identity<Classifier>) {
        if (kind != Classifier::kind()) return false;
        use(Classifier::load(settings.model, denoiser));
        return true;
    };
    bool const known = load(std::type_identity<Bag>{}) || load(std::type_identity<Probe>{})
        || load(std::type_identity<Fused>{}) || load(std::type_identity<FedBack>{});
    require(known, "'", settings.model, "' is of a classifier with the source '", kind.source, "' and the pool '",
            kind.pool, "', which this program does not know");
}

void evaluate(ReadSettings const& settings) {
    auto const labelled = read(settings.data);
    with_classifier(settings, [&](auto const& classifier) {
        auto const corpus = classifier.encode(labelled, "'" + settings.data.lines + "'");
        auto const said = classifier.classify(
            corpus.lines, {.tokens_per_batch = settings.tokens_per_batch, .on_progress = [](Index done, Index total) {
                               std::cerr << '\r' << done << '/' << total << std::flush;
                           }});
        std::cerr << '\n';
        std::size_t const count = classifier.classes().size();
        std::vector<double> of(count), right(count);
        double all_right = 0.0;
        for (std::size_t i = 0; i < said.size(); ++i) {
            auto const own = static_cast<std::size_t>(corpus.classes[i]);
            of[own] += 1.0;
            right[own] += said[i].number == corpus.classes[i];
            all_right += said[i].number == corpus.classes[i];
        }
        print(message("lines=", said.size(), " accuracy=", rounded(all_right / static_cast<double>(said.size()))));
        for (std::size_t i = 0; i < count; ++i)
            if (of[i] > 0.0)
                print(message("class=", classifier.classes()[i], " lines=", static_cast<Index>(of[i]),
                              " right=", rounded(right[i] / of[i])));
    });
}

void predict(ReadSettings const& settings) {
    with_classifier(settings, [&](auto const& classifier) {
        io::LineReader lines(std::cin, "standard input");
        std::size_t const piece = support::is_terminal(STDIN_FILENO) ? 1 : 1024;  // a person waits for each line
        std::vector<std::string> waiting;
        auto const flush = [&] {
            for (Classified const& said :
                 classifier.classify(waiting, {.tokens_per_batch = settings.tokens_per_batch})) {
                std::cout << classifier.classes()[static_cast<std::size_t>(said.number)];
                if (settings.scores) std::cout << '\t' << std::exp(said.log_probability);
                std::cout << '\n';
            }
            std::cout.flush();
            require(std::cout.good(), "standard output cannot be written");
            waiting.clear();
        };
        for (std::string line; lines.next(line);) {
            waiting.push_back(line);
            if (waiting.size() == piece) flush();
        }
        flush();
    });
}

void add_data(CLI::App& command, DataFiles& files, std::string const& name, char const* what, bool required) {
    auto* const data = command.add_option("--" + name, files.lines, what);
    if (required) data->required();
    std::string const labels = name == "data" ? "--labels" : "--" + name + "-labels";
    command.add_option(labels, files.labels, "their labels, a line each, where they are in a file of their own")
        ->needs(data);
}

void add_training(CLI::App& command, TrainSettings& settings) {
    command.add_option("--denoiser", settings.denoiser, "model file that infill trained")->required();
    add_data(command, settings.data, "data", "file of labels and lines", true);
    add_data(command, settings.valid, "valid", "held-out ones, by which classifiers are chosen", false);
    add_data(command, settings.test, "test", "further ones, on which every kind is tried when it is trained", false);
    command.add_option("--model", settings.model, "file to write")->required();
    command.add_option("--kinds", settings.kinds, "what is trained, and compared")
        ->check(CLI::IsMember(all_kinds))
        ->delimiter(',')
        ->capture_default_str();
    command.add_option("--hold-out", settings.hold_out, "share of the lines that is held out without --valid")
        ->capture_default_str();
    command
        .add_option("--layers", settings.layers,
                    "hidden states that fusion and feedback read; if not given those "
                    "from half of the depth to three quarters")
        ->delimiter(',');
    command.add_option("--levels", settings.levels, "times in [0, 1] at which they are read; 0: the text as it is")
        ->delimiter(',')
        ->capture_default_str();
    command.add_option("--probe-layer", settings.probe_layer,
                       "the one that the probe reads; if not given half the depth");
    command.add_option("--probe-level", settings.probe_level, "the level at which it does")->capture_default_str();
    command.add_option("--width", settings.width, "of the attention of fusion and feedback")->capture_default_str();
    command.add_option("--attention-layers", settings.attention_layers)->capture_default_str();
    command.add_option("--heads", settings.heads, "of attention")->capture_default_str();
    command.add_option("--feedback-width", settings.feedback_width, "of the maps that feed back")
        ->capture_default_str();
    command.add_option("--epochs", settings.epochs, "times the lines are read")->capture_default_str();
    command.add_option("--minutes", settings.minutes, "time for each kind at most; 0: as long as it takes")
        ->capture_default_str();
    command.add_option("--learning-rate", settings.learning_rate, "at its peak, of fusion and feedback")
        ->capture_default_str();
    command.add_option("--linear-learning-rate", settings.linear_learning_rate, "of the other kinds")
        ->capture_default_str();
    command.add_option("--weight-decay", settings.weight_decay)->capture_default_str();
    command.add_option("--dropout", settings.dropout)->capture_default_str();
    command.add_option("--label-smoothing", settings.smoothing)->capture_default_str();
    command.add_option("--tokens-per-batch", settings.tokens_per_batch)->capture_default_str();
    command.add_option("--seed", settings.seed)->capture_default_str();
    command.add_flag("--restart", settings.restart, "replace the file that is there");
    support::add_device(command, settings);
}

void add_reading(CLI::App& command, ReadSettings& settings) {
    command.add_option("--denoiser", settings.denoiser, "model file that infill trained")->required();
    command.add_option("--model", settings.model, "file that probe train wrote")->required();
    command.add_option("--tokens-per-batch", settings.tokens_per_batch)->capture_default_str();
    support::add_device(command, settings);
}

}  // namespace

int main(int count, char** arguments) {
    CLI::App program("Classifies lines by what a model for filling gaps knows of them.", "probe");
    program.require_subcommand(1);
    program.set_version_flag("--version", "probe of inkling " + std::string(library_version));
    TrainSettings training;
    ReadSettings reading;
    auto* const train_command =
        program.add_subcommand("train", "trains classifiers, compares them, and writes the best");
    auto* const evaluate_command = program.add_subcommand("evaluate", "tells how often a classifier is right");
    auto* const predict_command = program.add_subcommand("predict", "labels standard input, line by line");
    add_training(*train_command, training);
    for (auto* const command : {evaluate_command, predict_command}) add_reading(*command, reading);
    add_data(*evaluate_command, reading.data, "data", "file of labels and lines", true);
    predict_command->add_flag("--scores", reading.scores, "how likely each label is stands behind it");
    return support::run(program, count, arguments, [&] {
        if (*train_command) run_training(training);
        if (*evaluate_command) evaluate(reading);
        if (*predict_command) predict(reading);
    });
}
