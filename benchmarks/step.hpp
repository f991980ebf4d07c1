#pragma once

#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/denoiser.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

/// A denoiser's forward pass on any backend, to be timed.
namespace step {

using namespace inkling;

inline constexpr Index latent = 128, layers = 4, length = 16, vocabulary = 1000;

/// A denoiser with one batch of sentences, everything but the step itself done beforehand.
template <Backend Device>
struct Problem {
    using Real = typename Device::Scalar;
    using Model = denoiser::EncoderDecoder<Device>;
    nn::ParameterLayout layout;
    embedding::Learned space{layout, vocabulary, {.width = latent}};
    Model model;
    Device device;
    nn::Workspace<Device> workspace;
    testing::DeviceArray<Device> weights;
    testing::RaggedBatch<Device> batch;
    testing::DeviceArray<Device> z, previous;
    nn::Pass<Device> pass;
    PackedSequences sentences;
    typename Model::Encoded encoded;
    MatrixView<Real> times, z0_hat;

    Problem(Index width, typename Device::Options const& options, Index count)
        : model(layout, {.width = width, .layers = layers, .heads = 4, .dropout = 0.0}, space),
          device(options),
          weights(device, initial_weights(layout)),
          batch(device, std::vector<Index>(static_cast<std::size_t>(count), length), vocabulary),
          z(device, testing::random_values<Real>(count * length * latent, 1)),
          previous(device, testing::random_values<Real>(count * length * latent, 2)),
          pass{device, workspace, weights.data()},
          sentences{batch.segments(), batch.tokens(), batch.positions()} {
        encoded = model.encode(pass, sentences);
        testing::DeviceArray<Device, double> const labels(device, std::vector<double>{model.time_label({.time = 0.5})});
        times = model.embed_times(pass, labels.vector());
        z0_hat = pass.take(batch.rows(), latent);
    }
    /// May return before the device is done.
    void run() {
        model.predict(pass, sentences, encoded, z.matrix(latent),
                      MatrixView<Real const>(times.data, batch.sentences(), times.cols, 0), previous.matrix(latent),
                      z0_hat);
    }
    void wait() { backend::synchronize(device, static_cast<Real const*>(z0_hat.data)); }
    [[nodiscard]] std::vector<Real> result() {
        std::vector<Real> values(static_cast<std::size_t>(z0_hat.size()));
        download(device, static_cast<Real const*>(z0_hat.data), std::span<Real>(values));
        return values;
    }
    /// Of the products and of attention; what the other parts do is not counted.
    [[nodiscard]] double operations() const {
        double const width = static_cast<double>(model.options().width);
        double const hidden = static_cast<double>(model.options().hidden);
        double const fuse = 2.0 * latent * width + 3.0 * width * width;
        double const layer = 6.0 * width * width + 2.0 * width * hidden + 4.0 * width * length;
        return 2.0 * static_cast<double>(batch.rows()) * (fuse + layers * layer + width * latent);
    }

private:
    [[nodiscard]] static std::vector<Real> initial_weights(nn::ParameterLayout const& layout) {
        std::vector<Real> values(static_cast<std::size_t>(layout.size()));
        layout.template initialize<Real>(3, values);
        return values;
    }
};

/// Whether a device's step comes to what double on the CPU does.
/// @param tolerance  of the largest error, against the largest element
template <Backend Device>
[[nodiscard]] bool is_right(Index width, typename Device::Options const& options, double tolerance) {
    Problem<Device> tried(width, options, 3);
    Problem<backend::Cpu<double>> exact(width, {.threads = 1}, 3);
    tried.run();
    exact.run();
    auto const got = tried.result();
    auto const want = exact.result();
    double error = 0.0, size = 0.0;
    for (std::size_t i = 0; i < want.size(); ++i) {
        error = std::max(error, std::abs(static_cast<double>(got[i]) - want[i]));
        size = std::max(size, std::abs(want[i]));
    }
    return error < tolerance * size;  // not so where one is no number
}

}  // namespace step
