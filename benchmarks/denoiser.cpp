// The denoiser's forward pass, in GFLOP/s and as a share of what the machine's multiply-add units can do.

#include "machine.hpp"
#include "step.hpp"

namespace {

void denoiser_forward(benchmark::State& state) {
    using Device = inkling::backend::Cpu<>;
    inkling::Index const width = state.range(0);
    int const threads = static_cast<int>(state.range(1));
    if (!step::is_right<Device>(width, {.threads = threads}, 1e-4))
        return state.SkipWithError("single precision differs from double");
    machine::reset_peak_memory();
    step::Problem<Device> problem(width, {.threads = threads}, 64);
    problem.run();
    for (auto _ : state) {
        auto const start = std::chrono::steady_clock::now();
        problem.run();
        state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    double const done = problem.operations() * static_cast<double>(state.iterations());
    static double const peak_of_one = machine::fma_peak(1);
    static double const peak_of_all =
        machine::fma_peak(static_cast<int>(std::max(1U, std::thread::hardware_concurrency())));
    double const peak = threads == 1 ? peak_of_one : peak_of_all;
    state.counters["GFLOP/s"] = benchmark::Counter(done / 1e9, benchmark::Counter::kIsRate);
    state.counters["of_FMA_peak"] = benchmark::Counter(done / peak, benchmark::Counter::kIsRate);
    state.counters["FMA_peak_GFLOP/s"] = peak / 1e9;
    state.counters["peak_MB"] = machine::peak_memory();
}
BENCHMARK(denoiser_forward)->Apply(machine::one_and_all_threads);

}  // namespace
