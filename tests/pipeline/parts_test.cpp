#include <inkling/pipeline/denoise.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/empirical.hpp>
#include <inkling/denoiser/infiller.hpp>
#include <inkling/denoiser/parameterized.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/sampler/continuous_ddim.hpp>
#include <inkling/sampler/ddim.hpp>
#include <inkling/sampler/ddpm.hpp>
#include <inkling/sampler/dpm_solver.hpp>
#include <inkling/schedule/cosine.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace {

using namespace inkling;
using Device = backend::Cpu<double>;
using Exact = denoiser::Empirical<Device>;
using View = MatrixView<double>;

constexpr Index width = 8;

/// Three lines of which one begins with 4 and 5; z after every step, from the same noise, with and without rows that
/// are kept.
template <class Model>
struct Run {
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    nn::ParameterLayout layout;
    embedding::Learned space{layout, 12, {.width = width}};
    Model model;
    testing::RaggedBatch<Device> target{device, {4, 4}, 12, 1};
    testing::DeviceArray<Device, Index> offsets{device, std::vector<Index>{0, 2, 4, 5, 8}};
    std::vector<std::uint8_t> kept{1, 0, 0, 1};  // the beginning of the first sentence, the end of the second
    std::vector<double> weights;
    std::vector<std::vector<double>> z, estimates;
    std::vector<double> clean, estimate;

    explicit Run(typename Model::Options const& options) : model(layout, options, space) {
        weights.resize(static_cast<std::size_t>(layout.size()));
        layout.initialize<double>(3, weights);
    }

    /// @param text  of both sentences; its rows that are kept are given, the others are noise
    void operator()(sampler::Plan const& plan, std::vector<Token> const& text) {
        nn::Pass<Device> pass{device, workspace, weights.data()};
        workspace.reset();
        z.clear();
        PackedSequences const packed{target.segments(), target.tokens(), target.positions()};
        auto const encoded = model.encode(pass, packed);
        View const start = pass.take(8, width);
        auto const noise = testing::random_values<double>(8 * width, 5);
        std::copy(noise.begin(), noise.end(), start.data);
        testing::DeviceArray<Device, Token> const known(device, text);
        View const embedded = pass.take(8, width);
        space.embed(pass, known.vector(), embedded);
        clean.assign(embedded.data, embedded.data + embedded.size());
        for (Index const row : {0, 1, 5, 6, 7}) std::copy_n(embedded.row(row), width, start.row(row));
        std::uint32_t draw = 0;
        auto const z0_hat = pipeline::denoise(
            pass, space, model, plan, packed, encoded, start,
            [&](Index, View out) {
                auto const values = testing::random_values<double>(out.size(), 100 + draw++);
                std::copy(values.begin(), values.end(), out.data);
            },
            [&](pipeline::StepState<Device> const& state) {
                z.emplace_back(state.z.data, state.z.data + state.z.size());
                estimates.emplace_back(state.z0_hat.data, state.z0_hat.data + state.z0_hat.size());
                return true;
            },
            {{offsets.data(), 4, 8, 3}, kept});
        estimate.assign(z0_hat.data, z0_hat.data + z0_hat.size());
    }
};

std::vector<sampler::Plan> plans() {
    return {sampler::Ddpm{.steps = 40, .discrete_steps = 200}.plan(schedule::Cosine{}),
            sampler::Ddim{.steps = 20, .discrete_steps = 200}.plan(schedule::Cosine{}),
            sampler::DpmSolver2M{.steps = 12}.plan(schedule::Cosine{})};  // looks back at the step before
}

}  // namespace

TEST_CASE("what is kept is the same to the last bit in every step, and what is written goes with it") {
    std::vector<Token> const line{8, 9, 10, 11}, other{4, 10, 11, 9};
    for (auto const& plan : plans())
        for (auto const& second : {line, other}) {
            std::vector<Token> text{4, 5, 6, 7};
            text.insert(text.end(), second.begin(), second.end());
            Run<Exact> run({.lines = {{4, 5, 6, 7}, {8, 9, 10, 11}, {4, 10, 11, 9}}});
            run(plan, text);
            REQUIRE(run.z.size() == plan.steps.size());
            for (auto const& z : run.z)
                for (Index const row : {0, 1, 5, 6, 7})
                    for (Index i = 0; i < width; ++i) {
                        auto const at = static_cast<std::size_t>(row * width + i);
                        REQUIRE(z[at] == run.clean[at]);
                    }
            for (std::size_t i = 4 * width; i < 8 * width; ++i)  // three of four rows say which line it is
                CHECK(run.estimate[i] == doctest::Approx(run.clean[i]).epsilon(1e-3));
        }
}

TEST_CASE(
    "what is kept is its own estimate in every step, where a network says something else than z0, as in training") {
    auto const plan = sampler::ContinuousDdim{.steps = 6, .times = {.start = 0.98}}.plan(schedule::Cosine{});
    std::vector<Token> const line{4, 5, 6, 7, 8, 9, 10, 11};
    for (auto const output : {denoiser::Output::noise, denoiser::Output::velocity}) {
        Run<denoiser::Parameterized<denoiser::Infiller<Device>>> run(
            {.base = {.width = 8, .layers = 1, .heads = 2, .hidden = 8, .longest = 8}, .output = output});
        run(plan, line);
        REQUIRE(run.estimates.size() == 6);
        Run<denoiser::Infiller<Device>> plain({.width = 8, .layers = 1, .heads = 2, .hidden = 8, .longest = 8});
        plain(plan, line);  // the same weights: its first estimate is what that network says
        auto const noise = testing::random_values<double>(8 * width, 5);
        double const a = std::sqrt(plan.steps[0].alpha_bar), s = std::sqrt(1.0 - plan.steps[0].alpha_bar);
        for (std::size_t at = 2 * width; at < 5 * width; ++at) {
            double const said = plain.estimates[0][at];
            double const z0 = output == denoiser::Output::noise ? (noise[at] - s * said) / a : a * noise[at] - s * said;
            CHECK(run.estimates[0][at] == doctest::Approx(z0).epsilon(1e-12));
        }
        for (auto const& estimate : run.estimates)
            for (Index row = 0; row < 8; ++row) {
                auto const at = static_cast<std::size_t>(row * width);
                bool const kept = row == 0 || row == 1 || row >= 5;
                CHECK((estimate[at] == run.clean[at]) == kept);
            }
    }
}
