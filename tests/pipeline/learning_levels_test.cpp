#include <inkling/pipeline/diffusion_training.hpp>

#include <inkling/denoiser/infiller.hpp>
#include <inkling/objective/diffuseq.hpp>
#include <inkling/objective/distance_penalty.hpp>
#include <inkling/objective/loss_aware_levels.hpp>
#include <inkling/objective/time_warping.hpp>

#include <doctest/doctest.h>

#include "io/temporary_folder.hpp"
#include "objective/drawn.hpp"
#include "tiny.hpp"

#include <cmath>
#include <cstddef>
#include <span>
#include <stop_token>
#include <string>
#include <type_traits>
#include <vector>

namespace {

using namespace inkling;
using tiny::Pipeline;
using Device = Pipeline::Device;
using objective::LossAwareLevels;
using objective::TimeWarping;
template <class Objective_, class Levels = objective::EvenLevels>
using TrainerWith = Trainer<Pipeline, Objective_, train::InverseSquareRoot, Levels>;

text::ParallelCorpus corpus() {
    auto const tokenizer = tiny::tokenizer();
    auto const lines = tiny::sentences(80);
    text::ParallelCorpus pairs;
    for (auto const& line : lines) pairs.add(tokenizer.encode(line), tokenizer.encode(line));
    return pairs;
}

template <class TrainerType>
typename TrainerType::Options thirty() {
    typename TrainerType::Options options;
    options.steps = 30;
    options.learning_rate = {.peak = 3e-3, .warm_up = 5};
    options.tokens_per_batch = 64;
    options.discrete_steps = 20;
    options.bleu_sentences = 0;
    return options;
}

template <class Chosen>
std::vector<float> weights_of(Chosen const& pipeline) {
    auto const weights = pipeline.weights();
    return {weights.data, weights.data + weights.size};
}

/// Draws as EvenLevels does, and writes down what it is told.
struct Listener : objective::EvenLevels {
    static inline std::vector<double> times, losses;

    void learn(State&, std::span<double const> now, std::span<double const> lost) const {
        times.assign(now.begin(), now.end());
        losses.assign(lost.begin(), lost.end());
    }
};
/// And weighs them.
struct WeighingListener : Listener {
    [[nodiscard]] double weight(State const&, double time) const { return 0.5 + 3.0 * time; }
};

/// What a batch of these sentences loses, and what a listener is told of it.
template <class Levels, class Objective_>
struct Heard {
    double total = 0.0;
    std::vector<double> times, losses;

    Heard(TrainerOptions<Objective_, train::InverseSquareRoot, GenerateOptions, Levels> const& options,
          std::vector<Index> const& sentences) {
        auto const pipeline = tiny::talkative();
        pipeline::DiffusionTraining<Pipeline, Objective_, Levels> training(pipeline, options);
        Device device{{.threads = 1}};
        nn::Workspace<Device> workspace;
        std::vector<float> gradients(static_cast<std::size_t>(pipeline.layout().size()));
        nn::Pass<Device> pass{device, workspace, pipeline.weights().data, gradients.data()};
        auto const batch = training.batch(pass, corpus(), sentences, 5, 1, true);
        auto losses_of_batch = training.loss(pass, batch);
        losses_of_batch.collect(pass);
        for (auto const& term : losses_of_batch.terms())
            if (term.name != "length") total += term.weight * term.value;
        training.learn(pass, batch, losses_of_batch);
        times = Listener::times;
        losses = Listener::losses;
    }
};

template <class Levels, class Objective_>
void check_told(Objective_ const& objective, bool first_too, bool sentence_means) {
    TrainerOptions<Objective_, train::InverseSquareRoot, GenerateOptions, Levels> options;
    options.objective = objective;
    options.discrete_steps = 50;
    options.self_conditioning = 1.0;
    options.train_first = first_too;
    options.sentence_means = sentence_means;
    std::vector<Index> const sentences{3, 0, 17, 9};
    Heard<Levels, Objective_> const together(options, sentences);
    REQUIRE(together.losses.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
        Heard<Levels, Objective_> const alone(options, {sentences[i]});
        INFO("sentence ", sentences[i], ", both estimates ", first_too, ", means of sentences ", sentence_means);
        CHECK(alone.times.front() == together.times[i]);
        double const weight = std::is_same_v<Levels, WeighingListener> ? 0.5 + 3.0 * alone.times.front() : 1.0;
        CHECK(weight * alone.losses.front() == doctest::Approx(alone.total).epsilon(1e-5));
        CHECK(together.losses[i] == doctest::Approx(alone.losses.front()).epsilon(1e-5));
    }
    double mean = 0.0, rows = 0.0;
    auto const text = corpus();
    for (std::size_t i = 0; i < 4; ++i) {
        double const weight = std::is_same_v<Levels, WeighingListener> ? 0.5 + 3.0 * together.times[i] : 1.0;
        double const share =
            sentence_means ? 1.0 : static_cast<double>(text.target(sentences[i]).size() + 2);  // with bos and eos
        mean += share * weight * together.losses[i];
        rows += share;
    }
    CHECK(mean / rows == doctest::Approx(together.total).epsilon(1e-5));
}

TEST_CASE_TEMPLATE("a policy is told of each sentence what the batch would lose if it were alone in it, unweighted",
                   Levels, Listener, WeighingListener) {
    using objective::DistancePenalty;
    for (bool const first_too : {false, true})
        for (bool const means : {false, true}) {
            check_told<Levels>(objective::Anchor{.label_smoothing = 0.1, .weight = 0.7}, first_too, means);
            check_told<Levels>(objective::DiffuSeq{.weight = 0.5, .regression_weight = 2.0, .prior_weight = 1e5},
                               first_too, means);
        }
    check_told<Levels>(objective::Rounding{}, false, false);
    check_told<Levels>(
        objective::Regression{.measure = objective::ErrorMeasure::huber, .quantity = schedule::Quantity::velocity},
        false, false);
    for (auto const distance :
         {objective::Distance::squared, objective::Distance::cosine, objective::Distance::divergence})
        for (double const weight : {2.0, -0.5})
            check_told<Levels>(DistancePenalty<objective::Anchor>{.distance = distance, .weight = weight}, false,
                               weight > 0.0);
}

TEST_CASE("a pair's order says which of its two levels is the less noisy") {
    using Penalty = objective::DistancePenalty<objective::Anchor>;
    TrainerOptions<Penalty, train::InverseSquareRoot> options;
    options.objective.pairs.window = 0.3;
    auto const pipeline = tiny::talkative();
    pipeline::DiffusionTraining<Pipeline, Penalty, objective::EvenLevels> training(pipeline, options);
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    nn::Pass<Device> pass{device, workspace, pipeline.weights().data};
    std::vector<Index> sentences;
    for (Index i = 0; i < 40; ++i) sentences.push_back(i);
    auto const batch = training.batch(pass, corpus(), sentences, 5, 1, true);
    REQUIRE(batch.pair_order.rows == 40);
    int orders[2] = {0, 0};
    for (Index s = 0; s < 40; ++s) {
        float const first = batch.levels.row(s)[0], second = batch.levels.row(s + 40)[0];
        bool const first_is_cleaner = first >= second;
        ++orders[first_is_cleaner ? 0 : 1];
        float const* const order = batch.pair_order.row(s);
        CHECK(order[0] == (first_is_cleaner ? 1.0F : 0.0F));
        CHECK(order[1] == (first_is_cleaner ? 0.0F : 1.0F));
        CHECK(order[2] == 1.0F);
    }
    CHECK(orders[0] > 5);
    CHECK(orders[1] > 5);
}

TEST_CASE("a policy that is told and does not mind ends in the very bits of one that is not told") {
    auto const trained = [](auto trainer_type) {
        using Chosen = typename decltype(trainer_type)::type;
        Pipeline pipeline(tiny::tokenizer(), tiny::options());
        (void)Chosen(pipeline, thirty<Chosen>()).fit(corpus());
        return weights_of(pipeline);
    };
    CHECK(trained(std::type_identity<TrainerWith<objective::Anchor>>{})
          == trained(std::type_identity<TrainerWith<objective::Anchor, Listener>>{}));
}

/// Levels that are soon learned.
template <class Levels>
Levels quick() {
    if constexpr (std::is_same_v<Levels, LossAwareLevels>)
        return {.parts = 10, .history = 3, .even_share = 0.1};
    else
        return {.parts = 10, .start = 3, .memory = 20, .even_share = 0.1};
}

TEST_CASE_TEMPLATE(
    "levels that learn: a training ends in the same bits on one thread and on two, and not in those of "
    "even levels",
    Levels, LossAwareLevels, TimeWarping) {
    using Chosen = TrainerWith<objective::DiffuSeq, Levels>;
    for (Index const table : {Index{0}, Index{20}}) {
        auto const trained = [&]<class Type>(std::type_identity<Type>, int threads) {
            auto own = tiny::options();
            own.device.threads = threads;
            Pipeline pipeline(tiny::tokenizer(), own);
            auto options = thirty<Type>();
            options.discrete_steps = table;
            if constexpr (std::is_same_v<Type, Chosen>) options.levels = quick<Levels>();
            (void)Type(pipeline, options).fit(corpus());
            return weights_of(pipeline);
        };
        auto const one = trained(std::type_identity<Chosen>{}, 1);
        CHECK(one == trained(std::type_identity<Chosen>{}, 2));
        CHECK(one != trained(std::type_identity<TrainerWith<objective::DiffuSeq>>{}, 1));
    }
}

TEST_CASE_TEMPLATE("levels that learn: a resumed run draws what one would have drawn that was not stopped", Levels,
                   LossAwareLevels, TimeWarping) {
    using Chosen = TrainerWith<objective::DistancePenalty<objective::Anchor>, Levels>;
    auto const text = corpus();
    TemporaryFolder const folder;
    auto options = thirty<Chosen>();
    options.levels = quick<Levels>();
    options.checkpoint = folder / "whole";
    Pipeline whole(tiny::tokenizer(), tiny::options());
    (void)Chosen(whole, options).fit(text);
    options.checkpoint = folder / "parts";
    for (Index const until : {Index{2}, Index{16}, Index{30}}) {  // in front of what a policy must have had, and behind
        Pipeline parts(tiny::tokenizer(), tiny::options());
        std::stop_source stop;
        auto again = options;
        again.stop = stop.get_token();
        again.on_progress = [&](train::Progress const& progress) {
            if (progress.step == until && until < 30) stop.request_stop();
        };
        CHECK(Chosen(parts, again).fit(text).steps == until);
        if (until == 30) CHECK(weights_of(parts) == weights_of(whole));
    }
    options.levels.even_share = 0.5;
    options.steps = 40;
    Pipeline other(tiny::tokenizer(), tiny::options());
    CHECK_THROWS_WITH_AS((void)Chosen(other, options).fit(text), doctest::Contains("even_share"), Error);
}

TEST_CASE("weighted losses of a training are on average those of even levels, though other levels are drawn") {
    auto const losses_of = [](auto levels) {
        using Chosen = TrainerWith<objective::Regression, decltype(levels)>;
        auto options = thirty<Chosen>();
        options.levels = levels;
        options.steps = 700;
        options.learning_rate.peak = 1e-12;  // nothing is learned
        options.objective.quantity =
            schedule::Quantity::noise;  // whose loss is much larger where there is little noise
        options.length_weight = 0.0;
        drawn::Mean mean;
        options.on_progress = [&](train::Progress const& progress) {
            if (progress.step > 60 && !progress.finished) mean.add(progress.losses.front().value);
        };
        auto own = tiny::options();
        own.schedule.training_noise = 1.0;
        Pipeline pipeline(tiny::tokenizer(), own);
        (void)Chosen(pipeline, options).fit(corpus());
        return mean;
    };
    auto const even = losses_of(objective::EvenLevels{}), aware = losses_of(quick<LossAwareLevels>());
    auto const apart = [&](drawn::Mean const& other) {
        return std::abs(even.value() - other.value()) / std::hypot(even.error(), other.error());
    };
    CHECK(apart(aware) < 4.0);
    CHECK(aware.error() < 0.8 * even.error());  // that is what they are for
}

TEST_CASE("nothing is allocated in an update with levels that learn") {
    using Chosen = TrainerWith<objective::DiffuSeq, LossAwareLevels>;
    auto options = thirty<Chosen>();
    options.levels = quick<LossAwareLevels>();
    options.steps = 40;
    std::vector<long> counts;
    counts.reserve(100);
    options.on_progress = [&](train::Progress const&) { counts.push_back(allocations()); };
    auto const tokenizer = tiny::tokenizer();
    text::ParallelCorpus same_length;
    for (int i = 0; i < 64; ++i) {
        auto const tokens = tokenizer.encode(i % 2 == 0 ? "ink drop water paper" : "drop ink falls on");
        same_length.add(tokens, tokens);
    }
    Pipeline pipeline(tiny::tokenizer(), tiny::options());
    (void)Chosen(pipeline, options).fit(same_length);
    REQUIRE(counts.size() == 41);
    for (std::size_t i = 20; i < 40; ++i) CHECK(counts[i] == counts[19]);
}

TEST_CASE("a table that a policy's parts do not divide is refused before training begins") {
    using Chosen = TrainerWith<objective::Anchor, LossAwareLevels>;
    Pipeline pipeline(tiny::tokenizer(), tiny::options());
    CHECK_THROWS_WITH_AS(
        Chosen(pipeline, {.steps = 1, .levels = {.parts = 300}, .discrete_steps = 2000}),
        "inkling::objective::LossAwareLevels: parts is 300, expected a divisor of the 2000 steps of the table", Error);
}

}  // namespace
