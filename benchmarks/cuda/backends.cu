// backend::Cuda in its three precisions, held against the device's own rates. Not yet run on a device.

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
        return 77;
    }
    backends::Contender<Cuda>{"Cuda", {}, 1e-4, 4096}.enter();
    backends::Contender<Cuda>{"Cuda, TF32", {.precision = backend::CudaPrecision::tf32}, 0.01, 4096}.enter();
    backends::Contender<Cuda>{"Cuda, bf16", {.precision = backend::CudaPrecision::bf16}, 0.05, 4096}.enter();
    benchmark::Initialize(&count, arguments);
    benchmark::RunSpecifiedBenchmarks();
}
