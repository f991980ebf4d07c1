#include <inkling/recipe/dinoiser.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/decode/selection.hpp>
#include <inkling/io/named_tensors.hpp>
#include <inkling/recipe/dinoiser_import.hpp>
#include <inkling/text/memory_lines.hpp>
#include <inkling/text/tokenizer_pair.hpp>
#include <inkling/text/word_tokenizer.hpp>

#include <doctest/doctest.h>

#include "io/temporary_folder.hpp"

#include <cmath>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace {

using namespace inkling;
using Device = backend::Cpu<>;
using Translator = recipe::Dinoiser<Device>;
using recipe::DinoiserDecoding;
using recipe::DinoiserSettings;

std::vector<std::string> const& sources() {
    static std::vector<std::string> const lines{"one two", "two three four", "four", "three one", "two"};
    return lines;
}
std::vector<std::string> const& targets() {
    static std::vector<std::string> const lines{"uno dos", "dos tres cuatro", "cuatro", "tres uno", "dos"};
    return lines;
}

text::WordTokenizer tokenizer() {
    auto all = sources();
    all.insert(all.end(), targets().begin(), targets().end());
    text::MemoryLines lines{all};
    return text::WordTokenizer::train(lines);
}

text::ParallelCorpus corpus() {
    auto const words = tokenizer();
    text::ParallelCorpus pairs;
    for (std::size_t i = 0; i < sources().size(); ++i)
        pairs.add(words.encode(sources()[i]), words.encode(targets()[i]));
    return pairs;
}

/// The recipe in small.
Translator::Options small() {
    auto options = recipe::dinoiser<Device>(recipe::DinoiserTask::iwslt14_de_en).model;
    options.denoiser.width = 32;
    options.denoiser.layers = 2;
    options.denoiser.heads = 2;
    options.denoiser.hidden = 64;
    options.denoiser.dropout = 0.0;
    options.denoiser.longest_source = options.denoiser.longest_target = 12;
    options.denoiser.time_frequencies = 16;
    options.denoiser.time_hidden = 32;
    options.sampler.steps = 8;
    options.device = {.threads = 1};
    options.seed = 3;
    return options;
}

TEST_CASE("DINOISER learns a handful of pairs by heart, then their lengths, and writes them") {
    Translator translator(tokenizer(), small());
    auto training = recipe::dinoiser_training<Device>();
    training.steps = 500;
    training.learning_rate = {.peak = 3e-3, .warm_up = 50};
    training.tokens_per_batch = 64;
    training.bleu_sentences = 0;
    recipe::DinoiserTrainer<Device> trainer(translator, training);
    (void)trainer.fit(corpus());

    auto lengths = recipe::dinoiser_length_training<Device>();
    lengths.steps = 150;
    lengths.learning_rate = {.peak = 3e-3, .warm_up = 20};
    lengths.tokens_per_batch = 64;
    lengths.bleu_sentences = 0;
    recipe::DinoiserLengthTrainer<Device> length_trainer(translator, lengths);
    CHECK(length_trainer.fit(corpus()).loss < 0.1);
    CHECK(translator.generate(sources(), {.seed = 7}) == targets());

    GenerateOptions const beams{.seed = 7, .beams = {.length_beam = 2, .noise_beam = 2}};
    auto const chosen = translator.generate_with(sources(), beams, decode::TwoLevelMinimumBayesRisk{});
    for (Generated const& one : chosen) CHECK(one.finished);

    // The text does not depend on what a sentence is generated beside; and a model file holds all of the model.
    CHECK(translator.generate(std::vector<std::string>{sources()[1]}, {.seed = 9, .first_source = 1}).front()
          == translator.generate(sources(), {.seed = 9})[1]);
    TemporaryFolder const folder;
    translator.save(folder / "dinoiser.inkling");
    auto options = small();
    options.denoiser = {};  // is in the file
    auto const loaded = Translator::load<text::WordTokenizer>(folder / "dinoiser.inkling", options);
    auto const said = translator.generate_with(sources(), beams), again = loaded.generate_with(sources(), beams);
    for (std::size_t i = 0; i < said.size(); ++i) {
        CHECK(said[i].tokens == again[i].tokens);
        CHECK(said[i].mean_log_probability == again[i].mean_log_probability);
    }
}

nlohmann::json official() {
    return {{"latent_dim", 8},
            {"half_time_embedding_dim", 4},
            {"max_source_positions", 10},
            {"max_target_positions", 12},
            {"dropout", 0.0},
            {"vocab", tokenizer().vocabulary_size()},
            {"scheduler", "sqrt"},
            {"model_output_type", "velocity"},
            {"diffusion_loss_type", "huber-noise"},
            {"time_sampler", "anneal_decay"},
            {"decay_factor", 1e-4},
            {"diffusion_model_config", R"({"hidden_dim": 12, "ffn_dim": 20, "num_heads": 2, "enc_num_layers": 1,
                                           "dec_num_layers": 2, "dec_prenorm": true})"},
            {"vae_config", R"({"hidden_dim": 8, "normalized_embedding": false, "embedding_init_std": 1.0})"}};
}

TEST_CASE("an imported checkpoint says what the model it was taken from says, trains on, and a wrong one is refused") {
    auto const settings = DinoiserSettings::read(official());
    auto const decoding = DinoiserDecoding::read(
        {{"solver", "ddim"}, {"denoise_steps", 5}, {"denoise_start", 0.9}, {"denoise_guidance", 0.3}, {"beam", 2}},
        settings);
    recipe::OfficialDinoiser<Device> original(tokenizer(), recipe::dinoiser_options<Device>(settings, decoding));
    for (Index i = 0; i < original.weights().size; ++i)
        original.weights().data[i] += 0.1f * static_cast<float>(i % 7 - 3);
    TemporaryFolder const folder;
    auto const write = [&](auto& model, std::string const& left_out) {
        std::vector<io::NamedTensor> tensors;
        for (auto const& entry : model.layout().entries())
            if (entry.name != left_out)
                tensors.push_back({entry.name, entry.shape, model.weights().data + entry.parameter.offset});
        for (char const* const places : {"vae.position_ids", "encoder.position_ids"})
            tensors.push_back({places, {1, 12}, model.weights().data});
        io::save_tensors(folder / "model.safetensors", tensors);
    };
    write(original, "");
    auto imported = recipe::import_dinoiser<Device>(settings, decoding, folder / "model.safetensors", tokenizer());
    GenerateOptions const options{.seed = 5, .beams = decoding.beams};
    auto const said = original.generate_with(sources(), options, decoding.selection()),
               again = imported.generate_with(sources(), options, decoding.selection());
    for (std::size_t i = 0; i < said.size(); ++i) {
        CHECK(said[i].tokens == again[i].tokens);
        CHECK(said[i].mean_log_probability == again[i].mean_log_probability);
    }
    auto training = recipe::dinoiser_training<Device>(settings);
    training.steps = 3;
    training.bleu_sentences = 0;
    CHECK(training.objective.measure == objective::ErrorMeasure::huber);
    CHECK(std::get<objective::AnnealedLevels>(training.levels.chosen).rate == 1e-4);
    recipe::OfficialDinoiserTrainer<Device> trainer(imported, training);
    CHECK(std::isfinite(trainer.fit(corpus()).loss));

    // The source's table, which is nobody else's, is of the source's dictionary.
    auto const source_words = text::WordTokenizer(text::Vocabulary({"eins", "zwei", "drei"}));
    text::TokenizerPair const both(source_words, tokenizer());
    CHECK_THROWS_WITH_AS((void)recipe::import_dinoiser<Device>(settings, decoding, folder / "model.safetensors", both),
                         doctest::Contains("'encoder.enc_token_embed.weight' is"), Error);
    recipe::OfficialDinoiser<Device> two(both, recipe::dinoiser_options<Device>(settings, decoding));
    for (Index i = 0; i < two.weights().size; ++i) two.weights().data[i] += 0.1f * static_cast<float>(i % 5 - 2);
    write(two, "");
    auto const of_two = recipe::import_dinoiser<Device>(settings, decoding, folder / "model.safetensors", both);
    std::vector<std::string> const lines{"zwei drei", "eins"};
    CHECK(of_two.generate(lines, options) == two.generate(lines, options));

    write(original, "decoder.norm.bias");
    CHECK_THROWS_WITH_AS(
        (void)recipe::import_dinoiser<Device>(settings, decoding, folder / "model.safetensors", tokenizer()),
        doctest::Contains("1 missing: 'decoder.norm.bias'"), Error);
    auto other = settings;
    other.vocabulary += 1;
    CHECK_THROWS_WITH_AS((void)recipe::import_dinoiser<Device>(other, decoding, "none", tokenizer()),
                         doctest::Contains("expected the model's"), Error);
    other = settings;
    other.specials.pad = 3;
    CHECK_THROWS_WITH_AS((void)recipe::import_dinoiser<Device>(other, decoding, "none", tokenizer()),
                         "inkling::recipe::import_dinoiser: the tokenizer's pad is token 1, expected the model's 3",
                         Error);
}

TEST_CASE("official options are read by their names, alone and in the texts that are JSON of their own") {
    auto const settings = DinoiserSettings::read(official());
    CHECK(settings.denoiser.width == 12);
    CHECK(settings.denoiser.hidden == 20);
    CHECK(settings.denoiser.encoder_layers == 1);
    CHECK(settings.denoiser.decoder_normalize_before);
    CHECK_FALSE(settings.denoiser.encoder_normalize_before);
    CHECK(settings.denoiser.output == denoiser::Output::velocity);
    CHECK_FALSE(settings.embedding.normalized);
    CHECK(settings.embedding.standard_deviation == 1.0);
    CHECK(settings.schedule.kind == recipe::DinoiserNoise::sqrt);
    CHECK(settings.objective.quantity == schedule::Quantity::noise);

    auto const mixed =
        DinoiserSettings::read({{"model_output_type", "mix_x0_eps"}, {"diffusion_loss_type", "l1-mix_x0_eps"}});
    CHECK(mixed.objective.mixed_output);
    CHECK(mixed.objective.measure == objective::ErrorMeasure::absolute);

    auto const nothing = DinoiserSettings::read(nlohmann::json::object());  // the script for IWSLT14
    CHECK(nothing.embedding.width == 16);
    CHECK(nothing.denoiser.width == 512);
    CHECK(nothing.denoiser.self_conditioning);
    CHECK(nothing.schedule.kind == recipe::DinoiserNoise::interchangable);
    CHECK_FALSE(std::get<objective::ClippedLevels>(nothing.levels.chosen).smoothed);

    auto const decoding = DinoiserDecoding::read({{"solver", "cedi"},
                                                  {"denoise_steps", 20},
                                                  {"denoise_end", 0.99},
                                                  {"clamp", true},
                                                  {"beam", 5},
                                                  {"mbr", 2},
                                                  {"target_lang", "de"}},
                                                 nothing);
    CHECK(decoding.sampler.stretched);
    CHECK(decoding.sampler.cedi.labels.end == 0.99);
    CHECK(decoding.sampler.cedi.levels.end == 1e-3);
    CHECK(decoding.sampler.cedi.clamp);
    CHECK(decoding.beams.candidates() == 10);
    CHECK(decoding.selection().bleu.tokenizer == metric::BleuTokenizer::international);
}

TEST_CASE("official losses that weigh levels: what an update measures is the plain one's times the weight") {
    double const t = 0.9, signal = 1.0 - t * t, noise = t * t, beta = 2.0 * t / signal;
    auto const regression = [&](std::string const& loss) {
        auto settings = official();
        settings.update({{"scheduler", "interchangable"},
                         {"time_sampler", "uniform"},
                         {"min_t", t},
                         {"max_t", t},
                         {"diffusion_loss_type", loss}});
        auto const read = DinoiserSettings::read(settings);
        recipe::OfficialDinoiser<Device> model(
            tokenizer(),
            recipe::dinoiser_options<Device>(read, DinoiserDecoding::read(nlohmann::json::object(), read)));
        auto training = recipe::dinoiser_training<Device>(read);
        training.steps = 1;
        training.bleu_sentences = 0;
        double value = 0.0, prior = 0.0;
        training.on_progress = [&](train::Progress const& progress) {
            if (progress.finished) return;
            for (auto const& term : progress.losses) {
                if (term.name == "regression") value = term.value;
                if (term.name == "rounding") prior = term.value;
            }
        };
        (void)recipe::OfficialDinoiserTrainer<Device>(model, training).fit(corpus());
        return std::pair(value, prior);
    };
    for (std::string const measure : {"l2", "l1", "huber"}) {
        auto const pair = regression(measure + "-noise");
        double const of_noise = pair.first, rounding = pair.second;
        double const of_x0 = regression(measure + "-x0").first;
        REQUIRE(of_noise > 0.0);
        auto const check = [&](std::string const& loss, double expected) {
            auto const [value, other] = regression(measure + "-" + loss);
            CHECK(value == doctest::Approx(expected).epsilon(1e-4));
            CHECK(other == rounding);  // which no level weighs
        };
        check("mle", of_noise * beta / noise);
        check("reweighted", of_noise * beta);
        check("trunc_snr", of_noise * noise / signal);
        check("P2_1_1", of_x0 * noise);
        check("P2_0.5_2", of_x0 * std::pow(0.5 + signal / noise, -2.0));
    }
}

TEST_CASE("official options that there are none of are refused by name") {
    auto const refused = [](char const* name, nlohmann::json const& value) {
        INFO(name);
        CHECK_THROWS_WITH_AS((void)DinoiserSettings::read({{name, value}}), doctest::Contains(name), Error);
    };
    refused("partial_diffusion", true);
    refused("vae.std", 0.1);
    refused("vae.inf_num_layers", 2);
    refused("vae_type", "vqvae");
    refused("length_model_type", "regression");
    refused("length_predict_type", "fixed");
    refused("model_output_type", "x1");
    refused("diffusion_loss_type", "l3-x0");
    refused("diffusion_loss_type", "l2-mix_x0_eps");  // of a network that says x0 alone
    for (char const* const broken :
         {"l2", "l2-P2", "l2-P2_1", "l2-P2_1_", "l2-P2__1", "l2-P2_-1_2", "l2-P2_1_-2", "l2-P2_1_2_3", "l2-P2_k_1"})
        refused("diffusion_loss_type", broken);
    for (char const* const without_rate : {"geometric", "sqrt"})
        for (char const* const by_rate : {"l2-mle", "l1-reweighted"})
            CHECK_THROWS_WITH_AS(
                (void)DinoiserSettings::read({{"scheduler", without_rate}, {"diffusion_loss_type", by_rate}}),
                doctest::Contains("no rate of noise"), Error);
    refused("diffusion_loss_type", "ce");
    refused("time_sampler", "loss_aware");
    refused("timesteps", 0.5);
    refused("latent_dim", "wide");
    refused("diffusion_model_config", "{");
    CHECK_THROWS_AS((void)DinoiserSettings::read({{"scheduler", "none"}}), Error);
    DinoiserSettings const settings;
    for (auto const& [name, value] :
         std::vector<std::pair<char const*, nlohmann::json>>{{"solver", "euler"},
                                                             {"denoise_scheduler", "none"},
                                                             {"interpolate", true},
                                                             {"oracle_length", true},
                                                             {"diverse_generation", "length"}})
        CHECK_THROWS_WITH_AS((void)DinoiserDecoding::read({{name, value}}, settings), doctest::Contains(name), Error);
}

TEST_CASE("the presets are the published scripts") {
    auto const small_task = recipe::dinoiser<Device>(recipe::DinoiserTask::iwslt14_de_en);
    CHECK(small_task.model.embedding.width == 16);
    CHECK(small_task.model.denoiser.hidden == 1024);
    CHECK_FALSE(small_task.training.levels.smoothed);
    auto const large = recipe::dinoiser<Device>(recipe::DinoiserTask::wmt14_en_de);
    CHECK(large.model.embedding.width == 64);
    CHECK(large.training.levels.smoothed);
    CHECK(large.training.train_first);
    CHECK(large.training.length_weight == 0.0);
    CHECK(large.length_training.adamw.weight_decay == 0.0);
}

}  // namespace
