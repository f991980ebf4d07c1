// Fills marked gaps in lines of text, and writes lines out of nothing: SED, trained on any lines.
//
//   infill train --lines train.txt --valid-lines val.txt --model lines.inkling --minutes 60
//   echo 'A man in a ___ is standing on the ___(2).' | infill fill --model lines.inkling
//   infill write --model lines.inkling --count 10
//   infill evaluate --model lines.inkling --lines test.txt
//
// A gap is marked ___ or, with the number of tokens that may be written there, ___(3). Files may be compressed with
// gzip. Vectors of the tokens are learned first, unless --vectors names some. A training that was stopped goes on when
// the same command is run again.

#include "support/make_table.hpp"
#include "support/translation.hpp"

#include <inkling/inkling.hpp>
#include <inkling/text/sentencepiece_tokenizer.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>

using namespace inkling;

namespace {

using support::AnyTokenizer;
using Model = recipe::Sed<support::Device>;
using Training = recipe::SedTrainer<support::Device>;

struct TrainSettings : support::DeviceSettings {
    std::string lines, valid_lines, model, metrics, tokenizer = "sentencepiece", sentencepiece;
    double minutes = 0.0, dropout = 0.1, learning_rate = 1e-3, ema = 0.999, weight_decay = 0.01, clip = 1.0;
    double checkpoint_minutes = 5.0, pads = 0.1, hidden = 0.1;
    bool restart = false;
    Index steps = 0, vocabulary = 6000, latent = 32;
    Index width = 256, layers = 6, heads = 4, hidden_width = 0, reach = 32, longest = 96, spans = 5;
    Index tokens_per_batch = 2048, warm_up = 1000, validate_every = 1000, average_best = 5;
    support::VectorSettings vectors{};
    std::uint64_t seed = 1;
};

struct FillSettings : support::DeviceSettings {
    std::string model, lines, mark = "___";
    double guidance = 2.5;
    Index steps = 50, gap = 8, noise_beam = 1, tokens_per_batch = 4096, count = 10, rows = 24, words = 2;
    std::uint64_t seed = 0;
};

AnyTokenizer make_tokenizer(TrainSettings const& settings) {
    if (!settings.sentencepiece.empty()) {
        std::ifstream file(settings.sentencepiece, std::ios::binary);
        require(file.good(), "'", settings.sentencepiece, "' cannot be read");
        return text::SentencePieceTokenizer::from_model(std::string(std::istreambuf_iterator<char>(file), {}));
    }
    io::LineReader lines(settings.lines);
    if (settings.tokenizer == "word") return text::WordTokenizer::train(lines, {.maximum_size = settings.vocabulary});
    return text::SentencePieceTokenizer::train(lines, {.vocabulary_size = settings.vocabulary, .exact_size = false});
}

text::ParallelCorpus read(TrainSettings const& settings, std::string const& path, AnyTokenizer const& tokenizer) {
    io::LineReader lines(path);
    auto const room = static_cast<Index>(settings.pads * static_cast<double>(settings.longest));  // for pads
    auto const [corpus, report] = text::read_monolingual(lines, tokenizer, text::MonolingualSource::none,
                                                         {.target_name = path,
                                                          .empty = text::BadLine::skip,
                                                          .max_tokens = settings.longest - 2 - room,
                                                          .too_long = text::BadLine::skip});
    std::cerr << path << ": " << corpus.size() << " lines, " << corpus.target_tokens() << " tokens, " << report.unknown
              << " unknown, skipped " << report.empty << " empty and " << report.too_long << " too long\n";
    return corpus;
}

/// Bad settings are found before the hours of work, not after.
void check(TrainSettings const& settings) {
    require(settings.minutes > 0.0 || settings.steps > 0, "how long to train? Give --minutes or --updates");
    require(settings.longest >= 4, "--longest is ", settings.longest, ", expected at least 4");
    require(settings.pads <= 0.9, "--pads is ", settings.pads,
            ", expected a share up to 0.9: lines are to be more than pads");
    text::SpanMasking{.most_spans = settings.spans, .pads = settings.pads, .hidden = settings.hidden}.check();
    std::string line;
    for (std::string const& path : {settings.lines, settings.valid_lines})
        if (!path.empty()) require(io::LineReader(path).next(line), "'", path, "' is empty, expected lines of text");
    support::refuse_to_replace({settings.lines, settings.valid_lines, settings.vectors.file}, settings.model,
                               "--model");
    require(settings.restart || !std::filesystem::exists(settings.model)
                || std::filesystem::exists(settings.model + ".checkpoint"),
            "'", settings.model, "' is there, but no checkpoint of it to go on from (--restart would replace it)");
    io::AtomicFile const can_be_written(settings.model);
    io::FileLock const alone(settings.model + ".checkpoint");  // or another run has it
}

void run_training(TrainSettings const& settings) {
    check(settings);
    std::string const checkpoint = settings.model + ".checkpoint";
    auto const tokenizer = make_tokenizer(settings);
    auto const corpus = read(settings, settings.lines, tokenizer);
    text::ParallelCorpus held_out;
    if (!settings.valid_lines.empty()) held_out = read(settings, settings.valid_lines, tokenizer);

    auto vectors = settings.vectors;
    vectors.kept = settings.model + ".vectors";
    vectors.anew = settings.restart;
    vectors.latent = settings.latent;
    vectors.pads = settings.pads;
    vectors.seed = settings.seed;
    auto preset = recipe::sed<support::Device>(support::make_table(vectors, tokenizer, corpus));
    preset.model.denoiser.model = {.width = settings.width,
                                   .layers = settings.layers,
                                   .heads = settings.heads,
                                   .hidden = settings.hidden_width,
                                   .reach = settings.reach,
                                   .dropout = settings.dropout,
                                   .longest = settings.longest};
    preset.model.embedding.frozen = !settings.vectors.trained;
    preset.model.device = settings.device();
    preset.model.seed = settings.seed;
    Model model(tokenizer, preset.model);
    std::cerr << model.layout().size() << " weights, vocabulary of " << tokenizer.vocabulary_size() << '\n';

    auto& training = preset.training;
    training.minutes = settings.minutes;
    training.steps = settings.steps;
    training.objective.masking = {.most_spans = settings.spans, .pads = settings.pads, .hidden = settings.hidden};
    training.learning_rate = {.peak = settings.learning_rate, .warm_up = settings.warm_up};
    training.adamw.weight_decay = settings.weight_decay;
    training.tokens_per_batch = settings.tokens_per_batch;
    training.clip = settings.clip;
    training.ema_decay = settings.ema;
    training.seed = settings.seed;
    training.validate_every = settings.validate_every;
    training.average_best = settings.average_best;
    training.checkpoint = checkpoint;
    training.checkpoint_minutes = settings.checkpoint_minutes;
    training.metrics = settings.metrics.empty() ? settings.model + ".csv" : settings.metrics;
    training.handle_signals = true;
    training.on_progress = train::progress_bar(
        std::cerr, {.terminal = support::is_terminal(STDERR_FILENO), .columns = support::columns(STDERR_FILENO)});
    training.on_validation = [](ValidationReport const& found) {
        std::cerr << "\nvalidation at step " << found.step << ": loss " << found.loss << '\n';
    };
    Training trainer(model, training);
    if (settings.restart) support::forget(checkpoint);
    if (std::filesystem::exists(checkpoint))
        std::cerr << "going on from " << checkpoint << " (--restart would forget it)\n";
    auto const report = trainer.fit(corpus, &held_out);
    if (report.end == TrainingReport::End::interrupted)
        support::end_by(report.signal,
                        message("stopped at step ", report.steps, "; the same command goes on from ", checkpoint));
    model.save(settings.model);
    std::cerr << report.steps << " updates in " << static_cast<Index>(report.seconds) << " seconds; model written to "
              << settings.model << '\n';
}

Model load(FillSettings const& settings) {
    return Model::load<text::SentencePieceTokenizer, text::WordTokenizer>(
        settings.model,
        {.denoiser = {.guidance = settings.guidance},
         .sampler = {.steps = settings.steps, .discrete_steps = std::max<Index>(settings.steps, 1000)},
         .device = settings.device()});
}

GenerateOptions options_of(FillSettings const& settings, Index first) {
    return {.seed = settings.seed,
            .first_source = first,
            .beams = {.noise_beam = settings.noise_beam},
            .tokens_per_batch = settings.tokens_per_batch};
}

void print(std::vector<Generated> const& lines) {
    for (Generated const& one : lines) std::cout << one.line() << '\n';
    std::cout.flush();
    require(std::cout.good(), "standard output cannot be written");
}

void fill(FillSettings const& settings) {
    Model const model = load(settings);
    io::LineReader lines(std::cin, "standard input");
    std::size_t const piece = support::is_terminal(STDIN_FILENO) ? 1 : 256;  // a person waits for each line
    std::vector<text::GappedLine> gapped;
    support::UnknownTokens unknown;
    Index done = 0;
    auto const flush = [&] {
        print(model.infill(gapped, options_of(settings, done)));
        done += static_cast<Index>(gapped.size());
        gapped.clear();
    };
    for (std::string line; lines.next(line);) {
        gapped.push_back(text::parse_gaps(line, {.mark = settings.mark, .rows = settings.gap}));
        for (std::string const& part : gapped.back().pieces)
            unknown.add(model.tokenizer().encode(part), model.tokenizer().specials().unk);
        if (piece == 1) unknown.tell();
        if (gapped.size() == piece) flush();
    }
    flush();
    unknown.tell();
}

void write(FillSettings const& settings) {
    Model const model = load(settings);
    require(settings.count >= 1, "--count is ", settings.count, ", expected at least 1");
    print(model.infill(std::vector(static_cast<std::size_t>(settings.count),
                                   text::GappedLine{.pieces = {"", ""}, .rows = {settings.rows}}),
                       options_of(settings, 0)));
}

/// Holds some words of every line back and tells how many lines come back whole.
void evaluate(FillSettings const& settings) {
    Model const model = load(settings);
    require(settings.words >= 1, "--words is ", settings.words, ", expected at least 1");
    io::LineReader reader(settings.lines);
    std::vector<text::GappedLine> gapped;
    std::vector<std::vector<Token>> expected;
    auto const held_back = static_cast<std::size_t>(settings.words);
    for (std::string line; reader.next(line);) {
        std::vector<std::string> words;
        std::istringstream stream(line);
        for (std::string word; stream >> word;) words.push_back(word);
        if (words.size() <= held_back) continue;
        RandomStream const draw{settings.seed, Purpose::user, static_cast<std::uint32_t>(gapped.size()), 0};
        auto const first = static_cast<std::size_t>(draw.below(words.size() - held_back + 1, 0));
        std::array<std::string, 3> parts;  // in front of the gap, in it, behind it
        for (std::size_t i = 0; i < words.size(); ++i) parts[(i >= first) + (i >= first + held_back)] += words[i] + ' ';
        std::vector<Token> whole;
        std::vector<Index> lengths;
        for (std::string const& part : parts) {
            auto const tokens = model.tokenizer().encode(part);
            lengths.push_back(static_cast<Index>(tokens.size()));
            whole.insert(whole.end(), tokens.begin(), tokens.end());
        }
        if (lengths[1] == 0 || static_cast<Index>(whole.size()) + 2 > model.model().longest_target()) continue;
        gapped.push_back({.pieces = {parts[0], parts[2]}, .rows = {lengths[1]}});
        expected.push_back(std::move(whole));
    }
    require(!gapped.empty(), "'", settings.lines, "' has no line of more than ", settings.words,
            " words that the model has room for");
    auto options = options_of(settings, 0);
    options.on_progress = [](Index done, Index total) { std::cerr << '\r' << done << '/' << total << std::flush; };
    auto const filled = model.infill(gapped, options);
    double lines_right = 0.0, tokens_right = 0.0, tokens = 0.0;
    for (std::size_t i = 0; i < filled.size(); ++i) {
        std::span<Token const> const line(filled[i].tokens.data() + 1, expected[i].size());  // behind bos
        lines_right += std::equal(line.begin(), line.end(), expected[i].begin());
        auto const begin = model.tokenizer().encode(gapped[i].pieces[0]).size();
        for (std::size_t t = begin; t < begin + static_cast<std::size_t>(gapped[i].rows[0]); ++t) {
            tokens_right += line[t] == expected[i][t];
            tokens += 1.0;
        }
    }
    std::printf("\nlines=%zu words_held_back=%d lines_right=%.4f tokens_right=%.4f\n", filled.size(),
                static_cast<int>(settings.words), lines_right / static_cast<double>(filled.size()),
                tokens_right / tokens);
    require(std::fflush(stdout) == 0, "standard output cannot be written");
}

void add_filling(CLI::App& command, FillSettings& settings) {
    command.add_option("--model", settings.model, "model file")->required();
    command.add_option("--steps", settings.steps, "denoising steps")->capture_default_str();
    command.add_option("--guidance", settings.guidance, "how far away from text without its surroundings; 1: not")
        ->capture_default_str();
    command.add_option("--noise-beam", settings.noise_beam, "candidates; the one most like the others is taken")
        ->capture_default_str();
    command.add_option("--tokens-per-batch", settings.tokens_per_batch)->capture_default_str();
    command.add_option("--seed", settings.seed)->capture_default_str();
    support::add_device(command, settings);
}

void add_training(CLI::App& command, TrainSettings& settings) {
    command.add_option("--lines", settings.lines, "file of lines")->required();
    command.add_option("--valid-lines", settings.valid_lines, "held-out lines");
    command
        .add_option("--model", settings.model,
                    "file to write; .checkpoint, .vectors-... and .csv are written beside it")
        ->required();
    command.add_option("--minutes", settings.minutes, "time to train; this or --updates is needed");
    command.add_option("--updates", settings.steps, "updates to train; this or --minutes is needed");
    command.add_option("--tokenizer", settings.tokenizer, "trained on the lines")
        ->check(CLI::IsMember({"sentencepiece", "word"}))
        ->capture_default_str();
    command.add_option("--sentencepiece", settings.sentencepiece, "a SentencePiece .model to take in its place");
    command.add_option("--vocabulary", settings.vocabulary, "tokens at most")->capture_default_str();
    support::add_vectors(command, settings.vectors, "Vectors");
    command.add_option("--latent", settings.latent, "numbers that are left of each vector")->capture_default_str();
    command.add_option("--width", settings.width, "width of the Transformer")->capture_default_str();
    command.add_option("--layers", settings.layers)->capture_default_str();
    command.add_option("--heads", settings.heads, "of attention")->capture_default_str();
    command.add_option("--hidden-width", settings.hidden_width, "of the feed-forward parts; 0: four times the width")
        ->capture_default_str();
    command.add_option("--reach", settings.reach, "distances that attention tells apart")->capture_default_str();
    command.add_option("--dropout", settings.dropout)->capture_default_str();
    command.add_option("--longest", settings.longest, "rows of a line, pads included; longer lines are skipped")
        ->capture_default_str();
    command.add_option("--spans", settings.spans, "spans of a line at most, shown and written by turns")
        ->capture_default_str();
    command.add_option("--pads", settings.pads, "share of pad tokens put into lines")->capture_default_str();
    command.add_option("--hidden", settings.hidden, "share of the lines whose condition is hidden")
        ->capture_default_str();
    command.add_option("--learning-rate", settings.learning_rate, "at its peak")->capture_default_str();
    command.add_option("--warm-up", settings.warm_up, "updates until the peak")->capture_default_str();
    command.add_option("--weight-decay", settings.weight_decay)->capture_default_str();
    command.add_option("--clip", settings.clip, "largest norm of the gradient; 0: not clipped")->capture_default_str();
    command.add_option("--ema", settings.ema, "decay of averaged weights; 0: none")->capture_default_str();
    command.add_option("--tokens-per-batch", settings.tokens_per_batch)->capture_default_str();
    command.add_option("--validate-every", settings.validate_every, "updates")->capture_default_str();
    command.add_option("--average-best", settings.average_best, "validated weights whose mean is the model")
        ->capture_default_str();
    command.add_option("--checkpoint-minutes", settings.checkpoint_minutes, "between two checkpoints")
        ->capture_default_str();
    command.add_flag("--restart", settings.restart, "forget checkpoint and vectors of an earlier run");
    command.add_option("--metrics", settings.metrics, "file of numbers, .csv or .jsonl; MODEL.csv if not given");
    command.add_option("--seed", settings.seed)->capture_default_str();
    support::add_device(command, settings);
}

}  // namespace

int main(int count, char** arguments) {
    CLI::App program("Fills gaps in lines of text by diffusion over token embeddings.", "infill");
    program.require_subcommand(1);
    program.set_version_flag("--version", "infill of inkling " + std::string(library_version));
    TrainSettings training;
    FillSettings filling;
    auto* const train_command = program.add_subcommand("train", "trains a model on lines");
    auto* const fill_command = program.add_subcommand("fill", "fills the gaps of standard input, line by line");
    auto* const write_command = program.add_subcommand("write", "writes lines out of nothing");
    auto* const evaluate_command = program.add_subcommand("evaluate", "holds words back and tells how many come back");
    add_training(*train_command, training);
    for (auto* const command : {fill_command, write_command, evaluate_command}) add_filling(*command, filling);
    fill_command->add_option("--mark", filling.mark, "what marks a gap; (N) behind it says how many tokens it may have")
        ->capture_default_str();
    fill_command->add_option("--gap", filling.gap, "tokens that a gap may have where it does not say")
        ->capture_default_str();
    write_command->add_option("--count", filling.count, "lines")->capture_default_str();
    write_command->add_option("--rows", filling.rows, "tokens of each at most")->capture_default_str();
    evaluate_command->add_option("--lines", filling.lines, "file of lines")->required();
    evaluate_command->add_option("--words", filling.words, "neighbouring words held back of each")
        ->capture_default_str();
    return support::run(program, count, arguments, [&] {
        if (*train_command) run_training(training);
        if (*fill_command) fill(filling);
        if (*write_command) write(filling);
        if (*evaluate_command) evaluate(filling);
    });
}
