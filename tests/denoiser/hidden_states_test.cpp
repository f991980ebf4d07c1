#include <inkling/denoiser/encoder_only.hpp>
#include <inkling/denoiser/infiller.hpp>

#include <inkling/testing/device_arrays.hpp>
#include <inkling/testing/gradient_check.hpp>

#include <doctest/doctest.h>

#include "device.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

using namespace inkling;
using Device = tests::Device<double>;
using Values = std::vector<double>;
using View = MatrixView<double>;
using ConstView = MatrixView<double const>;

constexpr Index latent = 4;
constexpr Index width = 6;
constexpr std::size_t states = 3;  // of two layers

/// Sizes of either denoiser.
template <class Options>
Options small() {
    Options options;
    options.width = width;
    options.layers = states - 1;
    options.heads = 2;
    options.hidden = 5;
    options.dropout = 0.0;
    options.longest = 8;
    return options;
}

/// A denoiser with random weights and one packed batch of lines.
template <class Model>
struct Reading {
    nn::ParameterLayout layout;
    Model model;
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    testing::RaggedBatch<Device> lines{device, {5, 1, 3}};
    Values weights, z_t, previous, labels{0.7, 0.2, 1.0};
    typename Model::Saved saved;

    explicit Reading(Index width_of_z = latent)
        : model(layout, small<typename Model::Options>(), width_of_z),
          weights(testing::random_values<double>(layout.size(), 6, 0.5)),
          z_t(testing::random_values<double>(lines.rows() * width_of_z, 1)),
          previous(testing::random_values<double>(lines.rows() * width_of_z, 2)) {}

    [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(lines.rows() * width); }
    View view(Values& values) const {
        return {values.data(), lines.rows(), static_cast<Index>(values.size()) / lines.rows()};
    }
    PackedSequences target() { return {lines.segments(), {}, lines.positions()}; }
    auto times(nn::Pass<Device>& pass) {
        return model.embed_times(pass, VectorView<double const>(labels.data(), lines.sentences()));
    }

    /// What predict says.
    Values predict() {
        workspace.reset();
        nn::Pass<Device> pass{device, workspace, weights.data()};
        Values z0_hat(z_t.size());
        model.predict(pass, target(), model.encode(pass, target()), view(z_t), times(pass), view(previous),
                      view(z0_hat));
        return z0_hat;
    }
    /// The states that are asked for, through weights that are frozen; with slopes of them, of what is added too.
    void read(HiddenStates<Device> const& asked, bool training, HiddenSlopes<Device> const* slopes = nullptr) {
        workspace.reset();
        nn::Pass<Device> pass{device, workspace, weights.data()};
        auto const source = model.encode(pass, target());
        model.hidden_states(pass, target(), source, view(z_t), times(pass), view(previous), asked,
                            training ? &saved : nullptr);
        if (slopes) model.hidden_states_backward(pass, target(), source, saved, *slopes);
    }
};

using Infiller = denoiser::Infiller<Device>;
using EncoderOnly = denoiser::EncoderOnly<Device>;
static_assert(LayeredDenoiser<Infiller> && LayeredDenoiser<EncoderOnly>);

}  // namespace

TEST_CASE_TEMPLATE("hidden states: each is the same whichever others are asked for, and what is added to it goes on",
                   Model, Infiller, EncoderOnly) {
    Reading<Model> reading;
    REQUIRE(reading.model.depth() == 2);
    REQUIRE(reading.model.hidden_width() == width);
    auto const read = [&](std::vector<std::size_t> const& asked, int raised, bool training) {
        std::vector<Values> values(states);
        Values const one(reading.size(), 1.0);
        std::vector<View> places(states);
        std::vector<ConstView> added(states);
        for (std::size_t const i : asked) {
            values[i].resize(one.size());
            places[i] = reading.view(values[i]);
        }
        if (raised >= 0) added[static_cast<std::size_t>(raised)] = {one.data(), reading.lines.rows(), width};
        reading.read({places, added}, training);
        return values;
    };
    auto const all = read({0, 1, 2}, -1, false);
    for (bool const training : {false, true})
        for (std::size_t i = 0; i < states; ++i) CHECK(read({i}, -1, training)[i] == all[i]);
    auto const raised = read({0, 1, 2}, 1, false);
    CHECK(raised[0] == all[0]);
    for (std::size_t i = 0; i < all[1].size(); ++i) CHECK(raised[1][i] == all[1][i] + 1.0);
    CHECK(raised[2] != all[2]);
    CHECK(read({}, -1, false) == std::vector<Values>(states));
}

TEST_CASE_TEMPLATE("hidden states: gradients of what is added are right, through weights that are frozen", Model,
                   Infiller, EncoderOnly) {
    Reading<Model> reading;
    auto const size = reading.size();
    auto const wide = static_cast<Index>(size);
    std::vector<Values> added, values(states, Values(size)), slopes(states, Values(size, 7.0));
    std::vector<View> places, slope_places;
    std::vector<ConstView> additions, pulls;
    std::vector<Values> pull;
    for (std::uint32_t i = 0; i < states; ++i) {
        added.push_back(testing::random_values<double>(wide, 20 + i));
        pull.push_back(testing::random_values<double>(wide, 9 + i));
    }
    for (std::size_t i = 0; i < states; ++i) {
        places.push_back(reading.view(values[i]));
        slope_places.push_back(reading.view(slopes[i]));
        additions.push_back(reading.view(added[i]));
        pulls.push_back(reading.view(pull[i]));
    }
    places[0] = {};
    pulls[0] = {};
    HiddenSlopes<Device> const backward{pulls, slope_places};
    auto const loss = [&](bool training) {
        reading.read({places, additions}, training, training ? &backward : nullptr);
        double sum = 0.0;
        for (std::size_t i = 1; i < states; ++i)
            for (std::size_t j = 0; j < size; ++j) sum += pull[i][j] * values[i][j];
        return sum;
    };
    (void)loss(true);
    for (std::size_t i = 0; i < states; ++i) {
        auto const report =
            testing::check_gradient(added[i], slopes[i], [&] { return loss(false); }, {.magnitude = 10.0});
        INFO("state ", i, ": ", report.text());
        CHECK(report.passed());
        CHECK(report.largest > 0.01);
    }
}

TEST_CASE("EncoderOnly: where z is as wide as the layers, the last hidden state is the estimate") {
    Reading<EncoderOnly> reading(width);
    auto const z0_hat = reading.predict();
    for (bool const training : {false, true}) {
        Values last(reading.size());
        std::vector<View> places(states);
        places[2] = reading.view(last);
        reading.read({places}, training);
        CHECK(last == z0_hat);
    }
}
