// product() beside Eigen's own product and the machine's peak, for the shapes that a text diffusion model multiplies.

#include <inkling/backend/cpu.hpp>
#include <inkling/testing/device_arrays.hpp>

#include "machine.hpp"

#include <benchmark/benchmark.h>

#include <Eigen/Core>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>

namespace {

using namespace inkling;
using backend::Orientation;
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Floating-point operations a second of one core that does nothing but multiply and add in registers.
double peak() {
    static double const measured = machine::fma_peak(1);
    return measured;
}

/// One product [rows, depth] [depth, cols], both factors stored as a linear layer's forward, data or weight gradient
/// has them.
struct Case {
    Index rows, cols, depth;
    Orientation left, right;
    Matrix a, b;

    Case(Index rows_, Index cols_, Index depth_, Orientation left_, Orientation right_)
        : rows(rows_),
          cols(cols_),
          depth(depth_),
          left(left_),
          right(right_),
          a(filled(left == Orientation::plain ? rows : depth, left == Orientation::plain ? depth : rows, 1)),
          b(filled(right == Orientation::plain ? depth : cols, right == Orientation::plain ? cols : depth, 2)) {}

    static Matrix filled(Index rows, Index cols, std::uint32_t sequence) {
        auto const values = testing::random_values<float>(rows * cols, sequence);
        return Eigen::Map<Matrix const>(values.data(), rows, cols);
    }
    void by_us(backend::Cpu<>& device, Matrix& result) const {
        product(device, {a.data(), a.rows(), a.cols()}, left, {b.data(), b.rows(), b.cols()}, right,
                {result.data(), rows, cols});
    }
    void by_eigen(Matrix& result) const {
        bool const at = left == Orientation::transposed;
        bool const bt = right == Orientation::transposed;
        if (at && bt)
            result.noalias() = a.transpose() * b.transpose();
        else if (at)
            result.noalias() = a.transpose() * b;
        else if (bt)
            result.noalias() = a * b.transpose();
        else
            result.noalias() = a * b;
    }
    [[nodiscard]] bool agrees(backend::Cpu<>& device) const {
        Matrix ours(rows, cols), theirs(rows, cols);
        by_us(device, ours);
        by_eigen(theirs);
        // sums of `depth` products of normal numbers, in two orders
        return (ours - theirs).cwiseAbs().maxCoeff() < 1e-6F * std::sqrt(static_cast<float>(depth)) * 50.0F;
    }
};

enum class By { us, eigen };

void run(benchmark::State& state, By by, Orientation left, Orientation right) {
    Case const problem(state.range(0), state.range(1), state.range(2), left, right);
    int const threads = static_cast<int>(state.range(3));
    backend::Cpu<> device({.threads = threads});
    Eigen::setNbThreads(threads);
    if (!problem.agrees(device)) {
        state.SkipWithError("product() and Eigen disagree");
        return;
    }
    Matrix result(problem.rows, problem.cols);
    double best = std::numeric_limits<double>::infinity();
    for (auto _ : state) {
        auto const start = std::chrono::steady_clock::now();
        if (by == By::us)
            problem.by_us(device, result);
        else
            problem.by_eigen(result);
        benchmark::DoNotOptimize(result.data());
        benchmark::ClobberMemory();
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    // Of the fastest run: what other programs take from a shared machine is not counted.
    double const rate = 2.0 * static_cast<double>(problem.rows * problem.cols * problem.depth) / best;
    state.counters["flops"] = rate;
    state.counters["of_peak"] = rate / (peak() * threads);
}

void shapes(benchmark::internal::Benchmark* bench) {
    bench->ArgNames({"rows", "cols", "depth", "threads"})->UseRealTime()->Unit(benchmark::kMicrosecond);
    for (int const threads : {1, 2}) {
        bench->Args({2048, 768, 256, threads});   // query, key and value of 2,048 tokens
        bench->Args({2048, 1024, 256, threads});  // feed-forward, up
        bench->Args({2048, 256, 1024, threads});  // feed-forward, down
        bench->Args({512, 10000, 128, threads});  // read-out
        bench->Args({32, 256, 256, threads});     // one sentence
        bench->Args({768, 768, 768, threads});
    }
}

void peak_of_one_core(benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(peak());
    state.counters["flops"] = peak();
}

BENCHMARK(peak_of_one_core)->Iterations(1);
BENCHMARK_CAPTURE(run, forward_us, By::us, Orientation::plain, Orientation::transposed)->Apply(shapes);
BENCHMARK_CAPTURE(run, forward_eigen, By::eigen, Orientation::plain, Orientation::transposed)->Apply(shapes);
BENCHMARK_CAPTURE(run, data_gradient_us, By::us, Orientation::plain, Orientation::plain)->Apply(shapes);
BENCHMARK_CAPTURE(run, data_gradient_eigen, By::eigen, Orientation::plain, Orientation::plain)->Apply(shapes);
BENCHMARK_CAPTURE(run, weight_gradient_us, By::us, Orientation::transposed, Orientation::plain)->Apply(shapes);
BENCHMARK_CAPTURE(run, weight_gradient_eigen, By::eigen, Orientation::transposed, Orientation::plain)->Apply(shapes);

}  // namespace
