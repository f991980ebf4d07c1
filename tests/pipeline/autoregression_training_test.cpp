#include <inkling/pipeline/trainer.hpp>

#include <inkling/io/lines.hpp>
#include <inkling/pipeline/distillation.hpp>

#include <doctest/doctest.h>

#include "io/temporary_folder.hpp"
#include "refusal.hpp"
#include "tiny_autoregression.hpp"

#include <algorithm>
#include <fstream>
#include <span>
#include <sstream>
#include <stop_token>

namespace {

using namespace inkling;
using tiny::Autoregression;
using Options = Trainer<Autoregression>::Options;

/// Sentences that are to be said backwards.
text::ParallelCorpus backwards(std::vector<std::string> const& lines) {
    auto const tokenizer = tiny::tokenizer();
    text::ParallelCorpus corpus;
    for (std::string const& line : lines) {
        auto const tokens = tokenizer.encode(line);
        corpus.add(tokens, std::vector<Token>(tokens.rbegin(), tokens.rend()));
    }
    return corpus;
}
text::ParallelCorpus training_text() { return backwards(tiny::sentences(80)); }
text::ParallelCorpus held_out_text() {
    auto const lines = tiny::sentences(100);
    return backwards({lines.begin() + 80, lines.end()});
}

Autoregression fresh(double dropout = 0.1) {
    auto options = tiny::autoregression_options();
    options.model.dropout = dropout;
    return {tiny::tokenizer(), options};
}

Options thirty() {
    Options options;
    options.steps = 30;
    options.learning_rate = {.peak = 3e-3, .warm_up = 5};
    options.tokens_per_batch = 64;
    options.bleu_sentences = 0;
    return options;
}

std::vector<float> weights_of(Autoregression const& pipeline) {
    auto const weights = pipeline.weights();
    return {weights.data, weights.data + weights.size};
}

}  // namespace

TEST_CASE("a model of the next token learns to say held-out sentences backwards, and its validations tell") {
    auto options = tiny::autoregression_options();
    options.embedding.width = options.model.width = 32;
    options.model.layers = 2;
    options.model.hidden = 64;
    Autoregression pipeline(tiny::tokenizer(), options);
    auto training = thirty();
    training.steps = 1500;
    training.tokens_per_batch = 256;
    training.learning_rate = {.peak = 4e-3, .warm_up = 100};
    training.objective.label_smoothing = 0.0;
    training.bleu_sentences = 20;
    training.validate_every = 500;
    training.generate.search.width = 2;
    std::vector<std::string> lines = tiny::sentences(400);
    std::vector<double> bleus;
    training.on_validation = [&](ValidationReport const& found) { bleus.push_back(found.bleu); };
    std::vector<double> totals;
    training.on_progress = [&](train::Progress const& progress) {
        if (progress.step == 1 && !progress.finished) {
            REQUIRE(progress.losses.size() == 3);
            CHECK(progress.losses[1].name == "nll");
            CHECK(progress.losses[2].name == "cross_entropy");
        }
        totals.push_back(progress.losses[0].value);
    };
    auto const held_out = backwards({lines.begin() + 360, lines.end()});
    auto const report =
        Trainer<Autoregression>(pipeline, training).fit(backwards({lines.begin(), lines.begin() + 360}), &held_out);
    CHECK(totals.front() > 2.0);
    CHECK(report.loss < 0.3);
    REQUIRE(bleus.size() == 3);
    CHECK(bleus.back() > 60.0);
    REQUIRE(report.validation.has_value());
    CHECK(report.validation->bleu == *std::max_element(bleus.begin(), bleus.end()));
}

TEST_CASE("a training of the next token that was stopped and resumed ends in the very bits of one that was not") {
    auto const corpus = training_text();
    auto const held_out = held_out_text();
    auto options = thirty();
    options.validate_every = 8;
    options.average_best = 2;
    SUBCASE("with a moving average") { options.ema_decay = 0.9; }
    SUBCASE("by BLEU") { options.bleu_sentences = 5; }

    TemporaryFolder const whole, parts;
    options.checkpoint = whole / "run";
    options.metrics = whole / "run.csv";
    Autoregression uninterrupted = fresh();
    auto const want = Trainer<Autoregression>(uninterrupted, options).fit(corpus, &held_out);
    options.checkpoint = parts / "run";
    options.metrics = parts / "run.csv";
    for (Index const until : {Index{11}, Index{16}, Index{30}}) {
        Autoregression pipeline = fresh();
        std::stop_source stop;
        auto again = options;
        again.stop = stop.get_token();
        again.on_progress = [&](train::Progress const& progress) {
            if (progress.step == until && until < 30) stop.request_stop();
        };
        auto const report = Trainer<Autoregression>(pipeline, again).fit(corpus, &held_out);
        CHECK(report.steps == until);
        if (until < 30) continue;
        CHECK(weights_of(pipeline) == weights_of(uninterrupted));
        REQUIRE(report.validation.has_value());
        CHECK(report.validation->loss == want.validation->loss);
    }
    std::string const header = contents_of(whole / "run.csv").substr(0, 400);
    CHECK(header.find("cross_entropy") != std::string::npos);
    CHECK(header.find("valid_loss") != std::string::npos);

    auto other = options;  // a run of other settings is another run
    other.objective.label_smoothing = 0.2;
    Autoregression pipeline = fresh();
    Trainer<Autoregression> refused(pipeline, other);
    CHECK_SAYS(refused.fit(corpus, &held_out), "other options or text");
}

TEST_CASE("what a training of the next token cannot use is refused before the first update") {
    Autoregression pipeline = fresh();
    auto options = thirty();
    options.generate.search.width = 0;
    CHECK_SAYS(Trainer<Autoregression>(pipeline, options), "inkling::decode::BeamSearch: width is 0");
    options = thirty();
    options.objective.label_smoothing = 1.0;
    CHECK_SAYS(Trainer<Autoregression>(pipeline, options),
               "inkling::objective::CrossEntropy: label_smoothing is 1.000000, expected a number in [0, 1)");
    text::ParallelCorpus longer;
    longer.add(std::vector<Token>{4}, std::vector<Token>(16, 4));
    Trainer<Autoregression> trainer(pipeline, thirty());
    CHECK_SAYS(trainer.fit(longer), "training sentence 0 has 17 target tokens, expected at most 16");
}

// --------------------------------------------------------------------------------------------------- distillation

namespace {

std::vector<std::string> lines_of(std::string const& text) {
    std::istringstream in(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

}  // namespace

TEST_CASE("distill writes what the teacher makes of each source, and an empty line for what it cannot read") {
    TemporaryFolder const folder;
    Autoregression const teacher = tiny::talkative_autoregression();
    auto sources = tiny::sentences(25);
    sources[7] = "";
    sources[9] = "ink ink ink ink ink ink ink ink ink ink ink ink ink";  // 13, and eos: there are 12 positions
    SearchOptions search;
    search.search.width = 2;
    std::vector<Index> told;
    text::MemoryLines lines{sources};
    auto const report =
        distill(teacher, lines, folder / "out",
                {.generate = search, .lines_per_piece = 4, .on_progress = [&](Index done) { told.push_back(done); }});
    CHECK(report.finished);
    CHECK(report.lines == 25);
    CHECK(report.left_out == 2);
    CHECK(told == std::vector<Index>{4, 8, 12, 16, 20, 24, 25});
    auto const written = lines_of(contents_of(folder / "out"));
    REQUIRE(written.size() == 25);
    for (std::size_t i = 0; i < sources.size(); ++i)
        CHECK(
            written[i]
            == (i == 7 || i == 9 ? std::string{} : teacher.generate(std::vector<std::string>{sources[i]}, search)[0]));
    CHECK(folder.files() == 1);  // nothing is left beside it
}

TEST_CASE("a distillation that was stopped goes on where it was, and ends in the same file") {
    TemporaryFolder const folder;
    Autoregression const teacher = tiny::talkative_autoregression();
    auto const sources = tiny::sentences(30);
    DistillOptions<SearchOptions> options{.lines_per_piece = 4};
    text::MemoryLines all{sources};
    CHECK(distill(teacher, all, folder / "whole", options).finished);

    std::stop_source stop;
    auto stopping = options;
    stopping.generate.stop = stop.get_token();
    stopping.on_progress = [&](Index done) {
        if (done == 12) stop.request_stop();
    };
    text::MemoryLines again{sources};
    auto const stopped = distill(teacher, again, folder / "out", stopping);
    CHECK_FALSE(stopped.finished);
    CHECK(stopped.lines == 12);
    CHECK_FALSE(std::filesystem::exists(folder / "out"));
    std::ofstream(folder / "out.part", std::ios::app) << "half a pie";  // of a program that was killed

    auto other = options;
    other.generate.search.width = 3;
    text::MemoryLines same{sources};
    CHECK_SAYS(distill(teacher, same, folder / "out", other), "by another model or with other settings");
    Autoregression coarse = tiny::talkative_autoregression();
    coarse.set_device({.threads = 1, .precision = backend::CpuPrecision::bf16});
    text::MemoryLines rounded{sources};
    CHECK_SAYS(distill(coarse, rounded, folder / "out", options), "by another model or with other settings");
    auto changed = sources;
    changed[3] = "other words";
    text::MemoryLines others{changed};
    CHECK_SAYS(distill(teacher, others, folder / "out", options), "the first 12 sources are not those");
    text::MemoryLines few{std::span(sources).first(5)};
    CHECK_SAYS(distill(teacher, few, folder / "out", options), "there are 5 sources, but 12 are done already");

    {
        io::FileLock const another(folder / "out");
        text::MemoryLines refused{sources};
        CHECK_SAYS(distill(teacher, refused, folder / "out", options), "is in use by another run");
    }

    std::vector<Index> told;
    auto going_on = options;
    going_on.on_progress = [&](Index done) { told.push_back(done); };
    text::MemoryLines last{sources};
    auto const report = distill(teacher, last, folder / "out", going_on);
    CHECK(report.finished);
    CHECK(told.front() == 12);
    CHECK(contents_of(folder / "out") == contents_of(folder / "whole"));
    CHECK(folder.files() == 2);

    std::ofstream(folder / "bad.state") << "{}";
    text::MemoryLines bad{sources};
    CHECK_SAYS(distill(teacher, bad, folder / "bad", options), "is damaged; remove it to begin anew");
    options.lines_per_piece = 0;
    text::MemoryLines none{sources};
    CHECK_SAYS(distill(teacher, none, folder / "none", options), "lines_per_piece is 0, expected at least 1");
}
