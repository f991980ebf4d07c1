// The Transformer that writes word after word: trains one on pairs of lines, generates by beam search, scores, and
// distils a corpus for a diffusion model. What seq2seq's figures are held against, and its re-ranker.
//
//   autoregressive train --source train.de --target train.en --model de-en.ar --minutes 30
//   autoregressive generate --model de-en.ar < new.de > new.en
//   autoregressive evaluate --model de-en.ar --source test.de --reference test.en
//   autoregressive score --model de-en.ar --source test.de --target test.en
//   autoregressive distill --model de-en.ar --source train.de --output train.distilled.en
//
// Files may be compressed with gzip. A training or distillation that was stopped goes on when the same command is run
// again.

#include "support/autoregression.hpp"

#include <inkling/text/sentencepiece_tokenizer.hpp>

#include <CLI/CLI.hpp>

#include <cmath>

using namespace inkling;

namespace {

using Model = support::Autoregression;
using support::SearchSettings;

void train_model(support::TrainSettings const& settings) {
    support::check(settings);
    support::refuse_to_replace_model(settings, settings.model + ".checkpoint");
    auto const texts = support::read_texts(settings);
    Model model(texts.tokenizer,
                {.embedding = {.width = settings.latent},
                 .model = {.width = settings.width,
                           .layers = settings.layers,
                           .heads = settings.heads,
                           .hidden = settings.hidden,
                           .dropout = settings.dropout,
                           .longest_source = settings.longest,
                           .longest_target = settings.longest,
                           .share_embedding = settings.source_vocabulary == 0},
                 .device = settings.device(),
                 .seed = settings.seed});
    support::tell_size(model);
    support::fit<Trainer<Model>>(settings, texts, model, {.generate = {.search = {.width = 1}}});
    support::write_model(model, settings);
}

auto writer(Model const& model, SearchSettings const& settings) {
    return support::Writer(
        model, settings,
        [&](std::vector<std::vector<Token>> const& sources, Index, std::function<void(Index, Index)> on_progress) {
            return model.generate_tokens(sources,
                                         {.search = settings.search,
                                          .tokens_per_batch = settings.tokens_per_batch,
                                          .on_progress = std::move(on_progress)});
        });
}

/// A line for each pair: log p of the target, its tokens with eos, and its perplexity; then the same of all together.
void score(SearchSettings const& settings) {
    auto const model = support::load_autoregression(settings.model, settings);
    io::LineReader sources(settings.source), targets(settings.target);
    std::vector<std::vector<Token>> source, target;
    for (std::string line; sources.next(line);) source.push_back(model.tokenizer().encode_source(line));
    for (std::string line; targets.next(line);) target.push_back(model.tokenizer().encode(line));
    double total = 0.0, tokens = 0.0;
    for (auto const& scores : model.score_tokens(source, target, settings.tokens_per_batch)) {
        double sum = 0.0;
        for (double const one : scores) sum += one;
        auto const count = static_cast<double>(scores.size());
        std::printf("%.4f\t%zu\t%.4f\n", sum, scores.size(), std::exp(-sum / count));
        total += sum;
        tokens += count;
    }
    require(std::fflush(stdout) == 0, "standard output cannot be written");
    std::cerr << "log p " << total << " of " << tokens << " tokens, perplexity " << std::exp(-total / tokens) << '\n';
}

}  // namespace

int main(int count, char** arguments) {
    CLI::App program("Text to text, word after word.", "autoregressive");
    program.require_subcommand(1);
    program.set_version_flag("--version", "autoregressive of inkling " + std::string(library_version));
    support::TrainSettings training;
    training.latent = 256;  // as wide as the Transformer
    SearchSettings settings;
    settings.tokens_per_batch = 8192;
    auto* const train_command = program.add_subcommand("train", "trains a model on pairs of lines");
    auto* const generate_command =
        program.add_subcommand("generate", "standard input to standard output, line by line");
    auto* const evaluate_command = program.add_subcommand("evaluate", "generates and prints BLEU");
    auto* const score_command = program.add_subcommand("score", "how probable given targets are");
    auto* const distill_command = program.add_subcommand("distill", "new targets for another model to be trained on");
    support::add_texts(*train_command, training);
    support::add_sizes(*train_command, training);
    train_command->add_option("--latent", training.latent, "width of the embeddings")->capture_default_str();
    support::add_learning(*train_command, training);
    for (auto* const command : {generate_command, evaluate_command}) {
        support::add_search(*command, settings);
        support::add_too_long(*command, settings);
    }
    support::add_distillation(*distill_command, settings);
    support::add_evaluation(*evaluate_command, settings);
    support::add_writing(*score_command, settings);
    score_command->add_option("--source", settings.source, "source lines")->required();
    score_command->add_option("--target", settings.target, "target lines, as many")->required();
    return support::run(program, count, arguments, [&] {
        if (*train_command) train_model(training);
        if (*generate_command || *evaluate_command) {
            auto const model = support::load_autoregression(settings.model, settings);
            if (*generate_command)
                support::write_lines(writer(model, settings));
            else
                support::evaluate(settings, writer(model, settings));
        }
        if (*score_command) score(settings);
        if (*distill_command) support::distill(settings);
    });
}
