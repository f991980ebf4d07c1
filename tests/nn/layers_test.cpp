#include <inkling/nn/transformer_layer.hpp>

#include <inkling/testing/device_arrays.hpp>
#include <inkling/testing/gradient_check.hpp>

#include <doctest/doctest.h>

#include "device.hpp"

#include <cmath>
#include <cstring>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace inkling;
using Device = tests::Device<double>;
using Pass = nn::Pass<Device>;
using Batch = testing::RaggedBatch<Device>;
using View = MatrixView<double>;
using ConstView = MatrixView<double const>;
using Values = std::vector<double>;

/// Weights, inputs and the loss sum(pull * y) of one layer; inputs are matrices of `cols` columns.
struct Problem {
    nn::ParameterLayout layout;
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    double dropout = 0.0;
    Values weights, gradients, pull;

    void randomize() {
        weights = testing::random_values<double>(layout.size(), 1, 0.5);
        for (auto const& entry : layout.entries())
            if (entry.initializer.value == 1.0)
                for (Index i = 0; i < entry.parameter.size(); ++i)
                    weights[static_cast<std::size_t>(entry.parameter.offset + i)] += 1.0;
    }
    Pass pass(bool training) {
        workspace.reset();
        return {device,         workspace,
                weights.data(), training ? gradients.data() : nullptr,
                dropout,        RandomStream{3, Purpose::dropout, 0, 2}};
    }

    /// @param forward   forward(pass, input views, y, training), keeps what it saved
    /// @param backward  backward(pass, dy, views of the inputs' gradients): adds to them; they hold 1 everywhere, and
    ///   must keep it
    template <class Forward, class Backward>
    void check(std::vector<Index> const& rows, Index cols, Index out_cols, Forward const& forward,
               Backward const& backward) {
        if (weights.empty()) randomize();
        pull = testing::random_values<double>(rows[0] * out_cols, 2);
        std::vector<Values> inputs, slopes;
        for (Index const count : rows)
            inputs.push_back(
                testing::random_values<double>(count * cols, static_cast<std::uint32_t>(10 + inputs.size())));
        auto const views = [&](std::vector<Values>& values) {
            std::vector<View> result;
            for (std::size_t i = 0; i < rows.size(); ++i) result.emplace_back(values[i].data(), rows[i], cols);
            return result;
        };
        auto const run = [&](bool training) {
            Pass p = pass(training);
            View const y = p.take(rows[0], out_cols);
            forward(p, views(inputs), y, training);
            double sum = 0.0;
            for (Index i = 0; i < y.size(); ++i) sum += y.data[i] * pull[static_cast<std::size_t>(i)];
            if (training) {
                View const dy = p.take(rows[0], out_cols);
                copy(device, static_cast<double const*>(pull.data()), dy.data, dy.size());
                backward(p, dy, views(slopes));
            }
            return sum;
        };
        for (Index const count : rows) slopes.emplace_back(static_cast<std::size_t>(count * cols), 1.0);
        gradients.assign(weights.size(), 1.0);  // gradients are added to what is there
        double const loss = run(true);
        CHECK(run(false) == loss);
        auto const added = [](Values values) {
            for (double& value : values) value -= 1.0;
            return values;
        };
        Values const weight_slopes = added(gradients);
        testing::GradientCheckOptions const limits{.magnitude = 10.0};
        for (auto const& entry : layout.entries()) {
            auto const first = static_cast<std::size_t>(entry.parameter.offset);
            auto const size = static_cast<std::size_t>(entry.parameter.size());
            auto const report = testing::check_gradient(
                std::span(weights).subspan(first, size), std::span(weight_slopes).subspan(first, size),
                [&] { return run(false); }, limits);
            INFO(entry.name, ": ", report.text());
            CHECK(report.passed());
            if (!entry.name.ends_with("k_proj.bias")) CHECK(report.largest > 1e-4);
        }
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            auto const report = testing::check_gradient(
                inputs[i], added(slopes[i]), [&] { return run(false); }, limits);
            INFO("input ", i, ": ", report.text());
            CHECK(report.passed());
        }
    }
};

/// For layers whose backward pass overwrites dx: adds the result to what the harness holds.
template <class Backward>
void added_to(Pass& pass, View dx, Backward const& backward) {
    View const own = pass.take(dx.rows, dx.cols);
    backward(own);
    add(pass.device, dx, own, dx);
}

/// Whether a device lays out factors of so many rows for its products.
template <class Any>
bool packs([[maybe_unused]] Any const& device, [[maybe_unused]] Index rows) {
    if constexpr (backend::PacksFactors<Any>)
        return can_pack(device, rows, Index{2});
    else
        return false;
}

}  // namespace

TEST_CASE("Linear: gradients of weight, bias and input, added to or overwritten") {
    for (bool const bias : {false, true})
        for (bool const accumulate : {false, true}) {
            Problem problem;
            nn::Linear const linear(problem.layout, "map", 3, 4, bias);
            problem.check(
                {5}, 3, 4, [&](Pass& p, auto x, View y, bool) { linear.forward(p, x[0], y); },
                [&, x = testing::random_values<double>(15, 10)](Pass& p, View dy, auto dx) {
                    ConstView const input(x.data(), 5, 3);
                    if (accumulate)
                        linear.backward(p, input, dy, dx[0], true);
                    else
                        added_to(p, dx[0], [&](View own) { linear.backward(p, input, dy, own); });
                });
        }
}

TEST_CASE(
    "LayerNorm: gradients with and without gain and bias; the slope of the input may take the place of the output's") {
    for (bool const affine : {false, true}) {
        Problem problem;
        nn::LayerNorm const norm(problem.layout, "norm", 5, affine);
        nn::LayerNorm::Saved<Device> saved;
        problem.check(
            {4}, 5, 5, [&](Pass& p, auto x, View y, bool t) { norm.forward(p, x[0], y, t ? &saved : nullptr); },
            [&](Pass& p, View dy, auto dx) {
                added_to(p, dx[0], [&](View own) { norm.backward(p, saved, dy, own); });
                Values const apart(dx[0].data, dx[0].data + dx[0].size());
                norm.backward(p, saved, dy, dy);
                for (std::size_t i = 0; i < apart.size(); ++i) CHECK(apart[i] == dy.data[i] + 1.0);
                for (std::size_t i = 0; i < problem.gradients.size(); ++i)  // undoes the second call
                    problem.gradients[i] = (problem.gradients[i] + 1.0) / 2.0;
            });
    }
}

TEST_CASE("FeedForward: gradients through every nonlinearity") {
    for (auto const activation :
         {backend::Activation::relu, backend::Activation::gelu, backend::Activation::silu, backend::Activation::tanh})
        for (bool const accumulate : {false, true}) {
            CAPTURE(static_cast<int>(activation));
            Problem problem;
            nn::FeedForward const feed{nn::Linear(problem.layout, "fc1", 3, 6, true),
                                       nn::Linear(problem.layout, "fc2", 6, 2, true), activation};
            nn::FeedForward::Saved<Device> saved;
            problem.check(
                {5}, 3, 2, [&](Pass& p, auto x, View y, bool t) { feed.forward(p, x[0], y, t ? &saved : nullptr); },
                [&](Pass& p, View dy, auto dx) {
                    if (accumulate)
                        feed.backward(p, saved, dy, dx[0], true);
                    else
                        added_to(p, dx[0], [&](View own) { feed.backward(p, saved, dy, own); });
                });
        }
}

TEST_CASE("Attention: gradients of a sentence's attention to itself, causal or not, over ragged batches") {
    for (Index const heads : {1, 2, 3})
        for (bool const causal : {false, true}) {
            Problem problem;
            nn::Attention const layer(problem.layout, "attention", 6, heads);
            Batch const batch(problem.device, {3, 1, 4});
            nn::Attention::Saved<Device> saved;
            problem.check(
                {8}, 6, 6,
                [&](Pass& p, auto x, View y, bool t) {
                    layer.forward_self(p, batch.segments(), causal, x[0], y, t ? &saved : nullptr);
                },
                [&](Pass& p, View dy, auto dx) { layer.backward_self(p, batch.segments(), causal, saved, dy, dx[0]); });
        }
}

TEST_CASE("Attention: gradients of a bias by distance that two attentions share, and of all else beside it") {
    for (bool const causal : {false, true}) {
        Problem problem;
        nn::Parameter const by_distance = problem.layout.add_matrix("by_distance", 2, 5, nn::Initializer::normal(1.0));
        nn::Attention first(problem.layout, "first", 4, 2), second(problem.layout, "second", 4, 2);
        first.by_distance = second.by_distance = by_distance;
        Batch const batch(problem.device, {5, 1, 3});
        nn::Attention::Saved<Device> saved, saved_second;
        View between;
        problem.check(
            {batch.rows()}, 4, 4,
            [&](Pass& pass, std::vector<View> const& inputs, View y, bool training) {
                between = pass.take(batch.rows(), 4);
                first.forward_self(pass, batch.segments(), causal, inputs[0], between, training ? &saved : nullptr);
                second.forward_self(pass, batch.segments(), causal, between, y, training ? &saved_second : nullptr);
            },
            [&](Pass& pass, ConstView dy, std::vector<View> const& slopes) {
                View const dbetween = pass.take_zeros(batch.rows(), 4);
                second.backward_self(pass, batch.segments(), causal, saved_second, dy, dbetween);
                first.backward_self(pass, batch.segments(), causal, saved, ConstView(dbetween), slopes[0]);
            });
    }
}

TEST_CASE("Attention: gradients of the attention to a second sequence, shorter and longer") {
    Problem problem;
    nn::Attention const layer(problem.layout, "attention", 6, 2);
    Batch const queries(problem.device, {3, 1, 4});
    Batch const keys(problem.device, {1, 5, 2});
    backend::AttentionShape const shape{queries.segments(), keys.segments(), 2, nullptr, false};
    nn::Attention::Saved<Device> saved;
    problem.check(
        {8, 8}, 6, 6,
        [&](Pass& p, auto x, View y, bool t) {
            View const keys_values = p.take(8, 12);
            layer.key_value().forward(p, x[1], keys_values);
            layer.forward_cross(p, shape, x[0], keys_values, y, t ? &saved : nullptr);
        },
        [&, memory = testing::random_values<double>(48, 11)](Pass& p, View dy, auto dx) {
            View const dkeys_values = p.take(8, 12);
            layer.backward_cross(p, shape, saved, dy, dx[0], dkeys_values);
            layer.key_value().backward(p, ConstView(memory.data(), 8, 6), dkeys_values, dx[1], true);
        });
}

namespace {

/// A layer of width 4.
nn::TransformerLayerOptions small_layer(bool before) {
    nn::TransformerLayerOptions options;
    options.width = 4;
    options.heads = 2;
    options.hidden = 5;
    options.activation = backend::Activation::gelu;
    options.normalize_before = before;
    return options;
}

/// Its gradients, of sentences of these lengths and of those of a second sequence.
void check_layer(nn::TransformerLayerOptions const& options, std::vector<Index> const& lengths,
                 std::vector<Index> const& second_lengths, double dropout = 0.0) {
    Problem problem;
    problem.dropout = dropout;
    nn::TransformerLayer const layer(problem.layout, "layer", options);
    CHECK((problem.layout.find("layer.self_attn.q_proj.weight") != nullptr) == options.own);
    Batch const queries(problem.device, lengths), keys(problem.device, second_lengths);
    backend::AttentionShape const shape{queries.segments(), keys.segments(), 2, nullptr, false};
    nn::TransformerLayer::Saved<Device> saved;
    auto const key_value = layer.cross_attention.key_value();
    Index const second = keys.rows();
    problem.check(
        {queries.rows(), second}, 4, 4,
        [&](Pass& p, auto x, View y, bool t) {
            View const keys_values = p.take(second, 8);
            if (options.cross) key_value.forward(p, x[1], keys_values);
            layer.forward(p, queries.segments(), x[0], y, shape, keys_values, t ? &saved : nullptr);
        },
        [&, memory = testing::random_values<double>(4 * second, 11)](Pass& p, View dy, auto dx) {
            View const dkeys_values = p.take(second, 8);
            layer.backward(p, queries.segments(), saved, dy, shape, dkeys_values);
            add(p.device, dx[0], dy, dx[0]);
            if (options.cross) key_value.backward(p, ConstView(memory.data(), second, 4), dkeys_values, dx[1], true);
        });
}

}  // namespace

TEST_CASE(
    "TransformerLayer: gradients with the norm before or behind, with a second sequence or without, under dropout") {
    for (bool const before : {false, true})
        for (bool const cross : {false, true})
            for (double const rate : {0.0, 0.3}) {
                CAPTURE(before);
                CAPTURE(cross);
                CAPTURE(rate);
                auto options = small_layer(before);
                options.cross = cross;
                options.causal = rate > 0.0;
                check_layer(options, {3, 1, 2}, {1, 4, 1}, rate);
            }
}

TEST_CASE("TransformerLayer: gradients of one that attends to a second sequence alone") {
    for (bool const before : {false, true}) {
        auto options = small_layer(before);
        options.own = false;
        options.cross = true;
        check_layer(options, {1, 1, 1}, {1, 0, 2});
    }
}

TEST_CASE("TransformerLayer: where weights are frozen the slope of the input is the same, and no other is made") {
    for (bool const before : {false, true}) {
        Problem problem;
        auto options = small_layer(before);
        options.by_distance = problem.layout.add_matrix("by_distance", 2, 3, nn::Initializer::normal(1.0));
        nn::TransformerLayer const layer(problem.layout, "layer", options);
        problem.randomize();
        problem.gradients.assign(problem.weights.size(), 0.0);
        Batch const batch(problem.device, {3, 1, 2});
        Values const x = testing::random_values<double>(24, 10);
        auto const slope = [&](double* gradients) {
            Pass pass = problem.pass(true);
            pass.gradients = gradients;
            nn::TransformerLayer::Saved<Device> saved;
            Values y(24), dy = testing::random_values<double>(24, 11);
            layer.forward(pass, batch.segments(), ConstView(x.data(), 6, 4), View(y.data(), 6, 4), {}, {}, &saved);
            layer.backward(pass, batch.segments(), saved, View(dy.data(), 6, 4));
            return dy;
        };
        Values const learning = slope(problem.gradients.data());
        CHECK(slope(nullptr) == learning);
    }
}

namespace {
/// A backend of one's own, which may have another norm and other products.
struct Unfused : Device {
    using Device::Device;
};
}  // namespace
static_assert(Backend<Unfused> && !backend::FusesResiduals<Unfused> && !backend::FusesActivations<Unfused>);
static_assert(backend::FusesResiduals<Device>);

TEST_CASE("TransformerLayer: where a backend fuses nothing all bits are the same, forward and back") {
    auto const results = []<class Own>(Own device) {
        nn::ParameterLayout layout;
        nn::TransformerLayer const layer(layout, "layer", small_layer(false));
        Values weights = testing::random_values<double>(layout.size(), 1, 0.5), gradients(weights.size()), y(24);
        Values const x = testing::random_values<double>(24, 10);
        Values slope = testing::random_values<double>(24, 11);
        nn::Workspace<Own> workspace;
        nn::Pass<Own> pass{device, workspace, weights.data(), gradients.data(), 0.3, {3, Purpose::dropout, 0, 2}};
        testing::RaggedBatch<Own> const batch(device, {3, 1, 2});
        nn::TransformerLayer::Saved<Own> saved;
        layer.forward(pass, batch.segments(), ConstView(x.data(), 6, 4), View(y.data(), 6, 4), {}, {}, &saved);
        layer.backward(pass, batch.segments(), saved, View(slope.data(), 6, 4));
        return std::vector<Values>{y, slope, gradients};
    };
    CHECK(results(Device({.threads = 1})) == results(Unfused({.threads = 1})));
}

TEST_CASE("TransformerLayer: outside training the output may take the input's place") {
    for (bool const before : {false, true}) {
        Problem problem;
        nn::TransformerLayerOptions options;
        options.width = 4;
        options.heads = 2;
        options.hidden = 5;
        options.normalize_before = before;
        nn::TransformerLayer const layer(problem.layout, "layer", options);
        problem.randomize();
        Batch const batch(problem.device, {3, 1, 2});
        Values x = testing::random_values<double>(24, 10);
        Values y(24);
        Pass pass = problem.pass(false);
        layer.forward(pass, batch.segments(), ConstView(x.data(), 6, 4), View(y.data(), 6, 4));
        layer.forward(pass, batch.segments(), ConstView(x.data(), 6, 4), View(x.data(), 6, 4));
        CHECK(x == y);
    }
}

TEST_CASE("TransformerLayer: a slope whose rows lie apart is refused, not read as if they did not") {
    Problem problem;
    nn::TransformerLayerOptions options;
    options.width = 4;
    options.heads = 2;
    options.hidden = 5;
    nn::TransformerLayer const layer(problem.layout, "layer", options);
    problem.randomize();
    problem.gradients.assign(problem.weights.size(), 0.0);
    Batch const batch(problem.device, {3});
    Pass pass = problem.pass(true);
    nn::TransformerLayer::Saved<Device> saved;
    Values values(18);
    CHECK_THROWS_WITH_AS(layer.backward(pass, batch.segments(), saved, View(values.data(), 3, 4, 6)),
                         "inkling::nn::TransformerLayer: rows of dy lie 6 elements apart, expected 4, its width",
                         Error);
}

TEST_CASE("a causal layer: what comes later in a sentence changes nothing before it") {
    Problem problem;
    nn::TransformerLayerOptions options;
    options.width = 4;
    options.heads = 2;
    options.hidden = 5;
    options.causal = true;
    nn::TransformerLayer const layer(problem.layout, "layer", options);
    problem.randomize();
    Batch const batch(problem.device, {5, 2});
    Values x = testing::random_values<double>(28, 10);
    Values before(28), after(28);
    Pass pass = problem.pass(false);
    layer.forward(pass, batch.segments(), ConstView(x.data(), 7, 4), View(before.data(), 7, 4));
    for (std::size_t i = 12; i < 20; ++i) x[i] += 1.0;  // rows 3 and 4, the end of the first sentence
    layer.forward(pass, batch.segments(), ConstView(x.data(), 7, 4), View(after.data(), 7, 4));
    CHECK(std::memcmp(before.data(), after.data(), 12 * sizeof(double)) == 0);
    CHECK(before[12] != after[12]);
    CHECK(std::memcmp(before.data() + 20, after.data() + 20, 8 * sizeof(double)) == 0);
}

TEST_CASE("Attention: heads that do not divide the width are refused, and the message names the layer") {
    nn::ParameterLayout layout;
    CHECK_THROWS_WITH_AS(
        nn::Attention(layout, "encoder.layers.0.self_attn", 6, 4),
        "inkling::nn::Attention: encoder.layers.0.self_attn has width 6 and 4 heads, expected the heads to "
        "divide the width",
        Error);
}

TEST_CASE("ParameterLayout: weights lie end to end in the order they were added, by their names and further names") {
    nn::ParameterLayout layout;
    auto const table = layout.add_matrix("table", 3, 4, nn::Initializer::normal(1.0));
    auto const bias = layout.add_vector("bias", 5, nn::Initializer::zero());
    layout.add_alias(table, "readout");
    CHECK(table.offset == 0);
    CHECK(bias.offset == 12);
    CHECK(layout.size() == 17);
    CHECK(layout.find("readout") == layout.find("table"));
    CHECK(layout.find("nothing") == nullptr);
    CHECK(layout.at(11).name == "table");
    CHECK(layout.at(12).name == "bias");
    CHECK(layout.find("bias")->shape == std::vector<Index>{5});
    CHECK_THROWS_AS(layout.at(17), Error);
    CHECK_THROWS_WITH_AS(layout.add_vector("readout", 1, nn::Initializer::zero()),
                         "inkling::nn::ParameterLayout: the name 'readout' is given twice", Error);
    CHECK_THROWS_WITH_AS(layout.add_matrix("empty", 0, 4, nn::Initializer::zero()),
                         "inkling::nn::ParameterLayout: 'empty' is 0 x 4, expected at least 1 x 1", Error);
    CHECK_THROWS_WITH_AS(layout.add_alias({1, 3, 4}, "within"),
                         "inkling::nn::ParameterLayout: alias 'within' is for weights that are not there", Error);
    CHECK(layout.size() == 17);  // what was refused left nothing behind
    CHECK(layout.entries().size() == 2);
    CHECK(layout.find("within") == nullptr);
    auto const copy = layout;
    CHECK(copy.find("readout") == copy.find("table"));
    CHECK(copy.find("readout") != layout.find("readout"));
}

TEST_CASE("ParameterLayout: more weights than an index counts are refused, and the message names them") {
    constexpr Index large = Index{1} << 32;
    nn::ParameterLayout layout;
    CHECK_THROWS_WITH_AS(layout.add_matrix("huge", large, large, nn::Initializer::zero()),
                         "inkling::nn::ParameterLayout: 'huge' is 4294967296 x 4294967296 behind 0 elements, more than "
                         "can be counted",
                         Error);
    layout.add_matrix("half", large, large / 4, nn::Initializer::zero());  // 2^62: no memory is taken for it
    CHECK_THROWS_AS(layout.add_matrix("other half", large, large / 4, nn::Initializer::zero()), Error);
    CHECK_NOTHROW(layout.add_vector("rest", large * (large / 4) - 1, nn::Initializer::zero()));
}

TEST_CASE("ParameterLayout: ten thousand layers of weights are named in a moment") {
    nn::ParameterLayout layout;
    for (int i = 0; i < 160'000; ++i)  // looking through all names for each one would take minutes
        layout.add_vector("layers." + std::to_string(i), 1, nn::Initializer::zero());
    CHECK(layout.find("layers.159999")->parameter.offset == 159'999);
    CHECK(layout.at(77'777).name == "layers.77777");
}

TEST_CASE("ParameterLayout: training moves all but what is frozen and what is computed") {
    nn::ParameterLayout layout;
    layout.add_vector("a", 2, nn::Initializer::zero());
    layout.add_vector("b", 3, nn::Initializer::zero());
    auto const frozen = layout.add_vector("c", 4, nn::Initializer::zero());
    layout.add_matrix("places", 5, 4, nn::Initializer::sinusoidal(1));
    layout.add_vector("d", 6, nn::Initializer::zero());
    layout.freeze(frozen);
    CHECK(layout.trained_ranges() == std::vector<std::pair<Index, Index>>{{0, 5}, {29, 35}});
    CHECK_FALSE(layout.find("places")->stored);
}

TEST_CASE("ParameterLayout: freezing weights that were joined freezes all of them, and nothing else may be frozen") {
    nn::ParameterLayout layout;
    layout.add_vector("before", 2, nn::Initializer::zero());
    auto const query = layout.add_matrix("query", 3, 3, nn::Initializer::zero());
    layout.add_matrix("key", 3, 3, nn::Initializer::zero());
    layout.add_matrix("value", 3, 3, nn::Initializer::zero());
    layout.add_vector("behind", 4, nn::Initializer::zero());
    layout.freeze(nn::joined(query, 6));
    CHECK(layout.trained_ranges() == std::vector<std::pair<Index, Index>>{{0, 2}, {20, 33}});
    CHECK_THROWS_AS(layout.freeze({query.offset, 2, 3}), Error);  // half of a weight
    CHECK_THROWS_WITH_AS(
        layout.freeze({33, 1, 4}),
        "inkling::nn::ParameterLayout: freeze of elements 33 to 37, expected the place of at least one "
        "weight",
        Error);
    CHECK_THROWS_AS(layout.freeze({}), Error);
}

TEST_CASE("ParameterLayout: weights start as their initializers say, a function of the seed alone") {
    nn::ParameterLayout layout;
    auto const normal = layout.add_matrix("normal", 100, 100, nn::Initializer::normal(0.02));
    auto const uniform = layout.add_matrix("uniform", 100, 100, nn::Initializer::fan_in(100));
    auto const gain = layout.add_vector("gain", 3, nn::Initializer::one());
    Values weights(static_cast<std::size_t>(layout.size())), again(weights), other(weights);
    layout.initialize<double>(1, weights);
    layout.initialize<double>(1, again);
    layout.initialize<double>(2, other);
    CHECK(weights == again);
    CHECK(weights != other);
    auto const moments = [&](nn::Parameter p) {
        double mean = 0.0, square = 0.0, largest = 0.0;
        for (Index i = p.offset; i < p.offset + p.size(); ++i) {
            double const value = weights[static_cast<std::size_t>(i)];
            mean += value / static_cast<double>(p.size());
            square += value * value / static_cast<double>(p.size());
            largest = std::max(largest, std::abs(value));
        }
        return std::array{mean, std::sqrt(square), largest};
    };
    auto const [mean, deviation, largest] = moments(normal);
    CHECK(std::abs(mean) < 5 * 0.02 / 100);  // five standard errors of 10,000 numbers
    CHECK(std::abs(deviation / 0.02 - 1) < 5 * 0.00708);
    CHECK(largest < 6 * 0.02);
    auto const [middle, spread, bound] = moments(uniform);
    double const limit = 0.1;  // 1 / sqrt(100)
    CHECK(std::abs(middle) < 5 * limit / std::sqrt(3.0) / 100);
    CHECK(std::abs(spread / (limit / std::sqrt(3.0)) - 1) < 5 * 0.0045);
    CHECK(bound <= limit);
    CHECK(bound > 0.99 * limit);
    CHECK(weights[static_cast<std::size_t>(gain.offset)] == 1.0);
    Values short_one(3);
    CHECK_THROWS_WITH_AS(layout.initialize<double>(1, short_one),
                         "inkling::nn::ParameterLayout: weights hold 3 elements, expected 20003", Error);
}

TEST_CASE("Initializer: sinusoidal places are sines and then cosines of falling rates, and 0 up to the padding row") {
    nn::ParameterLayout layout;
    layout.add_matrix("places", 4, 6, nn::Initializer::sinusoidal(1));
    Values weights(24);
    layout.initialize<double>(1, weights);
    for (std::size_t i = 0; i < 12; ++i) CHECK(weights[i] == 0.0);
    for (std::size_t i = 0; i < 3; ++i) {
        double const rate = std::pow(10000.0, -static_cast<double>(i) / 2.0);  // from 1 to 1/10000
        CHECK(weights[12 + i] == doctest::Approx(std::sin(2 * rate)));
        CHECK(weights[15 + i] == doctest::Approx(std::cos(2 * rate)));
    }
    for (Index const width : {1, 2, 3}) {  // too narrow for a range of rates: finite all the same
        nn::ParameterLayout narrow;
        narrow.add_matrix("places", 4, width, nn::Initializer::sinusoidal(1));
        Values few(static_cast<std::size_t>(4 * width));
        narrow.initialize<double>(1, few);
        for (double const value : few) CHECK(std::isfinite(value));
    }
}

TEST_CASE("Workspace: pieces are aligned, do not overlap, and keep their values when more memory is taken") {
    Device device;
    nn::Workspace<Device> workspace;
    auto* const first = workspace.take<double>(3);
    first[0] = 7.0;
    auto* const second = workspace.take<double>(1);
    CHECK(second - first == 8);  // one cache line
    auto* const large = workspace.take<double>(1 << 20);
    large[0] = large[(1 << 20) - 1] = 1.0;
    CHECK(first[0] == 7.0);
    for (auto const* piece : {first, second, large}) CHECK(reinterpret_cast<std::uintptr_t>(piece) % 64 == 0);
}

TEST_CASE("Workspace: the second pass of the same shape finds its memory there, at the same places") {
    Device device;
    nn::Workspace<Device> workspace;
    auto const pass = [&] {
        std::vector<void*> places;
        for (Index const rows : {100, 100'000, 3, 300'000}) {
            nn::Scope<Device> const scope(workspace);
            places.push_back(workspace.matrix(rows, 4).data);
            places.push_back(workspace.matrix(rows, 4).data);
        }
        return places;
    };
    pass();
    workspace.reset();
    auto const places = pass();
    Index const capacity = workspace.capacity();
    for (int repetition = 0; repetition < 3; ++repetition) {
        workspace.reset();
        CHECK(pass() == places);
        CHECK(workspace.capacity() == capacity);
    }
}

TEST_CASE("Dropout: each use in a pass draws its own mask, and the backward pass draws it again") {
    Problem problem;
    problem.dropout = 0.5;
    Pass pass = problem.pass(false);
    auto const first = nn::Dropout::next(pass);
    auto const second = nn::Dropout::next(pass);
    Values a(256, 1.0), b(256, 1.0), c(256, 1.0);
    first.apply(pass, View(a.data(), 4, 64));
    second.apply(pass, View(b.data(), 4, 64));
    first.apply(pass, View(c.data(), 4, 64));
    CHECK(a != b);
    CHECK(a == c);
    CHECK(std::set<double>(a.begin(), a.end()) == std::set<double>{0.0, 2.0});
}

TEST_CASE("PackedWeights: a layer gives the same bits with them as without, whatever its width") {
    for (Index const width : {8, 16, 24, 32}) {  // of which some fill the panels of a product
        CAPTURE(width);
        Problem problem;
        nn::TransformerLayer const layer(
            problem.layout, "layer",
            nn::TransformerLayerOptions{.width = width, .heads = 2, .hidden = 3 * width, .cross = true});
        problem.randomize();
        Batch const queries(problem.device, {3, 20, 1}), keys(problem.device, {5, 2, 9});
        Values const x = testing::random_values<double>(queries.rows() * width, 4),
                     source = testing::random_values<double>(keys.rows() * width, 5);
        auto const run = [&](nn::PackedWeights<Device> const* packed) {
            Pass pass = problem.pass(false);
            pass.packed = packed;
            View const keys_values = pass.take(keys.rows(), 2 * width), y = pass.take(queries.rows(), width);
            layer.cross_attention.key_value().forward(pass, ConstView(source.data(), keys.rows(), width), keys_values);
            layer.forward(pass, queries.segments(), ConstView(x.data(), queries.rows(), width), y,
                          {queries.segments(), keys.segments()}, keys_values);
            return Values(y.data, y.data + y.size());
        };
        nn::PackedWeights<Device> packed;
        packed.update(problem.device, problem.layout, problem.weights.data());
        CHECK(run(&packed) == run(nullptr));
        bool const fits = packs(problem.device, width);
        CHECK((packed.find(layer.cross_attention.key_value().weight) != nullptr) == fits);
        CHECK((packed.find(layer.self_attention.query_key_value) != nullptr) == fits);
        CHECK(packed.find({problem.layout.size() - width, 1, width}) == nullptr);  // a bias
        problem.weights[0] += 1.0;
        CHECK((run(&packed) != run(nullptr)) == fits);  // it is a copy
        packed.update(problem.device, problem.layout, problem.weights.data());
        CHECK(run(&packed) == run(nullptr));
    }
}
