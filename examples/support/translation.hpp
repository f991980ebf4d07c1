#pragma once

#include "device.hpp"
#include "program.hpp"
#include "terminal.hpp"

#include <inkling/inkling.hpp>
#include <inkling/text/sentencepiece_tokenizer.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

/// What programs of real text share: reading pairs of lines, training whatever model, writing lines, and BLEU.
namespace support {

using namespace inkling;

using OneTokenizer = text::AnyTokenizer<text::SentencePieceTokenizer, text::WordTokenizer>;
using TwoTokenizers = text::TokenizerPair<OneTokenizer>;
using AnyTokenizer = text::AnyTokenizer<text::SentencePieceTokenizer, text::WordTokenizer, TwoTokenizers>;

/// The lines of two files, one after the other.
struct BothLines {
    io::LineReader first, second;
    bool next(std::string& line) { return first.next(line) || second.next(line); }
};

/// Settings of a training, whatever is trained.
struct TrainSettings : DeviceSettings {
    std::string source, target, valid_source, valid_target, model, metrics, tokenizer = "sentencepiece";
    double minutes = 0.0, dropout = 0.1, learning_rate = 1e-3, ema = 0.999;
    double weight_decay = 0.01, clip = 1.0, checkpoint_minutes = 5.0;
    std::optional<double> label_smoothing;  // else the objective's own
    std::vector<std::string> tags;
    bool restart = false;
    Index steps = 0, vocabulary = 6000, source_vocabulary = 0, latent = 128, width = 256, layers = 3, heads = 4,
          hidden = 0, longest = 256;
    Index tokens_per_batch = 1536, length_pool = 1, warm_up = 1000, validate_every = 1000, valid_lines = 200,
          average_best = 5;
    std::uint64_t seed = 1;
};

/// Settings of writing lines, whatever writes them.
struct WriteSettings : DeviceSettings {
    std::string model, source, reference, output, tokenize = "none", too_long = "refuse";
    bool more_metrics = false;
    Index tokens_per_batch = 4096;
};

/// @param lines  what it is trained on
/// @param option  that says how large it is
/// @throws Error naming the option where there can be no such vocabulary
template <class Trained, class Lines>
Trained train_tokenizer(TrainSettings const& settings, char const* option, Index vocabulary,
                        std::vector<std::string> const& tags, Lines lines) {
    try {
        if (settings.tokenizer == "word") return text::WordTokenizer::train(lines, {.maximum_size = vocabulary});
        auto made = text::SentencePieceTokenizer::train(
            lines, {.vocabulary_size = vocabulary, .exact_size = false, .tags = tags});
        if (4 * made.vocabulary_size() < vocabulary)
            std::cerr << "the text is too short for " << option << ' ' << vocabulary << ": it has subwords for "
                      << made.vocabulary_size() << " (--tokenizer word takes words as they are)\n";
        return made;
    } catch (Error const& problem) { fail(option, " is ", vocabulary, ": ", problem.what()); }
}

inline AnyTokenizer make_tokenizer(TrainSettings const& settings) {
    io::LineReader source(settings.source), target(settings.target);
    if (settings.source_vocabulary > 0)
        return TwoTokenizers(
            train_tokenizer<OneTokenizer>(settings, "--source-vocabulary", settings.source_vocabulary, settings.tags,
                                          std::move(source)),
            train_tokenizer<OneTokenizer>(settings, "--vocabulary", settings.vocabulary, {}, std::move(target)));
    return train_tokenizer<AnyTokenizer>(settings, "--vocabulary", settings.vocabulary, settings.tags,
                                         BothLines{std::move(source), std::move(target)});
}

inline text::ParallelCorpus read(TrainSettings const& settings, std::string const& source, std::string const& target,
                                 AnyTokenizer const& tokenizer) {
    io::LineReader sources(source), targets(target);
    auto const [corpus, report] = text::read_parallel(sources, targets, tokenizer,
                                                      {.source_name = source,
                                                       .target_name = target,
                                                       .empty = text::BadLine::skip,
                                                       .max_tokens = settings.longest - 2,
                                                       .too_long = text::BadLine::skip});
    std::cerr << source << ", " << target << ": " << corpus.size() << " pairs, " << corpus.source_tokens() << " + "
              << corpus.target_tokens() << " tokens, " << report.unknown << " unknown, skipped " << report.empty
              << " empty and " << report.too_long << " too long\n";
    if (5 * report.unknown > corpus.source_tokens() + corpus.target_tokens())
        std::cerr << "more than a fifth of all tokens are unknown: is the vocabulary of other text, or too small?\n";
    return corpus;
}

/// Bad settings are found before the hours of work, not after.
inline void check(TrainSettings const& settings) {
    require(settings.valid_source.empty() == settings.valid_target.empty(),
            "--valid-source and --valid-target go together");
    require(settings.minutes >= 0.0, "--minutes is ", settings.minutes, ", expected 0 or more");
    require(settings.steps >= 0, "--updates is ", settings.steps, ", expected 0 or more");
    require(settings.minutes > 0.0 || settings.steps > 0, "how long to train? Give --minutes or --updates");
    require(settings.width >= 1, "--width is ", settings.width, ", expected at least 1");
    require(settings.heads >= 1 && settings.width % settings.heads == 0, "--heads is ", settings.heads,
            ", expected a divisor of --width, ", settings.width);
    require(settings.dropout >= 0.0 && settings.dropout < 1.0, "--dropout is ", settings.dropout,
            ", expected a number in [0, 1)");
    require(settings.learning_rate > 0.0, "--learning-rate is ", settings.learning_rate,
            ", expected a positive number");
    require(settings.tokens_per_batch >= settings.longest, "--tokens-per-batch is ", settings.tokens_per_batch,
            ", expected at least --longest, ", settings.longest);
    require(settings.source_vocabulary >= 0, "--source-vocabulary is ", settings.source_vocabulary,
            ", expected 0 or more");
    require(settings.longest >= 4, "--longest is ", settings.longest, ", expected at least 4");
    require(settings.tags.empty() || settings.tokenizer == "sentencepiece",
            "--tags was given, expected none with --tokenizer word, which cuts no word");
    std::string line;
    for (std::string const& path : {settings.source, settings.target, settings.valid_source, settings.valid_target})
        if (!path.empty()) require(io::LineReader(path).next(line), "'", path, "' is empty, expected lines of text");
    refuse_to_replace({settings.source, settings.target, settings.valid_source, settings.valid_target}, settings.model,
                      "--model");
    io::AtomicFile const can_be_written(settings.model);
}

/// @throws Error when there is a file in the model's place that no training of this kind has begun, or another run has
///         the checkpoint
/// @param checkpoint  of the training
inline void refuse_to_replace_model(TrainSettings const& settings, std::string const& checkpoint) {
    { io::FileLock const alone(checkpoint); }
    require(settings.restart || !std::filesystem::exists(settings.model) || std::filesystem::exists(checkpoint), "'",
            settings.model, "' is there, but no '", checkpoint, "' to go on from (--restart would replace it)");
}

/// What a training reads.
struct Texts {
    AnyTokenizer tokenizer;
    text::ParallelCorpus corpus, held_out;
};

/// Reads the texts with a tokenizer that is there.
inline Texts read_texts(TrainSettings const& settings, AnyTokenizer tokenizer) {
    Texts texts{std::move(tokenizer), {}, {}};
    texts.corpus = read(settings, settings.source, settings.target, texts.tokenizer);
    require(!texts.corpus.empty(), "no pair of '", settings.source, "' and '", settings.target,
            "' is left, expected some that are not empty and not longer than --longest, ", settings.longest);
    if (!settings.valid_source.empty())
        texts.held_out = read(settings, settings.valid_source, settings.valid_target, texts.tokenizer);
    return texts;
}
/// Trains a tokenizer on them first.
inline Texts read_texts(TrainSettings const& settings) { return read_texts(settings, make_tokenizer(settings)); }

/// Removes a checkpoint that no other run has.
inline void forget(std::string const& checkpoint) {
    io::FileLock const alone(checkpoint);
    std::filesystem::remove(checkpoint);
}

/// Trains a model; ends the program where it is interrupted.
/// @param options  of the trainer, of which `settings` overwrites all that it has
/// @param stage    names checkpoint and metrics of one training of several
template <class AnyTrainer, class Model>
void fit(TrainSettings const& settings, Texts const& texts, Model& model, typename AnyTrainer::Options options,
         std::string const& stage = "") {
    std::string const checkpoint = settings.model + stage + ".checkpoint";
    options.minutes = settings.minutes;
    options.steps = settings.steps;
    if constexpr (requires { options.objective.label_smoothing; })
        if (settings.label_smoothing) options.objective.label_smoothing = *settings.label_smoothing;
    options.learning_rate = {.peak = settings.learning_rate, .warm_up = settings.warm_up};
    options.adamw.weight_decay = settings.weight_decay;
    options.tokens_per_batch = settings.tokens_per_batch;
    options.length_pool = settings.length_pool;
    options.clip = settings.clip;
    options.ema_decay = settings.ema;
    options.seed = settings.seed;
    options.validate_every = settings.validate_every;
    options.bleu_sentences = settings.valid_lines;
    options.average_best = settings.average_best;
    options.checkpoint = checkpoint;
    options.checkpoint_minutes = settings.checkpoint_minutes;
    std::filesystem::path const metrics = settings.metrics.empty() ? settings.model + ".csv" : settings.metrics;
    options.metrics = metrics.parent_path() / (metrics.stem().string() + stage + metrics.extension().string());
    options.handle_signals = true;
    options.on_progress =
        train::progress_bar(std::cerr, {.terminal = is_terminal(STDERR_FILENO), .columns = columns(STDERR_FILENO)});
    options.on_validation = [](ValidationReport const& found) {
        std::cerr << "\nvalidation at step " << found.step << ": loss " << found.loss;
        if (std::isfinite(found.bleu)) std::cerr << ", BLEU " << found.bleu;
        std::cerr << ", nearest embedding " << found.embedding.nearest_distance << ", norm spread "
                  << found.embedding.norm_spread << '\n';
    };
    AnyTrainer trainer(model, options);
    if (settings.restart) forget(checkpoint);
    if (std::filesystem::exists(checkpoint))
        std::cerr << "going on from " << checkpoint << " (--restart would forget it)\n";
    auto const report = trainer.fit(texts.corpus, &texts.held_out);
    if (report.end == TrainingReport::End::interrupted)
        end_by(report.signal,
               message("stopped at step ", report.steps, "; the same command goes on from ", checkpoint,
                       ", with --updates ", report.steps, " it writes the model as it is"));
    std::cerr << report.steps << " updates in " << static_cast<Index>(report.seconds) << " seconds\n";
    if (report.steps < settings.warm_up)
        std::cerr << "all of them were within --warm-up, " << settings.warm_up << ": such a model has learned little\n";
}

template <class Model>
void tell_size(Model const& model) {
    std::cerr << model.layout().size() << " weights, vocabulary of " << model.tokenizer().vocabulary_size();
    if (auto const own = model.tokenizer().source_vocabulary_size()) std::cerr << ", of sources " << *own;
    std::cerr << '\n';
}

template <class Model>
void write_model(Model const& model, TrainSettings const& settings) {
    model.save(settings.model);
    std::cerr << "model written to " << settings.model << '\n';
}

/// Counts what lines hold that a model has no token for, so that nobody wonders what became of it.
class UnknownTokens {
public:
    void add(std::vector<Token> const& tokens, Token unk) { count_ += std::count(tokens.begin(), tokens.end(), unk); }

    /// Says on standard error how many there were since the last call, if any.
    void tell() {
        if (count_ > 0)
            std::cerr << count_ << (count_ == 1 ? " token is" : " tokens are")
                      << " not in the model's vocabulary, and read as unknown\n";
        count_ = 0;
    }

private:
    Index count_ = 0;
};

/// Turns lines of text into lines of text; an empty line stays empty.
///
/// @tparam Generate  generate(sources as tokens, number of the first, on_progress) -> [sources] Generated
template <class Model, class Generate>
class Writer {
public:
    Writer(Model const& model, WriteSettings const& settings, Generate generate)
        : model_(&model), too_long_(settings.too_long), generate_(std::move(generate)) {}

    /// Takes the line that was read last.
    void add(std::string const& line, io::LineReader const& lines, std::string const& name) {
        auto tokens = model_->tokenizer().encode_source(line);
        auto const places =
            static_cast<std::size_t>(model_->model().longest_source() - model_->wrapping().source_length(0));
        if (tokens.size() > places) {
            require(too_long_ == "truncate", name, ": line ", lines.line_number(), " has ", tokens.size(),
                    " tokens, the model has places for ", places, " (--too-long truncate leaves the rest out)");
            tokens.resize(places);
        }
        unknown_.add(tokens, model_->tokenizer().specials().unk);
        if (!tokens.empty()) numbers_.push_back(size_);
        if (!tokens.empty()) sources_.push_back(std::move(tokens));
        ++size_;
    }
    [[nodiscard]] std::size_t size() const { return size_; }
    void tell_unknown() { unknown_.tell(); }

    /// One line for each that was added since the last call.
    std::vector<std::string> write(std::function<void(Index, Index)> on_progress = {}) {
        auto const generated = generate_(sources_, done_, std::move(on_progress));
        std::vector<std::string> lines(size_);
        for (std::size_t i = 0; i < generated.size(); ++i) lines[numbers_[i]] = generated[i].line();
        done_ += static_cast<Index>(sources_.size());
        sources_.clear();
        numbers_.clear();
        size_ = 0;
        return lines;
    }

private:
    Model const* model_;
    std::string too_long_;
    Generate generate_;
    std::vector<std::vector<Token>> sources_;
    std::vector<std::size_t> numbers_;  // places of the sources among all lines
    std::size_t size_ = 0;
    Index done_ = 0;
    UnknownTokens unknown_;
};

/// Standard input to standard output, line by line.
template <class Model, class Generate>
void write_lines(Writer<Model, Generate> writer) {
    std::string const name = "standard input";
    io::LineReader lines(std::cin, name);
    std::size_t const piece = is_terminal(STDIN_FILENO) ? 1 : 256;  // a person waits for each line
    bool const tells = is_terminal(STDERR_FILENO) && !is_terminal(STDIN_FILENO);
    Index written = 0;
    auto const flush = [&] {
        auto const tell = [&](Index done, Index) { std::cerr << '\r' << written + done << " lines" << std::flush; };
        auto const answers = writer.write(tells ? std::function<void(Index, Index)>(tell) : nullptr);
        written += static_cast<Index>(answers.size());
        for (std::string const& line : answers) std::cout << line << '\n';
        std::cout.flush();
        require(std::cout.good(), "standard output cannot be written");
    };
    for (std::string line; lines.next(line);) {
        writer.add(line, lines, name);
        if (piece == 1) writer.tell_unknown();
        if (writer.size() == piece) flush();
    }
    flush();
    writer.tell_unknown();
}

/// Lines of which self-BLEU is taken at most: each is held against all others, so that its time grows with their
/// square.
inline constexpr std::size_t most_self_bleu_lines = 500;

/// Prints how near lines are to their references in other ways than BLEU's, and how far they are from each other: all
/// shares in [0, 1] but self-BLEU, which is in [0, 100].
inline void print_more_metrics(std::vector<std::string> const& lines, std::vector<std::string> const& references,
                               metric::BleuTokenizer tokenizer) {
    std::vector<std::string> some;
    std::size_t const count = std::min(lines.size(), most_self_bleu_lines);
    for (std::size_t i = 0; i < count; ++i) some.push_back(lines[i * lines.size() / count]);
    if (count < lines.size()) std::cerr << "self-BLEU is of " << count << " lines, spread evenly over all\n";
    std::printf("rouge_l=%.4f exact_match=%.4f distinct_1=%.4f distinct_2=%.4f distinct_4=%.4f self_bleu=%.2f\n",
                metric::corpus_rouge(lines, references).rougeL.fmeasure, metric::exact_match(lines, references),
                metric::distinct_n(lines, 1), metric::distinct_n(lines, 2), metric::distinct_n(lines, 4),
                metric::self_bleu(some, {.tokenizer = tokenizer, .effective_order = true}));
}

/// Writes the answers to a file of sources, and prints their BLEU.
template <class Model, class Generate>
void evaluate(WriteSettings const& settings, Writer<Model, Generate> writer) {
    if (!settings.output.empty()) {
        refuse_to_replace({settings.source, settings.reference, settings.model}, settings.output, "--output");
        io::AtomicFile const can_be_written(settings.output);
    }
    io::LineReader sources(settings.source), expected(settings.reference);
    std::vector<std::string> references;
    for (std::string line; sources.next(line);) writer.add(line, sources, settings.source);
    for (std::string line; expected.next(line);) references.push_back(line);
    require(writer.size() == references.size() && !references.empty(), "'", settings.source, "' has ", writer.size(),
            " lines and '", settings.reference, "' ", references.size(), ", expected as many, and at least one");
    auto const start = std::chrono::steady_clock::now();
    auto const lines = writer.write([](Index done, Index total) {
        if (is_terminal(STDERR_FILENO)) std::cerr << '\r' << done << '/' << total << std::flush;
    });
    double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    metric::BleuOptions const bleu{.tokenizer = settings.tokenize == "13a" ? metric::BleuTokenizer::mteval13a
                                       : settings.tokenize == "intl"       ? metric::BleuTokenizer::international
                                                                           : metric::BleuTokenizer::none};
    std::cerr << '\n';
    writer.tell_unknown();
    std::cerr << "signature " << metric::signature(bleu) << '\n';
    std::printf("bleu=%.2f sentences=%zu seconds=%.1f\n", metric::corpus_bleu(lines, references, bleu).score,
                lines.size(), seconds);
    if (!settings.output.empty()) {
        std::string text;
        for (std::string const& line : lines) text += line + '\n';
        io::AtomicFile output(settings.output);
        output.write(std::as_bytes(std::span(text)));
        output.commit();
    }
    if (settings.more_metrics) print_more_metrics(lines, references, bleu.tokenizer);
    require(std::fflush(stdout) == 0, "standard output cannot be written");
}

inline void add_writing(CLI::App& command, WriteSettings& settings) {
    command.add_option("--model", settings.model, "model file")->required();
    command.add_option("--tokens-per-batch", settings.tokens_per_batch, "tokens written at once")
        ->capture_default_str();
    add_device(command, settings);
}

inline void add_too_long(CLI::App& command, WriteSettings& settings) {
    command.add_option("--too-long", settings.too_long, "what to do with a line the model has no places for")
        ->check(CLI::IsMember({"refuse", "truncate"}))
        ->capture_default_str();
}

inline void add_evaluation(CLI::App& command, WriteSettings& settings) {
    command.add_option("--source", settings.source, "source lines")->required();
    command.add_option("--reference", settings.reference, "expected lines")->required();
    command.add_option("--output", settings.output, "file for what was generated");
    command.add_option("--tokenize", settings.tokenize, "of BLEU")
        ->check(CLI::IsMember({"none", "13a", "intl"}))
        ->capture_default_str();
    command.add_flag("--more-metrics", settings.more_metrics,
                     "a second line: ROUGE-L, exact match, distinct n-grams, and self-BLEU");
}

/// Which texts are learned from, and where to.
inline void add_texts(CLI::App& command, TrainSettings& settings) {
    command.add_option("--source", settings.source, "source lines, plain or gzip")->required();
    command.add_option("--target", settings.target, "target lines, as many")->required();
    command.add_option("--valid-source", settings.valid_source, "held-out source lines");
    command.add_option("--valid-target", settings.valid_target, "held-out target lines");
    command.add_option("--model", settings.model, "file to write; .checkpoint and .csv are written beside it")
        ->required();
}

/// What a model is: settings of a fresh one.
inline void add_sizes(CLI::App& command, TrainSettings& settings) {
    command
        .add_option("--tokenizer", settings.tokenizer,
                    "how words are cut; trained on both files, or on each where sources have a vocabulary of their own")
        ->check(CLI::IsMember({"sentencepiece", "word"}))
        ->capture_default_str();
    command
        .add_option("--vocabulary", settings.vocabulary, "tokens at most; of the targets, where sources have their own")
        ->capture_default_str();
    command
        .add_option("--source-vocabulary", settings.source_vocabulary,
                    "tokens at most of the sources' own vocabulary; 0: both sides share one")
        ->capture_default_str();
    command.add_option("--tags", settings.tags,
                       "words of the sources that are never cut, such as <2de> <2fr> for the language that is wanted");
    command.add_option("--width", settings.width, "width of the Transformer")->capture_default_str();
    command.add_option("--layers", settings.layers, "of encoder and decoder each")->capture_default_str();
    command.add_option("--heads", settings.heads, "of attention")->capture_default_str();
    command.add_option("--hidden", settings.hidden, "of the feed-forward parts; 0: four times the width")
        ->capture_default_str();
    command.add_option("--dropout", settings.dropout, "share of hidden numbers left out at random in training")
        ->capture_default_str();
    command.add_option("--longest", settings.longest, "longest sentence in tokens; longer pairs are skipped")
        ->capture_default_str();
}

/// How it learns, and for how long.
inline void add_learning(CLI::App& command, TrainSettings& settings) {
    command.add_option("--minutes", settings.minutes,
                       "time to train, validations included; this or --updates is needed");
    command.add_option("--updates", settings.steps, "updates to train; this or --minutes is needed");
    command.add_option("--learning-rate", settings.learning_rate, "at its peak")->capture_default_str();
    command.add_option("--warm-up", settings.warm_up, "updates until the peak")->capture_default_str();
    command.add_option(
        "--label-smoothing", settings.label_smoothing,
        "share of the target spread over all tokens; 0.1 where tokens are read from the estimate, else 0");
    command.add_option("--weight-decay", settings.weight_decay, "of AdamW")->capture_default_str();
    command.add_option("--clip", settings.clip, "largest norm of the gradient; 0: not clipped")->capture_default_str();
    command.add_option("--ema", settings.ema, "decay of averaged weights; 0: none")->capture_default_str();
    command
        .add_option("--tokens-per-batch", settings.tokens_per_batch, "of the sources, and of the targets, in an update")
        ->capture_default_str();
    command.add_option("--length-pool", settings.length_pool, "sentences sorted by length together; 1: none")
        ->capture_default_str();
    command.add_option("--validate-every", settings.validate_every, "updates")->capture_default_str();
    command.add_option("--valid-lines", settings.valid_lines, "held-out lines scored with BLEU; 0: none")
        ->capture_default_str();
    command.add_option("--average-best", settings.average_best, "validated weights whose mean is the model")
        ->capture_default_str();
    command.add_option("--checkpoint-minutes", settings.checkpoint_minutes, "between two checkpoints")
        ->capture_default_str();
    command.add_flag("--restart", settings.restart, "forget the checkpoint of an earlier run");
    command.add_option("--metrics", settings.metrics, "file of numbers, .csv or .jsonl; MODEL.csv if not given");
    command.add_option("--seed", settings.seed, "of all random numbers")->capture_default_str();
    add_device(command, settings);
}

}  // namespace support
