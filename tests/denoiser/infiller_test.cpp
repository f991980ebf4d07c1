#include <inkling/denoiser/infiller.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/objective/diffuseq.hpp>
#include <inkling/testing/device_arrays.hpp>
#include <inkling/testing/gradient_check.hpp>

#include <doctest/doctest.h>

#include "allocations.hpp"
#include "joined_training_step.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace {

using namespace inkling;
using Device = backend::Cpu<double>;
using Model = denoiser::Infiller<Device>;
using Options = denoiser::InfillerOptions;
using Values = std::vector<double>;
using View = MatrixView<double>;
using joined::latent;

static_assert(TrainableDenoiser<Model> && joins_source<Model> && continues_source<Model>);
static_assert(DenoiserOver<Model, embedding::NoisyLearned> && LayeredDenoiser<Model>);

Options small() {
    Options options;
    options.width = 6;
    options.layers = 2;
    options.heads = 2;
    options.hidden = 5;
    options.reach = 1;
    options.dropout = 0.0;
    options.longest = 8;
    return options;
}

/// A denoiser with random weights and one packed batch of lines.
struct Setting {
    nn::ParameterLayout layout;
    Model model;
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    testing::RaggedBatch<Device> lines;
    Values weights, gradients, z_t, previous, labels;
    Model::Saved saved;

    explicit Setting(std::vector<Index> const& lengths, Options const& options = small())
        : model(layout, options, latent),
          lines(device, lengths),
          weights(testing::random_values<double>(layout.size(), 6, 0.5)),
          gradients(weights.size()),
          z_t(testing::random_values<double>(lines.rows() * latent, 1)),
          previous(testing::random_values<double>(lines.rows() * latent, 2)),
          labels(lengths.size(), 0.7) {}

    Values predict(bool training = false) {
        workspace.reset();
        nn::Pass<Device> pass{device, workspace, weights.data(), training ? gradients.data() : nullptr};
        PackedSequences const target{lines.segments(), {}, lines.positions()};
        auto const time = model.embed_times(pass, VectorView<double const>(labels.data(), lines.sentences()),
                                            training ? &saved : nullptr);
        Values z0_hat(z_t.size());
        model.predict(pass, target, model.encode(pass, target), view(z_t), time, view(previous), view(z0_hat),
                      training ? &saved : nullptr);
        return z0_hat;
    }
    /// Without gradients: the weights are frozen.
    nn::Pass<Device> pass() {
        workspace.reset();
        return {device, workspace, weights.data()};
    }
    void hidden_states(nn::Pass<Device>& pass, HiddenStates<Device> const& states, bool training) {
        PackedSequences const target{lines.segments(), {}, lines.positions()};
        auto const time = model.embed_times(pass, VectorView<double const>(labels.data(), lines.sentences()));
        model.hidden_states(pass, target, model.encode(pass, target), view(z_t), time, view(previous), states,
                            training ? &saved : nullptr);
    }
    View view(Values& values) const { return {values.data(), lines.rows(), latent}; }
};

}  // namespace

TEST_CASE("Infiller: every gradient of a loss over lines is that of central differences") {
    joined::TrainingStep<Model>(small()).check(objective::DiffuSeq{.label_smoothing = 0.1, .weight = 0.8});
    auto wide = small();
    wide.reach = 9;  // beyond the ends of every line
    joined::TrainingStep<Model>(wide).check(objective::DiffuSeq{});
}

TEST_CASE("Infiller: gradients of weights and of z_t with an estimate beside it, which gets none, are right") {
    Setting setting({5, 1, 3});
    auto const pull = testing::random_values<double>(setting.lines.rows() * latent, 9);
    auto const loss = [&] {
        auto const z0_hat = setting.predict();
        double sum = 0.0;
        for (std::size_t i = 0; i < pull.size(); ++i) sum += pull[i] * z0_hat[i];
        return sum;
    };
    (void)setting.predict(true);
    nn::Pass<Device> pass{setting.device, setting.workspace, setting.weights.data(), setting.gradients.data()};
    PackedSequences const target{setting.lines.segments(), {}, setting.lines.positions()};
    Values dz_t(setting.z_t.size(), 1.0), slopes = pull;  // added to what is there
    View const dtime = pass.take(3, setting.model.options().width);
    setting.model.predict_backward(pass, target, setting.model.encode(pass, target), setting.saved,
                                   setting.view(slopes), setting.view(dz_t), dtime, {});
    setting.model.embed_times_backward(pass, setting.saved, dtime);
    for (double& slope : dz_t) slope -= 1.0;
    auto const of_weights = testing::check_gradient(setting.weights, setting.gradients, loss, {.magnitude = 10.0});
    INFO(of_weights.text());
    CHECK(of_weights.passed());
    auto const of_z = testing::check_gradient(setting.z_t, dz_t, loss, {.magnitude = 10.0});
    INFO(of_z.text());
    CHECK(of_z.passed());
    CHECK(of_z.largest > 0.01);
}

TEST_CASE("Infiller: the estimate before, the time and what lies at another distance all reach what it says") {
    Setting setting({6});
    auto const before = setting.predict();
    auto const changed = [&](double& what) {
        double const old = what;
        what += 1.0;
        auto const after = setting.predict();
        what = old;
        return after != before;
    };
    CHECK(changed(setting.previous[3]));
    CHECK(changed(setting.labels[0]));
    CHECK(changed(setting.z_t[5 * latent]));
    auto const by_distance = setting.layout.find("by_distance.weight")->parameter;
    CHECK(by_distance.cols == 3);
    for (Index i = 0; i < by_distance.size(); ++i)
        CHECK(changed(setting.weights[static_cast<std::size_t>(by_distance.offset + i)]));
}

TEST_CASE("Infiller: rows have a distance to each other and no number, so equal rows of one neighbourhood are equal") {
    Setting setting({8});
    for (std::size_t i = latent; i < setting.z_t.size(); ++i)
        setting.z_t[i] = setting.z_t[i - latent], setting.previous[i] = setting.previous[i - latent];
    auto const same = setting.predict();  // all rows the same: each differs by its distance to the ends alone
    for (std::size_t i = latent; i < same.size(); ++i) CHECK(same[i] == doctest::Approx(same[i % latent]));
}

TEST_CASE("Infiller: a line's estimate has the same bits whatever lines it is cleaned beside") {
    Setting alone({4}), beside({3, 4, 8});
    std::copy_n(alone.z_t.begin(), 4 * latent, beside.z_t.begin() + 3 * latent);
    std::copy_n(alone.previous.begin(), 4 * latent, beside.previous.begin() + 3 * latent);
    auto const one = alone.predict(), all = beside.predict();
    CHECK(Values(all.begin() + 3 * latent, all.begin() + 7 * latent) == one);
}

TEST_CASE("Infiller: behind the norm and the output map, the last hidden state is the estimate") {
    Setting setting({5, 1, 3});
    auto const z0_hat = setting.predict();
    Index const rows = setting.lines.rows(), width = setting.model.hidden_width(), depth = setting.model.depth();
    CHECK(depth == 2);
    for (bool const training : {false, true}) {
        Values last(static_cast<std::size_t>(rows * width)), estimate(z0_hat.size());
        std::vector<View> places(3);
        places[2] = View(last.data(), rows, width);
        auto pass = setting.pass();
        setting.hidden_states(pass, {places}, training);
        nn::LayerNorm norm;
        norm.width = width;
        norm.gain = setting.layout.find("layer_norm.weight")->parameter;
        norm.bias = setting.layout.find("layer_norm.bias")->parameter;
        norm.forward(pass, MatrixView<double const>(places[2]), places[2]);
        nn::Linear(setting.layout.find("output.weight")->parameter, setting.layout.find("output.bias")->parameter)
            .forward(pass, MatrixView<double const>(places[2]), setting.view(estimate));
        CHECK(estimate == z0_hat);
    }
}

TEST_CASE("Infiller: after the first step nothing is allocated") {
    joined::TrainingStep<Model> step(small());
    (void)step.run(objective::DiffuSeq{}, true);
    (void)step.run(objective::DiffuSeq{}, true);
    long const before = allocations();
    (void)step.run(objective::DiffuSeq{}, true);
    CHECK(allocations() == before);
}

TEST_CASE("Infiller: a beginning is continued up to the end of its line") {
    nn::ParameterLayout layout;
    auto options = small();
    options.filled = 5;
    Model const model(layout, options, latent);
    CHECK(model.length_of(2, 0) == 3);
    CHECK(model.length_of(5, 0) == 1);
    CHECK(model.longest_source() == 4);
    CHECK(model.longest_target() == 8);
}

TEST_CASE("Infiller: options out of their range are refused by name") {
    auto const made = [](Options const& options, Index width = latent) {
        nn::ParameterLayout layout;
        (void)Model(layout, options, width);
    };
    auto wrong = small();
    wrong.filled = 9;
    CHECK_THROWS_WITH_AS(made(wrong), "inkling::denoiser::Infiller: filled is 9, expected 0 to 8", Error);
    wrong = small();
    wrong.reach = -1;
    CHECK_THROWS_WITH_AS(made(wrong), "inkling::denoiser::Infiller: reach is -1, expected 0 to 1048576", Error);
    wrong = small();
    wrong.dropout = 1.0;
    CHECK_THROWS_WITH_AS(made(wrong), "inkling::denoiser::Infiller: dropout is 1.000000, expected a number in [0, 1)",
                         Error);
    CHECK_THROWS_AS(made(small(), 0), Error);
}
