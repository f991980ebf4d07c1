#pragma once

#include "rate.hpp"
#include "step.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

/// What backends do, by the same code: the rate at which they copy, and parts of a model, each as a share of the
/// backend's own large product.
namespace backends {

using namespace inkling;

/// A backend to be timed.
template <Backend Device>
struct Timed {
    using Real = typename Device::Scalar;
    std::string name;
    typename Device::Options options;
    double tolerance;  ///< of a step, against double on the CPU
    Index side;        ///< of the square factors of the large product

    /// Bytes a second that are read and written where 2^26 numbers are copied within the device.
    void copies(benchmark::State& state) const {
        Device device(options);
        constexpr Index count = Index{1} << 26;
        testing::DeviceArray<Device> from(device, count), to(device, count);
        Real const marked = Real{1};
        upload(device, std::span<Real const>(&marked, 1), from.data() + count - 1);
        for (auto _ : state) {
            double const seconds = fastest(
                device, to.data(), 5, [&] { copy(device, static_cast<Real const*>(from.data()), to.data(), count); });
            state.counters["GB/s"] = 2e-9 * static_cast<double>(count * Index{sizeof(Real)}) / seconds;
        }
        Real last{};
        download(device, static_cast<Real const*>(to.data()) + count - 1, std::span<Real>(&last, 1));
        if (last != marked) state.SkipWithError("a copy is not what was copied");
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

    void register_all() const {
        using State = benchmark::State;  // pointers to members in place of these lambdas are more than nvcc compiles
        auto const add = [&](char const* part, auto run) {
            return benchmark::RegisterBenchmark((name + "/" + part).c_str(),
                                                [self = *this, run](benchmark::State& state) { run(self, state); })
                ->UseRealTime()
                ->Unit(benchmark::kMillisecond);
        };
        add("copies", [](Timed const& self, State& state) { self.copies(state); })->Iterations(1);
        add("denoiser", [](Timed const& self, State& state) { self.denoiser(state); })
            ->Args({256, 1})
            ->Args({256, 64})
            ->Args({512, 64})
            ->ArgNames({"width", "sentences"});
        add("rounding", [](Timed const& self, State& state) { self.rounding(state); });
    }

private:
    /// Operations a second of a large product, which is measured once.
    [[nodiscard]] double best_product() const {
        static std::map<std::string, double> rates;
        auto const known = rates.find(name);
        return known != rates.end() ? known->second
                                    : rates.emplace(name, product_rate<Device>(options, side, tolerance)).first->second;
    }
    /// Whether no token is more probable by more than rounding, for some of the rows.
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
