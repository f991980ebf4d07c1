// The denoiser's forward pass, in GFLOP/s and as a share of what the machine's multiply-add units can do.

#include "machine.hpp"

#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/denoiser.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <cmath>

using namespace inkling;

namespace {

constexpr Index latent = 128, layers = 4, length = 16, vocabulary = 1000;

/// A denoiser with one batch of sentences, everything but the step itself done beforehand.
template <class Real>
struct Problem {
    using Device = backend::Cpu<Real>;
    using Model = denoiser::EncoderDecoder<Device>;
    nn::ParameterLayout layout;
    embedding::Learned space{layout, vocabulary, {.width = latent}};
    Model model;
    Device device;
    nn::Workspace<Device> workspace;
    std::vector<Real> weights;
    testing::RaggedBatch<Device> batch;
    testing::DeviceArray<Device> z, previous;
    nn::Pass<Device> pass;
    PackedSequences sentences;
    typename Model::Encoded encoded;
    MatrixView<Real> times, z0_hat;

    Problem(Index width, int threads, Index count)
        : model(layout, {.width = width, .layers = layers, .heads = 4, .dropout = 0.0}, space),
          device({.threads = threads}),
          weights(static_cast<std::size_t>(layout.size())),
          batch(device, std::vector<Index>(static_cast<std::size_t>(count), length), vocabulary),
          z(device, testing::random_values<Real>(count * length * latent, 1)),
          previous(device, testing::random_values<Real>(count * length * latent, 2)),
          pass{device, workspace, weights.data()},
          sentences{batch.segments(), batch.tokens(), batch.positions()} {
        layout.template initialize<Real>(3, weights);
        encoded = model.encode(pass, sentences);
        testing::DeviceArray<Device, double> const labels(device, std::vector<double>{model.time_label({.time = 0.5})});
        times = model.embed_times(pass, labels.vector());
        z0_hat = pass.take(batch.rows(), latent);
    }
    void step() {
        model.predict(pass, sentences, encoded, z.matrix(latent),
                      MatrixView<Real const>(times.data, batch.sentences(), times.cols, 0), previous.matrix(latent),
                      z0_hat);
    }
    /// Of the products and of attention; what the other parts do is not counted.
    [[nodiscard]] double operations() const {
        double const width = static_cast<double>(model.options().width);
        double const hidden = static_cast<double>(model.options().hidden);
        double const fuse = 2.0 * latent * width + 3.0 * width * width;
        double const layer = 6.0 * width * width + 2.0 * width * hidden + 4.0 * width * length;
        return 2.0 * static_cast<double>(batch.rows()) * (fuse + layers * layer + width * latent);
    }
};

/// Whether single precision comes to what double does.
bool right(Index width) {
    Problem<float> single(width, 1, 3);
    Problem<double> exact(width, 1, 3);
    single.step();
    exact.step();
    double error = 0.0, size = 0.0;
    for (Index i = 0; i < exact.z0_hat.size(); ++i) {
        error = std::max(error, std::abs(static_cast<double>(single.z0_hat.data[i]) - exact.z0_hat.data[i]));
        size = std::max(size, std::abs(exact.z0_hat.data[i]));
    }
    return error < 1e-4 * size;
}

void denoiser_forward(benchmark::State& state) {
    Index const width = state.range(0);
    int const threads = static_cast<int>(state.range(1));
    if (!right(width)) return state.SkipWithError("single precision differs from double");
    machine::reset_peak_memory();
    Problem<float> problem(width, threads, 64);
    problem.step();
    for (auto _ : state) {
        auto const start = std::chrono::steady_clock::now();
        problem.step();
        state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    double const done = problem.operations() * static_cast<double>(state.iterations());
    static double const peak_of_one = machine::fma_peak(1);
    static double const peak_of_all =
        machine::fma_peak(static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
    double const peak = threads == 1 ? peak_of_one : peak_of_all;
    state.counters["GFLOP/s"] = benchmark::Counter(done / 1e9, benchmark::Counter::kIsRate);
    state.counters["of_FMA_peak"] = benchmark::Counter(done / peak, benchmark::Counter::kIsRate);
    state.counters["FMA_peak_GFLOP/s"] = peak / 1e9;
    state.counters["peak_MB"] = machine::peak_memory();
}
BENCHMARK(denoiser_forward)->Apply(machine::one_and_all_threads);

}  // namespace
