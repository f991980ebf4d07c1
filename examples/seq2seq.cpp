// Trains a Difformer-like model on pairs of lines, generates, and scores: one program for real text.
//
//   seq2seq train --source train.de --target train.en --model de-en.inkling --minutes 60
//   seq2seq generate --model de-en.inkling < new.de > new.en
//   seq2seq evaluate --model de-en.inkling --source test.de --reference test.en
//
// Files may be compressed with gzip. A training that was stopped goes on when the same command is run again.

#include <inkling/backend/cpu.hpp>
#include <inkling/inkling.hpp>
#include <inkling/text/sentencepiece_tokenizer.hpp>

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <unistd.h>

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
    double minutes = 0.0, dropout = 0.1, noise_factor = 4.0, learning_rate = 1e-3, ema = 0.0;
    Index steps = 0, vocabulary = 6000, latent = 128, width = 256, layers = 3, heads = 4, hidden = 0, longest = 256;
    Index tokens_per_batch = 1536, length_pool = 1, warm_up = 1000, validate_every = 1000, valid_lines = 200, average_best = 5;
    std::uint64_t seed = 1;
    int threads = 0;
};

struct GenerateSettings {
    std::string model, source, reference, tokenize = "none";
    Index steps = 20, early_stopping = 0, length_beam = 1, noise_beam = 1, tokens_per_batch = 4096;
    std::uint64_t seed = 0;
    int threads = 0;
};

AnyTokenizer make_tokenizer(TrainSettings const& settings) {
    Both lines{io::LineReader(settings.source), io::LineReader(settings.target)};
    if (settings.tokenizer == "word")
        return text::WordTokenizer::train(lines, {.maximum_size = settings.vocabulary});
    return text::SentencePieceTokenizer::train(lines, {.vocabulary_size = settings.vocabulary, .exact_size = false});
}

text::ParallelCorpus read(TrainSettings const& settings, std::string const& source, std::string const& target,
                          AnyTokenizer const& tokenizer) {
    io::LineReader sources(source), targets(target);
    auto const [corpus, report] = text::read_parallel(
        sources, targets, tokenizer,
        {.source_name = source, .target_name = target, .empty = text::BadLine::skip, .max_tokens = settings.longest - 2,
         .too_long = text::BadLine::skip});
    std::cerr << source << ", " << target << ": " << corpus.size() << " pairs, " << corpus.source_tokens() << " + "
              << corpus.target_tokens() << " tokens, " << report.unknown << " unknown, skipped " << report.empty
              << " empty and " << report.too_long << " too long\n";
    return corpus;
}

void run_training(TrainSettings const& settings) {
    require(settings.valid_source.empty() == settings.valid_target.empty(),
            "seq2seq: --valid-source and --valid-target go together");
    auto const tokenizer = make_tokenizer(settings);
    auto const corpus = read(settings, settings.source, settings.target, tokenizer);
    text::ParallelCorpus held_out;
    if (!settings.valid_source.empty())
        held_out = read(settings, settings.valid_source, settings.valid_target, tokenizer);

    Model model(tokenizer, {.schedule = {.training_noise = settings.noise_factor},
                            .embedding = {.width = settings.latent},
                            .denoiser = {.width = settings.width, .layers = settings.layers, .heads = settings.heads,
                                         .hidden = settings.hidden, .dropout = settings.dropout,
                                         .longest_source = settings.longest, .longest_target = settings.longest},
                            .sampler = {.steps = 20},
                            .device = {.threads = settings.threads},
                            .seed = settings.seed});
    std::cerr << model.layout().size() << " weights, vocabulary of " << tokenizer.vocabulary_size() << '\n';
    Trainer<Model> trainer(
        model, {.minutes = settings.minutes, .steps = settings.steps,
                .learning_rate = {.peak = settings.learning_rate, .warm_up = settings.warm_up},
                .tokens_per_batch = settings.tokens_per_batch, .length_pool = settings.length_pool, .ema_decay = settings.ema, .seed = settings.seed,
                .validate_every = settings.validate_every, .bleu_sentences = settings.valid_lines,
                .average_best = settings.average_best, .checkpoint = settings.model + ".checkpoint",
                .metrics = settings.metrics.empty() ? settings.model + ".csv" : settings.metrics, .handle_signals = true,
                .on_progress = train::progress_bar(std::cerr, {.terminal = isatty(STDERR_FILENO) == 1}),
                .on_validation = [](ValidationReport const& found) {
                    std::cerr << "\nvalidation at step " << found.step << ": loss " << found.loss << ", BLEU " << found.bleu
                              << ", nearest embedding " << found.embedding.nearest_distance << ", norm spread "
                              << found.embedding.norm_spread << '\n';
                }});
    auto const report = trainer.fit(corpus, &held_out);
    if (report.end == TrainingReport::End::interrupted) {
        std::cerr << "\nstopped at step " << report.steps << "; the same command goes on from " << settings.model
                  << ".checkpoint\n";
        std::exit(130);
    }
    model.save(settings.model);
    std::cerr << "trained " << report.steps << " steps in " << report.seconds / 60.0 << " minutes; model written to "
              << settings.model << '\n';
}

Model load(GenerateSettings const& settings) {
    return Model::load<text::SentencePieceTokenizer, text::WordTokenizer>(
        settings.model, {.schedule = {.training_noise = 4.0},
                         .sampler = {.steps = settings.steps, .early_stopping = settings.early_stopping},
                         .device = {.threads = settings.threads}});
}

GenerateOptions options(GenerateSettings const& settings, Index first_source) {
    return {.seed = settings.seed, .first_source = first_source,
            .beams = {.length_beam = settings.length_beam, .noise_beam = settings.noise_beam},
            .tokens_per_batch = settings.tokens_per_batch};
}

void generate(GenerateSettings const& settings) {
    Model const model = load(settings);
    io::LineReader lines(std::cin, "standard input");
    std::size_t const piece = isatty(STDIN_FILENO) == 1 ? 1 : 256;  // a person waits for each line
    Index done = 0;
    std::vector<std::string> sources;
    auto const flush = [&] {
        for (std::string const& line : model.generate(sources, options(settings, done))) std::cout << line << '\n';
        std::cout.flush();
        require(std::cout.good(), "seq2seq: standard output cannot be written");
        done += static_cast<Index>(sources.size());
        sources.clear();
    };
    for (std::string line; lines.next(line);) {
        require(!model.tokenizer().encode(line).empty(), "seq2seq: standard input: line ", lines.line_number(),
                " is empty, expected text");
        sources.push_back(line);
        if (sources.size() == piece) flush();
    }
    flush();
}

void evaluate(GenerateSettings const& settings) {
    Model const model = load(settings);
    auto const all = [](std::string const& path) {
        io::LineReader reader(path);
        std::vector<std::string> lines;
        for (std::string line; reader.next(line);) lines.push_back(line);
        return lines;
    };
    auto const sources = all(settings.source);
    auto const references = all(settings.reference);
    require(sources.size() == references.size(), "seq2seq: '", settings.source, "' has ", sources.size(), " lines and '",
            settings.reference, "' ", references.size(), ", expected as many");
    auto generating = options(settings, 0);
    generating.on_progress = [](Index done, Index total) { std::cerr << '\r' << done << '/' << total << std::flush; };
    auto const start = std::chrono::steady_clock::now();
    auto const lines = model.generate(sources, generating);
    double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    metric::BleuOptions const bleu{.tokenizer = settings.tokenize == "13a"    ? metric::BleuTokenizer::mteval13a
                                                : settings.tokenize == "intl" ? metric::BleuTokenizer::international
                                                                              : metric::BleuTokenizer::none};
    std::cerr << "\nsignature " << metric::signature(bleu) << '\n';
    std::printf("bleu=%.2f sentences=%zu seconds=%.1f\n", metric::corpus_bleu(lines, references, bleu).score, lines.size(),
                seconds);
}

void add_generation(CLI::App& command, GenerateSettings& settings) {
    command.add_option("--model", settings.model, "model file")->required();
    command.add_option("--steps", settings.steps, "denoising steps")->capture_default_str();
    command.add_option("--early-stopping", settings.early_stopping, "cleanest steps left out")->capture_default_str();
    command.add_option("--length-beam", settings.length_beam, "lengths tried")->capture_default_str();
    command.add_option("--noise-beam", settings.noise_beam, "noises tried for each length")->capture_default_str();
    command.add_option("--tokens-per-batch", settings.tokens_per_batch, "tokens cleaned at once")->capture_default_str();
    command.add_option("--seed", settings.seed, "of all random numbers")->capture_default_str();
    command.add_option("--threads", settings.threads, "0: all")->capture_default_str();
}

void add_training(CLI::App& command, TrainSettings& settings) {
    command.add_option("--source", settings.source, "source lines, plain or gzip")->required();
    command.add_option("--target", settings.target, "target lines, as many")->required();
    command.add_option("--valid-source", settings.valid_source, "held-out source lines");
    command.add_option("--valid-target", settings.valid_target, "held-out target lines");
    command.add_option("--model", settings.model, "file to write; .checkpoint and .csv are written beside it")->required();
    command.add_option("--minutes", settings.minutes, "time to train");
    command.add_option("--updates", settings.steps, "updates to train");
    command.add_option("--tokenizer", settings.tokenizer)->check(CLI::IsMember({"sentencepiece", "word"}))->capture_default_str();
    command.add_option("--vocabulary", settings.vocabulary, "tokens at most")->capture_default_str();
    command.add_option("--latent", settings.latent, "width of the embeddings")->capture_default_str();
    command.add_option("--width", settings.width, "width of the Transformer")->capture_default_str();
    command.add_option("--layers", settings.layers, "of encoder and decoder each")->capture_default_str();
    command.add_option("--heads", settings.heads, "of attention")->capture_default_str();
    command.add_option("--hidden", settings.hidden, "of the feed-forward parts; 0: four times the width")->capture_default_str();
    command.add_option("--dropout", settings.dropout)->capture_default_str();
    command.add_option("--longest", settings.longest, "longest sentence in tokens; longer pairs are skipped")->capture_default_str();
    command.add_option("--noise-factor", settings.noise_factor, "F of noise rescaling")->capture_default_str();
    command.add_option("--learning-rate", settings.learning_rate, "at its peak")->capture_default_str();
    command.add_option("--warm-up", settings.warm_up, "updates until the peak")->capture_default_str();
    command.add_option("--ema", settings.ema, "decay of averaged weights; 0: none")->capture_default_str();
    command.add_option("--tokens-per-batch", settings.tokens_per_batch)->capture_default_str();
    command.add_option("--length-pool", settings.length_pool, "sentences sorted by length together; 1: none")->capture_default_str();
    command.add_option("--validate-every", settings.validate_every, "updates")->capture_default_str();
    command.add_option("--valid-lines", settings.valid_lines, "held-out lines scored with BLEU")->capture_default_str();
    command.add_option("--average-best", settings.average_best, "validated weights whose mean is the model")->capture_default_str();
    command.add_option("--metrics", settings.metrics, "file of numbers, .csv or .jsonl; MODEL.csv if not given");
    command.add_option("--seed", settings.seed)->capture_default_str();
    command.add_option("--threads", settings.threads, "0: all")->capture_default_str();
}

}  // namespace

int main(int count, char** arguments) {
    CLI::App program("Text to text by diffusion over token embeddings.");
    program.require_subcommand(1);
    TrainSettings training;
    GenerateSettings generating;
    auto* const train_command = program.add_subcommand("train", "trains a model on pairs of lines");
    auto* const generate_command = program.add_subcommand("generate", "standard input to standard output, line by line");
    auto* const evaluate_command = program.add_subcommand("evaluate", "generates and prints BLEU");
    add_training(*train_command, training);
    add_generation(*generate_command, generating);
    add_generation(*evaluate_command, generating);
    evaluate_command->add_option("--source", generating.source, "source lines")->required();
    evaluate_command->add_option("--reference", generating.reference, "expected lines")->required();
    evaluate_command->add_option("--tokenize", generating.tokenize, "of BLEU")->check(CLI::IsMember({"none", "13a", "intl"}))->capture_default_str();
    try {
        program.parse(count, arguments);
        if (*train_command) run_training(training);
        if (*generate_command) generate(generating);
        if (*evaluate_command) evaluate(generating);
    } catch (CLI::ParseError const& problem) {
        return program.exit(problem) == 0 ? 0 : 2;
    } catch (std::exception const& problem) {
        std::cerr << "seq2seq: " << problem.what() << '\n';
        return 2;
    }
    return 0;
}
