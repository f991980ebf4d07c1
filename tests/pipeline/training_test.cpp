#include <inkling/pipeline/trainer.hpp>

#include <inkling/denoiser/parameterized.hpp>
#include <inkling/objective/distance_penalty.hpp>

#include <doctest/doctest.h>

#include "io/temporary_folder.hpp"
#include "refusal.hpp"
#include "tiny.hpp"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <stop_token>

namespace {

using namespace inkling;
using tiny::Pipeline;
using Options = Trainer<Pipeline>::Options;

/// Sentences that are to be said again.
text::ParallelCorpus corpus_of(std::vector<std::string> const& lines) {
    auto const tokenizer = tiny::tokenizer();
    text::ParallelCorpus corpus;
    for (std::string const& line : lines) {
        auto const tokens = tokenizer.encode(line);
        corpus.add(tokens, tokens);
    }
    return corpus;
}
text::ParallelCorpus training_text() { return corpus_of(tiny::sentences(80)); }
text::ParallelCorpus held_out_text() {
    auto const lines = tiny::sentences(100);
    return corpus_of({lines.begin() + 80, lines.end()});
}

Pipeline fresh(double dropout = 0.1) {
    auto options = tiny::options();
    options.embedding.standard_deviation = 0.1;
    options.denoiser.dropout = dropout;
    return {tiny::tokenizer(), options};
}

/// Thirty updates, a few epochs.
Options thirty() {
    Options options;
    options.steps = 30;
    options.learning_rate = {.peak = 3e-3, .warm_up = 5};
    options.tokens_per_batch = 64;
    options.discrete_steps = 100;
    options.bleu_sentences = 0;
    return options;
}

std::vector<float> weights_of(Pipeline const& pipeline) {
    auto const weights = pipeline.weights();
    return {weights.data, weights.data + weights.size};
}

// -------------------------------------------------------------------------------------------------------- learning

TEST_CASE("a model learns to say sentences again: its loss falls, and so do all of its terms") {
    Pipeline pipeline = fresh(0.0);
    auto options = thirty();
    options.steps = 1500;
    options.tokens_per_batch = 128;
    options.learning_rate = {.peak = 5e-3, .warm_up = 40};
    options.objective.label_smoothing = 0.0;
    std::vector<double> totals, anchors;
    options.on_progress = [&](train::Progress const& progress) {
        if (progress.finished) return;
        totals.push_back(progress.losses.front().value);
        for (auto const& term : progress.losses)
            if (term.name == "anchor") anchors.push_back(term.value);
    };
    auto const report = Trainer<Pipeline>(pipeline, options).fit(training_text());
    auto const mean = [](std::vector<double> const& values, std::size_t first, std::size_t last) {
        return std::accumulate(values.begin() + static_cast<std::ptrdiff_t>(first),
                               values.begin() + static_cast<std::ptrdiff_t>(last), 0.0)
            / static_cast<double>(last - first);
    };
    REQUIRE(totals.size() == 1500);
    CHECK(anchors.front() == doctest::Approx(std::log(14.0)).epsilon(0.1));  // at first all words are as likely
    INFO("loss ", mean(totals, 0, 10), " -> ", mean(totals, 1400, 1500), ", anchor ", mean(anchors, 0, 10), " -> ",
         mean(anchors, 1400, 1500));
    CHECK(mean(totals, 1400, 1500) < 0.6 * mean(totals, 0, 10));
    CHECK(mean(anchors, 1400, 1500) < 0.7 * mean(anchors, 0, 10));
    CHECK(report.steps == 1500);
    CHECK(report.end == TrainingReport::End::budget);
    CHECK(report.loss == totals.back());
}

TEST_CASE("a network that says the velocity learns as well, and its model file tells it from one that says z0") {
    using Velocity = TextDiffusion<schedule::Rescaled<schedule::Sqrt>, embedding::Learned,
                                   denoiser::Parameterized<denoiser::EncoderDecoder<tests::Device<>>>, sampler::Ddpm>;
    Velocity::Options model{.schedule = {.training_noise = 2.0},
                            .embedding = {.width = 8, .standard_deviation = 0.1},
                            .denoiser = {.base = tiny::options().denoiser, .output = denoiser::Output::velocity},
                            .sampler = {.steps = 6, .discrete_steps = 100},
                            .device = tiny::options().device,
                            .seed = 3};
    model.denoiser.base.dropout = 0.0;
    Velocity pipeline(tiny::tokenizer(), model);
    Trainer<Velocity>::Options options;
    options.steps = 1000;
    options.learning_rate = {.peak = 5e-3, .warm_up = 40};
    options.tokens_per_batch = 128;
    options.discrete_steps = 100;
    options.objective.label_smoothing = 0.0;
    double first = 0.0, last = 0.0;
    options.on_progress = [&](train::Progress const& progress) {
        if (progress.finished) return;
        if (progress.step <= 10) first += progress.losses.front().value / 10.0;
        if (progress.step > 900) last += progress.losses.front().value / 100.0;
    };
    (void)Trainer<Velocity>(pipeline, options).fit(training_text());
    CAPTURE(first);
    CHECK(last < 0.7 * first);

    TemporaryFolder const folder;
    pipeline.save(folder / "velocity");
    std::vector<std::string> const lines{"ink drop", "black paper dries"};
    CHECK(Velocity::load<text::WordTokenizer>(folder / "velocity").generate(lines) == pipeline.generate(lines));
    CHECK_THROWS_WITH_AS((void)Pipeline::load<text::WordTokenizer>(folder / "velocity"),
                         doctest::Contains("is it a model of other policies?"), Error);
}

// -------------------------------------------------------------------------------------------------------- resuming

TEST_CASE("a run that was stopped in the middle of an epoch and resumed ends in the very bits of one that was not") {
    auto const corpus = training_text();
    auto const held_out = held_out_text();
    auto options = thirty();
    options.validate_every = 8;
    options.average_best = 2;
    SUBCASE("with a moving average, and the mean of the best") { options.ema_decay = 0.9; }
    SUBCASE("without") {}
    SUBCASE("on all of [0, 1]") { options.discrete_steps = 0; }

    TemporaryFolder const whole, parts;
    options.checkpoint = whole / "run";
    Pipeline uninterrupted = fresh();
    auto const best = Trainer<Pipeline>(uninterrupted, options).fit(corpus, &held_out).validation;
    REQUIRE(best.has_value());

    options.checkpoint = parts / "run";
    Index finished = 0;
    for (Index const until : {Index{11}, Index{13}, Index{16}, Index{30}}) {  // 16: stopped where it would validate
        Pipeline pipeline = fresh();
        std::stop_source stop;
        auto again = options;
        again.stop = stop.get_token();
        again.on_progress = [&](train::Progress const& progress) {
            if (progress.step == until && until < 30) stop.request_stop();
        };
        Trainer<Pipeline> trainer(pipeline, again);
        auto const report = trainer.fit(corpus, &held_out);
        CHECK(report.steps == until);
        CHECK(trainer.steps() == until);
        CHECK(report.end == (until < 30 ? TrainingReport::End::stopped : TrainingReport::End::budget));
        finished = report.steps;
        if (until < 30) continue;
        CHECK(weights_of(pipeline) == weights_of(uninterrupted));
        REQUIRE(report.validation.has_value());
        CHECK(report.validation->step == best->step);
        CHECK(report.validation->loss == best->loss);
    }
    CHECK(finished == 30);

    // Asked once more, a finished run has nothing to do, and gives the same.
    Pipeline pipeline = fresh();
    CHECK(Trainer<Pipeline>(pipeline, options).fit(corpus, &held_out).steps == 30);
    CHECK(weights_of(pipeline) == weights_of(uninterrupted));
}

TEST_CASE("one trainer can be stopped and go on itself") {
    TemporaryFolder const folder;
    auto const corpus = training_text();
    auto options = thirty();
    Pipeline uninterrupted = fresh();
    (void)Trainer<Pipeline>(uninterrupted, options).fit(corpus);

    options.checkpoint = folder / "run";
    options.ema_decay = 0.0;
    bool thrown = false;
    options.on_progress = [&](train::Progress const& progress) {
        if (progress.step == 7 && !std::exchange(thrown, true)) throw std::runtime_error("the listener has had enough");
    };
    options.checkpoint_minutes = 0.0;  // one after every update
    Pipeline pipeline = fresh();
    Trainer<Pipeline> trainer(pipeline, options);
    CHECK_THROWS_AS(trainer.fit(corpus), std::runtime_error);
    CHECK(trainer.steps() == 7);
    CHECK(trainer.fit(corpus).steps == 30);  // from the checkpoint of update 6
    CHECK(weights_of(pipeline) == weights_of(uninterrupted));
}

TEST_CASE("a run that was ended in its last validation makes up for it when it is called again") {
    TemporaryFolder const whole, parts;
    auto const corpus = training_text();
    auto const held_out = held_out_text();
    auto options = thirty();
    options.bleu_sentences = 5;
    options.validate_every = 20;
    options.checkpoint = whole / "run";
    Pipeline uninterrupted = fresh();
    auto const want = Trainer<Pipeline>(uninterrupted, options).fit(corpus, &held_out);
    REQUIRE(want.validation.has_value());

    options.checkpoint = parts / "run";
    options.metrics = parts / "run.csv";
    auto stopping = options;
    std::stop_source stop;
    stopping.stop = stop.get_token();
    stopping.generate.tokens_per_batch = 1;  // one sentence after the other
    int validations = 0;
    stopping.on_validation = [&](ValidationReport const&) { ++validations; };
    stopping.generate.on_progress = [&](Index done, Index) {
        if (validations == 1 && done == 2) stop.request_stop();
    };
    Pipeline pipeline = fresh();
    CHECK(Trainer<Pipeline>(pipeline, stopping).fit(corpus, &held_out).end == TrainingReport::End::stopped);
    CHECK(validations == 1);  // what was generated by half is no score

    validations = 0;  // the one that it owes, and then the mean of the best is scored
    stopping.generate.on_progress = [&](Index, Index) {
        if (validations == 1) stop.request_stop();
    };
    stop = std::stop_source();
    stopping.stop = stop.get_token();
    Pipeline nearly = fresh();
    CHECK(Trainer<Pipeline>(nearly, stopping).fit(corpus, &held_out).end == TrainingReport::End::stopped);

    Pipeline again = fresh();
    auto const report = Trainer<Pipeline>(again, options).fit(corpus, &held_out);
    CHECK(report.end == TrainingReport::End::budget);
    REQUIRE(report.validation.has_value());
    CHECK(report.validation->step == want.validation->step);
    CHECK(weights_of(again) == weights_of(uninterrupted));
    std::string const rows = contents_of(parts / "run.csv");
    CHECK(rows.find("\n30,") != std::string::npos);
    CHECK(rows.find("\n30,") == rows.rfind("\n30,"));
}

TEST_CASE("a run is not gone on with after another text, another tokenizer's words or another kind of score") {
    TemporaryFolder const folder;
    auto const corpus = training_text();
    auto const held_out = held_out_text();
    auto options = thirty();
    options.steps = 3;
    options.checkpoint = folder / "run";
    Pipeline pipeline = fresh();
    (void)Trainer<Pipeline>(pipeline, options).fit(corpus, &held_out);
    auto const fit = [&](Options const& other, text::ParallelCorpus const& text, text::ParallelCorpus const* valid) {
        Pipeline again = fresh();
        return Trainer<Pipeline>(again, other).fit(text, valid);
    };
    CHECK(fit(options, corpus, &held_out).steps == 3);
    auto other = options;
    other.bleu_sentences = 4;
    CHECK_SAYS(fit(other, corpus, &held_out), "'/validation/bleu_sentences' is 0 in the checkpoint and 4 now");
    CHECK_SAYS(fit(options, corpus, nullptr), "'/validation/");
    other = options;
    other.objective.label_smoothing = 0.2;
    CHECK_SAYS(fit(other, corpus, &held_out), "'/objective/label_smoothing' is 0.1 in the checkpoint and 0.2 now");
    auto lines = tiny::sentences(80);
    std::swap(lines[0], lines[1]);
    CHECK_SAYS(fit(options, corpus_of(lines), &held_out), "'/text' is");
    other = options;
    other.learning_rate.peak = 1e-4;  // what one changes when a loss has run away
    other.steps = 4;
    CHECK(fit(other, corpus, &held_out).steps == 4);
}

TEST_CASE("a schedule that is a table is drawn from as it is") {
    using Tabled = TextDiffusion<schedule::Discrete, embedding::Learned, Pipeline::ModelType, sampler::Ddpm>;
    auto const corpus = training_text();
    auto const trained = [&](Index discrete_steps) {
        auto const sizes = tiny::options();
        Tabled pipeline(tiny::tokenizer(),
                        {.schedule = schedule::Discrete::sampled(schedule::Sqrt{}, 50),
                         .embedding = sizes.embedding,
                         .denoiser = sizes.denoiser,
                         .device = sizes.device});
        Trainer<Tabled>::Options options{.steps = 5, .tokens_per_batch = 64, .discrete_steps = discrete_steps};
        (void)Trainer<Tabled>(pipeline, options).fit(corpus);
        auto const weights = pipeline.weights();
        return std::vector<float>{weights.data, weights.data + weights.size};
    };
    auto const table = trained(50);
    CHECK(trained(2000) == table);
    CHECK(trained(0) == table);
}

TEST_CASE("a checkpoint of another run is refused, and so is one that is damaged") {
    TemporaryFolder const folder;
    auto const corpus = training_text();
    auto options = thirty();
    options.steps = 3;
    options.checkpoint = folder / "run";
    Pipeline pipeline = fresh();
    (void)Trainer<Pipeline>(pipeline, options).fit(corpus);
    auto const fit = [&](Options const& other) {
        Pipeline again = fresh();
        return Trainer<Pipeline>(again, other).fit(corpus);
    };
    CHECK(fit(options).steps == 3);
    auto other = options;
    other.seed = 2;
    CHECK_SAYS(fit(other), "was written by a run with other options");
    other = options;
    other.ema_decay = 0.5;
    CHECK_SAYS(fit(other), "was written by a run with other options");
    std::string const whole = contents_of(folder / "run");
    put(folder / "run", std::string_view(whole).substr(0, whole.size() - 100));
    CHECK_SAYS(fit(options), "run'");
}

TEST_CASE(
    "a training in bfloat16 learns, ends in the same bits when it was stopped, and goes on in no other precision") {
    TemporaryFolder const folder;
    auto const corpus = training_text();
    auto const trained = [&](Index steps, backend::CpuPrecision precision, char const* file) {
        auto options = thirty();
        options.steps = steps;
        if (file != nullptr) options.checkpoint = folder / file;
        Pipeline pipeline = fresh();
        pipeline.set_device({.threads = 1, .precision = precision});
        auto const report = Trainer<Pipeline>(pipeline, options).fit(corpus);
        return std::pair(weights_of(pipeline), report.loss);
    };
    auto const whole = trained(20, backend::CpuPrecision::bf16, nullptr);
    CHECK(whole.second < 0.9 * trained(1, backend::CpuPrecision::bf16, nullptr).second);
    CHECK(whole.second == doctest::Approx(trained(20, backend::CpuPrecision::single, nullptr).second).epsilon(0.02));
    (void)trained(9, backend::CpuPrecision::bf16, "run");
    CHECK_SAYS(trained(20, backend::CpuPrecision::single, "run"),
               "'/device/precision' is \"bf16\" in the checkpoint and not set now");
    CHECK(trained(20, backend::CpuPrecision::bf16, "run").first == whole.first);
}

TEST_CASE("two runs towards one checkpoint are refused, and the second one loses nothing") {
    TemporaryFolder const folder;
    Options options = thirty();
    options.checkpoint = folder / "run";
    Pipeline pipeline = fresh();
    auto const before = weights_of(pipeline);
    auto const corpus = training_text();
    {
        io::FileLock const another(options.checkpoint);
        CHECK_THROWS_WITH_AS(
            Trainer<Pipeline>(pipeline, options).fit(corpus),
            ("inkling::io::FileLock: file '" + options.checkpoint.string() + "' is in use by another run").c_str(),
            Error);
    }
    CHECK(weights_of(pipeline) == before);
    CHECK(Trainer<Pipeline>(pipeline, options).fit(corpus).end == TrainingReport::End::budget);
    CHECK(!std::filesystem::exists(folder / "run.lock"));
}

TEST_CASE("a signal ends the training in good order, with a checkpoint") {
    TemporaryFolder const folder;
    auto options = thirty();
    options.handle_signals = true;
    options.checkpoint = folder / "run";
    options.on_progress = [](train::Progress const& progress) {
        if (progress.step == 4 && !progress.finished) (void)std::raise(SIGINT);
    };
    Pipeline pipeline = fresh();
    auto const report = Trainer<Pipeline>(pipeline, options).fit(training_text());
    CHECK(report.end == TrainingReport::End::interrupted);
    CHECK(report.steps == 4);
    CHECK(std::filesystem::exists(folder / "run"));
}

TEST_CASE("a budget of time ends the training") {
    auto options = thirty();
    options.steps = 0;
    options.minutes = 0.3 / 60.0;
    Pipeline pipeline = fresh();
    auto const report = Trainer<Pipeline>(pipeline, options).fit(training_text());
    CHECK(report.end == TrainingReport::End::budget);
    CHECK(report.seconds >= 0.3);
    CHECK(report.steps > 0);
}

// -------------------------------------------------------------------------------------------------- numbers gone bad

/// A learning rate that is good for a while.
struct Explodes {
    Index good = 5;
    [[nodiscard]] double at(Index step) const { return step <= good ? 1e-3 : 1e30; }
};
static_assert(LearningRate<Explodes>);

TEST_CASE(
    "a loss that is not finite stops the run, names update, term and tensor, and leaves the last good checkpoint") {
    TemporaryFolder const folder;
    auto const corpus = training_text();
    using Exploding = Trainer<Pipeline, objective::Anchor, Explodes>;
    Exploding::Options options{.steps = 20, .tokens_per_batch = 64, .discrete_steps = 100, .bleu_sentences = 0};
    {
        Pipeline pipeline = fresh();
        Exploding trainer(pipeline, options);
        std::string const said = refusal([&] { return trainer.fit(corpus); });
        INFO(said);
        CHECK(said.starts_with("inkling::Trainer: update 7: loss term '"));
        CHECK(said.find("the gradient of '") != std::string::npos);
        CHECK(trainer.steps() == 6);
    }
    options.checkpoint = folder / "run";
    options.checkpoint_minutes = 0.0;
    {
        Pipeline pipeline = fresh();
        std::string const said = refusal([&] { return Exploding(pipeline, options).fit(corpus); });
        INFO(said);
        CHECK(said.starts_with("inkling::Trainer: after update 6: loss term '"));
        CHECK(said.find("the last checkpoint is kept") != std::string::npos);
        CHECK(folder.files() == 1);
    }
    options.learning_rate.good = 100;
    Pipeline pipeline = fresh();
    Index first = 0;
    options.on_progress = [&](train::Progress const& progress) { first = first == 0 ? progress.step : first; };
    auto const report = Exploding(pipeline, options).fit(corpus);
    CHECK(first == 6);
    CHECK(report.steps == 20);
    CHECK(std::isfinite(report.loss));
}

TEST_CASE("a weight that is not a number is named") {
    Pipeline pipeline = fresh();
    auto const* const entry = pipeline.layout().find("decoder.layers.0.fc1.weight");
    REQUIRE(entry != nullptr);
    pipeline.weights().data[entry->parameter.offset + 3] = std::numeric_limits<float>::quiet_NaN();
    CHECK_SAYS(Trainer<Pipeline>(pipeline, thirty()).fit(training_text()),
               "the weights of 'decoder.layers.0.fc1.weight' are not finite");
}

// ------------------------------------------------------------------------------------------------------- allocation

TEST_CASE("nothing is allocated in an update after the first few") {
    auto const tokenizer = tiny::tokenizer();
    text::ParallelCorpus corpus;
    RandomStream const stream{1, Purpose::user, 0, 0};
    for (std::uint32_t i = 0; i < 64; ++i) {
        std::vector<Token> sentence;
        for (std::uint32_t place = 0; place < 4; ++place)
            sentence.push_back(static_cast<Token>(4 + stream.below(10, 4 * i + place)));
        corpus.add(sentence, sentence);
    }
    auto options = thirty();
    options.steps = 40;
    options.ema_decay = 0.9;
    options.objective.label_smoothing = 0.1;
    std::vector<long> counts;
    counts.reserve(100);
    options.on_progress = [&](train::Progress const&) { counts.push_back(allocations()); };
    Pipeline pipeline = fresh(0.1);
    (void)Trainer<Pipeline>(pipeline, options).fit(corpus);
    REQUIRE(counts.size() == 41);
    for (std::size_t i = 8; i < 40; ++i) {  // by then there was a batch of each kind, self-conditioned or not
        INFO("update ", i + 1);
        CHECK(counts[i] == counts[7]);
    }
}

// ------------------------------------------------------------------------------------------------------- validation

TEST_CASE("the trained model is the mean of the best validated weights, or the very best where that scores higher") {
    TemporaryFolder const folder;
    auto const held_out = held_out_text();
    auto options = thirty();
    options.steps = 45;  // the last validation falls on the last update, which is no multiple
    options.learning_rate = {.peak = 2e-2, .warm_up = 1};
    options.validate_every = 10;
    options.average_best = 2;
    options.checkpoint = folder / "run";
    bool by_bleu = false;
    SUBCASE("by loss: lower is better") {}
    SUBCASE("by BLEU: higher is better") {
        by_bleu = true;
        options.bleu_sentences = 20;
    }
    struct Seen {
        ValidationReport report;
        std::vector<float> weights;
    };
    std::vector<Seen> seen;
    Pipeline pipeline = fresh(0.0);
    options.on_validation = [&](ValidationReport const& report) { seen.push_back({report, weights_of(pipeline)}); };
    auto const report = Trainer<Pipeline>(pipeline, options).fit(training_text(), &held_out);

    REQUIRE(seen.size() == 5);
    CHECK(seen.back().report.step == 45);
    std::stable_sort(seen.begin(), seen.end(), [&](Seen const& a, Seen const& b) {
        return by_bleu ? a.report.bleu > b.report.bleu : a.report.loss < b.report.loss;
    });
    REQUIRE(report.validation.has_value());
    CHECK(report.validation->step == seen[0].report.step);
    for (auto const& one : seen) {
        CHECK(std::isnan(one.report.bleu) == !by_bleu);
        CHECK(one.report.loss > 0.0);
        CHECK(one.report.embedding.nearest_distance > 0.0);
    }
    std::vector<float> mean(seen[0].weights.size());
    for (std::size_t i = 0; i < mean.size(); ++i)
        mean[i] = static_cast<float>(
            0.5 * (static_cast<double>(seen[0].weights[i]) + static_cast<double>(seen[1].weights[i])));
    auto const trained = weights_of(pipeline);
    auto const score = [&](std::vector<float> const& weights) {  // of the held-out text, by a trainer of its own
        Pipeline judged = fresh(0.0);
        std::copy(weights.begin(), weights.end(), judged.weights().data);
        auto judging = options;
        judging.checkpoint.clear();
        judging.learning_rate = {.peak = 1e-30, .warm_up = 1};
        judging.adamw.weight_decay = 0.0;
        judging.steps = 1;
        judging.on_validation = {};
        auto const found = Trainer<Pipeline>(judged, judging).fit(training_text(), &held_out).validation;
        return by_bleu ? found->bleu : -found->loss;
    };
    CHECK(trained == (score(mean) < score(seen[0].weights) ? seen[0].weights : mean));
    CHECK(folder.files() == 3);  // the checkpoint and two snapshots
}

TEST_CASE("validation does not disturb the training") {
    auto const corpus = training_text();
    auto const held_out = held_out_text();
    auto options = thirty();
    options.validate_every = 7;
    options.bleu_sentences = 3;
    options.ema_decay = 0.9;
    Pipeline with = fresh(), without = fresh();
    (void)Trainer<Pipeline>(with, options).fit(corpus, &held_out);
    (void)Trainer<Pipeline>(without, options).fit(corpus);
    CHECK(weights_of(with) == weights_of(without));
}

// ----------------------------------------------------------------------------------------------------------- errors

TEST_CASE("options and texts that cannot be are refused before anything is trained") {
    Pipeline pipeline = fresh();
    auto const corpus = training_text();
    auto const fit = [&](auto const& change) {
        auto options = thirty();
        change(options);
        return Trainer<Pipeline>(pipeline, options).fit(corpus);
    };
    auto const before = weights_of(pipeline);
    CHECK_SAYS(fit([](Options& o) { o.steps = 0; }), "inkling::Trainer: minutes and steps is 0, expected a budget");
    CHECK_SAYS(fit([](Options& o) { o.steps = -1; }), "inkling::Trainer: steps is -1");
    CHECK_SAYS(fit([](Options& o) { o.minutes = -1.0; }), "inkling::Trainer: minutes is -1");
    CHECK_SAYS(fit([](Options& o) { o.tokens_per_batch = 0; }), "inkling::Trainer: tokens_per_batch is 0");
    CHECK_SAYS(fit([](Options& o) { o.self_conditioning = 1.5; }), "inkling::Trainer: self_conditioning is 1.5");
    CHECK_SAYS(fit([](Options& o) { o.ema_decay = 1.0; }), "inkling::Trainer: ema_decay is 1.0");
    CHECK_SAYS(fit([](Options& o) { o.clip = std::nan(""); }), "inkling::Trainer: clip is");
    CHECK_SAYS(fit([](Options& o) { o.validate_every = 0; }), "inkling::Trainer: validate_every is 0");
    CHECK_SAYS(fit([](Options& o) { o.tokens_per_batch = 5; }), "expected at most tokens_per_batch = 5");
    CHECK_SAYS(fit([](Options& o) { o.adamw.beta2 = 1.0; }), "beta2 is 1.0");
    CHECK_SAYS(fit([](Options& o) { o.metrics = "run.txt"; }), "run.txt");
    CHECK_SAYS(fit([](Options& o) { o.checkpoint = "/nowhere/at/all"; }), "/nowhere/at/all");
    CHECK_SAYS(fit([](Options& o) { o.generate.beams.length_beam = 0; }), "length_beam is 0");
    CHECK_SAYS(fit([](Options& o) { o.objective.label_smoothing = 1.5; }), "label_smoothing is 1.5");
    CHECK_SAYS(fit([](Options& o) { o.log_every = 0; }), "inkling::Trainer: log_every is 0");
    std::stop_source never;
    CHECK_SAYS(fit([&](Options& o) { o.generate.stop = never.get_token(); }), "generate.stop is set, expected none");

    auto const refuses = [&](text::ParallelCorpus const& training, text::ParallelCorpus const* held_out = nullptr) {
        return Trainer<Pipeline>(pipeline, thirty()).fit(training, held_out);
    };
    text::ParallelCorpus wide, foreign;
    std::vector<Token> const some{4, 5}, many(12, Token{4}), strange{4, 77};
    wide.add(some, some);
    wide.add(many, some);
    foreign.add(some, strange);
    CHECK_SAYS(refuses(wide), "training sentence 1 has 13 source tokens, expected at most 12");
    CHECK_SAYS(refuses(corpus, &wide), "held-out sentence 1 has 13 source tokens, expected at most 12");
    CHECK_SAYS(refuses(foreign), "training sentence 0 has the target token 77, expected one of a vocabulary of 14");
    CHECK_SAYS(refuses({}), "the corpus is empty");
    CHECK(weights_of(pipeline) == before);
    (void)refuses(corpus);
    CHECK(weights_of(pipeline) != before);
}

/// A published objective, and a term of one's own.
struct WithPrior {
    objective::Rounding rounding{};
    template <Backend B, EmbeddingSpace Space>
    void evaluate(nn::Pass<B>& pass, Space const& space, objective::Prediction<B> const& prediction,
                  objective::Losses<B>& losses) const {
        rounding.evaluate(pass, space, prediction, losses);
        double const share = 1.0 / static_cast<double>(prediction.z0.size());
        double* const sum = losses.add({{"prior", 0.0, 0.01}}, share);
        auto const origin = pass.take_zeros(prediction.z0.rows, prediction.z0.cols);
        squared_error(pass.device, prediction.z0, origin, 0.01 * share, sum, prediction.dz0);
    }
};

TEST_CASE("a validation that is made up for is told in the columns of an objective of one's own") {
    TemporaryFolder const folder;
    auto const corpus = training_text();
    auto const held_out = held_out_text();
    std::stop_source stop;
    Trainer<Pipeline, WithPrior>::Options options{.steps = 6,
                                                  .tokens_per_batch = 64,
                                                  .discrete_steps = 100,
                                                  .validate_every = 3,
                                                  .bleu_sentences = 0,
                                                  .checkpoint = folder / "run",
                                                  .metrics = folder / "run.csv",
                                                  .log_every = 1};
    auto stopping = options;
    stopping.stop = stop.get_token();
    stopping.on_progress = [&](train::Progress const& progress) {
        if (progress.step == 3) stop.request_stop();  // in front of its validation
    };
    Pipeline pipeline = fresh();
    (void)Trainer<Pipeline, WithPrior>(pipeline, stopping).fit(corpus, &held_out);
    Pipeline again = fresh();
    CHECK(Trainer<Pipeline, WithPrior>(again, options).fit(corpus, &held_out).steps == 6);
    std::string const rows = contents_of(folder / "run.csv");
    CHECK(rows.find(",prior,") != std::string::npos);
    for (int step = 1; step <= 6; ++step) CHECK(rows.find(message("\n", step, ",")) != std::string::npos);
}

TEST_CASE("a penalty may stand on an objective that names no settings") {
    auto const settings = pipeline::to_json(objective::DistancePenalty<WithPrior>{.weight = 3.0});
    CHECK(settings.at("distance_weight") == 3.0);
    CHECK_FALSE(settings.contains("base"));
    CHECK(pipeline::to_json(objective::DistancePenalty<>{}).at("base").is_object());
}

TEST_CASE("the metrics file holds every term, those of an objective of one's own too") {
    TemporaryFolder const folder;
    auto const held_out = held_out_text();
    Trainer<Pipeline, WithPrior>::Options options{.steps = 4,
                                                  .tokens_per_batch = 64,
                                                  .discrete_steps = 100,
                                                  .validate_every = 2,
                                                  .bleu_sentences = 2,
                                                  .metrics = folder / "run.csv"};
    Pipeline pipeline = fresh();
    (void)Trainer<Pipeline, WithPrior>(pipeline, options).fit(training_text(), &held_out);
    std::string const table = contents_of(folder / "run.csv");
    std::string const header = table.substr(0, table.find('\n'));
    for (char const* column : {"step,loss,", ",rounding", ",prior", ",length", ",valid_loss", ",valid_bleu",
                               ",nearest_distance", ",norm_spread", ",gradient_norm"})
        CHECK_MESSAGE(header.find(column) != std::string::npos, header);
    CHECK(std::count(table.begin(), table.end(), '\n') == 4);  // a header, and updates 1, 2 and 4
}

}  // namespace
