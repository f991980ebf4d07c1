// The backends that run on the host, by the benchmarks that measure a CUDA device.

#include "backends.hpp"

#if __has_include(<thrust/for_each.h>)
#include <inkling/backend/thrust_host.hpp>
#endif

#include <benchmark/benchmark.h>

int main(int count, char** arguments) {
    using namespace inkling;
    using backend::Cpu;
    backends::Timed<Cpu<>>{.name = "Cpu", .options = {.threads = 1}, .tolerance = 1e-4, .side = 1024}.register_all();
    backends::Timed<Cpu<>>{.name = "Cpu, bf16",
                           .options = {.threads = 1, .precision = backend::CpuPrecision::bf16},
                           .tolerance = 0.05,
                           .side = 1024}
        .register_all();
#if __has_include(<thrust/for_each.h>)
    backends::Timed<backend::ThrustHost<>>{.name = "ThrustHost", .options = {}, .tolerance = 1e-4, .side = 256}
        .register_all();
#endif
    benchmark::Initialize(&count, arguments);
    benchmark::RunSpecifiedBenchmarks();
}
