// The backends that run on the host, by the benchmarks that measure a CUDA device.

#include "backends.hpp"

#if __has_include(<thrust/for_each.h>)
#include <inkling/backend/thrust_host.hpp>
#endif

#include <benchmark/benchmark.h>

int main(int count, char** arguments) {
    using namespace inkling;
    using Cpu = backend::Cpu<>;
    backends::Contender<Cpu>{"Cpu", {.threads = 1}, 1e-4, 1024}.enter();
    backends::Contender<Cpu>{"Cpu, bf16", {.threads = 1, .precision = backend::CpuPrecision::bf16}, 0.05, 1024}.enter();
#if __has_include(<thrust/for_each.h>)
    backends::Contender<backend::ThrustHost<>>{"ThrustHost", {}, 1e-4, 256}.enter();
#endif
    benchmark::Initialize(&count, arguments);
    benchmark::RunSpecifiedBenchmarks();
}
