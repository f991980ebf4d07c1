#include <inkling/recipe/diffuseq.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/decode/selection.hpp>
#include <inkling/io/named_tensors.hpp>
#include <inkling/recipe/diffuseq_import.hpp>
#include <inkling/text/memory_lines.hpp>
#include <inkling/text/word_tokenizer.hpp>

#include <doctest/doctest.h>

#include "io/temporary_folder.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace inkling;
using Device = backend::Cpu<>;
using Writer = recipe::DiffuSeq<Device>;

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
Writer::Options small() {
    auto options = recipe::diffuseq<Device>().model;
    options.embedding.width = 16;
    options.denoiser.width = 32;
    options.denoiser.layers = 2;
    options.denoiser.heads = 2;
    options.denoiser.hidden = 64;
    options.denoiser.time_width = 16;
    options.denoiser.dropout = 0.0;
    options.denoiser.longest = options.denoiser.filled = 14;
    options.sampler.steps = 12;
    options.device = {.threads = 1};
    options.seed = 3;
    return options;
}

TEST_CASE("DiffuSeq learns a handful of pairs by heart, writes them, and Bridge's post-training keeps them") {
    Writer writer(tokenizer(), small());
    auto training = recipe::diffuseq<Device>().training;
    training.steps = 600;
    training.learning_rate = {.peak = 3e-3, .steps = 700};
    training.tokens_per_batch = 10 * 14;
    training.ema_decay = 0.0;
    training.clip = 1.0;
    training.bleu_sentences = 0;
    training.levels.parts = 50;  // so few sentences would never tell the losses of 2000
    recipe::DiffuSeqTrainer<Device> trainer(writer, training);
    auto const report = trainer.fit(corpus());
    CHECK(report.loss < 1.0);
    CHECK(writer.generate(sources(), {.seed = 7}) == targets());

    auto post = recipe::bridge<Device>().training;
    post.steps = 40;
    post.learning_rate = {.peak = 3e-4, .steps = 80};
    post.tokens_per_batch = 10 * 14;
    post.ema_decay = 0.0;
    post.clip = 1.0;
    post.levels = training.levels;
    recipe::BridgeTrainer<Device> bridge(writer, post);
    bridge.fit(corpus());
    auto few = writer.options().sampler;
    few.steps = 4;
    few.step_plan = sampler::AdaptiveDecay{};
    writer.set_sampler(few);
    CHECK(writer.generate(sources(), {.seed = 9}) == targets());

    // The text does not depend on what a sentence is generated beside; and a model file holds all of the model.
    CHECK(writer.generate(std::vector<std::string>{sources()[1]}, {.seed = 9, .first_source = 1}).front()
          == writer.generate(sources(), {.seed = 9})[1]);
    TemporaryFolder const folder;
    writer.save(folder / "diffuseq.inkling");
    auto options = small();
    options.sampler = few;
    auto const loaded = Writer::load<text::WordTokenizer>(folder / "diffuseq.inkling", options);
    CHECK(loaded.generate(sources(), {.seed = 9, .beams = {.noise_beam = 3}})
          == writer.generate(sources(), {.seed = 9, .beams = {.noise_beam = 3}}));
}

TEST_CASE("DiffuSeq: a pair that does not fit into one sequence is refused") {
    auto options = small();
    options.denoiser.longest = options.denoiser.filled = 8;
    Writer writer(tokenizer(), options);
    auto training = recipe::diffuseq<Device>().training;
    training.steps = 1;
    recipe::DiffuSeqTrainer<Device> trainer(writer, training);
    CHECK_THROWS_AS(trainer.fit(corpus()), Error);
}

TEST_CASE(
    "DiffuSeq: a tokenizer with other special tokens than the checkpoint names is refused, and so is another "
    "separator") {
    auto const read = [](nlohmann::json const& json) { return recipe::DiffuSeqSettings::read(json, "args"); };
    auto const decoding = recipe::DiffuSeqDecoding::read(nlohmann::json::object(), read(nlohmann::json::object()));
    CHECK_THROWS_WITH_AS((void)recipe::import_diffuseq<Device>(read({{"start", 0}, {"end", 1}, {"pad", 3}}), decoding,
                                                               "none", tokenizer()),
                         "inkling::recipe::import_diffuseq: the tokenizer's pad is token 1, expected the model's 3",
                         Error);
    CHECK_THROWS_WITH_AS((void)recipe::import_diffuseq<Device>(read({{"vocab", "bert"}, {"vocab_size", 30522}}),
                                                               decoding, "none", tokenizer()),
                         doctest::Contains("tokens, expected the model's 30522"), Error);
    CHECK_THROWS_WITH_AS((void)read({{"end", 1}, {"sep", 4}}),
                         "args: the setting 'sep' is 4, expected the token of 'end', which stands between source and "
                         "target too",
                         Error);
    CHECK(read({{"end", 102}, {"sep", 102}}).specials.eos == 102);
}

TEST_CASE("an imported checkpoint says what the model it was taken from says, and a wrong one is refused by tensor") {
    nlohmann::json const official{{"hidden_dim", 8},
                                  {"hidden_size", 12},
                                  {"num_hidden_layers", 1},
                                  {"num_attention_heads", 2},
                                  {"intermediate_size", 20},
                                  {"hidden_t_dim", 8},
                                  {"max_position_embeddings", 16},
                                  {"seq_len", 14},
                                  {"vocab_size", tokenizer().vocabulary_size()},
                                  {"diffusion_steps", 50},
                                  {"dropout", 0.0},
                                  {"noise_schedule", "trunc_lin"}};
    auto const settings = recipe::DiffuSeqSettings::read(official);
    auto const decoding = recipe::DiffuSeqDecoding::read({{"sampler", "ddim"}, {"respacing", "adp_5"}}, settings);
    recipe::OfficialDiffuSeq<Device> original(tokenizer(), recipe::diffuseq_options<Device>(settings, decoding));
    for (Index i = 0; i < original.weights().size; ++i)
        original.weights().data[i] += 0.1f * static_cast<float>(i % 7 - 3);
    TemporaryFolder const folder;
    auto const write = [&](std::string const& left_out) {
        std::vector<io::NamedTensor> tensors;
        for (auto const& entry : original.layout().entries()) {
            if (entry.name == left_out) continue;
            tensors.push_back({entry.name, entry.shape, original.weights().data + entry.parameter.offset});
            for (auto const& alias : entry.aliases) tensors.push_back({alias, entry.shape, tensors.back().data});
        }
        tensors.push_back({"position_ids", {1, 16}, original.weights().data});
        io::save_tensors(folder / "model.safetensors", tensors);
    };
    write("");
    auto const imported =
        recipe::import_diffuseq<Device>(settings, decoding, folder / "model.safetensors", tokenizer());
    GenerateOptions const options{.seed = 5, .beams = {.noise_beam = 2}};
    auto const said = original.generate_with(sources(), options), again = imported.generate_with(sources(), options);
    for (std::size_t i = 0; i < said.size(); ++i) {
        CHECK(said[i].tokens == again[i].tokens);
        CHECK(said[i].mean_log_probability == again[i].mean_log_probability);
        CHECK(said[i].tokens.size()
              == 14 - tokenizer().encode(sources()[i]).size() - 3);  // the place that the source leaves
    }
    write("LayerNorm.bias");
    CHECK_THROWS_WITH_AS(
        (void)recipe::import_diffuseq<Device>(settings, decoding, folder / "model.safetensors", tokenizer()),
        doctest::Contains("1 missing: 'LayerNorm.bias'"), Error);
}

TEST_CASE("the preset of DiffuSeq: z0 is as noisy as the first step of its table") {
    auto const preset = recipe::diffuseq<Device>();
    CHECK(preset.model.embedding.start_noise == doctest::Approx(0.1210012831880857).epsilon(1e-9));
    CHECK(preset.model.denoiser.width == 768);
    for (auto const& levels : {preset.training.levels, recipe::bridge<Device>().training.levels}) {
        CHECK(levels.parts == preset.training.discrete_steps);  // each step by its own losses
        CHECK(levels.history == 10);
        CHECK(levels.even_share == 0.001);
    }
}

TEST_CASE("official options are read, and those that there are none of refused by name") {
    using recipe::DiffuSeqSettings;
    auto const settings =
        DiffuSeqSettings::read({{"hidden_dim", 64}, {"vocab_size", 900}, {"diffusion_steps", 100}, {"seq_len", 32}});
    CHECK(settings.embedding.width == 64);
    CHECK(settings.vocabulary == 900);
    CHECK(settings.denoiser.filled == 32);
    CHECK(settings.denoiser.hidden == 3072);
    CHECK(settings.table().steps() == 100);
    CHECK_THROWS_AS((void)DiffuSeqSettings::read({{"learn_sigma", true}}), Error);
    CHECK_THROWS_AS((void)DiffuSeqSettings::read({{"noise_schedule", "none"}}), Error);
    CHECK_THROWS_AS((void)recipe::bridge_penalty({{"simi_penalty", "l3"}}), Error);
    Index steps = 0;
    CHECK_THROWS_AS((void)recipe::diffuseq_step_plan("adp_x", 100, steps, recipe::SectionRule::bridge), Error);
    using objective::SecondLevel;
    auto const of = [](char const* name) {
        return recipe::bridge_penalty({{"simi_penalty", name}, {"simi_lambda", -0.5}});
    };
    for (auto const& [name, second] : {std::pair{"l2", SecondLevel::steps},
                                       {"l2_random", SecondLevel::steps},
                                       {"l2_noise", SecondLevel::window_end},
                                       {"l2_noise_random", SecondLevel::in_window},
                                       {"cosine", SecondLevel::steps}}) {
        CHECK(of(name).weight == 0.5);
        CHECK(of(name).pairs.second == second);
    }
    CHECK(of("cosine_noise").weight == 0.0);  // the official code compares the whole name
    CHECK(of("cosine_noise").pairs.second == SecondLevel::steps);
    auto const gapped = recipe::DiffuSeqDecoding::read({{"sampler", "ddim"}, {"gap", 284}},
                                                       DiffuSeqSettings::read({{"vocab_size", 9}}));
    auto const walked = gapped.sampler.implicit.plan(schedule::Sqrt{});
    REQUIRE(walked.steps.size() == 8);
    for (Index i = 0; i < 8; ++i)
        CHECK(walked.steps[static_cast<std::size_t>(i)].time == static_cast<double>(1999 - 284 * i) / 2000.0);
}

TEST_CASE("the official vocabulary of words gives each its number, and one that cannot be is refused") {
    auto const read = [](char const* text) { return recipe::read_diffuseq_vocabulary(nlohmann::json::parse(text)); };
    auto const vocabulary = read(R"({"ink": 5, "[START]": 0, "[END]": 1, "[UNK]": 2, "[PAD]": 3, "pen@@": 4})");
    CHECK(vocabulary == text::Vocabulary({"pen@@", "ink"}, {.bos = 0, .pad = 3, .eos = 1, .unk = 2}));
    constexpr char const* where = "inkling::recipe::read_diffuseq_vocabulary: ";
    auto const refused = [&](char const* text, std::string const& why) {
        CHECK_THROWS_WITH_AS(read(text), (where + why).c_str(), Error);
    };
    refused("[]", "the vocabulary is no JSON object, expected the number of every word");
    refused("{}", "number 0 is missing, expected [START]");
    refused(R"({"[START]": 0, "[END]": 1, "[PAD]": 2, "[UNK]": 3})", "number 2 is '[PAD]', expected [UNK]");
    refused(R"({"[START]": 0, "[END]": 1, "[UNK]": 2, "[PAD]": 3, "ink": 5})",
            "word 'ink' has the number 5, expected 0 to 4, as there are so many words");
    refused(R"({"[START]": 0, "[END]": 1, "[UNK]": 2, "[PAD]": 3, "ink": "4"})",
            "word 'ink' has the number \"4\", expected 0 to 4, as there are so many words");
    refused(R"({"[START]": 0, "[END]": 1, "[UNK]": 2, "[PAD]": 3, "ink": 3})",
            "words '[PAD]' and 'ink' both have the number 3, expected one of its own");
}

TEST_CASE("DiffuSeq: the steps that were kept in training are those of decoding, where it names no others") {
    auto const settings = recipe::DiffuSeqSettings::read({{"vocab_size", 9}});
    auto const steps = [&](nlohmann::json const& json) {
        return recipe::DiffuSeqDecoding::read(json, settings, "args").sampler.plan(schedule::Sqrt{}).steps.size();
    };
    CHECK(steps(nlohmann::json::object()) == 2000);
    CHECK(steps({{"timestep_respacing", ""}}) == 2000);
    CHECK(steps({{"timestep_respacing", "25"}}) == 25);
    CHECK(steps({{"timestep_respacing", "25"}, {"respacing", "adp_10"}}) == 10);
    CHECK(steps({{"timestep_respacing", "25"}, {"respacing", "none"}}) == 2000);
    CHECK(steps({{"timestep_respacing", ""}, {"sampler", "ddim"}, {"gap", 100}}) == 20);
    CHECK_THROWS_WITH_AS((void)steps({{"timestep_respacing", "25"}, {"sampler", "ddim"}, {"gap", 100}}),
                         "args: the setting 'gap' is 100, expected 1 with a table that is respaced", Error);
    CHECK(steps({{"step", 20}}) == 20);  // of DiffuSeq's program, whose timestep_respacing is ""
    CHECK(steps({{"step", 2000}}) == 2000);
    CHECK_THROWS_WITH_AS((void)steps({{"step", 20}, {"gap", 100}}),
                         "args: the setting 'gap' is 100, expected 1 beside 'step'", Error);
    CHECK_THROWS_WITH_AS((void)steps({{"step", 1500}, {"respacing", "adp_10"}}),
                         "args: the setting 'step' is 1500, expected none with a table that is respaced", Error);
    CHECK_THROWS_WITH_AS((void)steps({{"step", 20}, {"sampler", "ddpm"}}),
                         "args: the setting 'sampler' is \"ddpm\", expected \"ddim\" beside 'step'", Error);
}

TEST_CASE(
    "DiffuSeq: 'step' walks as the gap that it stands for, and sections are kept as the code that is named does") {
    auto const settings = recipe::DiffuSeqSettings::read({{"vocab_size", 9}});
    auto const decoding = [&](nlohmann::json const& json) {
        return recipe::DiffuSeqDecoding::read(json, settings, "args").sampler;
    };
    CHECK(decoding({{"step", 20}}).ddim);
    CHECK_FALSE(decoding({{"step", 2000}}).ddim);
    auto const walked = decoding({{"step", 20}}).plan(schedule::Sqrt{});
    auto const as_gap = decoding({{"sampler", "ddim"}, {"gap", 100}}).plan(schedule::Sqrt{});
    REQUIRE(walked.steps.size() == as_gap.steps.size());
    for (std::size_t i = 0; i < walked.steps.size(); ++i) {
        CHECK(walked.steps[i].time == as_gap.steps[i].time);
        CHECK(walked.steps[i].alpha_bar == as_gap.steps[i].alpha_bar);
    }
    auto const times = [&](char const* source) {
        std::vector<Index> kept;
        for (auto const& step : decoding({{"respacing", "2,3,4"}, {"source", source}}).plan(schedule::Sqrt{}).steps)
            kept.push_back(std::llround(step.time * 2000.0));
        std::ranges::reverse(kept);
        return kept;
    };
    CHECK(times("DiffuSeq") == std::vector<Index>{0, 666, 667, 1000, 1333, 1334, 1556, 1777, 1999});
    CHECK(times("Bridge_Gap_Diffusion") == std::vector<Index>{0, 667, 1000, 1334, 1556, 1777, 1999});
    for (auto const& [json, found] :
         {std::pair<nlohmann::json, char const*>{{{"respacing", "2,3"}}, "'source' is missing"},
          {{{"source", "x"}}, "'source' is \"x\""},
          {{{"top_p", 0.9}}, "'top_p' is 0.9"},
          {{{"clamp_step", 5}}, "'clamp_step' is 5"},
          {{{"clamp_first", false}}, "'clamp_first' is false"},
          {{{"clip_denoised", true}}, "'clip_denoised' is true"},
          {{{"step", 2001}}, "'step' is 2001"}})
        CHECK_THROWS_WITH_AS((void)decoding(json), doctest::Contains(found), Error);
}

}  // namespace
