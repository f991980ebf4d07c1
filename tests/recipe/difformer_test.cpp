#include <inkling/recipe/recipe.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/io/named_tensors.hpp>
#include <inkling/text/memory_lines.hpp>
#include <inkling/text/parallel_corpus.hpp>
#include <inkling/text/tokenizer_pair.hpp>
#include <inkling/text/word_tokenizer.hpp>

#include "io/temporary_folder.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <set>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace inkling;
using nlohmann::json;
using Device = backend::Cpu<>;
using Difformer = recipe::Difformer<Device>;
using Official = recipe::OfficialDifformer<Device>;
using Normed = recipe::OfficialDifformer<Device, embedding::LayerNormed>;
using recipe::DifformerDecoding;
using recipe::DifformerSettings;
using recipe::DifformerTask;

/// A vocabulary of seven: the four special tokens and three words.
text::WordTokenizer tokenizer() { return text::WordTokenizer(text::Vocabulary({"ink", "on", "paper"})); }

/// A small official model, with the switches of the published ones.
json small() {
    return {{"vocab", 7},
            {"model_dim", 8},
            {"latent_dim", 4},
            {"encoder_layers", 1},
            {"decoder_layers", 1},
            {"encoder_attention_heads", 2},
            {"decoder_attention_heads", 2},
            {"encoder_ffn_embed_dim", 12},
            {"share_all_embeddings", true},
            {"diffusion_steps", 50},
            {"noise_schedule", "sqrt"},
            {"rescaling_factor", 4.0},
            {"embed_norm", true},
            {"embed_norm_affine", true},
            {"self_cond", true},
            {"rescale_timesteps", true},
            {"encoder_learned_pos", true},
            {"decoder_learned_pos", true},
            {"max_source_positions", 9},
            {"max_target_positions", 9},
            {"pred_length_offset", true},
            {"length_loss_factor", 0.1},
            {"dropout", 0.0}};
}
json with(json settings, json const& more) {
    settings.update(more);
    return settings;
}

/// How sure a model is of what it says, with noise that is always the same: three numbers that hang on all its weights.
template <class Pipeline>
std::vector<double> surety_of(Pipeline const& pipeline) {
    std::vector<std::string> const sources{"ink on paper", "paper", "on on ink"};
    std::vector<double> result;
    for (auto const& generated :
         pipeline.generate_with(sources, {.seed = 5, .beams = {.length_beam = 3, .noise_beam = 2}}))
        result.push_back(generated.mean_log_probability);
    return result;
}

/// Writes weights under the names that the official program would, as if its own state_dict.
struct Checkpoint {
    std::vector<std::vector<float>> values{};
    std::vector<io::NamedTensor> tensors{};

    Checkpoint() = default;
    template <class Pipeline>
    explicit Checkpoint(Pipeline const& pipeline) {
        for (auto const& entry : pipeline.layout().entries()) {
            if (!entry.stored) continue;
            auto const* const first = pipeline.weights().data + entry.parameter.offset;
            add(entry.name, entry.shape, {first, first + entry.parameter.size()});
            for (std::string const& alias : entry.aliases)
                add(alias, entry.shape, {first, first + entry.parameter.size()});
        }
        for (char const* name : {"encoder.version", "decoder.version"}) add(name, {1}, {3.0f});
    }
    void add(std::string name, std::vector<Index> shape, std::vector<float> elements) {
        values.push_back(std::move(elements));
        tensors.push_back({std::move(name), std::move(shape), nullptr});
    }
    std::size_t at(std::string const& name) const {
        return static_cast<std::size_t>(
            std::find_if(tensors.begin(), tensors.end(), [&](auto const& tensor) { return tensor.name == name; })
            - tensors.begin());
    }
    void remove(std::string const& name) {
        auto const place = static_cast<std::ptrdiff_t>(at(name));
        values.erase(values.begin() + place);
        tensors.erase(tensors.begin() + place);
    }
    void write(std::filesystem::path const& path) {
        for (std::size_t i = 0; i < tensors.size(); ++i) tensors[i].data = values[i].data();
        io::save_tensors(path, tensors);
    }
};

/// A pipeline of other weights than a new one has; tables that are never trained are left alone.
template <class Pipeline>
Pipeline stirred(json const& settings, json const& decoding) {
    auto const read = DifformerSettings::read(settings);
    Pipeline pipeline(tokenizer(), recipe::difformer_options<Pipeline>(read, DifformerDecoding::read(decoding, read)));
    for (auto const& [begin, end] : pipeline.layout().trained_ranges())
        for (Index i = begin; i < end; ++i) pipeline.weights().data[i] += 0.1f * static_cast<float>(i % 7 - 3);
    return pipeline;
}

json const few_steps{{"decoding_steps", 5}};
std::vector<std::string> const lines{"ink on paper", "paper", "on ink"};

}  // namespace

TEST_CASE("Difformer's presets hold the published constants") {
    struct Published {
        DifformerTask task;
        Index width, hidden, heads;
        double noise, dropout;
        Index tokens, updates, lengths, noises;
    };
    for (auto const& published : {Published{DifformerTask::iwslt14_de_en, 512, 1024, 4, 4.0, 0.3, 8000, 300000, 7, 3},
                                  Published{DifformerTask::wmt14_en_de, 512, 2048, 8, 3.5, 0.1, 64000, 300000, 7, 3},
                                  Published{DifformerTask::qqp, 768, 3072, 12, 4.0, 0.1, 8000, 50000, 5, 2},
                                  Published{DifformerTask::wiki_auto, 768, 3072, 12, 4.0, 0.1, 64000, 30000, 5, 2}}) {
        auto const preset = recipe::difformer<Device>(published.task);
        auto const& denoiser = preset.model.denoiser;
        CHECK(preset.model.embedding.width == 128);
        CHECK(preset.model.embedding.tied);
        CHECK(denoiser.width == published.width);
        CHECK(denoiser.hidden == published.hidden);
        CHECK(denoiser.heads == published.heads);
        CHECK(denoiser.layers == 6);
        CHECK(denoiser.dropout == published.dropout);
        CHECK(denoiser.self_conditioning == denoiser::SelfConditioning::after_projection);
        CHECK(denoiser.embedding_norm);
        CHECK(denoiser.embedding_norm_affine);
        CHECK(preset.model.schedule.training_noise == published.noise);
        CHECK(preset.model.schedule.variance_preserving == 1.0);
        CHECK(preset.model.sampler.steps == 20);
        CHECK(preset.model.sampler.early_stopping == 5);
        CHECK(preset.model.sampler.plan(preset.model.schedule).steps.size() == 15);
        CHECK(preset.model.sampler.noise_factor == 1.0);
        CHECK(preset.training.steps == published.updates);
        CHECK(preset.training.tokens_per_batch == published.tokens);
        CHECK(preset.training.learning_rate.peak == 5e-4);
        CHECK(preset.training.learning_rate.warm_up == 10000);
        CHECK(preset.training.adamw.beta2 == 0.98);
        CHECK(preset.training.adamw.weight_decay == 0.01);
        CHECK(preset.training.clip == 1.0);
        CHECK(preset.training.objective.label_smoothing == 0.1);
        CHECK(preset.training.length_weight == 0.1);
        CHECK(preset.training.self_conditioning == 0.5);
        CHECK(preset.training.average_best == 5);
        CHECK(preset.generation.beams.length_beam == published.lengths);
        CHECK(preset.generation.beams.noise_beam == published.noises);
    }
}

TEST_CASE("a preset that is made small trains in a moment, and then says what it was trained on") {
    auto preset = recipe::difformer<Device>(DifformerTask::qqp);
    preset.model.embedding.width = 8;
    auto& denoiser = preset.model.denoiser;
    denoiser.width = 32;
    denoiser.hidden = 32;
    denoiser.heads = 2;
    denoiser.layers = 1;
    denoiser.longest_source = denoiser.longest_target = 12;
    preset.model.device.threads = 1;
    preset.training.steps = 600;
    preset.training.learning_rate = {.peak = 5e-3, .warm_up = 100};
    preset.training.tokens_per_batch = 16;
    preset.generation.beams.length_beam = 1;
    Difformer model(tokenizer(), preset.model);
    text::ParallelCorpus corpus;
    for (std::string const& line : lines) {
        auto const tokens = tokenizer().encode(line);
        corpus.add(tokens, tokens);
    }
    CHECK(model.generate(lines, preset.generation) != lines);
    recipe::DifformerTrainer<Device> trainer(model, preset.training);
    CHECK(trainer.fit(corpus).steps == 600);
    CHECK(model.generate(lines, preset.generation) == lines);
}

TEST_CASE("what all published trainings share is one call, for a model of any size and for one that was imported") {
    auto const check = [](auto const& options) {
        CHECK(options.learning_rate.peak == 5e-4);
        CHECK(options.learning_rate.warm_up == 10000);
        CHECK(options.adamw.beta1 == 0.9);
        CHECK(options.adamw.beta2 == 0.98);
        CHECK(options.adamw.weight_decay == 0.01);
        CHECK(options.clip == 1.0);
        CHECK(options.self_conditioning == 0.5);
        CHECK(options.average_best == 5);
    };
    auto const own = recipe::difformer_training<Device>();
    check(own);
    CHECK(own.objective.label_smoothing == 0.1);
    CHECK(own.length_weight == 0.1);
    CHECK(own.discrete_steps == 2000);

    using AnyTrainer = recipe::OfficialDifformerTrainer<Device>;
    auto const asked = DifformerSettings::read(
        with(small(), {{"rounding_loss", true}, {"label_smoothing", 0.2}, {"length_loss_factor", 0.3}}));
    auto const official = recipe::difformer_training<AnyTrainer>(asked);
    check(official);
    CHECK(official.objective.rounding);
    CHECK(official.objective.label_smoothing == 0.2);
    CHECK(official.length_weight == 0.3);
    CHECK(official.discrete_steps == 50);

    CHECK_THROWS_WITH_AS(
        (void)recipe::difformer_training<recipe::DifformerTrainer<Device>>(asked),
        "inkling::recipe::difformer_training: 'rounding_loss' is true, expected false for this trainer; "
        "recipe::OfficialDifformerTrainer has both objectives",
        Error);
    auto const anchored = DifformerSettings::read(with(small(), {{"label_smoothing", 0.2}}));
    CHECK(recipe::difformer_training<recipe::DifformerTrainer<Device>>(anchored).objective.label_smoothing == 0.2);
    using RoundingTrainer = Trainer<Difformer, objective::Rounding, train::InverseSquareRoot>;
    CHECK(recipe::difformer_training<RoundingTrainer>(asked).objective.label_smoothing == 0.2);
    CHECK_THROWS_AS((void)recipe::difformer_training<RoundingTrainer>(anchored), Error);
}

TEST_CASE("an official model is trained on with the objective that its settings name") {
    text::ParallelCorpus corpus;
    for (std::string const& line : lines) corpus.add(tokenizer().encode(line), tokenizer().encode(line));
    for (bool const rounding : {false, true}) {
        auto const settings = DifformerSettings::read(with(small(), {{"rounding_loss", rounding}}));
        Official model(tokenizer(),
                       recipe::difformer_options<Official>(settings, DifformerDecoding::read(few_steps, settings)));
        auto options = recipe::difformer_training<recipe::OfficialDifformerTrainer<Device>>(settings);
        options.steps = 1;
        std::set<std::string> terms;
        options.on_progress = [&](train::Progress const& progress) {
            for (auto const& loss : progress.losses) terms.emplace(loss.name);
        };
        CHECK(recipe::OfficialDifformerTrainer<Device>(model, options).fit(corpus).steps == 1);
        CHECK(terms.contains("rounding") == rounding);
        CHECK(terms.contains("anchor") == !rounding);
        options.objective.label_smoothing = 1.0;
        CHECK_THROWS_WITH_AS((recipe::OfficialDifformerTrainer<Device>(model, options)),
                             doctest::Contains("label_smoothing is 1.000000, expected a number in [0, 1)"), Error);
    }
}

TEST_CASE(
    "an official decoding chooses by BLEU among the candidates, or by their log-probability, as its options say") {
    auto const settings = DifformerSettings::read(small());
    std::vector<decode::Candidate> const candidates{{"ink on paper", -0.3}, {"paper", -0.1}, {"ink on paper on", -0.2}};
    CHECK(DifformerDecoding::read(json::object(), settings).selection().select(candidates) == 1);
    CHECK(DifformerDecoding::read({{"bleu_mbr", true}}, settings).selection().select(candidates) != 1);
}

TEST_CASE("DifformerSettings: official options become ours, and absent ones have the official defaults") {
    auto const nothing = DifformerSettings::read(json::object());
    CHECK(nothing.denoiser.width == 512);
    CHECK(nothing.denoiser.heads == 8);
    CHECK(nothing.denoiser.hidden == 2048);
    CHECK(nothing.embedding.width == 128);
    CHECK(nothing.diffusion_steps == 2000);
    CHECK(nothing.training_noise == 1.0);
    CHECK(nothing.denoiser.encoder_positions == denoiser::Positions::sinusoidal);
    CHECK(nothing.denoiser.self_conditioning == denoiser::SelfConditioning::none);
    CHECK_FALSE(nothing.denoiser.embedding_norm);
    CHECK_FALSE(nothing.embedding.tied);
    CHECK(nothing.denoiser.time_scale == 2000.0);
    CHECK(nothing.denoiser.length_target == denoiser::LengthTarget::absolute);

    auto const all = DifformerSettings::read(with(small(),
                                                  {{"decoder_ffn_embed_dim", 20},
                                                   {"vp_rf", true},
                                                   {"self_cond_before_proj", true},
                                                   {"rounding_loss", true},
                                                   {"sg_length_pred", true},
                                                   {"activation_fn", "gelu"},
                                                   {"layernorm_embedding", true},
                                                   {"share_project_in_dim", true},
                                                   {"no_scale_embedding", true},
                                                   {"encoder_normalize_before", true},
                                                   {"label_smoothing", 0.2},
                                                   {"max_source_positions", nullptr}}));
    CHECK(all.variance_preserving == 4.0);
    CHECK(all.training_noise == 4.0);
    CHECK(all.denoiser.encoder_hidden == 12);
    CHECK(all.denoiser.hidden == 20);
    CHECK(all.denoiser.self_conditioning == denoiser::SelfConditioning::before_projection);
    CHECK(all.denoiser.activation == backend::Activation::gelu);
    CHECK(all.denoiser.encoder_embedding_norm);
    CHECK(all.denoiser.share_projection);
    CHECK(all.denoiser.encoder_normalize_before);
    CHECK_FALSE(all.denoiser.decoder_normalize_before);
    CHECK_FALSE(all.denoiser.length_trains_encoder);
    CHECK_FALSE(all.embedding.scaled);
    CHECK(all.embedding.tied);
    CHECK(all.rounding_loss);
    CHECK(all.label_smoothing == 0.2);
    CHECK(all.denoiser.longest_source == 1024);
    CHECK(all.denoiser.time_scale == 1000.0);
    CHECK_FALSE(all.normed_embedding);
    CHECK(all.denoiser.embedding_norm);

    auto const normed = DifformerSettings::read(with(small(), {{"embed_norm_before_proj", true}}));
    CHECK(normed.normed_embedding);
    CHECK_FALSE(normed.denoiser.embedding_norm);
}

TEST_CASE("DifformerSettings: a setting of another kind, or of what the model has not, is refused by name") {
    auto const read = [](char const* name, json const& value) {
        return [=] { (void)DifformerSettings::read(with(small(), {{name, value}}), "config.json"); };
    };
    CHECK_THROWS_WITH_AS(read("model_dim", "wide")(),
                         "config.json: the setting 'model_dim' is \"wide\", expected a whole number from 1 to 2^30",
                         Error);
    CHECK_THROWS_WITH_AS(read("encoder_layers", 0)(),
                         "config.json: the setting 'encoder_layers' is 0, expected a whole number from 1 to 2^30",
                         Error);
    CHECK_THROWS_WITH_AS(read("self_cond", 1)(), "config.json: the setting 'self_cond' is 1, expected true or false",
                         Error);
    CHECK_THROWS_WITH_AS(read("dropout", true)(), "config.json: the setting 'dropout' is true, expected a number",
                         Error);
    CHECK_THROWS_WITH_AS(read("noise_schedule", 3)(),
                         "config.json: the setting 'noise_schedule' is 3, expected a string", Error);
    CHECK_THROWS_WITH_AS(
        read("activation_fn", "tanh")(),
        "config.json: the setting 'activation_fn' is \"tanh\", expected \"relu\", \"gelu\" or \"silu\"", Error);
    CHECK_THROWS_WITH_AS(
        read("no_token_positional_embeddings", true)(),
        "config.json: the setting 'no_token_positional_embeddings' is true, expected false: the model has no "
        "such option",
        Error);
    CHECK_THROWS_WITH_AS(
        read("attention_dropout", 0.1)(),
        "config.json: the setting 'attention_dropout' is 0.1, expected 0: dropout is on the output of each "
        "part alone; to only decode, set it to 0",
        Error);
    CHECK_THROWS_AS(read("pad", 3)(), Error);
    CHECK_THROWS_AS(read("layer_norm_eps", 1e-12)(), Error);
    CHECK_THROWS_WITH_AS((void)DifformerSettings::read(json::array(), "config.json"),
                         "config.json: the settings are not a JSON object", Error);
    auto const settings = DifformerSettings::read(with(small(), {{"noise_schedule", "steep"}}));
    CHECK_THROWS_WITH_AS(
        (void)settings.table(),
        "inkling::recipe::difformer_table: the noise schedule is 'steep', expected 'linear', 'cosine', 'sqrt', "
        "'edm' or 'cdcd'",
        Error);
}

TEST_CASE("Difformer: factors are read under the names that older checkpoints have them under") {
    json older = small();
    older.erase("rescaling_factor");
    older.update({{"noise_factor", 3.0}, {"rescale_factor", 1.5}});
    auto const settings = DifformerSettings::read(older);
    CHECK(settings.training_noise == 3.0);
    CHECK(settings.variance_preserving == 1.5);
    auto const decoding =
        DifformerDecoding::read({{"decoding_noise_factor", 0.5}, {"decoding_rescale_factor", 2.0}}, settings);
    CHECK(decoding.sampler.noise_factor == 0.5);
    CHECK(decoding.variance_preserving == 2.0);
}

TEST_CASE("DifformerDecoding: official options become a sampler, a schedule and beams") {
    auto const settings = DifformerSettings::read(small());
    auto const decoding = DifformerDecoding::read({{"decoding_steps", 10},
                                                   {"decoding_early_stopping", 3},
                                                   {"decoding_noise_schedule", "cosine"},
                                                   {"decoding_rescaling_factor", 2.0},
                                                   {"decoding_vp_rf", true},
                                                   {"decoding_fixed_t", 0.5},
                                                   {"clamping", true},
                                                   {"length_beam_size", 7},
                                                   {"noise_beam_size", 3},
                                                   {"bleu_mbr", true}},
                                                  settings);
    auto const plan = decoding.sampler.plan(decoding.table());
    CHECK(plan.steps.size() == 7);
    CHECK(plan.clamp);
    CHECK(plan.initial_noise == 2.0);
    for (auto const& step : plan.steps) CHECK(step.time == 0.5);
    double const last = schedule::Rescaled<schedule::Cosine>{.variance_preserving = 2.0}.alpha_bar(0.98);
    CHECK(decoding.table().level(48) * schedule::Rescaled<schedule::Cosine>{.variance_preserving = 2.0}.alpha_bar(0.0)
          == doctest::Approx(last));
    CHECK(decoding.beams.length_beam == 7);
    CHECK(decoding.beams.noise_beam == 3);
    CHECK(decoding.bleu_mbr);

    auto const nothing = DifformerDecoding::read(json::object(), settings);
    CHECK(nothing.noise_schedule == "sqrt");
    CHECK(nothing.sampler.steps == 50);
    CHECK(nothing.beams.candidates() == 1);
    CHECK_FALSE(nothing.sampler.fixed_time);
    CHECK_THROWS_AS((void)DifformerDecoding::read({{"ppl_mbr", true}}, settings), Error);
}

TEST_CASE_TEMPLATE("an imported checkpoint says what the model it was taken from says", Pipeline, Difformer, Official,
                   Normed) {
    TemporaryFolder const folder;
    auto settings = small();
    json decoding = few_steps;
    if (std::is_same_v<Pipeline, Normed>) settings["embed_norm_before_proj"] = true;
    if (!std::is_same_v<Pipeline, Difformer>) {
        settings["noise_schedule"] = "linear";
        decoding["decoding_noise_schedule"] = "sqrt";
        settings["encoder_learned_pos"] = settings["share_all_embeddings"] = false;
    }
    auto const original = stirred<Pipeline>(settings, decoding);
    Checkpoint(original).write(folder / "model.safetensors");
    auto const read = DifformerSettings::read(settings);
    auto const imported = recipe::import_difformer<Pipeline>(read, DifformerDecoding::read(decoding, read),
                                                             folder / "model.safetensors", tokenizer());
    CHECK(surety_of(imported) == surety_of(original));
    auto const fresh = Pipeline(tokenizer(), original.options());
    CHECK(surety_of(fresh) != surety_of(original));
}

TEST_CASE("a checkpoint whose languages have dictionaries of their own is read with both, and refused with one") {
    TemporaryFolder const folder;
    auto official = small();
    official["share_all_embeddings"] = false;
    text::WordTokenizer const source(text::Vocabulary({"Tinte", "Papier", "auf", "trocknet", "schwarze"}));
    text::TokenizerPair const both(source, tokenizer());
    auto const settings = DifformerSettings::read(official);
    auto const decoding = DifformerDecoding::read(few_steps, settings);
    Difformer original(both, recipe::difformer_options<Difformer>(settings, decoding));
    for (Index i = 0; i < original.weights().size; ++i)
        original.weights().data[i] += 0.1f * static_cast<float>(i % 7 - 3);
    Checkpoint(original).write(folder / "model.safetensors");
    auto const imported = recipe::import_difformer<Difformer>(settings, decoding, folder / "model.safetensors", both);
    std::vector<std::string> const sources{"Tinte auf Papier", "trocknet", "schwarze Tinte trocknet"};
    CHECK(imported.generate(sources, {.seed = 5}) == original.generate(sources, {.seed = 5}));
    CHECK_THROWS_WITH_AS(
        (void)recipe::import_difformer<Difformer>(settings, decoding, folder / "model.safetensors", tokenizer()),
        doctest::Contains("'encoder.embed_tokens.weight' is [9, 4], expected [7, 4]"), Error);
    auto const shared = DifformerSettings::read(small());
    CHECK_THROWS_WITH_AS(
        (void)recipe::import_difformer<Difformer>(shared, decoding, folder / "model.safetensors", both),
        doctest::Contains("share_embedding is true, but the source has a vocabulary of its own"), Error);
}

TEST_CASE("importing for another embedding, schedule or vocabulary is refused, with a word on what would do") {
    auto const settings = DifformerSettings::read(small());
    auto const decoding = DifformerDecoding::read(few_steps, settings);
    CHECK_THROWS_WITH_AS(
        (void)recipe::difformer_options<Normed>(settings, decoding),
        "inkling::recipe::difformer_options: 'embed_norm_before_proj' is false, expected true for this pipeline; the "
        "other one's embedding is embedding::Learned",
        Error);
    auto const other = DifformerDecoding::read({{"decoding_noise_schedule", "cosine"}}, settings);
    CHECK_THROWS_WITH_AS((void)recipe::difformer_options<Difformer>(settings, other),
                         doctest::Contains("recipe::OfficialDifformer has them all"), Error);
    text::WordTokenizer const more(text::Vocabulary({"ink", "on", "paper", "dries"}));
    CHECK_THROWS_WITH_AS((void)recipe::import_difformer<Difformer>(settings, decoding, "none", more),
                         "inkling::recipe::import_difformer: the tokenizer has 8 tokens, expected the model's 7",
                         Error);
}

TEST_CASE("read_state_dict: shared weights may have any of their names, but must be equal where they have several") {
    TemporaryFolder const folder;
    auto const path = folder / "model.safetensors";
    auto const model = stirred<Difformer>(small(), few_steps);
    std::vector<float> const weights(model.weights().data, model.weights().data + model.weights().size);
    auto const read = [&] {
        return recipe::read_difformer_weights<float>(io::Safetensors::open(path), model.layout());
    };

    Checkpoint checkpoint(model);
    checkpoint.remove("decoder.embed_tokens.weight");
    checkpoint.remove("decoder.output_projection.weight");
    checkpoint.add("encoder.embed_positions._float_tensor", {1}, {0.0f});
    checkpoint.add("decoder.layernorm_embedding.weight", {8}, std::vector<float>(8, 1.0f));
    checkpoint.write(path);
    CHECK(read() == weights);

    Checkpoint torn(model);
    torn.values[torn.at("decoder.output_projection.weight")][3] += 1.0f;
    torn.write(path);
    CHECK_THROWS_WITH_AS(
        read(),
        doctest::Contains("1 not shared as in this model: 'decoder.output_projection.weight' differs from "
                          "'decoder.embed_tokens.weight'"),
        Error);
}

TEST_CASE("read_state_dict: one message names what is missing, of another shape, and without a place") {
    TemporaryFolder const folder;
    auto const path = folder / "model.safetensors";
    auto const model = stirred<Difformer>(small(), few_steps);
    Checkpoint checkpoint(model);
    checkpoint.remove("decoder.embed_norm.bias");
    checkpoint.remove("decoder.embed_length.weight");
    checkpoint.add("decoder.embed_length.weight", {2, 8}, std::vector<float>(16));
    checkpoint.add("decoder.extra.weight", {1}, {0.0f});
    checkpoint.write(path);
    CHECK_THROWS_WITH_AS(
        (void)recipe::read_difformer_weights<float>(io::Safetensors::open(path), model.layout()),
        doctest::Contains(
            "does not fit: tensors 1 missing: 'decoder.embed_norm.bias'; 1 of another shape: "
            "'decoder.embed_length.weight' is [2, 8], expected [256, 8]; 1 without a place in this model: "
            "'decoder.extra.weight'"),
        Error);
}

TEST_CASE("a fairseq dictionary gives its first word token 4") {
    std::vector<std::string> const words{"ink 12", "on 7", "paper 3"}, wrong{"ink 12", "on"};
    text::MemoryLines good{words};
    auto const vocabulary = recipe::read_fairseq_dictionary(good);
    CHECK(vocabulary.size() == 7);
    CHECK(vocabulary.token("ink") == 4);
    CHECK(vocabulary.token("paper") == 6);
    CHECK(vocabulary.specials() == text::SpecialTokens{});
    text::MemoryLines broken{wrong};
    CHECK_THROWS_WITH_AS(
        (void)recipe::read_fairseq_dictionary(broken),
        "inkling::recipe::read_fairseq_dictionary: line 2 is 'on', expected a word, a blank and a count", Error);
}
