#include <inkling/recipe/sed.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/testing/device_arrays.hpp>
#include <inkling/text/memory_lines.hpp>
#include <inkling/text/reading.hpp>
#include <inkling/text/word_tokenizer.hpp>

#include <doctest/doctest.h>

#include "allocations.hpp"
#include "io/temporary_folder.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace {

using namespace inkling;
using Device = backend::Cpu<>;
using Writer = recipe::Sed<Device>;

/// Lines whose words can be told from any one of them.
std::vector<std::string> const& lines() {
    static std::vector<std::string> const all{"black ink dries slowly on paper", "clear water runs over old stones",
                                              "warm bread smells of autumn mornings", "two cats watch a quiet street"};
    return all;
}

text::WordTokenizer tokenizer() {
    text::MemoryLines source{lines()};
    return text::WordTokenizer::train(source);
}

text::ParallelCorpus corpus() {
    text::MemoryLines source{lines()};
    return text::read_monolingual(source, tokenizer(), text::MonolingualSource::none).corpus;
}

/// The recipe in small.
recipe::SedPreset<Device> small() {
    auto preset = recipe::sed<Device>(
        embedding::normalized({16, testing::random_values<float>(tokenizer().vocabulary_size() * 16, 4)}));
    auto& denoiser = preset.model.denoiser.model;
    denoiser.width = 64;
    denoiser.layers = 2;
    denoiser.heads = 4;
    denoiser.dropout = 0.0;
    denoiser.longest = 14;
    denoiser.filled = 8;  // what all lines have, beginning and end with them
    denoiser.reach = 8;
    preset.model.denoiser.guidance = 1.5;
    preset.model.sampler.steps = 16;
    preset.model.device = {.threads = 1};
    preset.model.seed = 3;
    preset.training.steps = 1500;
    preset.training.learning_rate = {.peak = 3e-3, .warm_up = 100};
    preset.training.tokens_per_batch = 128;
    preset.training.objective.masking.pads = 0.0;
    return preset;
}

std::vector<std::string> texts(std::vector<Generated> const& generated) {
    std::vector<std::string> result;
    for (Generated const& one : generated) result.push_back(one.text);
    return result;
}

}  // namespace

TEST_CASE(
    "Sed learns a handful of lines by heart: it fills their gaps, continues them and writes them out of nothing") {
    auto const preset = small();
    Writer writer(tokenizer(), preset.model);
    recipe::SedTrainer<Device> trainer(writer, preset.training);
    auto const report = trainer.fit(corpus());
    CHECK(report.steps == 1500);

    std::vector<text::GappedLine> const gapped{
        text::parse_gaps("black ink ___(2) on paper"),
        text::parse_gaps("___(2) runs over ___(2)"),
        text::parse_gaps("warm bread smells ___(3)"),
        text::parse_gaps("two ___(1) watch a ___(1) street"),
    };
    CHECK(texts(writer.infill(gapped, {.seed = 7})) == lines());

    std::vector<std::string> const beginnings{"clear water", "two cats"};
    CHECK(writer.generate(beginnings, {.seed = 3})
          == std::vector<std::string>{"runs over old stones", "watch a quiet street"});

    std::vector<text::GappedLine> const nothing(6, text::parse_gaps("___(6)"));
    for (std::string const& line : texts(writer.infill(nothing, {.seed = 5})))
        CHECK(std::find(lines().begin(), lines().end(), line) != lines().end());

    // The text of a line does not depend on what it is filled beside; and a model file holds all of the model.
    CHECK(texts(writer.infill(std::vector{gapped[1]}, {.seed = 7, .first_source = 1})).front() == lines()[1]);
    TemporaryFolder const folder;
    writer.save(folder / "sed.inkling");
    auto options = preset.model;
    options.embedding.table = nullptr;
    auto const loaded = Writer::load<text::WordTokenizer>(folder / "sed.inkling", options);
    auto const first = writer.infill(gapped, {.seed = 9, .beams = {.noise_beam = 3}});
    auto const again = loaded.infill(gapped, {.seed = 9, .beams = {.noise_beam = 3}});
    for (std::size_t i = 0; i < first.size(); ++i) {
        CHECK(first[i].tokens == again[i].tokens);
        CHECK(first[i].mean_log_probability == again[i].mean_log_probability);
    }
    options.denoiser.guidance = 1.0;  // a matter of sampling alone
    CHECK_NOTHROW((void)Writer::load<text::WordTokenizer>(folder / "sed.inkling", options).infill(gapped));
}

TEST_CASE("infill: what is known comes back as it was, whatever the model says, and a line without a gap is whole") {
    Writer const writer(tokenizer(), small().model);  // never trained
    std::vector<text::GappedLine> const gapped{text::parse_gaps("black ___(2) dries ___(1)"),
                                               text::parse_gaps("old stones"), text::parse_gaps("___(3)")};
    auto const filled = writer.infill(gapped, {.seed = 1});
    auto const words = tokenizer();
    auto const specials = words.specials();
    REQUIRE(filled[0].tokens.size() == 7);
    CHECK(filled[0].tokens[0] == specials.bos);
    CHECK(filled[0].tokens[1] == words.encode("black")[0]);
    CHECK(filled[0].tokens[4] == words.encode("dries")[0]);
    CHECK(filled[0].tokens[6] == specials.eos);
    CHECK(filled[1].text == "old stones");
    CHECK(filled[1].finished);
    CHECK(filled[2].tokens.size() == 5);  // beginning and end are written as well

    CHECK_THROWS_WITH_AS(
        (void)writer.infill(std::vector{text::parse_gaps("black ___(12)")}),
        "inkling::TextDiffusion::infill: line 0 has 15 rows, expected at most 14, as many as the model "
        "takes",
        Error);
    CHECK_THROWS_AS((void)writer.infill(gapped, {.beams = {.length_beam = 2}}), Error);
    CHECK_THROWS_WITH_AS((void)writer.infill(std::vector{text::GappedLine{{"a", "b"}, {0}}}),
                         doctest::Contains("gap 1 has 0 rows"), Error);
    CHECK_THROWS_WITH_AS((void)writer.infill(std::vector{text::GappedLine{{"a"}, {1}}}),
                         doctest::Contains("one piece more than gaps"), Error);
}

TEST_CASE("Sed: guidance moves what is written beside something, and leaves text out of nothing as it is") {
    auto options = small().model;
    std::vector<text::GappedLine> const gapped{text::parse_gaps("black ___(2) dries ___(1)"),
                                               text::parse_gaps("___(3)")};
    std::vector<std::vector<Generated>> of_each;
    for (double const g : {1.0, 3.0}) {
        options.denoiser.guidance = g;
        of_each.push_back(Writer(tokenizer(), options).infill(gapped, {.seed = 1}));
    }
    CHECK(of_each[0][0].mean_log_probability != of_each[1][0].mean_log_probability);
    CHECK(of_each[0][1].mean_log_probability == of_each[1][1].mean_log_probability);
}

TEST_CASE("Sed: after the first step nothing is allocated, neither guided nor not") {
    for (double const g : {1.0, 2.5}) {
        auto options = small().model;
        options.denoiser.guidance = g;
        Writer const writer(tokenizer(), options);
        std::vector<text::GappedLine> const gapped(3, text::parse_gaps("black ___(2) dries ___(1)"));
        std::vector<long> counts;
        counts.reserve(100);
        auto const listener = [&](decode::StepData<float> const&) { counts.push_back(allocations()); };
        (void)writer.infill(gapped, {}, decode::MinimumBayesRisk{}, listener);
        REQUIRE(counts.size() == 16);
        CHECK(counts.back() == counts.front());
    }
}

TEST_CASE("Sed: a resumed training ends in the bits of one that was never stopped") {
    auto preset = small();
    preset.training.steps = 8;
    Writer whole(tokenizer(), preset.model), halves(tokenizer(), preset.model);
    recipe::SedTrainer<Device>(whole, preset.training).fit(corpus());
    TemporaryFolder const folder;
    preset.training.checkpoint = folder / "run";
    preset.training.steps = 4;
    recipe::SedTrainer<Device>(halves, preset.training).fit(corpus());
    preset.training.steps = 8;
    Writer other(tokenizer(), preset.model);
    recipe::SedTrainer<Device>(other, preset.training).fit(corpus());
    auto const values = [](Writer const& of) {
        return std::vector<float>(of.weights().data, of.weights().data + of.weights().size);
    };
    CHECK(values(other) == values(whole));
    auto another = preset;
    another.model.embedding.table =
        embedding::normalized({16, testing::random_values<float>(tokenizer().vocabulary_size() * 16, 5)});
    Writer of_another_table(tokenizer(), another.model);
    CHECK_THROWS_WITH_AS(recipe::SedTrainer<Device>(of_another_table, another.training).fit(corpus()),
                         doctest::Contains("frozen"), Error);
    preset.training.objective.masking.pads = 0.2;  // another training
    CHECK_THROWS_AS(recipe::SedTrainer<Device>(other, preset.training).fit(corpus()), Error);
    preset.training.objective.masking.most_spans = 0;
    CHECK_THROWS_AS(recipe::SedTrainer<Device>(other, preset.training), Error);
}
