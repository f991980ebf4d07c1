// backend::Cuda in its three precisions. Not yet run on a device.

#include <inkling/backend/cuda.hpp>

#include "../backends.hpp"

#include <benchmark/benchmark.h>

#include <cstdio>

int main(int count, char** arguments) {
    using namespace inkling;
    using Cuda = backend::Cuda<>;
    try {
        Cuda const there;
    } catch (Error const& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 0;  // what runs all benchmarks goes on
    }
    using enum backend::CudaPrecision;
    backends::Timed<Cuda>{.name = "Cuda", .options = {}, .tolerance = 1e-4, .side = 4096}.register_all();
    backends::Timed<Cuda>{.name = "Cuda, TF32", .options = {.precision = tf32}, .tolerance = 0.01, .side = 4096}
        .register_all();
    backends::Timed<Cuda>{.name = "Cuda, bf16", .options = {.precision = bf16}, .tolerance = 0.05, .side = 4096}
        .register_all();
    benchmark::Initialize(&count, arguments);
    benchmark::RunSpecifiedBenchmarks();
}
