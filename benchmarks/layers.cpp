// Tokens a second through the parts of a denoiser: forward alone as in denoising, and forward with backward as in
// training.

#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/nn/transformer_layer.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace {

using namespace inkling;
using Device = backend::Cpu<>;
using View = MatrixView<float>;
using ConstView = MatrixView<float const>;
using Floats = std::vector<float>;

constexpr Index vocabulary = 8000;

/// Sentences of 8 to 39 tokens, about 1,500 in all.
testing::RaggedBatch<Device> sentences(Device& device, std::uint32_t sequence) {
    std::vector<Index> lengths;
    for (Index i = 0; i < 64; ++i) lengths.push_back(8 + i * 13 % 32);
    return testing::RaggedBatch<Device>(device, lengths, vocabulary, sequence);
}

bool same(View a, View b) {
    for (Index i = 0; i < a.size(); ++i)
        if (!(std::abs(a.data[i] - b.data[i]) <= 1e-5F * (1.0F + std::abs(b.data[i])))) return false;
    return true;
}

void count(benchmark::State& state, Index tokens) {
    state.counters["tokens"] =
        benchmark::Counter(static_cast<double>(tokens * state.iterations()), benchmark::Counter::kIsRate);
}

void transformer_layer(benchmark::State& state, bool training) {
    Device device({.threads = static_cast<int>(state.range(1))});
    nn::Workspace<Device> workspace;
    nn::ParameterLayout layout;
    nn::TransformerLayerOptions options;
    options.width = state.range(0);
    options.hidden = 4 * options.width;
    options.heads = 4;
    nn::TransformerLayer const layer(layout, "layer", options);
    Floats weights(static_cast<std::size_t>(layout.size())), gradients(weights.size());
    layout.initialize<float>(1, weights);
    auto const batch = sentences(device, 1);
    auto x = testing::random_values<float>(batch.rows() * options.width, 2);
    View const input(x.data(), batch.rows(), options.width);
    auto const step = [&](bool with_backward) {
        workspace.reset();
        nn::Pass<Device> pass{device, workspace, weights.data(), gradients.data(), 0.0, {}};
        nn::TransformerLayer::Saved<Device> saved;
        View const y = pass.take(input.rows, input.cols);
        layer.forward(pass, batch.segments(), ConstView(input), y, {}, {}, with_backward ? &saved : nullptr);
        if (with_backward) {
            View const dy = pass.take(input.rows, input.cols);
            copy(device, static_cast<float const*>(x.data()), dy.data, dy.size());
            layer.backward(pass, batch.segments(), saved, dy);
        }
        return y;
    };
    View const shown = step(false);
    Floats const kept(shown.data, shown.data + shown.size());
    if (!same(step(true), View(const_cast<float*>(kept.data()), shown.rows, shown.cols))) {
        state.SkipWithError("the training pass gives another result");
        return;
    }
    for (auto _ : state) benchmark::DoNotOptimize(step(training).data);
    count(state, batch.rows());
}

void activation(benchmark::State& state) {
    Device device({.threads = 1});
    auto const kind = static_cast<backend::Activation>(state.range(0));
    auto x = testing::random_values<float>(512 * 1024, 1);
    Floats y(x.size());
    View const in(x.data(), 512, 1024), out(y.data(), 512, 1024);
    activate(device, kind, in, out);
    if (!(y[0] == y[0])) state.SkipWithError("not a number");
    for (auto _ : state) {
        activate(device, kind, in, out);
        benchmark::ClobberMemory();
    }
    state.counters["elements"] =
        benchmark::Counter(static_cast<double>(in.size() * state.iterations()), benchmark::Counter::kIsRate);
}

/// A whole step of Difformer's denoiser: one denoising step, or one training step with the rounding loss.
void denoiser_step(benchmark::State& state, bool training) {
    Device device({.threads = static_cast<int>(state.range(1))});
    nn::Workspace<Device> workspace;
    nn::ParameterLayout layout;
    denoiser::EncoderDecoderOptions options;
    options.width = state.range(0);
    options.layers = 4;
    constexpr Index latent = 128;
    embedding::Learned const space(layout, vocabulary, {.width = latent});
    denoiser::EncoderDecoder<Device> const model(layout, options, vocabulary, latent, space.scale(), space.table());
    Floats weights(static_cast<std::size_t>(layout.size())), gradients(weights.size());
    layout.initialize<float>(1, weights);
    auto const source = sentences(device, 1);
    auto const target = sentences(device, 2);
    PackedSequences const sources{source.segments(), source.tokens(), source.positions()};
    PackedSequences const targets{target.segments(), target.tokens(), target.positions()};
    auto z = testing::random_values<float>(target.rows() * latent, 3);
    View const z_t(z.data(), target.rows(), latent);
    std::vector<double> const labels(static_cast<std::size_t>(target.sentences()), 300.0);
    VectorView<double const> const times(labels.data(), target.sentences());
    denoiser::EncoderDecoder<Device>::Saved saved;
    nn::Pass<Device> pass{device, workspace, weights.data(), gradients.data(), 0.0, {}};

    auto const encoded = model.encode(pass, sources);
    View const time = model.embed_times(pass, times);
    View const z0_hat = pass.take(target.rows(), latent);
    auto const denoise = [&] {
        model.predict(pass, targets, encoded, z_t, time, z_t, z0_hat);
        return z0_hat;
    };
    nn::Workspace<Device> own;
    auto const train = [&] {
        own.reset();
        nn::Pass<Device> p{device, own, weights.data(), gradients.data(), 0.0, {}};
        auto const read = model.encode(p, sources, &saved);
        View const embedded = model.embed_times(p, times, &saved);
        View const result = p.take(target.rows(), latent);
        model.predict(p, targets, read, z_t, embedded, z_t, result, &saved);
        View const dresult = p.take_zeros(target.rows(), latent), dz_t = p.take_zeros(target.rows(), latent);
        View const dtime = p.take(embedded.rows, embedded.cols), doutput = p.take_zeros(source.rows(), options.width);
        View const dkeys_values = p.take(source.rows(), options.layers * 2 * options.width);
        double losses[2];
        readout_cross_entropy(device, result, p.matrix(space.readout()), {}, target.tokens(), 0.0, 1.0, losses, dresult,
                              p.matrix_gradient(space.readout()));
        model.predict_backward(p, targets, read, saved, dresult, dz_t, dtime, dkeys_values);
        model.embed_times_backward(p, saved, dtime);
        model.encode_backward(p, read, saved, doutput, dkeys_values);
        return result;
    };
    if (!same(denoise(), train())) {
        state.SkipWithError("the training pass gives another result");
        return;
    }
    for (auto _ : state) benchmark::DoNotOptimize((training ? train() : denoise()).data);
    count(state, target.rows());
}

void sizes(benchmark::internal::Benchmark* bench) {
    bench->ArgNames({"width", "threads"})->UseRealTime()->Unit(benchmark::kMillisecond);
    for (int const width : {256, 512})
        for (int const threads : {1, 2}) bench->Args({width, threads});
}

BENCHMARK(activation)->ArgName("relu_gelu_silu_tanh")->DenseRange(0, 3)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(transformer_layer, forward, false)->Apply(sizes);
BENCHMARK_CAPTURE(transformer_layer, forward_backward, true)->Apply(sizes);
BENCHMARK_CAPTURE(denoiser_step, denoising, false)->Apply(sizes);
BENCHMARK_CAPTURE(denoiser_step, training, true)->Apply(sizes);

}  // namespace
