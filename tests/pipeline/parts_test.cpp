#include <inkling/pipeline/denoise.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/empirical.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/sampler/ddpm.hpp>
#include <inkling/sampler/dpm_solver.hpp>
#include <inkling/schedule/cosine.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace {

using namespace inkling;
using Device = backend::Cpu<double>;
using Model = denoiser::Empirical<Device>;
using View = MatrixView<double>;

constexpr Index width = 8;

/// Three lines of which one begins with 4 and 5; z after every step, from the same noise, with and without rows that are kept.
struct Run {
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    nn::ParameterLayout layout;
    embedding::Learned space{layout, 12, {.width = width}};
    Model model{layout, {.lines = {{4, 5, 6, 7}, {8, 9, 10, 11}, {4, 10, 11, 9}}}, space};
    testing::RaggedBatch<Device> target{device, {4, 4}, 12, 1};
    testing::DeviceArray<Device, Index> offsets{device, std::vector<Index>{0, 2, 4, 5, 8}};
    std::vector<std::uint8_t> kept{1, 0, 0, 1};  // the beginning of the first sentence, the end of the second
    std::vector<double> weights = std::vector<double>(static_cast<std::size_t>(layout.size()));
    std::vector<std::vector<double>> z;
    std::vector<double> clean;
    std::vector<Token> tokens;

    Run() { layout.initialize<double>(3, weights); }

    void operator()(sampler::Plan const& plan, bool keep) {
        nn::Pass<Device> pass{device, workspace, weights.data()};
        workspace.reset();
        z.clear();
        PackedSequences const packed{target.segments(), target.tokens(), target.positions()};
        auto const encoded = model.encode(pass, packed);
        View const start = pass.take(8, width);
        auto const noise = testing::random_values<double>(8 * width, 5);
        std::copy(noise.begin(), noise.end(), start.data);
        testing::DeviceArray<Device, Token> const known(device, std::vector<Token>{4, 5, 0, 0, 0, 9, 10, 11});
        View const text = pass.take(8, width);
        space.embed(pass, known.vector(), text);
        clean.assign(text.data, text.data + text.size());
        if (keep)
            for (Index const row : {0, 1, 5, 6, 7}) std::copy_n(text.row(row), width, start.row(row));
        std::uint32_t draw = 0;
        auto const z0_hat = pipeline::denoise(
            pass, space, model, plan, packed, encoded, start,
            [&](Index, View out) {
                auto const values = testing::random_values<double>(out.size(), 100 + draw++);
                std::copy(values.begin(), values.end(), out.data);
            },
            [&](pipeline::StepState<Device> const& state) {
                z.emplace_back(state.z.data, state.z.data + state.z.size());
                return true;
            },
            keep ? pipeline::Parts{{offsets.data(), 4, 8, 3}, kept} : pipeline::Parts{});
        tokens.resize(8);
        embedding::read_out<embedding::Learned, Device>(pass, space, z0_hat, VectorView<Token>(tokens.data(), 8));
    }
};

std::vector<sampler::Plan> plans() {
    return {sampler::Ddpm{.steps = 40, .discrete_steps = 200}.plan(schedule::Cosine{}),
            sampler::Ddpm{.steps = 20, .discrete_steps = 200, .clamp = true}.plan(schedule::Cosine{}),
            sampler::DpmSolver2M{.steps = 12}.plan(schedule::Cosine{})};  // looks back at the step before
}

}  // namespace

TEST_CASE("what is kept is the same to the last bit in every step, and the rest is cleaned") {
    for (auto const& plan : plans()) {
        Run run;
        run(plan, true);
        REQUIRE(run.z.size() == plan.steps.size());
        for (auto const& z : run.z)
            for (Index const row : {0, 1, 5, 6, 7})
                for (Index i = 0; i < width; ++i) {
                    auto const at = static_cast<std::size_t>(row * width + i);
                    REQUIRE(z[at] == run.clean[at]);
                }
        std::vector<Token> const end(run.tokens.begin() + 4, run.tokens.end());
        CHECK(end == std::vector<Token>{8, 9, 10, 11});  // three of four rows say which line it is
    }
}

TEST_CASE("the denoiser sees what is kept: other text there, other text beside it") {
    for (auto const& plan : plans()) {
        Run run;
        run(plan, true);
        auto const beside = run.z.back();
        run(plan, false);
        CHECK(run.z.back() != beside);
    }
}
