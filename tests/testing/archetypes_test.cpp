#include <inkling/testing/archetypes.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/metric/diversity.hpp>
#include <inkling/pipeline/pipeline.hpp>
#include <inkling/schedule/discrete.hpp>
#include <inkling/schedule/inverse.hpp>
#include <inkling/schedule/rescaled.hpp>
#include <inkling/text/any_tokenizer.hpp>
#include <inkling/text/reading.hpp>
#include <inkling/text/word_tokenizer.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

using namespace inkling;
namespace archetypes = testing::archetypes;
using Device = backend::Cpu<float>;
using Model = archetypes::Denoiser<Device>;
using Pipeline = TextDiffusion<archetypes::Schedule, archetypes::Space, Model, archetypes::Sampler>;

static_assert(EmbeddingSpaceOn<archetypes::Space, Device>);
static_assert(TrainableDenoiser<Model> && DenoiserOver<Model, archetypes::Space>);
static_assert(TrainableNextTokenModel<archetypes::NextTokens<Device>>);
static_assert(NextTokenModelOver<archetypes::NextTokens<Device>, archetypes::Space>);
static_assert(FeatureSource<archetypes::FeatureSource, archetypes::Space, Model>);
static_assert(FeaturePool<archetypes::FeaturePool, Device>);
static_assert(Objective<archetypes::Objective, archetypes::Space, Device>);
static_assert(!std::is_default_constructible_v<archetypes::Schedule> && !std::is_default_constructible_v<Model>);
static_assert(!std::is_copy_constructible_v<archetypes::Lines>);

namespace {

Pipeline untrained() {
    return {archetypes::Tokenizer(0),
            {.schedule = archetypes::Schedule(0), .sampler = archetypes::Sampler(0), .device = {.threads = 1}}};
}

}  // namespace

TEST_CASE("a pipeline of parts that have what their concepts ask for, and no more, generates") {
    Pipeline const model = untrained();
    std::vector<std::string> const sources{"ink", "a drop of ink"};
    GenerateOptions options{.seed = 3, .beams = {.noise_beam = 2}};
    auto const lines = model.generate_with(sources, options, archetypes::Selection(0));
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].tokens.size() == 4);  // as long as its source and eos
    CHECK(lines[1].tokens.size() == 14);
    CHECK(lines[1].tokens == model.generate_with(sources, options, archetypes::Selection(0))[1].tokens);
}

TEST_CASE("a pipeline of parts that have what their concepts ask for, and no more, learns") {
    Pipeline model = untrained();
    text::ParallelCorpus corpus;
    archetypes::Tokenizer const tokenizer(0);
    for (char const* line : {"ink", "paper", "a drop"}) corpus.add(tokenizer.encode(line), tokenizer.encode(line));
    using Learner = Trainer<Pipeline, archetypes::Objective, archetypes::LearningRate>;
    Learner trainer(model,
                    {.steps = 3,
                     .objective = archetypes::Objective(0),
                     .learning_rate = archetypes::LearningRate(0),
                     .bleu_sentences = 0});
    std::vector<float> const before(model.weights().data, model.weights().data + model.weights().size);
    auto const report = trainer.fit(corpus);
    CHECK(report.steps == 3);
    CHECK(std::isfinite(report.loss));
    CHECK(before != std::vector<float>(model.weights().data, model.weights().data + model.weights().size));
}

TEST_CASE("a model of the next token that has what its concept asks for, and no more, generates, scores and learns") {
    using NextTokens = TextAutoregression<archetypes::Space, archetypes::NextTokens<Device>>;
    NextTokens model(archetypes::Tokenizer(0), {.device = {.threads = 1}});
    std::vector<std::string> const sources{"ink", "a drop of ink"};
    auto const lines = model.generate_with(sources, {.search = {.width = 2}});
    REQUIRE(lines.size() == 2);
    CHECK(lines[1].finished);
    std::vector<std::string_view> const texts{"ink", "paper"};
    CHECK(model.mean_log_probabilities("ink", texts).size() == 2);
    text::ParallelCorpus corpus;
    archetypes::Tokenizer const tokenizer(0);
    for (char const* line : {"ink", "paper", "a drop"}) corpus.add(tokenizer.encode(line), tokenizer.encode(line));
    Trainer<NextTokens, objective::CrossEntropy, archetypes::LearningRate> trainer(
        model, {.steps = 3, .learning_rate = archetypes::LearningRate(0), .bleu_sentences = 0});
    std::vector<float> const before(model.weights().data, model.weights().data + model.weights().size);
    CHECK(std::isfinite(trainer.fit(corpus).loss));
    CHECK(before != std::vector<float>(model.weights().data, model.weights().data + model.weights().size));
}

TEST_CASE("a classifier of parts that have what their concepts ask for, and no more, learns and classifies") {
    Pipeline const model = untrained();
    using Classifier = TextClassifier<Pipeline, archetypes::FeatureSource, archetypes::FeaturePool>;
    Classifier classifier(model, {"dry", "wet"});
    auto const corpus = classifier.encode({.lines = {"ink", "paper"}, .labels = {"wet", "dry"}}, "lines");
    ClassifierTrainer<Classifier, archetypes::LearningRate> trainer(
        classifier, {.steps = 30, .learning_rate = archetypes::LearningRate(0)});
    CHECK(std::isfinite(trainer.fit(corpus).loss));
    CHECK(classifier.accuracy(corpus) == 1.0);
}

TEST_CASE("what stands over a schedule needs its alpha_bar alone") {
    archetypes::Schedule const schedule(0);
    CHECK(schedule::time_at_noise(schedule, 0.5) == doctest::Approx(0.25));
    CHECK(schedule::half_log_snr(schedule, 0.5) == 0.0);
    CHECK(schedule::Discrete::sampled(schedule, 4).level(1) == doctest::Approx(0.5));
    schedule::Rescaled<archetypes::Schedule> const rescaled{.schedule = schedule, .variance_preserving = 2.0};
    CHECK(rescaled.alpha_bar(0.5) == doctest::Approx(0.2));
}

TEST_CASE("what stands over lines, a tokenizer or a metric needs what their concepts say alone") {
    archetypes::Lines source(0), target(0), words(0);
    auto const read = text::read_parallel(source, target, archetypes::Tokenizer(0));
    CHECK(read.corpus.size() == 3);
    CHECK(text::WordTokenizer::train(words).encode("line line") == std::vector<Token>{4, 4});
    std::vector<Token> const a{4, 5}, b{4, 6};
    std::vector<std::span<Token const>> const texts{a, b, a};
    CHECK(metric::pairwise_similarity(std::span<std::span<Token const> const>(texts), archetypes::Metric(0))
          == doctest::Approx(1.0 / 3.0));
}
