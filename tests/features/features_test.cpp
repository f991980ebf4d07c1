#include <inkling/features/features.hpp>

#include <inkling/denoiser/infiller.hpp>
#include <inkling/embedding/noisy_learned.hpp>
#include <inkling/guidance/classifier_free.hpp>
#include <inkling/testing/device_arrays.hpp>
#include <inkling/testing/gradient_check.hpp>

#include <doctest/doctest.h>

#include "allocations.hpp"
#include "device.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace inkling;
using Device = tests::Device<double>;
using Space = embedding::NoisyLearned;
using Model = denoiser::Infiller<Device>;
using View = MatrixView<double>;
using ConstView = MatrixView<double const>;
using Values = std::vector<double>;
using Lines = std::vector<std::vector<Token>>;
using features::AttentionPool;
using features::DenoiserStates;
using features::Embeddings;
using features::Feedback;
using features::MeanPool;

static_assert(LayeredDenoiser<Model> && LayeredDenoiser<guidance::ClassifierFree<Model>>);
static_assert(FeatureSource<Embeddings, Space, Model> && FeatureSource<DenoiserStates, Space, Model>);
static_assert(FeatureSource<Feedback, Space, guidance::ClassifierFree<Model>>);
static_assert(FeaturePool<MeanPool, Device> && FeaturePool<AttentionPool, Device>);
static_assert(!FeatureSource<MeanPool, Space, Model> && !FeaturePool<int, Device>);

constexpr Index vocabulary = 7;
constexpr Index latent = 3;
constexpr Index width = 4;
constexpr Index depth = 4;

denoiser::InfillerOptions small() {
    denoiser::InfillerOptions options;
    options.width = width;
    options.layers = depth;
    options.heads = 2;
    options.hidden = 5;
    options.reach = 2;
    options.dropout = 0.1;  // of its own training: whoever reads it has none
    options.longest = 8;
    return options;
}

/// A denoiser with random weights, and lines at levels.
struct Reader {
    nn::ParameterLayout layout;
    Space space{layout, vocabulary, {.width = latent, .start_noise = 0.1}};
    Model model{layout, small(), space};
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    Values weights = testing::random_values<double>(layout.size(), 6, 0.5);
    nn::Pass<Device> pass{device, workspace, weights.data()};
    features::Frozen<Space, Model> frozen{space, model, pass};
};

/// A batch of lines, each at every level, for a source of `states` states.
struct LinesAtLevels {
    testing::RaggedBatch<Device> lines;
    testing::DeviceArray<Device, Index> stacked, single;
    testing::DeviceArray<Device> shares, noise;
    testing::DeviceArray<Device, double> labels;
    features::Batch<Device> batch;

    LinesAtLevels(Device& device, Lines const& all, Values const& times, Index states, std::uint32_t draw = 0)
        : lines(testing::RaggedBatch<Device>::of(device, repeated(all, std::max<std::size_t>(1, times.size())))) {
        auto const levels = std::max<std::size_t>(1, times.size());
        std::vector<Index> rows{0}, numbers{0};
        Values factors, own_labels, drawn;
        Index longest = 0;
        for (std::size_t i = 0; i < all.size(); ++i)
            for (std::size_t level = 0; level < levels; ++level) {
                auto const length = static_cast<Index>(all[i].size());
                longest = std::max(longest, length);
                rows.push_back(rows.back() + states * length);
                numbers.push_back(numbers.back() + 1);
                double const time = times.empty() ? 0.0 : times[level];
                for (double const factor : {std::sqrt(1.0 - time), 0.0, std::sqrt(time)}) factors.push_back(factor);
                own_labels.push_back(3.0 * time);
                auto const number = static_cast<std::uint32_t>(100 + 10 * i + level + 50 * draw);
                auto const more = testing::random_values<double>(length * latent, number);
                drawn.insert(drawn.end(), more.begin(), more.end());
            }
        stacked = {device, rows};
        single = {device, numbers};
        shares = {device, factors};
        noise = {device, drawn};
        labels = {device, own_labels};
        Index const count = lines.sentences();
        batch = {.lines = {lines.segments(), lines.tokens(), lines.positions()},
                 .levels = static_cast<Index>(levels),
                 .stacked = {stacked.data(), count, rows.back(), states * longest},
                 .single = {single.data(), count, count, 1},
                 .shares = std::as_const(shares).matrix(3),
                 .noise = std::as_const(noise).matrix(latent),
                 .labels = std::as_const(labels).vector()};
    }

    static Lines repeated(Lines const& all, std::size_t levels) {
        Lines result;
        for (auto const& line : all) result.insert(result.end(), levels, line);
        return result;
    }
};

Lines const three_lines{{1, 4, 0, 6}, {2}, {5, 1, 4}};

/// A classifier over a reader, and its step on a batch.
template <class Source, class Pool>
struct Classifying {
    static constexpr Index classes = 3;

    Reader reader;
    nn::ParameterLayout layout;
    features::Classifier<Source, Pool> classifier;
    Values weights, gradients;
    typename features::Classifier<Source, Pool>::template Saved<Model> saved;
    double dropout = 0.0;

    explicit Classifying(typename Source::Options const& source, typename Pool::Options const& pool = {})
        : classifier(layout, source, pool, reader.space, reader.model, classes),
          weights(testing::random_values<double>(layout.size(), 8, 0.5)),
          gradients(weights.size()) {}

    LinesAtLevels at_levels(Lines const& lines, std::uint32_t draw = 0) {
        auto const times = classifier.source().levels();
        return {reader.device, lines, Values(times.begin(), times.end()), classifier.source().states(), draw};
    }
    nn::Pass<Device> pass(bool training) {
        reader.workspace.reset();
        return {reader.device,  reader.workspace,
                weights.data(), training ? gradients.data() : nullptr,
                dropout,        RandomStream{3, Purpose::dropout, 0, 1}};
    }
    double loss(features::Batch<Device> const& batch, bool training) {
        auto own = pass(training);
        std::vector<Token> targets(static_cast<std::size_t>(batch.size()));
        for (std::size_t i = 0; i < targets.size(); ++i) targets[i] = static_cast<Token>(i * 2 % classes);
        std::array<double, 2> sums{};
        classifier.loss(reader.frozen, own, batch, TokenView(targets.data(), batch.size()), 0.1, sums.data(), saved);
        return sums[1] / static_cast<double>(batch.size());
    }
    /// What the source gives, state behind state.
    Values states(features::Batch<Device> const& batch, bool training = false) {
        auto own = pass(training);
        Values result;
        for (View const& state : classifier.source().read(reader.frozen, own, batch, saved.source))
            result.insert(result.end(), state.data, state.data + state.size());
        return result;
    }
    /// [S, F], what becomes of the lines.
    Values pooled(features::Batch<Device> const& batch) {
        auto own = pass(false);
        auto const states = classifier.source().read(reader.frozen, own, batch, saved.source);
        Values result(static_cast<std::size_t>(batch.size() * classifier.pool().width()));
        classifier.pool().pool(own, batch, states, View(result.data(), batch.size(), classifier.pool().width()),
                               saved.pool);
        return result;
    }

    void check_gradients() {
        auto const lines = at_levels(three_lines);
        gradients.assign(weights.size(), 1.0);  // gradients are added to what is there
        double const with = loss(lines.batch, true);
        CHECK(loss(lines.batch, false) == doctest::Approx(with).epsilon(1e-13));
        auto analytic = gradients;
        for (double& slope : analytic) slope -= 1.0;
        for (auto const& entry : layout.entries()) {
            auto const first = static_cast<std::size_t>(entry.parameter.offset);
            auto const size = static_cast<std::size_t>(entry.parameter.size());
            auto const report = testing::check_gradient(std::span(weights).subspan(first, size),
                                                        std::span(analytic).subspan(first, size),
                                                        [&] { return loss(lines.batch, false); }, {.magnitude = 10.0});
            INFO(entry.name, ": ", report.text());
            CHECK(report.passed());
            CHECK((report.largest > 1e-6) != entry.name.ends_with("k_proj.bias"));  // which is the same for all keys
        }
    }
};

DenoiserStates::Options two_levels() { return {.layers = {2, 3}, .times = {0.2, 0.6}}; }
AttentionPool::Options small_pool() { return {.width = 6, .layers = 2, .heads = 2, .hidden = 5}; }

}  // namespace

TEST_CASE("Classifier: every gradient over every source and pool is that of central differences") {
    Classifying<Embeddings, MeanPool>({}).check_gradients();
    Classifying<Embeddings, MeanPool>({.learned = true}).check_gradients();
    Classifying<Embeddings, AttentionPool>({.learned = true}, small_pool()).check_gradients();
    Classifying<DenoiserStates, MeanPool>(two_levels()).check_gradients();
    Classifying<DenoiserStates, AttentionPool>(two_levels(), small_pool()).check_gradients();
    Classifying<Feedback, MeanPool>({.states = two_levels(), .width = 3}).check_gradients();
    Classifying<Feedback, AttentionPool>({.states = two_levels(), .width = 3}, small_pool()).check_gradients();
}

TEST_CASE("Classifier: gradients are right under dropout too") {
    Classifying<Feedback, AttentionPool> classifying({.states = two_levels(), .width = 3}, small_pool());
    auto const lines = classifying.at_levels(three_lines);
    double const without = classifying.loss(lines.batch, false);
    classifying.dropout = 0.3;
    CHECK(classifying.loss(lines.batch, false) != without);
    classifying.check_gradients();
}

TEST_CASE(
    "Feedback: at the start the fed-back reading is the plain one to the bit, and once it has learned it is not") {
    Classifying<DenoiserStates, MeanPool> plain(two_levels());
    Classifying<Feedback, MeanPool> fed({.states = two_levels(), .width = 3});
    auto const lines = plain.at_levels(three_lines);
    fed.layout.initialize<double>(4, fed.weights);
    for (bool const training : {false, true}) CHECK(fed.states(lines.batch, training) == plain.states(lines.batch));
    auto const& second = *fed.layout.find("feedback.3.second.weight");
    fed.weights[static_cast<std::size_t>(second.parameter.offset)] = 0.5;
    auto const after = fed.states(lines.batch), before = plain.states(lines.batch);
    for (std::size_t i = 0; i < after.size(); ++i) CHECK(after[i] != before[i]);  // layer 1 is below all that is read
}

TEST_CASE("DenoiserStates: what is read in training is what is read outside of it") {
    Classifying<Feedback, MeanPool> fed({.states = {.layers = {2, 4}, .times = {0.0, 1.0}}, .width = 3});
    auto const lines = fed.at_levels(three_lines);
    CHECK(fed.states(lines.batch, true) == fed.states(lines.batch, false));
}

TEST_CASE("DenoiserStates: all of a line and its noise reach every row above the first layer, and no row below it") {
    Classifying<DenoiserStates, MeanPool> reading({.layers = {0, depth}, .times = {0.4}});
    auto const changed = [&](Lines const& lines, std::uint32_t draw) {
        auto const before = reading.states(reading.at_levels({{1, 4, 0, 6}}).batch);
        auto const after = reading.states(reading.at_levels(lines, draw).batch);
        std::vector<bool> rows;
        for (std::size_t i = 0; i < before.size(); i += width)
            rows.push_back(!std::equal(before.begin() + static_cast<std::ptrdiff_t>(i),
                                       before.begin() + static_cast<std::ptrdiff_t>(i + width),
                                       after.begin() + static_cast<std::ptrdiff_t>(i)));
        return rows;
    };
    CHECK(changed({{1, 4, 0, 6}}, 0) == std::vector<bool>(8, false));
    CHECK(changed({{1, 4, 5, 6}}, 0) == std::vector<bool>{false, false, true, false, true, true, true, true});
    CHECK(changed({{1, 4, 0, 6}}, 1) == std::vector<bool>(8, true));
}

TEST_CASE("Embeddings: of a bag of words the order of the words is unknown, and of the denoiser it is not") {
    auto const moved = [](auto& reading) {
        auto const one = reading.pooled(reading.at_levels({{1, 4, 0, 6}}).batch);
        auto const other = reading.pooled(reading.at_levels({{6, 0, 1, 4}}).batch);
        double distance = 0.0;
        for (std::size_t i = 0; i < one.size(); ++i) distance += std::abs(one[i] - other[i]);
        return distance;
    };
    Classifying<Embeddings, MeanPool> bag({.learned = true});
    Classifying<DenoiserStates, MeanPool> states({.layers = {2}, .times = {0.0}});
    CHECK(moved(bag) < 1e-12);
    CHECK(moved(states) > 1e-3);
}

TEST_CASE("MeanPool: one row of one word is that row, brought to mean 0 and variance 1") {
    Classifying<DenoiserStates, MeanPool> reading({.layers = {1, 2}, .times = {0.3}});
    auto const lines = reading.at_levels({{2}});
    auto const rows = reading.states(lines.batch), pooled = reading.pooled(lines.batch);
    REQUIRE(pooled.size() == 2 * width);
    for (std::size_t j = 0; j < 2; ++j) {
        double mean = 0.0, square = 0.0;
        for (std::size_t i = 0; i < width; ++i) mean += rows[j * width + i] / width;
        for (std::size_t i = 0; i < width; ++i) square += std::pow(rows[j * width + i] - mean, 2) / width;
        for (std::size_t i = 0; i < width; ++i)
            CHECK(pooled[j * width + i] == doctest::Approx((rows[j * width + i] - mean) / std::sqrt(square + 1e-5)));
    }
}

TEST_CASE("AttentionPool: levels share their weights, so that a line at two equal levels gives the same twice") {
    Classifying<Embeddings, AttentionPool> reading({}, small_pool());
    auto const once = reading.at_levels(three_lines);
    LinesAtLevels const twice(reading.reader.device, three_lines, {0.1, 0.1}, 1);
    nn::ParameterLayout layout;
    AttentionPool const of_two(layout, small_pool(), {.states = 1, .width = latent, .levels = 2});
    auto own = reading.pass(false);
    auto const states = reading.classifier.source().read(reading.reader.frozen, own, twice.batch, reading.saved.source);
    Values both(3 * 2 * 6);
    REQUIRE(of_two.width() == 2 * 6);
    of_two.pool(own, twice.batch, states, View(both.data(), 3, 2 * 6), reading.saved.pool);
    auto const single = reading.pooled(once.batch);
    for (std::size_t line = 0; line < 3; ++line)
        for (std::size_t i = 0; i < 6; ++i) {
            CHECK(both[line * 12 + i] == single[line * 6 + i]);
            CHECK(both[line * 12 + 6 + i] == single[line * 6 + i]);
        }
}

TEST_CASE("AttentionPool: every row of every state has a say") {
    Classifying<DenoiserStates, AttentionPool> reading(two_levels(), small_pool());
    auto const lines = reading.at_levels({{1, 4, 0}});
    auto own = reading.pass(false);
    auto const states = reading.classifier.source().read(reading.reader.frozen, own, lines.batch, reading.saved.source);
    Values before(2 * 6), after(2 * 6);
    auto const pool = [&](Values& to) {
        reading.classifier.pool().pool(own, lines.batch, states, View(to.data(), 1, 2 * 6), reading.saved.pool);
    };
    pool(before);
    for (View const& state : states)
        for (Index row = 0; row < state.rows; ++row) {
            state.row(row)[1] += 1.0;
            pool(after);
            state.row(row)[1] -= 1.0;
            bool const first_level = row < 3;
            CHECK(std::equal(before.begin(), before.begin() + 6, after.begin()) != first_level);
            CHECK(std::equal(before.begin() + 6, before.end(), after.begin() + 6) == first_level);
        }
}

TEST_CASE("Classifier: what becomes of a line has the same bits whatever lines are read beside it") {
    auto const check = [](auto&& reading) {
        auto const width_of = static_cast<std::size_t>(reading.classifier.pool().width());
        auto const all = reading.pooled(reading.at_levels(three_lines).batch);
        auto const first = reading.pooled(reading.at_levels({three_lines[0]}).batch);
        CHECK(Values(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(width_of)) == first);
    };
    check(Classifying<DenoiserStates, MeanPool>(two_levels()));
    check(Classifying<Feedback, AttentionPool>({.states = two_levels(), .width = 3}, small_pool()));
}

TEST_CASE("Classifier: the class it names is the one of the largest logit, and its log-probability that of softmax") {
    Classifying<DenoiserStates, MeanPool> reading(two_levels());
    auto const lines = reading.at_levels(three_lines);
    auto const pooled = reading.pooled(lines.batch);
    std::vector<Token> classes(3);
    Values scores(3);
    auto own = reading.pass(false);
    reading.classifier.predict(reading.reader.frozen, own, lines.batch, VectorView<Token>(classes.data(), 3),
                               VectorView<double>(scores.data(), 3), reading.saved);
    auto const weight = own.matrix(reading.layout.find("classifier.weight")->parameter);
    auto const bias = own.vector(reading.layout.find("classifier.bias")->parameter);
    auto const features = static_cast<std::size_t>(weight.cols);
    for (std::size_t line = 0; line < 3; ++line) {
        Values logits;
        for (Index c = 0; c < weight.rows; ++c) {
            logits.push_back(bias.data[c]);
            for (std::size_t i = 0; i < features; ++i) logits.back() += weight.row(c)[i] * pooled[line * features + i];
        }
        auto const top = std::max_element(logits.begin(), logits.end());
        CHECK(classes[line] == top - logits.begin());
        double total = 0.0;
        for (double const logit : logits) total += std::exp(logit - *top);
        CHECK(scores[line] == doctest::Approx(-std::log(total)));
    }
}

TEST_CASE("Classifier: after the first step nothing is allocated") {
    Classifying<Feedback, AttentionPool> reading({.states = two_levels(), .width = 3}, small_pool());
    auto const lines = reading.at_levels(three_lines);
    std::vector<Token> const targets{0, 1, 2};
    std::array<double, 2> sums{};
    long counted = 0;
    for (int step = 0; step < 3; ++step) {
        long const before = allocations();
        auto own = reading.pass(true);
        reading.classifier.loss(reading.reader.frozen, own, lines.batch, TokenView(targets.data(), 3), 0.0, sums.data(),
                                reading.saved);
        counted = allocations() - before;
    }
    CHECK(counted == 0);
}

TEST_CASE("features: half to three quarters of a denoiser's layers are read where none are named") {
    Classifying<DenoiserStates, MeanPool> const reading({.times = {0.5}});
    CHECK(reading.classifier.source().options().layers == std::vector<Index>{2, 3});
    CHECK(reading.classifier.levels() == 1);
    CHECK(Classifying<Embeddings, MeanPool>({}).classifier.levels() == 1);
}

TEST_CASE("features: options out of their range are refused by name") {
    Reader reader;
    nn::ParameterLayout layout;
    auto const states = [&](DenoiserStates::Options const& options) {
        (void)DenoiserStates(layout, options, reader.space, reader.model);
    };
    CHECK_THROWS_WITH_AS(
        states({.layers = {5}}),
        "inkling::features::DenoiserStates: layer 5 is asked for, expected 0 to 4, as many as the denoiser has", Error);
    CHECK_THROWS_WITH_AS(
        states({.layers = {3, 2}}),
        "inkling::features::DenoiserStates: layer 2 is behind layer 3, expected layers in rising order", Error);
    CHECK_THROWS_WITH_AS(
        states({.layers = {3, 3}}),
        "inkling::features::DenoiserStates: layer 3 is behind layer 3, expected layers in rising order", Error);
    CHECK_THROWS_WITH_AS(states({.times = {1.5}}),
                         "inkling::features::DenoiserStates: a time is 1.500000, expected a number in [0, 1]", Error);
    CHECK_THROWS_WITH_AS(states({.times = {}}),
                         "inkling::features::DenoiserStates: there is no time, expected at least one", Error);
    CHECK_THROWS_WITH_AS(
        Feedback(layout, {.states = {.layers = {1, 3}}}, reader.space, reader.model),
        "inkling::features::Feedback: layer 1 is to feed layer 3, expected one of the upper half of 4 layers", Error);
    CHECK_THROWS_WITH_AS(Feedback(layout, {.width = 0}, reader.space, reader.model),
                         "inkling::features::Feedback: width is 0, expected 1 to 1048576", Error);
    CHECK_THROWS_WITH_AS(AttentionPool(layout, {.layers = 65}, {}),
                         "inkling::features::AttentionPool: layers is 65, expected 1 to 64", Error);
    using Bag = features::Classifier<Embeddings, MeanPool>;
    CHECK_THROWS_WITH_AS(Bag(layout, {}, {}, reader.space, reader.model, 1),
                         "inkling::features::Classifier: 1 classes, expected 2 to 1048576", Error);
}
