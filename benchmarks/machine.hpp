#pragma once

#include <Eigen/Core>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

/// What the machine can do, to hold results against.
namespace machine {

/// Fused multiply-adds on registers alone, in as many independent chains as hide their latency.
/// @return the floating-point operations done: two a multiply-add
[[gnu::noinline]] inline double multiply_add(long rounds) {
    using Packet = Eigen::internal::packet_traits<float>::type;
    constexpr std::size_t chains = 12;
    Packet const factor = Eigen::internal::pset1<Packet>(0.999999F);
    Packet const term = Eigen::internal::pset1<Packet>(1e-6F);
    Packet sums[chains];  // a std::array of them would drop their alignment, says g++
    std::fill_n(sums, chains, Eigen::internal::pset1<Packet>(1.0F));
    for (long round = 0; round < rounds; ++round)
#pragma GCC unroll 12
        for (std::size_t chain = 0; chain < chains; ++chain)
            sums[chain] = Eigen::internal::pmadd(sums[chain], factor, term);
    for (Packet const& sum : sums) {
        float first = Eigen::internal::pfirst(sum);
        benchmark::DoNotOptimize(first);
    }
    return 2.0 * static_cast<double>(rounds) * chains * sizeof(Packet) / sizeof(float);
}

/// The best of a few measurements of multiply_add on so many threads at once, in operations a second.
[[nodiscard]] inline double fma_peak(int threads) {
    constexpr long rounds = 4'000'000;
    double best = 0.0;
    for (int attempt = 0; attempt < 20; ++attempt) {
        std::vector<double> done(static_cast<std::size_t>(threads));
        std::vector<std::thread> crew;
        auto const start = std::chrono::steady_clock::now();
        for (double& own : done) crew.emplace_back([&own] { own = multiply_add(rounds); });
        for (std::thread& one : crew) one.join();
        double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        double total = 0.0;
        for (double const own : done) total += own;
        best = std::max(best, total / seconds);
    }
    return best;
}

/// The most memory that the process had at once since reset_peak_memory, in MB; 0 where the system does not tell.
[[nodiscard]] inline double peak_memory() {
    std::ifstream status("/proc/self/status");
    std::string line;
    while (std::getline(status, line))
        if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024.0;
    return 0.0;
}
/// Begins to look for the peak anew, where the system allows it.
inline void reset_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }

/// 1, and all processors.
inline void one_and_all_threads(benchmark::internal::Benchmark* benchmark) {
    int const all = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    for (int const width : {256, 512}) {
        benchmark->Args({width, 1});
        if (all > 1) benchmark->Args({width, all});
    }
    benchmark->ArgNames({"width", "threads"})->UseManualTime()->Unit(benchmark::kMillisecond);
}

}  // namespace machine
