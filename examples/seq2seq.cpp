// Trains a Difformer-like model on pairs of lines, generates, and scores: one program for real text.
//
//   seq2seq train --source train.de --target train.en --model de-en.inkling --minutes 60
//   seq2seq generate --model de-en.inkling < new.de > new.en
//   seq2seq evaluate --model de-en.inkling --source test.de --reference test.en
//   seq2seq noise --model de-en.inkling
//
// With --length-beam 7 --noise-beam 3 --select perplexity --scorer de-en.ar, generate and evaluate let a model of the
// program autoregressive choose. Files may be compressed with gzip. A training that was stopped goes on when the same
// command is run again.

#include "support/translation.hpp"

#include <inkling/backend/cpu.hpp>
#include <inkling/text/sentencepiece_tokenizer.hpp>

#include <CLI/CLI.hpp>

#include <optional>

using namespace inkling;

namespace {

using Model = TextDiffusion<schedule::Rescaled<schedule::Sqrt>, embedding::Learned,
                            denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddpm>;
using Scorer = TextAutoregression<embedding::Learned, denoiser::Autoregressive<backend::Cpu<>>>;

struct DiffusionTrainSettings : support::TrainSettings {
    double noise_factor = 4.0;
};

struct GenerateSettings : support::WriteSettings {
    std::string select = "mbr", scorer;
    Index steps = 20, early_stopping = 0, length_beam = 1, noise_beam = 1;
    std::uint64_t seed = 0;
};

void train_model(DiffusionTrainSettings const& settings) {
    support::train(settings, Trainer<Model>::Options{}, [&](support::AnyTokenizer const& tokenizer) {
        return Model(tokenizer,
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
    });
}

/// A model with the choice among its candidates.
class Generator {
public:
    explicit Generator(GenerateSettings const& settings)
        : settings_(settings),
          model_(Model::load<text::SentencePieceTokenizer, text::WordTokenizer>(
              settings.model,
              {.sampler = {.steps = settings.steps, .early_stopping = settings.early_stopping},
               .device = {.threads = settings.threads}})) {
        require((settings.select == "perplexity") == !settings.scorer.empty(),
                "--select perplexity and --scorer go together");
        if (!settings.scorer.empty())
            scorer_.emplace(Scorer::load<text::SentencePieceTokenizer, text::WordTokenizer>(
                settings.scorer, {.threads = settings.threads}));
    }

    [[nodiscard]] auto writer() const {
        return support::Writer(
            model_, settings_,
            [&](std::vector<std::vector<Token>> const& sources, Index first,
                std::function<void(Index, Index)> on_progress) {
                GenerateOptions const options{
                    .seed = settings_.seed,
                    .first_source = first,
                    .beams = {.length_beam = settings_.length_beam, .noise_beam = settings_.noise_beam},
                    .tokens_per_batch = settings_.tokens_per_batch,
                    .on_progress = std::move(on_progress)};
                if (scorer_)
                    return model_.generate_tokens(sources, options, decode::LowestPerplexity<Scorer>{&*scorer_});
                if (settings_.select == "mbr") return model_.generate_tokens(sources, options);
                return model_.generate_tokens(sources, options, decode::MeanLogProbability{});
            });
    }

private:
    GenerateSettings settings_;
    Model model_;
    std::optional<Scorer> scorer_;
};

/// Tells how far each time of the diffusion leaves tokens readable, and which noise factor would be enough.
void measure_noise(GenerateSettings const& settings) {
    auto const model = Model::load<text::SentencePieceTokenizer, text::WordTokenizer>(settings.model);
    auto const specials = model.tokenizer().specials();
    std::array<Token, 4> const excluded{specials.bos, specials.pad, specials.eos, specials.unk};
    train::Recoverability const tokens(model.embeddings(), model.space().width(),
                                       {.sample = 2048, .seed = settings.seed, .excluded = excluded});
    double const factor = schedule::training_noise_factor(model.schedule());
    std::printf(
        "tokens that can be read out of their own noisy embedding; chance reads %.1f %%\n  t    F = 1   F = %.4g\n",
        100.0 * tokens.share(std::numeric_limits<double>::infinity()), factor);
    for (int tenth = 1; tenth < 10; ++tenth)
        std::printf("%.1f  %5.1f %%   %5.1f %%\n", tenth / 10.0,
                    100.0 * train::recovered(tokens, model.schedule().schedule, tenth / 10.0),
                    100.0 * train::recovered(tokens, model.schedule(), tenth / 10.0));
    std::printf(
        "train with --noise-factor F for another; this leaves one of twenty beyond chance at t = 0.5:\n"
        "noise_factor=%.2f\n",
        train::measured_noise_factor(tokens, model.schedule().schedule));
    require(std::fflush(stdout) == 0, "standard output cannot be written");
}

void add_generation(CLI::App& command, GenerateSettings& settings) {
    support::add_writing(command, settings);
    command.add_option("--steps", settings.steps, "denoising steps")->capture_default_str();
    command.add_option("--early-stopping", settings.early_stopping, "cleanest steps left out")->capture_default_str();
    command.add_option("--length-beam", settings.length_beam, "lengths tried")->capture_default_str();
    command.add_option("--noise-beam", settings.noise_beam, "noises tried for each length")->capture_default_str();
    command
        .add_option("--select", settings.select,
                    "the candidate that is most like the others, that the read-out is surest of, or that another model "
                    "finds likeliest")
        ->check(CLI::IsMember({"mbr", "log-probability", "perplexity"}))
        ->capture_default_str();
    command.add_option("--scorer", settings.scorer, "that other model: a file of autoregressive");
    command.add_option("--seed", settings.seed, "of all random numbers")->capture_default_str();
}

}  // namespace

int main(int count, char** arguments) {
    CLI::App program("Text to text by diffusion over token embeddings.", "seq2seq");
    program.require_subcommand(1);
    program.set_version_flag("--version", "seq2seq of inkling " + std::string(library_version));
    DiffusionTrainSettings training;
    GenerateSettings generating;
    auto* const train_command = program.add_subcommand("train", "trains a model on pairs of lines");
    auto* const generate_command =
        program.add_subcommand("generate", "standard input to standard output, line by line");
    auto* const evaluate_command = program.add_subcommand("evaluate", "generates and prints BLEU");
    support::add_training(*train_command, training);
    train_command->add_option("--noise-factor", training.noise_factor, "F of noise rescaling")->capture_default_str();
    add_generation(*generate_command, generating);
    add_generation(*evaluate_command, generating);
    support::add_evaluation(*evaluate_command, generating);
    auto* const noise_command = program.add_subcommand("noise", "tells how much noise the embeddings of a model need");
    noise_command->add_option("--model", generating.model, "model file")->required();
    noise_command->add_option("--seed", generating.seed, "of the noise")->capture_default_str();
    return support::run(program, count, arguments, [&] {
        if (*train_command) train_model(training);
        if (*generate_command) support::write_lines(Generator(generating).writer());
        if (*evaluate_command) support::evaluate(generating, Generator(generating).writer());
        if (*noise_command) measure_noise(generating);
    });
}
