#include <inkling/pipeline/classifier_trainer.hpp>
#include <inkling/pipeline/text_classifier.hpp>

#include "io/temporary_folder.hpp"

#include <inkling/denoiser/encoder_only.hpp>
#include <inkling/denoiser/infiller.hpp>
#include <inkling/recipe/text_features.hpp>
#include <inkling/schedule/cosine.hpp>

#include "refusal.hpp"
#include "tiny.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace inkling;
using Reading = TextDiffusion<schedule::Cosine, embedding::Learned, denoiser::Infiller<tests::Device<>>, sampler::Ddpm>;
using Bag = recipe::BagOfEmbeddings<Reading>;
using Probe = recipe::LinearProbe<Reading>;
using Fused = recipe::FusedFeatures<Reading>;
using FedBack = recipe::FedBackFeatures<Reading>;

/// Never trained: it mixes words all the same.
Reading reading(std::uint64_t seed = 3, int threads = 1) {
    return {tiny::tokenizer(),
            {.embedding = {.width = 8, .standard_deviation = 1.0},
             .denoiser = {.width = 16, .layers = 4, .heads = 2, .hidden = 24, .reach = 4, .longest = 10},
             .device = {.threads = threads},
             .seed = seed}};
}

/// Lines whose class one word tells, wherever it stands.
text::LabelledLines by_word() {
    text::LabelledLines result;
    for (std::string const& line : tiny::sentences(60))
        for (std::string const word : {"wet", "dry"}) {
            bool const first = result.size() % 3 == 0;
            std::string const own = word == "wet" ? "water" : "paper";
            std::string rest = line;
            for (std::string const other : {"water", "paper"})
                for (std::size_t at = rest.find(other); at != std::string::npos; at = rest.find(other))
                    rest.replace(at, other.size(), "ink");
            result.lines.push_back(first ? own + " " + rest : rest + " " + own);
            result.labels.push_back(word);
        }
    return result;
}

/// Lines of the same two words, whose class is which of them comes first.
text::LabelledLines by_order() {
    text::LabelledLines result;
    for (int i = 0; i < 60; ++i) {
        result.lines.push_back(i % 2 == 0 ? "ink water" : "water ink");
        result.labels.push_back(i % 2 == 0 ? "ink first" : "water first");
    }
    return result;
}

features::AttentionPoolOptions small_pool() { return {.width = 16, .layers = 2, .heads = 2, .hidden = 16}; }

template <class Classifier>
typename recipe::FeatureTrainer<Classifier>::Options training(Index steps) {
    return {.steps = steps,
            .learning_rate = {.peak = 0.01, .steps = steps, .warm_up = 5},
            .tokens_per_batch = 160,
            .validate_every = 20};
}

/// Accuracy on the lines it was trained on.
template <class Classifier>
double learned(Classifier& classifier, text::LabelledLines const& lines, Index steps = 150) {
    auto const corpus = classifier.encode(lines, "lines");
    recipe::FeatureTrainer<Classifier> trainer(classifier, training<Classifier>(steps));
    CHECK(trainer.fit(corpus).steps == steps);
    return *classifier.accuracy(corpus);
}

template <class Real>
std::vector<Real> weights_of(VectorView<Real const> weights) {
    return {weights.data, weights.data + weights.size};
}

}  // namespace

TEST_CASE("TextClassifier: words tell one kind of lines apart, and order, which a bag does not see, another") {
    auto const pipeline = reading();
    auto const before = weights_of(pipeline.weights());
    {
        Bag bag(pipeline, by_word().classes(), {.source = {.learned = true}});
        CHECK(learned(bag, by_word()) > 0.9);
    }
    {
        Bag bag(pipeline, by_order().classes(), {.source = {.learned = true}});
        CHECK(learned(bag, by_order()) == 0.5);
    }
    {
        Probe probe(pipeline, by_order().classes(), {.source = {.layers = {4}, .times = {0.0}}});
        CHECK(learned(probe, by_order()) == 1.0);
    }
    {
        Fused fused(pipeline, by_word().classes(), {.source = {.times = {0.0, 0.2}}, .pool = small_pool()});
        CHECK(learned(fused, by_word()) > 0.95);
    }
    {
        FedBack fed_back(pipeline, by_order().classes(),
                         {.source = {.states = {.times = {0.1}}, .width = 4}, .pool = small_pool()});
        CHECK(learned(fed_back, by_order()) > 0.95);
    }
    CHECK(weights_of(pipeline.weights()) == before);  // what is frozen stays as it is
}

TEST_CASE("TextClassifier: DiffuSeq's denoiser is read as well as one that fills gaps") {
    using Pairs =
        TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::EncoderOnly<tests::Device<>>, sampler::Ddpm>;
    Pairs const pipeline(tiny::tokenizer(),
                         {.embedding = {.width = 8, .standard_deviation = 1.0},
                          .denoiser = {.width = 16, .layers = 4, .heads = 2, .hidden = 24, .longest = 10},
                          .device = {.threads = 1},
                          .seed = 3});
    auto const before = weights_of(pipeline.weights());
    recipe::FedBackFeatures<Pairs> fed_back(pipeline, by_order().classes(),
                                            {.source = {.states = {.times = {0.1}}, .width = 4}, .pool = small_pool()});
    CHECK(learned(fed_back, by_order()) > 0.95);
    CHECK(weights_of(pipeline.weights()) == before);
}

TEST_CASE("TextClassifier: a line is of the same class whatever is beside it, in any batch, with any threads") {
    auto const pipeline = reading(), threaded = reading(3, 2);
    Fused const fused(pipeline, {"a", "b", "c"}, {.source = {.times = {0.1, 0.5}}, .pool = small_pool()});
    Fused const other(threaded, {"a", "b", "c"}, {.source = {.times = {0.1, 0.5}}, .pool = small_pool()});
    auto lines = tiny::sentences(40);
    lines.push_back("");  // a line without a word is a line
    auto const all = fused.classify(lines);
    auto const same = [](Classified const& a, Classified const& b) {
        return a.number == b.number && a.log_probability == b.log_probability;
    };
    REQUIRE(all.size() == lines.size());
    for (auto const& again : {fused.classify(lines, {.tokens_per_batch = 1}), other.classify(lines)})
        CHECK(std::equal(all.begin(), all.end(), again.begin(), again.end(), same));
    for (std::size_t i = 0; i < lines.size(); i += 7)
        CHECK(same(fused.classify(std::vector<std::string>{lines[i]})[0], all[i]));
    for (std::size_t i = 1; i < all.size(); ++i) CHECK(all[i].log_probability != all[0].log_probability);
}

TEST_CASE("TextClassifier: a file holds all of it but the pipeline, and knows that again") {
    TemporaryFolder const folder;
    auto const pipeline = reading();
    FedBack fed_back(pipeline, by_word().classes(),
                     {.source = {.states = {.times = {0.1, 0.3}}, .width = 4}, .pool = small_pool(), .seed = 5});
    (void)learned(fed_back, by_word(), 30);
    fed_back.save(folder / "own");
    auto const loaded = FedBack::load(folder / "own", pipeline);
    CHECK(loaded.classes() == fed_back.classes());
    CHECK(weights_of(loaded.weights()) == weights_of(std::as_const(fed_back).weights()));
    CHECK(loaded.configuration() == fed_back.configuration());
    auto const one = loaded.classify(by_word().lines), two = fed_back.classify(by_word().lines);
    for (std::size_t i = 0; i < one.size(); ++i) CHECK(one[i].log_probability == two[i].log_probability);
    CHECK(ClassifierKind::of(folder / "own") == FedBack::kind());

    CHECK_SAYS(FedBack::load(folder / "own", reading(4)), "was trained over another model than this one");
    CHECK_SAYS(Fused::load(folder / "own", pipeline),
               "is of a classifier with the source 'feedback' and the pool 'attention', expected 'denoiser states'");
    pipeline.save(folder / "pipeline");
    CHECK_SAYS(FedBack::load(folder / "pipeline", pipeline), "is a model file of something else than a classifier");
    auto bytes = contents_of(folder / "own");
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    put(folder / "damaged", bytes);
    CHECK_SAYS(FedBack::load(folder / "damaged", pipeline), "damaged");
}

TEST_CASE("ClassifierTrainer: a run is a function of its seed, and the best on held-out lines is its result") {
    auto const pipeline = reading();
    auto const run = [&](std::uint64_t seed, ClassifierReport& report) {
        Fused fused(pipeline, by_word().classes(), {.source = {.times = {0.3}}, .pool = small_pool()});
        auto const corpus = fused.encode(by_word(), "lines");
        auto other = by_word();  // labels that nothing tells, so that what is right goes up and down
        for (std::size_t i = 0; i < other.labels.size(); ++i) other.labels[i] = i % 5 < 2 ? "wet" : "dry";
        auto const held_out = fused.encode(other, "other lines");
        auto options = training<Fused>(60);
        std::vector<double> seen;
        options.seed = seed;
        options.validate_every = 7;
        options.on_validation = [&](Index, double accuracy) { seen.push_back(accuracy); };
        report = recipe::FeatureTrainer<Fused>(fused, options).fit(corpus, &held_out);
        CHECK(seen.size() == 9);  // 8 and the last
        CHECK(*report.accuracy == *std::max_element(seen.begin(), seen.end()));
        CHECK(*fused.accuracy(held_out) == *report.accuracy);
        return weights_of(std::as_const(fused).weights());
    };
    ClassifierReport first, second, third;
    auto const once = run(1, first);
    CHECK(run(1, second) == once);
    CHECK(run(2, third) != once);
    CHECK(first.loss == second.loss);
    CHECK(first.end == TrainingReport::End::budget);
}

TEST_CASE("ClassifierTrainer: after the first steps nothing is allocated") {
    auto const pipeline = reading();
    FedBack fed_back(pipeline, by_order().classes(),
                     {.source = {.states = {.times = {0.1, 0.2}}, .width = 4}, .pool = small_pool()});
    auto const corpus = fed_back.encode(by_order(), "lines");
    auto options = training<FedBack>(8);
    long before = 0, counted = -1;
    options.on_progress = [&](train::Progress const& progress) {
        if (progress.finished) return;  // no update of its own
        counted = allocations() - before;
        before = allocations();
    };
    (void)recipe::FeatureTrainer<FedBack>(fed_back, options).fit(corpus);
    CHECK(counted == 0);
}

TEST_CASE("ClassifierTrainer: whoever asks it to stop, by token or by signal, is heard after the update") {
    auto const pipeline = reading();
    Bag bag(pipeline, by_word().classes());
    auto const corpus = bag.encode(by_word(), "lines");
    std::stop_source stop;
    auto options = training<Bag>(50);
    options.stop = stop.get_token();
    options.on_progress = [&](train::Progress const& progress) {
        if (progress.step == 3) stop.request_stop();
    };
    auto report = recipe::FeatureTrainer<Bag>(bag, options).fit(corpus, &corpus);
    CHECK(report.end == TrainingReport::End::stopped);
    CHECK(report.steps == 3);
    options.stop = {};
    options.handle_signals = true;
    options.on_progress = [&](train::Progress const& progress) {
        if (progress.step == 4 && !progress.finished) (void)std::raise(SIGINT);
    };
    report = recipe::FeatureTrainer<Bag>(bag, options).fit(corpus, &corpus);
    CHECK(report.end == TrainingReport::End::interrupted);
    CHECK(report.signal == SIGINT);
    CHECK(report.steps == 4);
}

TEST_CASE("TextClassifier: a line that is longer than the model takes is cut, and counted where it is labelled") {
    auto const pipeline = reading();
    Bag const bag(pipeline, {"dry", "wet"});
    std::string const eight = "ink ink ink ink ink ink ink ink";
    auto const corpus = bag.encode({.lines = {eight, eight + " water"}, .labels = {"wet", "dry"}}, "lines");
    CHECK(corpus.cut == 1);
    CHECK(std::ranges::equal(corpus.lines.target(0), corpus.lines.target(1)));
    CHECK(corpus.classes == std::vector<Token>{1, 0});
    auto const said = bag.classify(std::vector<std::string>{eight, eight + " water"});
    CHECK(said[0].log_probability == said[1].log_probability);
}

TEST_CASE("TextClassifier: what cannot be is refused by name") {
    auto const pipeline = reading();
    CHECK_SAYS(Bag(pipeline, {"wet", "wet"}), "class 1 is named 'wet', expected a name that no other has");
    CHECK_SAYS(Bag(pipeline, {"wet", ""}), "class 1 is named '', expected a name that no other has");
    CHECK_SAYS(Bag(pipeline, {"wet"}), "1 classes, expected 2");
    CHECK_SAYS(Bag(pipeline, {"wet", "\xFF"}), "the name of class 1 is no valid UTF-8");
    std::vector<std::string> many;
    for (int i = 0; i < 100'000; ++i) many.push_back("label " + std::to_string(i));
    CHECK_SAYS(Bag(pipeline, many), "the names of 100000 classes may take");
    CHECK_SAYS(Probe(pipeline, {"dry", "wet"}, {.source = {.layers = {5}}}), "layer 5 is asked for, expected 0 to 4");
    Bag bag(pipeline, {"dry", "wet"});
    CHECK_SAYS(bag.encode({.lines = {"ink", "ink"}, .labels = {"wet", "moist"}}, "few.tsv"),
               "few.tsv line 2 has the label 'moist', expected one of the 2 classes from 'dry' to 'wet'");
    CHECK_SAYS(bag.classify(std::vector<std::string>{"ink"}, {.tokens_per_batch = 0}), "tokens_per_batch is 0");
    auto const with = [&](auto const& change) {
        auto options = training<Bag>(10);
        change(options);
        return recipe::FeatureTrainer<Bag>(bag, options).fit(bag.encode(by_word(), "lines")).steps;
    };
    CHECK_SAYS(with([](auto& o) { o.steps = 0; }), "minutes and steps is 0, expected a budget in one of them");
    CHECK_SAYS(with([](auto& o) { o.dropout = 1.0; }), "dropout is 1.000000, expected a number in [0, 1)");
    CHECK_SAYS(with([](auto& o) { o.label_smoothing = -0.1; }), "label_smoothing is -0.1");
    CHECK_SAYS(with([](auto& o) { o.validate_every = 0; }), "validate_every is 0, expected at least 1");
    CHECK_SAYS(with([](auto& o) { o.tokens_per_batch = 3; }), "expected at most tokens_per_batch = 3");
    CHECK_SAYS(with([](auto& o) { o.learning_rate.peak = 1e30; }), "a lower learning rate may help");
}
