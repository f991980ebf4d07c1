#include <inkling/objective/levels.hpp>

#include <inkling/embedding/unit_sphere.hpp>
#include <inkling/objective/annealed_levels.hpp>
#include <inkling/objective/clipped_levels.hpp>
#include <inkling/objective/diffuseq.hpp>
#include <inkling/objective/distance_penalty.hpp>
#include <inkling/objective/length_only.hpp>
#include <inkling/sampler/cedi.hpp>
#include <inkling/sampler/guided.hpp>
#include <inkling/schedule/sigma_linear.hpp>

#include <doctest/doctest.h>

#include "io/temporary_folder.hpp"
#include "tiny.hpp"

#include <cmath>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace inkling;
using Device = backend::Cpu<>;
using Narrow = TextDiffusion<schedule::SigmaLinear, embedding::UnitSphere, denoiser::BottleneckDecoder<Device>,
                             sampler::Guided<sampler::Cedi>>;
template <class Objective_, class Levels = objective::ClippedLevels>
using NarrowTrainer = Trainer<Narrow, Objective_, train::InverseSquareRoot, Levels>;

/// Sentences that are to be said again.
text::ParallelCorpus corpus(std::size_t first = 0, std::size_t last = 80) {
    auto const tokenizer = tiny::tokenizer();
    auto const lines = tiny::sentences(100);
    text::ParallelCorpus pairs;
    for (std::size_t i = first; i < last; ++i) {
        auto const tokens = tokenizer.encode(lines[i]);
        pairs.add(tokens, tokens);
    }
    return pairs;
}

Narrow fresh(denoiser::Output output = denoiser::Output::z0) {
    Narrow::Options options;
    options.embedding.width = 8;
    options.denoiser = {.width = 16,
                        .layers = 1,
                        .heads = 2,
                        .hidden = 32,
                        .longest_source = 12,
                        .longest_target = 16,
                        .time_frequencies = 8,
                        .time_hidden = 16,
                        .output = output};
    options.sampler.steps.steps = 6;
    options.sampler.weight = 0.0;
    options.device = {.threads = 1};
    options.seed = 3;
    return {tiny::tokenizer(), options};
}

template <class TrainerType>
typename TrainerType::Options thirty() {
    typename TrainerType::Options options;
    options.steps = 30;
    options.learning_rate = {.peak = 3e-3, .warm_up = 5};
    options.tokens_per_batch = 64;
    options.discrete_steps = 0;
    options.self_conditioning = 1.0;
    options.train_first = true;
    options.sentence_means = true;
    options.bleu_sentences = 0;
    return options;
}

template <class Pipeline>
std::vector<float> weights_of(Pipeline const& pipeline) {
    auto const weights = pipeline.weights();
    return {weights.data, weights.data + weights.size};
}

/// Trains twice, once stopped and resumed. @return whether both end in the same bits
template <class TrainerType, class Make>
bool resumes(Make const& make, typename TrainerType::Options options) {
    auto const text = corpus(), held_out = corpus(80, 100);
    options.validate_every = 8;
    TemporaryFolder const whole, parts;
    options.checkpoint = whole / "run";
    auto uninterrupted = make();
    (void)TrainerType(uninterrupted, options).fit(text, &held_out);
    options.checkpoint = parts / "run";
    for (Index const until : {Index{7}, Index{16}, Index{30}}) {
        auto pipeline = make();
        std::stop_source stop;
        auto again = options;
        again.stop = stop.get_token();
        again.on_progress = [&](train::Progress const& progress) {
            if (progress.step == until && until < 30) stop.request_stop();
        };
        auto const report = TrainerType(pipeline, again).fit(text, &held_out);
        CHECK(report.steps == until);
        if (until == 30) return weights_of(pipeline) == weights_of(uninterrupted);
    }
    return false;
}

TEST_CASE("levels that follow the table, or the updates: a resumed run ends in the very bits of one that was not") {
    using Clipped = NarrowTrainer<objective::DiffuSeq>;
    auto options = thirty<Clipped>();
    options.levels.every = 4;  // so that a run is taken up with a range that is older
    CHECK(resumes<Clipped>([] { return fresh(); }, options));
    options.drop_source = 0.3;
    CHECK(resumes<Clipped>([] { return fresh(denoiser::Output::velocity); }, options));
    using Annealed = NarrowTrainer<objective::DiffuSeq, objective::AnnealedLevels>;
    auto annealed = thirty<Annealed>();
    annealed.levels.rate = 0.05;
    CHECK(resumes<Annealed>([] { return fresh(); }, annealed));
}

TEST_CASE("a checkpoint is not taken up with other levels") {
    TemporaryFolder const folder;
    using Clipped = NarrowTrainer<objective::DiffuSeq>;
    auto options = thirty<Clipped>();
    options.steps = 2;
    options.checkpoint = folder / "run";
    auto pipeline = fresh();
    (void)Clipped(pipeline, options).fit(corpus());
    options.steps = 4;
    options.levels.smoothed = true;
    CHECK_THROWS_WITH_AS((void)Clipped(pipeline, options).fit(corpus()), doctest::Contains("smoothed"), Error);
}

TEST_CASE("DINOISER's noise range goes with Difformer's anchor loss, its denoiser and an adaptive plan of steps") {
    using Mixed = TextDiffusion<schedule::Rescaled<schedule::Sqrt>, embedding::Learned,
                                denoiser::EncoderDecoder<Device>, sampler::Ddpm>;
    using MixedTrainer = Trainer<Mixed, objective::Anchor, train::InverseSquareRoot, objective::ClippedLevels>;
    auto options = thirty<MixedTrainer>();
    auto const make = [] {
        auto own = tiny::options();
        own.sampler.step_plan = sampler::AdaptiveDecay{};
        return Mixed(tiny::tokenizer(), own);
    };
    for (Index const table : {Index{0}, Index{100}}) {
        options.discrete_steps = table;
        CHECK(resumes<MixedTrainer>(make, options));
    }
    auto pipeline = make();
    (void)MixedTrainer(pipeline, options).fit(corpus());
    CHECK(pipeline.generate(tiny::sentences(3)).size() == 3);
}

TEST_CASE("levels are drawn where the policy says: above a floor the loss has no cleaner z_t") {
    // With nothing but noise, the untrained model's regression is that of the prior mean; with little, of z0 itself.
    auto const loss_from = [](double first, double last) {
        using Even = NarrowTrainer<objective::Regression, objective::EvenLevels>;
        auto options = thirty<Even>();
        options.steps = 1;
        options.learning_rate.peak = 1e-9;
        options.levels.range = {.first = first, .last = last};
        options.objective.quantity = schedule::Quantity::noise;  // error times a / s: it tells the level
        options.length_weight = 0.0;
        auto pipeline = fresh();
        return Even(pipeline, options).fit(corpus()).loss;
    };
    CHECK(loss_from(0.9, 0.95) < 0.5 * loss_from(0.3, 0.35));
}

TEST_CASE("means of sentences: a long sentence counts no more than a short one") {
    // Two sentences, one of which is repeated in length: the mean over sentences of one kind is that of each alone.
    auto const loss_of = [](std::vector<std::size_t> const& which, bool sentence_means) {
        auto const tokenizer = tiny::tokenizer();
        std::vector<std::string> const lines{"ink", "ink drop water paper falls spreads"};
        text::ParallelCorpus pairs;
        for (std::size_t const i : which) pairs.add(tokenizer.encode(lines[0]), tokenizer.encode(lines[i]));
        using Even = NarrowTrainer<objective::DiffuSeq, objective::EvenLevels>;
        auto options = thirty<Even>();
        options.steps = 1;
        options.learning_rate.peak = 1e-9;
        options.objective = {.regression_weight = 0.0};  // what is left does not look at noise
        options.length_weight = 0.0;
        options.self_conditioning = 0.0;
        options.sentence_means = sentence_means;
        auto pipeline = fresh();
        return Even(pipeline, options).fit(pairs).loss;
    };
    double const brief = loss_of({0}, true), longer = loss_of({1}, true);
    CHECK(loss_of({0, 1}, true) == doctest::Approx(0.5 * (brief + longer)).epsilon(1e-6));
    CHECK(loss_of({0, 1}, false) == doctest::Approx((3.0 * brief + 8.0 * longer) / 11.0).epsilon(1e-6));
    CHECK(loss_of({0}, false) == doctest::Approx(brief).epsilon(1e-6));
}

TEST_CASE(
    "nothing is allocated in an update of both estimates with levels that follow the table, nor in a guided step") {
    using Clipped = NarrowTrainer<objective::DiffuSeq>;
    auto options = thirty<Clipped>();
    options.steps = 40;
    options.drop_source = 0.3;
    options.objective.quantity = schedule::Quantity::velocity;
    std::vector<long> counts;
    counts.reserve(100);
    options.on_progress = [&](train::Progress const&) { counts.push_back(allocations()); };
    auto pipeline = fresh(denoiser::Output::mixed);
    auto const tokenizer = tiny::tokenizer();
    text::ParallelCorpus same_length;
    for (int i = 0; i < 64; ++i) {
        auto const tokens = tokenizer.encode(i % 2 == 0 ? "ink drop water paper" : "drop ink falls on");
        same_length.add(tokens, tokens);
    }
    (void)Clipped(pipeline, options).fit(same_length);
    REQUIRE(counts.size() == 41);
    for (std::size_t i = 12; i < 40; ++i) {
        INFO("update ", i + 1);
        CHECK(counts[i] == counts[11]);
    }

    auto guided = pipeline.options().sampler;
    guided.weight = 0.5;
    guided.steps.clamp = true;
    pipeline.set_sampler(guided);
    auto const sources = tiny::sentences(12);
    auto const listener = [&](decode::StepData<float> const&) { counts.push_back(allocations()); };
    for (int run = 0; run < 2; ++run) {
        counts.clear();
        (void)pipeline.generate_with(sources, {.beams = {.length_beam = 2}}, decode::MeanLogProbability{}, listener);
        REQUIRE(counts.size() == 6);
        for (std::size_t i = 1; i < counts.size(); ++i) CHECK(counts[i] == counts[0]);
    }
}

TEST_CASE("guidance: a weight of -1 is text without any source, and what has no such text refuses") {
    auto pipeline = fresh();
    auto const more = testing::random_values<float>(pipeline.layout().size(), 1);
    for (Index i = 0; i < pipeline.weights().size; ++i)
        pipeline.weights().data[i] += 0.3F * more[static_cast<std::size_t>(i)];
    auto const generated = [&](double weight, std::vector<std::string> const& sources) {
        auto sampler = pipeline.options().sampler;
        sampler.weight = weight;
        pipeline.set_sampler(sampler);
        std::vector<Index> lengths;
        auto const all = pipeline.generate_with(sources, {.seed = 4, .beams = {.shortest = 5, .longest = 5}});
        std::vector<double> surety;
        for (auto const& one : all) surety.push_back(one.mean_log_probability);
        return surety;
    };
    std::vector<std::string> const some{"ink drop", "on paper"}, others{"water falls", "black ink"};
    auto const near = [](double a, double b) { return std::abs(a - b) < 1e-5; };  // encoders round differently
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(near(generated(-1.0, some)[i], generated(-1.0, others)[i]));
        CHECK_FALSE(near(generated(0.0, some)[i], generated(0.0, others)[i]));
        CHECK_FALSE(near(generated(0.0, some)[i], generated(0.5, some)[i]));
    }

    using Plain = TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::EncoderOnly<Device>,
                                sampler::Guided<sampler::Ddpm>>;
    Plain plain(tiny::tokenizer(),
                {.embedding = {.width = 8},
                 .denoiser = {.width = 16, .layers = 1, .heads = 2, .longest = 24},
                 .sampler = {.steps = {.steps = 2, .discrete_steps = 100}, .weight = 0.5},
                 .device = {.threads = 1}});
    CHECK_THROWS_WITH_AS((void)plain.generate(some),
                         "inkling::pipeline::denoise: the plan's guidance is not 0, expected 0, as the denoiser has no "
                         "'encode_nothing(pass, sentences) const'",
                         Error);
    using PlainTrainer = Trainer<Plain, objective::Anchor, train::InverseSquareRoot>;
    CHECK_THROWS_WITH_AS(
        PlainTrainer(plain, {.steps = 1, .drop_source = 0.5}),
        doctest::Contains("drop_source is 0.500000, expected 0, as the denoiser has no 'encode_nothing"), Error);
}

TEST_CASE("guidance: Difformer's denoiser, too, writes the same to every source at a weight of -1") {
    using Guided = TextDiffusion<schedule::Rescaled<schedule::Sqrt>, embedding::Learned,
                                 denoiser::EncoderDecoder<Device>, sampler::Guided<sampler::Ddpm>>;
    auto const own = tiny::options();
    Guided pipeline(tiny::tokenizer(),
                    {.schedule = own.schedule,
                     .embedding = own.embedding,
                     .denoiser = own.denoiser,
                     .sampler = {.steps = own.sampler},
                     .device = own.device});
    auto const more = testing::random_values<float>(pipeline.layout().size(), 1);
    for (Index i = 0; i < pipeline.weights().size; ++i)
        pipeline.weights().data[i] += 0.3F * more[static_cast<std::size_t>(i)];
    auto const written = [&](double weight, std::string const& source) {
        pipeline.set_sampler({.steps = own.sampler, .weight = weight});
        return pipeline
            .generate_with(std::vector<std::string>{source}, {.seed = 4, .beams = {.shortest = 5, .longest = 5}})
            .front()
            .mean_log_probability;
    };
    CHECK(written(-1.0, "ink drop") == doctest::Approx(written(-1.0, "water falls")).epsilon(1e-5));
    CHECK(std::abs(written(0.0, "ink drop") - written(0.0, "water falls")) > 1e-4);
    CHECK(std::abs(written(0.0, "ink drop") - written(0.5, "ink drop")) > 1e-4);
}

TEST_CASE("where a denoiser ranks lengths, a beam of lengths is that of the likeliest classes") {
    auto pipeline = fresh();
    auto const* const bias = pipeline.layout().find("length_predictor.length_predictor.2.bias");
    REQUIRE(bias != nullptr);
    for (auto const& [length_class, logit] :
         {std::pair{Index{8 + 1}, 30.0F}, {Index{8 - 2}, 20.0F}, {Index{8 + 4}, 10.0F}})
        pipeline.weights().data[bias->parameter.offset + length_class] = logit;
    auto const tokens = tiny::tokenizer().encode("ink drop water paper");  // bos and eos make six rows of it
    std::vector<Index> lengths;
    (void)pipeline.generate_tokens(std::vector<std::vector<Token>>{tokens}, {.beams = {.length_beam = 3}},
                                   decode::MeanLogProbability{}, [&](decode::StepData<float> const& step) {
                                       lengths.clear();
                                       for (Index s = 0; s < step.sentences(); ++s)
                                           lengths.push_back(static_cast<Index>(step.sentence(s).size()));
                                   });
    CHECK(lengths == std::vector<Index>{7, 4, 10});
}

TEST_CASE("a length head that is trained alone learns, and every other weight keeps its bits") {
    auto pipeline = fresh();
    auto const before = weights_of(pipeline);
    using Alone = Trainer<Narrow, objective::LengthOnly, train::InverseSquareRoot>;
    auto options = thirty<Alone>();
    options.adamw.weight_decay = 0.0;
    options.length_weight = 1.0;
    double first = 0.0;
    options.on_progress = [&](train::Progress const& progress) {
        if (progress.step == 1) first = progress.losses.front().value;
    };
    double const last = Alone(pipeline, options).fit(corpus()).loss;
    CHECK(last < first);
    auto const after = weights_of(pipeline);
    for (auto const& entry : pipeline.layout().entries()) {
        auto const begin = static_cast<std::size_t>(entry.parameter.offset);
        auto const end = begin + static_cast<std::size_t>(entry.parameter.size());
        bool const same = std::vector<float>(before.begin() + static_cast<std::ptrdiff_t>(begin),
                                             before.begin() + static_cast<std::ptrdiff_t>(end))
            == std::vector<float>(after.begin() + static_cast<std::ptrdiff_t>(begin),
                                  after.begin() + static_cast<std::ptrdiff_t>(end));
        INFO(entry.name);
        CHECK(same == !entry.name.starts_with("length_predictor."));
    }
}

}  // namespace
