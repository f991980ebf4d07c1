#include <inkling/denoiser/autoregressive.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/embedding/layer_normed.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/objective/cross_entropy.hpp>
#include <inkling/objective/next_token_loss.hpp>
#include <inkling/testing/device_arrays.hpp>
#include <inkling/testing/gradient_check.hpp>

#include <doctest/doctest.h>

#include "allocations.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace {

using namespace inkling;
using Options = denoiser::AutoregressiveOptions;

constexpr Index vocabulary = 7;

static_assert(TrainableNextTokenModel<denoiser::Autoregressive<backend::Cpu<>>>);
static_assert(!Denoiser<denoiser::Autoregressive<backend::Cpu<>>>);
static_assert(!NextTokenModel<int>);

Options small() {
    Options options;
    options.width = 6;
    options.layers = 2;
    options.heads = 2;
    options.hidden = 7;
    options.dropout = 0.0;
    options.longest_source = 5;
    options.longest_target = 8;
    options.activation = backend::Activation::silu;
    return options;
}

/// A model with weights far from their narrow starting values, and two batches.
template <class Real, class Space = embedding::Learned>
struct Problem {
    using Device = backend::Cpu<Real>;
    using Model = denoiser::Autoregressive<Device>;
    using Batch = testing::RaggedBatch<Device>;

    Options options;
    nn::ParameterLayout layout;
    Space space;
    Model model;
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    Batch source{device, {3, 1, 4}, vocabulary, 1};
    Batch target{device, {2, 6, 1}, vocabulary, 2};
    Batch next{device, {2, 6, 1}, vocabulary, 3};
    std::vector<Real> weights, gradients;
    objective::NextTokenSaved<Space, Model> saved;

    Problem(Options const& options_, Index latent, typename Space::Options space_options = {})
        : options(options_),
          space(layout, vocabulary,
                [&] {
                    space_options.width = latent;
                    return space_options;
                }()),
          model(layout, options, space),
          weights(static_cast<std::size_t>(layout.size())) {
        layout.template initialize<Real>(7, weights);
        auto const random = testing::random_values<Real>(layout.size(), 6);
        for (auto const& entry : layout.entries())
            for (Index i = entry.parameter.offset; i < entry.parameter.offset + entry.parameter.size(); ++i) {
                auto const at = static_cast<std::size_t>(i);
                if (entry.trained)
                    weights[at] = entry.initializer.value == 1.0 ? 1 + Real(0.2) * random[at] : Real(0.4) * random[at];
            }
    }

    nn::Pass<Device> pass(bool training) {
        workspace.reset();
        return {device,          workspace,
                weights.data(),  training ? gradients.data() : nullptr,
                options.dropout, RandomStream{11, Purpose::dropout, 0, 5}};
    }
    static PackedSequences sequences(Batch const& batch) {
        return {batch.segments(), batch.tokens(), batch.positions()};
    }

    double loss(bool training) {
        if (training) gradients.assign(weights.size(), 0);
        auto p = pass(training);
        auto losses = objective::next_token_loss(p, space, model, objective::CrossEntropy{.label_smoothing = 0.1},
                                                 {sequences(source), sequences(target), next.tokens()}, saved);
        losses.collect(p);
        CHECK(losses.terms()[0].name == "nll");
        CHECK(losses.terms()[1].name == "cross_entropy");
        return losses.total();
    }

    void check(Index most_elements = -1) {
        double const with_gradients = loss(true);
        auto const f = [&] { return loss(false); };
        if (options.dropout == 0.0) CHECK(f() == with_gradients);  // what is saved changes nothing
        for (auto const& entry : layout.entries()) {
            auto const first = static_cast<std::size_t>(entry.parameter.offset);
            auto const size = static_cast<std::size_t>(entry.parameter.size());
            auto const report = testing::check_gradient(std::span(weights).subspan(first, size),
                                                        std::span<Real const>(gradients).subspan(first, size), f,
                                                        {.magnitude = 10.0, .most_elements = most_elements});
            INFO(entry.name, ": ", report.text());
            CHECK(report.passed());
            bool const key_bias = entry.name.ends_with("k_proj.bias");  // the softmax does not see it
            if (!key_bias && most_elements < 0) CHECK(report.largest > 1e-5);
        }
    }

    /// The outputs [N, D] of whole targets.
    std::vector<Real> whole() {
        auto p = pass(false);
        auto const encoded = model.encode(p, sequences(source));
        auto const z = p.take(target.rows(), space.width());
        auto const out = p.take(target.rows(), space.width());
        space.embed(p, target.tokens(), z);
        model.predict(p, sequences(target), encoded, z, out);
        return {out.data, out.data + out.size()};
    }
};

}  // namespace

TEST_CASE("Autoregressive: every gradient of a training step is the slope of its loss") {
    Problem<double>(small(), 4).check();
}

TEST_CASE("Autoregressive: its gradients hold under dropout, with pre-norm layers, and without a projection") {
    Options options = small();
    options.dropout = 0.2;
    Problem<double>(options, 4).check(8);
    options.encoder_normalize_before = options.decoder_normalize_before = true;
    options.activation = backend::Activation::relu;
    Problem<double>(options, 6).check(8);
}

TEST_CASE("Autoregressive: its gradients hold with other norms, positions and tables") {
    Options options = small();
    options.encoder_layers = 1;
    options.encoder_heads = 3;
    options.embedding_norm = options.encoder_embedding_norm = true;
    options.encoder_positions = options.decoder_positions = denoiser::Positions::sinusoidal;
    options.share_embedding = false;
    Problem<double>(options, 4, {.tied = false}).check(8);
    options.share_projection = true;
    Problem<double, embedding::LayerNormed>(options, 4).check(8);
}

TEST_CASE("Autoregressive: no later token of a target changes what it says in an earlier row") {
    Problem<double> problem(small(), 4);
    auto const before = problem.whole();
    auto tokens = testing::random_sentences({2, 6, 1}, vocabulary, 2);
    tokens[1][4] = static_cast<Token>((tokens[1][4] + 1) % vocabulary);  // row 6 of the batch
    problem.target = testing::RaggedBatch<backend::Cpu<double>>::of(problem.device, tokens);
    auto const after = problem.whole();
    for (std::size_t row = 0; row < 9; ++row) {
        bool const same = std::equal(before.begin() + static_cast<std::ptrdiff_t>(4 * row),
                                     before.begin() + static_cast<std::ptrdiff_t>(4 * row + 4),
                                     after.begin() + static_cast<std::ptrdiff_t>(4 * row));
        CAPTURE(row);
        CHECK(same == (row != 6 && row != 7));  // the rest of its own sentence
    }
}

TEST_CASE_TEMPLATE("Autoregressive: row after row from a cache says what the whole target says", Real, float, double) {
    for (bool const pre_norm : {false, true})
        for (Index const latent : {4, 6}) {
            Options options = small();
            options.encoder_normalize_before = options.decoder_normalize_before = pre_norm;
            options.embedding_norm = !pre_norm;
            Problem<Real> problem(options, latent);
            auto const& model = problem.model;
            auto& device = problem.device;
            Index const width = problem.space.width();
            // Three sources, two targets each: first one that both share, then each its own.
            std::vector<std::vector<Token>> const written =
                testing::random_sentences({5, 5, 5, 5, 5, 5}, vocabulary, 9);
            auto lines = written;
            for (std::size_t s = 0; s < 6; s += 2) lines[s + 1][0] = lines[s][0];  // they share the first token
            auto const batch = testing::RaggedBatch<backend::Cpu<Real>>::of(device, lines);
            auto p = problem.pass(false);
            auto encoded = model.encode(p, problem.sequences(problem.source));
            testing::DeviceArray<backend::Cpu<Real>, Index> const of_targets(device, {0, 0, 1, 1, 2, 2});
            encoded.source_of = of_targets.data();
            auto const z = p.take(30, width);
            auto const want = p.take(30, width);
            problem.space.embed(p, batch.tokens(), z);
            model.predict(p, problem.sequences(batch), encoded, z, want);

            testing::DeviceArray<backend::Cpu<Real>, Index> const of_groups(device, {0, 1, 2});
            encoded.source_of = of_groups.data();
            auto cache = model.make_cache(p, 6, 8);
            long allocated = 0;
            for (Index place = 0; place < 5; ++place) {
                Index const each = place == 0 ? 1 : 2;
                std::vector<Real> rows;
                for (Index row = 0; row < 3 * each; ++row) {
                    auto const* const from = z.row((place == 0 ? 2 * row : row) * 5 + place);
                    rows.insert(rows.end(), from, from + width);
                }
                testing::DeviceArray<backend::Cpu<Real>> const in(device, rows);
                testing::DeviceArray<backend::Cpu<Real>> out(device, 3 * each * width);
                long const before = allocations();
                model.predict_next(p, encoded, cache, {.place = place, .sources = 3, .each = each, .slots = 2},
                                   in.matrix(width), out.matrix(width));
                if (place > 0) allocated += allocations() - before;
                if (place == 0)
                    for (Index s = 0; s < 6; s += 2) model.copy_sequence(p, cache, s, s + 1, 1);
                double const unit = std::is_same_v<Real, float> ? 1e-5 : 1e-13;
                for (Index row = 0; row < 3 * each; ++row)
                    for (Index d = 0; d < width; ++d)
                        CHECK(static_cast<double>(out.data()[row * width + d])
                              == doctest::Approx(
                                     static_cast<double>(want.row((place == 0 ? 2 * row : row) * 5 + place)[d]))
                                     .epsilon(unit)
                                     .scale(1.0));
            }
            CHECK(allocated == 0);
        }
}

TEST_CASE("Autoregressive: options out of range, and sentences without positions, are refused by name") {
    auto const refused = [](auto change, char const* text) {
        Options options = small();
        change(options);
        CHECK_THROWS_WITH_AS((Problem<float>(options, 4)), text, Error);
    };
    refused([](Options& o) { o.layers = 0; }, "inkling::denoiser::Autoregressive: layers is 0, expected 1 to 1024");
    refused([](Options& o) { o.dropout = 1.0; },
            "inkling::denoiser::Autoregressive: dropout is 1.000000, expected a number in [0, 1)");
    refused([](Options& o) { o.longest_target = 0; },
            "inkling::denoiser::Autoregressive: longest_target is 0, expected 1 to 1048576");
    Options options = small();
    options.longest_target = 5;
    Problem<float> problem(options, 4);
    CHECK_THROWS_WITH_AS(problem.whole(),
                         "inkling::denoiser::Autoregressive: a target sentence has 6 tokens, expected at most 5, for "
                         "which there are positions",
                         Error);
    auto p = problem.pass(false);
    CHECK_THROWS_WITH_AS((void)problem.model.make_cache(p, 2, 6),
                         "inkling::denoiser::Autoregressive: a target sentence has 6 tokens, expected at most 5, for "
                         "which there are positions",
                         Error);
}
