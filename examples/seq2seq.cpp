// Trains a Difformer-like model on pairs of lines, generates, and scores: one program for real text.
//
//   seq2seq train --source train.de --target train.en --model de-en.inkling --minutes 60
//   seq2seq generate --model de-en.inkling < new.de > new.en
//   seq2seq evaluate --model de-en.inkling --source test.de --reference test.en
//   seq2seq noise --model de-en.inkling
//
// Files may be compressed with gzip. A training that was stopped goes on when the same command is run again.

#include "support/terminal.hpp"

#include <inkling/backend/cpu.hpp>
#include <inkling/inkling.hpp>
#include <inkling/text/sentencepiece_tokenizer.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>
#include <iostream>

using namespace inkling;

namespace {

using AnyTokenizer = text::AnyTokenizer<text::SentencePieceTokenizer, text::WordTokenizer>;
using Model = TextDiffusion<schedule::Rescaled<schedule::Sqrt>, embedding::Learned,
                            denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddpm>;

/// The lines of two files, one after the other.
struct Both {
    io::LineReader first, second;
    bool next(std::string& line) { return first.next(line) || second.next(line); }
};

struct TrainSettings {
    std::string source, target, valid_source, valid_target, model, metrics, tokenizer = "sentencepiece";
    double minutes = 0.0, dropout = 0.1, noise_factor = 4.0, learning_rate = 1e-3, ema = 0.999;
    double label_smoothing = 0.1, weight_decay = 0.01, clip = 1.0, checkpoint_minutes = 5.0;
    bool restart = false;
    Index steps = 0, vocabulary = 6000, latent = 128, width = 256, layers = 3, heads = 4, hidden = 0, longest = 256;
    Index tokens_per_batch = 1536, length_pool = 1, warm_up = 1000, validate_every = 1000, valid_lines = 200,
          average_best = 5;
    std::uint64_t seed = 1;
    int threads = 0;
};

struct GenerateSettings {
    std::string model, source, reference, output, tokenize = "none", select = "mbr", too_long = "refuse";
    Index steps = 20, early_stopping = 0, length_beam = 1, noise_beam = 1, tokens_per_batch = 4096;
    std::uint64_t seed = 0;
    int threads = 0;
};

AnyTokenizer make_tokenizer(TrainSettings const& settings) {
    Both lines{io::LineReader(settings.source), io::LineReader(settings.target)};
    if (settings.tokenizer == "word") return text::WordTokenizer::train(lines, {.maximum_size = settings.vocabulary});
    return text::SentencePieceTokenizer::train(lines, {.vocabulary_size = settings.vocabulary, .exact_size = false});
}

text::ParallelCorpus read(TrainSettings const& settings, std::string const& source, std::string const& target,
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
    return corpus;
}

/// Bad settings are found before the hours of work, not after.
void check(TrainSettings const& settings) {
    require(settings.valid_source.empty() == settings.valid_target.empty(),
            "--valid-source and --valid-target go together");
    require(settings.minutes > 0.0 || settings.steps > 0, "how long to train? Give --minutes or --updates");
    require(settings.longest >= 4, "--longest is ", settings.longest, ", expected at least 4");
    std::string line;
    for (std::string const& path : {settings.source, settings.target, settings.valid_source, settings.valid_target})
        if (!path.empty()) require(io::LineReader(path).next(line), "'", path, "' is empty, expected lines of text");
    io::AtomicFile const can_be_written(settings.model);
}

void run_training(TrainSettings const& settings) {
    check(settings);
    std::string const checkpoint = settings.model + ".checkpoint";
    if (settings.restart) std::filesystem::remove(checkpoint);
    auto const tokenizer = make_tokenizer(settings);
    auto const corpus = read(settings, settings.source, settings.target, tokenizer);
    text::ParallelCorpus held_out;
    if (!settings.valid_source.empty())
        held_out = read(settings, settings.valid_source, settings.valid_target, tokenizer);

    Model model(tokenizer,
                {.schedule = {.training_noise = settings.noise_factor},
                 .embedding = {.width = settings.latent},
                 .denoiser = {.width = settings.width,
                              .layers = settings.layers,
                              .heads = settings.heads,
                              .hidden = settings.hidden,
                              .dropout = settings.dropout,
                              .longest_source = settings.longest,
                              .longest_target = settings.longest},
                 .sampler = {.steps = 20},
                 .device = {.threads = settings.threads},
                 .seed = settings.seed});
    std::cerr << model.layout().size() << " weights, vocabulary of " << tokenizer.vocabulary_size() << '\n';
    Trainer<Model> trainer(
        model,
        {.minutes = settings.minutes,
         .steps = settings.steps,
         .objective = {.label_smoothing = settings.label_smoothing},
         .learning_rate = {.peak = settings.learning_rate, .warm_up = settings.warm_up},
         .adamw = {.weight_decay = settings.weight_decay},
         .tokens_per_batch = settings.tokens_per_batch,
         .length_pool = settings.length_pool,
         .clip = settings.clip,
         .ema_decay = settings.ema,
         .seed = settings.seed,
         .validate_every = settings.validate_every,
         .bleu_sentences = settings.valid_lines,
         .average_best = settings.average_best,
         .checkpoint = checkpoint,
         .checkpoint_minutes = settings.checkpoint_minutes,
         .metrics = settings.metrics.empty() ? settings.model + ".csv" : settings.metrics,
         .handle_signals = true,
         .on_progress = train::progress_bar(
             std::cerr, {.terminal = support::is_terminal(STDERR_FILENO), .columns = support::columns(STDERR_FILENO)}),
         .on_validation = [](ValidationReport const& found) {
             std::cerr << "\nvalidation at step " << found.step << ": loss " << found.loss << ", BLEU " << found.bleu
                       << ", nearest embedding " << found.embedding.nearest_distance << ", norm spread "
                       << found.embedding.norm_spread << '\n';
         }});
    if (std::filesystem::exists(checkpoint))
        std::cerr << "going on from " << checkpoint << " (--restart would forget it)\n";
    auto const report = trainer.fit(corpus, &held_out);
    if (report.end == TrainingReport::End::interrupted) {
        std::cerr << "\nstopped at step " << report.steps << "; the same command goes on from " << checkpoint << '\n';
        std::exit(128 + report.signal);
    }
    model.save(settings.model);
    std::cerr << report.steps << " updates in " << static_cast<Index>(report.seconds) << " seconds; model written to "
              << settings.model << '\n';
}

Model load(GenerateSettings const& settings) {
    return Model::load<text::SentencePieceTokenizer, text::WordTokenizer>(
        settings.model,
        {.sampler = {.steps = settings.steps, .early_stopping = settings.early_stopping},
         .device = {.threads = settings.threads}});
}

/// Turns lines of text into lines of text; an empty line stays empty.
class Writer {
public:
    explicit Writer(GenerateSettings const& settings) : model_(load(settings)), settings_(settings) {}

    /// Takes the line that was read last.
    void add(std::string const& line, io::LineReader const& lines, std::string const& name) {
        auto tokens = model_.tokenizer().encode(line);
        auto const places =
            static_cast<std::size_t>(model_.model().longest_source() - model_.wrapping().source_length(0));
        if (tokens.size() > places) {
            require(settings_.too_long == "truncate", name, ": line ", lines.line_number(), " has ", tokens.size(),
                    " tokens, the model has places for ", places, " (--too-long truncate leaves the rest out)");
            tokens.resize(places);
        }
        if (!tokens.empty()) numbers_.push_back(size_);
        if (!tokens.empty()) sources_.push_back(std::move(tokens));
        ++size_;
    }
    [[nodiscard]] std::size_t size() const { return size_; }

    /// One line for each that was added since the last call.
    std::vector<std::string> write(std::function<void(Index, Index)> on_progress = {}) {
        GenerateOptions const options{
            .seed = settings_.seed,
            .first_source = done_,
            .beams = {.length_beam = settings_.length_beam, .noise_beam = settings_.noise_beam},
            .tokens_per_batch = settings_.tokens_per_batch,
            .on_progress = std::move(on_progress)};
        auto const generated = settings_.select == "mbr"
            ? model_.generate_tokens(sources_, options)
            : model_.generate_tokens(sources_, options, decode::MeanLogProbability{});
        std::vector<std::string> lines(size_);
        for (std::size_t i = 0; i < generated.size(); ++i) lines[numbers_[i]] = generated[i].text;
        done_ += static_cast<Index>(sources_.size());
        sources_.clear();
        numbers_.clear();
        size_ = 0;
        return lines;
    }

private:
    Model model_;
    GenerateSettings settings_;
    std::vector<std::vector<Token>> sources_;
    std::vector<std::size_t> numbers_;  // places of the sources among all lines
    std::size_t size_ = 0;
    Index done_ = 0;
};

void generate(GenerateSettings const& settings) {
    Writer writer(settings);
    std::string const name = "standard input";
    io::LineReader lines(std::cin, name);
    std::size_t const piece = support::is_terminal(STDIN_FILENO) ? 1 : 256;  // a person waits for each line
    auto const flush = [&] {
        for (std::string const& line : writer.write()) std::cout << line << '\n';
        std::cout.flush();
        require(std::cout.good(), "standard output cannot be written");
    };
    for (std::string line; lines.next(line);) {
        writer.add(line, lines, name);
        if (writer.size() == piece) flush();
    }
    flush();
}

void evaluate(GenerateSettings const& settings) {
    Writer writer(settings);
    if (!settings.output.empty()) io::AtomicFile const can_be_written(settings.output);
    io::LineReader sources(settings.source), expected(settings.reference);
    std::vector<std::string> references;
    for (std::string line; sources.next(line);) writer.add(line, sources, settings.source);
    for (std::string line; expected.next(line);) references.push_back(line);
    require(writer.size() == references.size() && !references.empty(), "'", settings.source, "' has ", writer.size(),
            " lines and '", settings.reference, "' ", references.size(), ", expected as many, and at least one");
    auto const start = std::chrono::steady_clock::now();
    auto const lines =
        writer.write([](Index done, Index total) { std::cerr << '\r' << done << '/' << total << std::flush; });
    double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    metric::BleuOptions const bleu{.tokenizer = settings.tokenize == "13a" ? metric::BleuTokenizer::mteval13a
                                       : settings.tokenize == "intl"       ? metric::BleuTokenizer::international
                                                                           : metric::BleuTokenizer::none};
    std::cerr << "\nsignature " << metric::signature(bleu) << '\n';
    std::printf("bleu=%.2f sentences=%zu seconds=%.1f\n", metric::corpus_bleu(lines, references, bleu).score,
                lines.size(), seconds);
    require(std::fflush(stdout) == 0, "standard output cannot be written");
    if (settings.output.empty()) return;
    std::string text;
    for (std::string const& line : lines) text += line + '\n';
    io::AtomicFile output(settings.output);
    output.write(std::as_bytes(std::span(text)));
    output.commit();
}

/// Tells how far each time of the diffusion leaves tokens readable, and which noise factor would be enough.
void measure_noise(GenerateSettings const& settings) {
    Model const model = load(settings);
    auto const specials = model.tokenizer().specials();
    std::array<Token, 4> const excluded{specials.bos, specials.pad, specials.eos, specials.unk};
    train::Recoverability const tokens(model.embeddings(), model.space().width(),
                                       {.sample = 2048, .seed = settings.seed, .excluded = excluded});
    double const factor = schedule::training_noise_factor(model.schedule());
    std::printf("tokens that can be read out of their own noisy embedding\n  t    F = 1   F = %.4g\n", factor);
    for (int tenth = 1; tenth < 10; ++tenth)
        std::printf("%.1f  %5.1f %%   %5.1f %%\n", tenth / 10.0,
                    100.0 * train::recovered(tokens, model.schedule().schedule, tenth / 10.0),
                    100.0 * train::recovered(tokens, model.schedule(), tenth / 10.0));
    std::printf("noise_factor=%.2f leaves one of twenty at t = 0.5\n",
                train::measured_noise_factor(tokens, model.schedule().schedule));
    require(std::fflush(stdout) == 0, "standard output cannot be written");
}

void add_generation(CLI::App& command, GenerateSettings& settings) {
    command.add_option("--model", settings.model, "model file")->required();
    command.add_option("--steps", settings.steps, "denoising steps")->capture_default_str();
    command.add_option("--early-stopping", settings.early_stopping, "cleanest steps left out")->capture_default_str();
    command.add_option("--length-beam", settings.length_beam, "lengths tried")->capture_default_str();
    command.add_option("--noise-beam", settings.noise_beam, "noises tried for each length")->capture_default_str();
    command
        .add_option("--select", settings.select,
                    "the candidate that is most like the others, or that the read-out is surest of")
        ->check(CLI::IsMember({"mbr", "log-probability"}))
        ->capture_default_str();
    command.add_option("--too-long", settings.too_long, "what to do with a line the model has no places for")
        ->check(CLI::IsMember({"refuse", "truncate"}))
        ->capture_default_str();
    command.add_option("--tokens-per-batch", settings.tokens_per_batch, "tokens cleaned at once")
        ->capture_default_str();
    command.add_option("--seed", settings.seed, "of all random numbers")->capture_default_str();
    command.add_option("--threads", settings.threads, "0: all; on a busy machine set 1, or OMP_WAIT_POLICY=PASSIVE")
        ->capture_default_str();
}

void add_training(CLI::App& command, TrainSettings& settings) {
    command.add_option("--source", settings.source, "source lines, plain or gzip")->required();
    command.add_option("--target", settings.target, "target lines, as many")->required();
    command.add_option("--valid-source", settings.valid_source, "held-out source lines");
    command.add_option("--valid-target", settings.valid_target, "held-out target lines");
    command.add_option("--model", settings.model, "file to write; .checkpoint and .csv are written beside it")
        ->required();
    command.add_option("--minutes", settings.minutes,
                       "time to train, validations included; this or --updates is needed");
    command.add_option("--updates", settings.steps, "updates to train; this or --minutes is needed");
    command.add_option("--tokenizer", settings.tokenizer)
        ->check(CLI::IsMember({"sentencepiece", "word"}))
        ->capture_default_str();
    command.add_option("--vocabulary", settings.vocabulary, "tokens at most")->capture_default_str();
    command.add_option("--latent", settings.latent, "width of the embeddings")->capture_default_str();
    command.add_option("--width", settings.width, "width of the Transformer")->capture_default_str();
    command.add_option("--layers", settings.layers, "of encoder and decoder each")->capture_default_str();
    command.add_option("--heads", settings.heads, "of attention")->capture_default_str();
    command.add_option("--hidden", settings.hidden, "of the feed-forward parts; 0: four times the width")
        ->capture_default_str();
    command.add_option("--dropout", settings.dropout)->capture_default_str();
    command.add_option("--longest", settings.longest, "longest sentence in tokens; longer pairs are skipped")
        ->capture_default_str();
    command.add_option("--noise-factor", settings.noise_factor, "F of noise rescaling")->capture_default_str();
    command.add_option("--learning-rate", settings.learning_rate, "at its peak")->capture_default_str();
    command.add_option("--warm-up", settings.warm_up, "updates until the peak")->capture_default_str();
    command.add_option("--label-smoothing", settings.label_smoothing)->capture_default_str();
    command.add_option("--weight-decay", settings.weight_decay)->capture_default_str();
    command.add_option("--clip", settings.clip, "largest norm of the gradient; 0: not clipped")->capture_default_str();
    command.add_option("--ema", settings.ema, "decay of averaged weights; 0: none")->capture_default_str();
    command.add_option("--tokens-per-batch", settings.tokens_per_batch)->capture_default_str();
    command.add_option("--length-pool", settings.length_pool, "sentences sorted by length together; 1: none")
        ->capture_default_str();
    command.add_option("--validate-every", settings.validate_every, "updates")->capture_default_str();
    command.add_option("--valid-lines", settings.valid_lines, "held-out lines scored with BLEU")->capture_default_str();
    command.add_option("--average-best", settings.average_best, "validated weights whose mean is the model")
        ->capture_default_str();
    command.add_option("--checkpoint-minutes", settings.checkpoint_minutes, "between two checkpoints")
        ->capture_default_str();
    command.add_flag("--restart", settings.restart, "forget the checkpoint of an earlier run");
    command.add_option("--metrics", settings.metrics, "file of numbers, .csv or .jsonl; MODEL.csv if not given");
    command.add_option("--seed", settings.seed)->capture_default_str();
    command.add_option("--threads", settings.threads, "0: all; on a busy machine set 1, or OMP_WAIT_POLICY=PASSIVE")
        ->capture_default_str();
}

}  // namespace

int main(int count, char** arguments) {
    CLI::App program("Text to text by diffusion over token embeddings.");
    program.require_subcommand(1);
    program.set_version_flag("--version", "seq2seq of inkling " + std::string(library_version));
    TrainSettings training;
    GenerateSettings generating;
    auto* const train_command = program.add_subcommand("train", "trains a model on pairs of lines");
    auto* const generate_command =
        program.add_subcommand("generate", "standard input to standard output, line by line");
    auto* const evaluate_command = program.add_subcommand("evaluate", "generates and prints BLEU");
    auto* const noise_command = program.add_subcommand("noise", "tells how much noise the embeddings of a model need");
    noise_command->add_option("--model", generating.model, "model file")->required();
    noise_command->add_option("--seed", generating.seed, "of the noise")->capture_default_str();
    add_training(*train_command, training);
    add_generation(*generate_command, generating);
    add_generation(*evaluate_command, generating);
    evaluate_command->add_option("--source", generating.source, "source lines")->required();
    evaluate_command->add_option("--reference", generating.reference, "expected lines")->required();
    evaluate_command->add_option("--output", generating.output, "file for what was generated");
    evaluate_command->add_option("--tokenize", generating.tokenize, "of BLEU")
        ->check(CLI::IsMember({"none", "13a", "intl"}))
        ->capture_default_str();
    try {
        program.parse(count, arguments);
        if (*train_command) run_training(training);
        if (*generate_command) generate(generating);
        if (*evaluate_command) evaluate(generating);
        if (*noise_command) measure_noise(generating);
    } catch (CLI::RequiredError const& problem) {
        for (std::string const& word : program.remaining(true))  // what is misspelt is told before what is missing
            if (word.starts_with("--")) std::cerr << "there is no option " << word << '\n';
        return program.exit(problem) == 0 ? 0 : 2;
    } catch (CLI::ParseError const& problem) {
        return program.exit(problem) == 0 ? 0 : 2;
    } catch (std::exception const& problem) {
        std::cerr << "seq2seq: " << problem.what() << '\n';
        return 2;
    }
    return 0;
}
