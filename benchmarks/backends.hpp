#pragma once

#include "step.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <string>
#include <vector>

/// What backends do, each held against what its device can do: the rate at which it copies, and that of one large product.
namespace backends {

using namespace inkling;

/// Seconds of the fastest of some runs.
template <Backend Device, class Run>
[[nodiscard]] double fastest(Device& device, typename Device::Scalar const* written, int times, Run const& run) {
    run();
    backend::synchronize(device, written);
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < times; ++i) {
        auto const start = std::chrono::steady_clock::now();
        run();
        backend::synchronize(device, written);
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
}

/// A device to be timed.
template <Backend Device_>
struct Contender {
    using Device = Device_;
    std::string name;
    typename Device::Options options;
    double tolerance;  ///< of a step, against double on the CPU
    Index side;        ///< of the square factors of the large product

    /// Bytes a second that are read and written where 256 MB are copied within the device.
    [[nodiscard]] double copy_rate() const {
        Device device(options);
        constexpr Index count = Index{64} << 20;
        testing::DeviceArray<Device> from(device, count), to(device, count);
        double const seconds = fastest(device, to.data(), 5, [&] {
            copy(device, static_cast<typename Device::Scalar const*>(from.data()), to.data(), count);
        });
        return 2.0 * static_cast<double>(count * Index{sizeof(typename Device::Scalar)}) / seconds;
    }
    /// Operations a second of a large product.
    [[nodiscard]] double matrix_rate() const {
        Device device(options);
        auto const values = testing::random_values<typename Device::Scalar>(side * side, 1);
        testing::DeviceArray<Device> const a(device, values), b(device, values);
        testing::DeviceArray<Device> out(device, side * side);
        double const seconds = fastest(device, out.data(), 5, [&] {
            product(device, a.matrix(side), backend::Orientation::plain, b.matrix(side),
                    backend::Orientation::transposed, out.matrix(side));
        });
        return 2.0 * static_cast<double>(side) * static_cast<double>(side) * static_cast<double>(side) / seconds;
    }

    void copies(benchmark::State& state) const {
        for (auto _ : state) state.counters["GB/s"] = copy_rate() / 1e9;
    }
    /// The denoiser's forward pass, of 64 sentences and of one.
    void denoiser(benchmark::State& state) const {
        Index const width = state.range(0), sentences = state.range(1);
        if (!step::is_right<Device>(width, options, tolerance))
            return state.SkipWithError("the device's step is not that of double on the CPU");
        step::Problem<Device> problem(width, options, sentences);
        problem.run();
        problem.wait();
        for (auto _ : state) {
            problem.run();
            problem.wait();
        }
        double const done = problem.operations() * static_cast<double>(state.iterations());
        state.counters["GFLOP/s"] = benchmark::Counter(done / 1e9, benchmark::Counter::kIsRate);
        state.counters["of_its_product"] = benchmark::Counter(done / best_product(), benchmark::Counter::kIsRate);
    }
    /// The most probable of 32,000 tokens for 1024 rows, against double on the CPU.
    void rounding(benchmark::State& state) const {
        using Real = typename Device::Scalar;
        constexpr Index rows = 1024, vocabulary = 32'000, latent = 128;
        Device device(options);
        auto const values = testing::random_values<Real>(rows * latent, 1);
        auto const words = testing::random_values<Real>(vocabulary * latent, 2);
        testing::DeviceArray<Device> const z(device, values), table(device, words);
        testing::DeviceArray<Device, Token> tokens(device, rows);
        auto const run = [&] {
            readout_argmax(device, z.matrix(latent), table.matrix(latent), VectorView<Real const>{}, tokens.vector());
            backend::synchronize(device, static_cast<Token const*>(tokens.data()));
        };
        run();
        if (!are_nearest(values, words, latent, tokens.get(device)))
            return state.SkipWithError("a token is not the most probable one");
        for (auto _ : state) run();
        double const done = 2.0 * rows * vocabulary * latent * static_cast<double>(state.iterations());
        state.counters["GFLOP/s"] = benchmark::Counter(done / 1e9, benchmark::Counter::kIsRate);
        state.counters["of_its_product"] = benchmark::Counter(done / best_product(), benchmark::Counter::kIsRate);
    }

    void enter() const {
        Contender const self = *this;
        benchmark::RegisterBenchmark((name + "/copies").c_str(), [self](benchmark::State& state) {
            self.copies(state);
        })->Iterations(1);
        benchmark::RegisterBenchmark((name + "/denoiser").c_str(),
                                     [self](benchmark::State& state) { self.denoiser(state); })
            ->Args({256, 1})
            ->Args({256, 64})
            ->Args({512, 64})
            ->ArgNames({"width", "sentences"})
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
        benchmark::RegisterBenchmark((name + "/rounding").c_str(),
                                     [self](benchmark::State& state) { self.rounding(state); })
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
    }

private:
    /// matrix_rate, which is measured once.
    [[nodiscard]] double best_product() const {
        static std::map<std::string, double> rates;
        auto const known = rates.find(name);
        return known != rates.end() ? known->second : rates.emplace(name, matrix_rate()).first->second;
    }
    /// Whether no token is more probable by more than rounding, for some of the rows.
    template <class Real>
    [[nodiscard]] static bool are_nearest(std::vector<Real> const& z, std::vector<Real> const& table, Index latent,
                                          std::vector<Token> const& tokens) {
        auto const logit = [&](Index row, Index token) {
            double sum = 0.0;
            for (Index k = 0; k < latent; ++k)
                sum += static_cast<double>(z[static_cast<std::size_t>(row * latent + k)])
                    * static_cast<double>(table[static_cast<std::size_t>(token * latent + k)]);
            return sum;
        };
        auto const rows = static_cast<Index>(tokens.size());
        auto const vocabulary = static_cast<Index>(table.size()) / latent;
        for (Index row = 0; row < rows; row += rows / 8) {
            double best = -std::numeric_limits<double>::infinity();
            for (Index token = 0; token < vocabulary; ++token) best = std::max(best, logit(row, token));
            if (!(logit(row, tokens[static_cast<std::size_t>(row)]) > best - 1e-3)) return false;
        }
        return true;
    }
};

}  // namespace backends
