// Text to text by diffusion over token embeddings: trains a model of a published system on pairs of lines, generates,
// and scores. One program for real text.
//
//   seq2seq train --source train.de --target train.en --model de-en.inkling --minutes 60
//   seq2seq generate --model de-en.inkling < new.de > new.en
//   seq2seq evaluate --model de-en.inkling --source test.de --reference test.en
//   seq2seq post-train --from de-en.inkling --source train.de --target train.en --model agreeing.inkling --minutes 20
//   seq2seq noise --model de-en.inkling
//   seq2seq fit-plan --model de-en.inkling --source some.de --output de-en.plan
//   seq2seq distill --model de-en.ar --source train.de --output train.distilled.en
//   seq2seq rescore --scorer de-en.ar --source new.de --candidates new.1.en new.2.en > best.en
//
// --recipe difformer|sed|dinoiser|diffuseq says which system; a model file knows its own. With --length-beam 7
// --noise-beam 3 --select perplexity --scorer de-en.ar, generate and evaluate let a model of the program autoregressive
// choose. Files may be compressed with gzip. A training that was stopped goes on when the same command is run again.

#include "seq2seq/recipe.hpp"
#include "seq2seq/rescoring.hpp"
#include "support/search.hpp"

#include <inkling/text/sentencepiece_tokenizer.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace inkling;
using seq2seq::GenerateSettings;
using seq2seq::Recipe;
using seq2seq::TrainSettings;

namespace {

std::vector<std::unique_ptr<Recipe>> recipes() {
    std::vector<std::unique_ptr<Recipe>> all;
    for (auto const make : {seq2seq::difformer, seq2seq::sed, seq2seq::dinoiser, seq2seq::diffuseq})
        all.push_back(make());
    return all;
}

/// The recipe of that name; one of them.
std::unique_ptr<Recipe> recipe_named(std::string const& name) {
    auto all = recipes();
    return std::move(*std::find_if(all.begin(), all.end(), [&](auto const& recipe) { return recipe->name() == name; }));
}

std::set<std::string> recipe_names() {
    std::set<std::string> names;
    for (auto const& recipe : recipes()) names.emplace(recipe->name());
    return names;
}

/// The recipe that a model file is of.
std::unique_ptr<Recipe> recipe_of(std::string const& path) {
    auto const file = io::ModelFile::open(path);
    for (auto& recipe : recipes())
        if (recipe->wrote(file)) return std::move(recipe);
    fail("'", path, "' holds a model of another program or version, expected one that seq2seq train wrote");
}

std::string only(std::string const& recipes) { return "Options of --recipe " + recipes; }

/// @throws Error where an option was given that the chosen recipe would not look at
void refuse_options_of_others(CLI::App const& command, std::string const& recipe) {
    for (CLI::Option const* const option : command.get_options())
        require(option->count() == 0 || !option->get_group().starts_with(only(""))
                    || option->get_group().find(recipe) != std::string::npos,
                option->get_name(), " was given, which is of other recipes than ", recipe, " (--help tells of which)");
}

void add_training(CLI::App& command, TrainSettings& settings) {
    command.add_option("--recipe", settings.recipe, "the published system")
        ->check(CLI::IsMember(recipe_names()))
        ->capture_default_str();
    support::add_texts(command, settings);
    command.add_option("--latent", settings.latent,
                       "width of the embeddings; 0: difformer and diffuseq 128, sed 32, dinoiser 16");
    support::add_sizes(command, settings);
    auto* const longest = command.get_option("--longest");
    longest->description("longest sentence in tokens, longer pairs are skipped; 0: 256, diffuseq 32");
    longest->default_str("");
    command.get_option("--source-vocabulary")->group(only("difformer, sed, dinoiser"));
    support::add_learning(command, settings);
    for (char const* const scored : {"--valid-lines", "--average-best"})  // dinoiser ends by learning lengths alone
        command.get_option(scored)->group(only("difformer, sed, diffuseq"));
    command.add_flag("--without-self-conditioning", settings.without_self_conditioning, "no last estimate is seen")
        ->group(only("difformer, sed, dinoiser"));
    command.add_option("--noise-factor", settings.noise_factor, "F of noise rescaling")
        ->capture_default_str()
        ->group(only("difformer"));
    command.add_option("--loss", settings.loss, "whether tokens must be readable from the estimate, or from z0")
        ->check(CLI::IsMember({"anchor", "rounding"}))
        ->capture_default_str()
        ->group(only("difformer"));
    command
        .add_flag("--without-embedding-norm", settings.without_embedding_norm, "no layer norm at the decoder's input")
        ->group(only("difformer"));
    support::add_vectors(command, settings.vectors, only("sed"));
    command
        .add_option("--drop-source", settings.drop_source,
                    "share of the updates that see no source, for guidance; sed 0.1, others 0")
        ->group(only("difformer, sed, dinoiser"));
    command
        .add_option("--levels", settings.levels,
                    "whether noise that hides no token is left out; dinoiser clipped, difformer even")
        ->check(CLI::IsMember({"clipped", "even"}))
        ->group(only("difformer, dinoiser"));
}

void add_post_training(CLI::App& command, TrainSettings& settings) {
    command.add_option("--from", settings.from, "model file to begin with, of difformer or diffuseq")->required();
    support::add_texts(command, settings);
    support::add_learning(command, settings);
    command.add_option("--penalty", settings.penalty, "weight of the distance of two estimates")->capture_default_str();
    command
        .add_option("--distance", settings.distance,
                    "what is far apart: by squares, by the angle, or in what is read out")
        ->check(CLI::IsMember({"squared", "cosine", "divergence"}))
        ->capture_default_str();
    command.add_option("--second", settings.second, "where the second noise level lies")
        ->check(CLI::IsMember({"in-window", "window-end", "steps"}))
        ->capture_default_str();
    command.add_option("--window", settings.window, "how far it may lie from the first in noise")
        ->capture_default_str();
    command.add_option("--apart", settings.apart, "how many of the 2000 steps it lies from the first, with steps")
        ->capture_default_str();
    command.add_option("--loss", settings.loss, "for difformer: the loss that it was trained by")
        ->check(CLI::IsMember({"anchor", "rounding"}))
        ->capture_default_str();
}

void add_generation(CLI::App& command, GenerateSettings& settings) {
    support::add_writing(command, settings);
    support::add_too_long(command, settings);
    command.add_option("--sampler", settings.sampler, "how noise is walked back; the recipe's own if not given")
        ->check(CLI::IsMember({"ddpm", "ddim", "cedi", "dpm-solver"}));
    command.add_option("--steps", settings.steps, "denoising steps")->capture_default_str();
    command
        .add_option("--plan", settings.plan,
                    "where they lie, for ddpm and ddim: even, adaptive, quadratic, or a file of fit-plan")
        ->capture_default_str();
    command.add_option("--early-stopping", settings.early_stopping, "cleanest steps left out")->capture_default_str();
    command.add_option("--fixed-time", settings.fixed_time,
                       "time that the denoiser is told in every step, 0 to 1; not with cedi");
    command.add_flag_function(
        "--clamp,!--no-clamp", [&](std::int64_t times) { settings.clamp = times > 0; },
        "whether each estimate becomes embeddings of the nearest tokens; as the recipe does if not given");
    command.add_option("--eta", settings.eta, "share of ddim's noise that is fresh, 0 to 1; 0 if not given");
    command
        .add_option("--guidance", settings.guidance,
                    "how far away from text without its source; 1: not. For models trained with --drop-source")
        ->capture_default_str();
    command.add_option("--length-beam", settings.length_beam, "lengths tried")->capture_default_str();
    command.add_option("--noise-beam", settings.noise_beam, "noises tried for each length")->capture_default_str();
    command
        .add_option("--select", settings.select,
                    "the candidate that is most like the others, at all or of its length first, that the read-out is "
                    "surest of, or that another model finds likeliest")
        ->check(CLI::IsMember({"mbr", "two-level-mbr", "log-probability", "perplexity"}))
        ->capture_default_str();
    command.add_option("--scorer", settings.scorer, "that other model: a file of autoregressive");
    command.add_option("--seed", settings.seed, "of all random numbers")->capture_default_str();
}

}  // namespace

int main(int count, char** arguments) {
    CLI::App program("Text to text by diffusion over token embeddings.", "seq2seq");
    program.require_subcommand(1);
    program.set_version_flag("--version", "seq2seq of inkling " + std::string(library_version));
    TrainSettings training, post_training;
    post_training.learning_rate = 2e-4;  // it begins with weights that know much
    post_training.warm_up = 100;
    GenerateSettings generating;
    support::SearchSettings search;
    search.tokens_per_batch = 8192;
    seq2seq::RescoreSettings rescoring;
    auto* const train_command = program.add_subcommand("train", "trains a model on pairs of lines");
    auto* const generate_command =
        program.add_subcommand("generate", "standard input to standard output, line by line");
    auto* const evaluate_command = program.add_subcommand("evaluate", "generates and prints BLEU");
    auto* const post_command =
        program.add_subcommand("post-train", "trains a model on, so that it writes as well in fewer steps");
    auto* const noise_command = program.add_subcommand("noise", "tells how much noise the embeddings of a model need");
    auto* const plan_command = program.add_subcommand("fit-plan", "measures which steps of a model matter, for --plan");
    auto* const distill_command = program.add_subcommand("distill", "new targets, by a model of autoregressive");
    auto* const rescore_command = program.add_subcommand(
        "rescore", "of several answers to each line that which a model of autoregressive prefers");
    add_training(*train_command, training);
    add_generation(*generate_command, generating);
    add_generation(*evaluate_command, generating);
    support::add_evaluation(*evaluate_command, generating);
    add_post_training(*post_command, post_training);
    noise_command->add_option("--model", generating.model, "model file")->required();
    noise_command->add_option("--seed", generating.seed, "of the noise")->capture_default_str();
    support::add_threads_or_device(*noise_command, generating);
    plan_command->add_option("--model", generating.model, "model file")->required();
    plan_command->add_option("--source", generating.source, "some source lines, a hundred say")->required();
    plan_command->add_option("--output", generating.output, "file to write")->required();
    plan_command->add_option("--steps", generating.steps, "of the even plan that is measured, 200 if not given");
    support::add_device(*plan_command, generating);
    support::add_distillation(*distill_command, search);
    rescore_command->add_option("--scorer", rescoring.scorer, "model file of autoregressive")->required();
    rescore_command->add_option("--source", rescoring.source, "source lines")->required();
    rescore_command->add_option("--candidates", rescoring.candidates, "files of as many lines each")->required();
    support::add_device(*rescore_command, rescoring);
    return support::run(program, count, arguments, [&] {
        if (*post_command) {
            bool const by_steps = post_training.second == "steps";
            require(by_steps || post_command->count("--apart") == 0,
                    "--apart was given, expected none without --second steps");
            require(!by_steps || post_command->count("--window") == 0,
                    "--window was given, expected none with --second steps");
            require(post_command->count("--loss") == 0 || recipe_of(post_training.from)->name() == "difformer",
                    "--loss was given, expected none with a model of another recipe than difformer");
        }
        if (*train_command) {
            refuse_options_of_others(*train_command, training.recipe);
            recipe_named(training.recipe)->train(training);
        }
        if (*post_command) recipe_of(post_training.from)->post_train(post_training);
        if (*generate_command) recipe_of(generating.model)->generate(generating);
        if (*evaluate_command) recipe_of(generating.model)->evaluate(generating);
        if (*noise_command) recipe_of(generating.model)->measure_noise(generating);
        if (*plan_command) {
            if (plan_command->count("--steps") == 0) generating.steps = 200;
            recipe_of(generating.model)->fit_plan(generating);
        }
        if (*distill_command) seq2seq::distill(search);
        if (*rescore_command) seq2seq::rescore(rescoring);
    });
}
