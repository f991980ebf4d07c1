// How the time and the memory of generating grow with the length of a sentence, with the number of sentences, of words
// that there are, and of steps: every benchmark changes one of them.

#include "machine.hpp"

#include <inkling/backend/cpu.hpp>
#include <inkling/inkling.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

using namespace inkling;

namespace {

using Model =
    TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddpm>;

struct Work {
    Index length = 16;  ///< of every sentence that is written, in tokens; its source has 15 words
    std::uint32_t sentences = 1;
    Index vocabulary = 1000;
    Index steps = 4;
    int threads = 1;
};

void generate(benchmark::State& state, Work const& work) {
    std::vector<std::string> words(static_cast<std::size_t>(work.vocabulary));
    for (std::size_t i = 0; i < words.size(); ++i) words[i] = message("w", i);
    text::MemoryLines lines{words};
    Model const model(text::WordTokenizer::train(lines),
                      {.denoiser = {.width = 256, .layers = 4, .heads = 4, .longest_target = 1024},
                       .sampler = {.steps = work.steps},
                       .device = {.threads = work.threads}});
    RandomStream const stream{1, Purpose::user, 0, 0};
    std::vector<std::string> sources(work.sentences);
    for (std::uint32_t i = 0; i < work.sentences; ++i)
        for (std::uint32_t place = 0; place < 15; ++place)
            sources[i] += message(place == 0 ? "" : " ", "w",
                                  stream.below(static_cast<std::uint32_t>(work.vocabulary), 15 * i + place));
    GenerateOptions const options{.beams = {.shortest = work.length, .longest = work.length}};
    machine::reset_peak_memory();
    double seconds = 0.0, tokens = 0.0;
    for (auto _ : state) {
        auto const start = std::chrono::steady_clock::now();
        auto const generated = model.generate_with(sources, options);
        double const own = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        state.SetIterationTime(own);
        seconds += own;
        for (Generated const& one : generated) tokens += static_cast<double>(one.tokens.size());
    }
    if (tokens != static_cast<double>(work.length * Index{work.sentences} * state.iterations()))
        return state.SkipWithError("a sentence has another length than was asked for");
    state.counters["us/token/step"] = 1e6 * seconds / tokens / static_cast<double>(work.steps);
    state.counters["peak_MB"] = machine::peak_memory();
}

void length(benchmark::State& state) { generate(state, {.length = state.range(0)}); }
void sentences(benchmark::State& state) {
    generate(state,
             {.sentences = static_cast<std::uint32_t>(state.range(0)), .threads = static_cast<int>(state.range(1))});
}
void vocabulary(benchmark::State& state) { generate(state, {.sentences = 64, .vocabulary = state.range(0)}); }
void steps(benchmark::State& state) { generate(state, {.steps = state.range(0)}); }

void times(benchmark::internal::Benchmark* benchmark) { benchmark->UseManualTime()->Unit(benchmark::kMillisecond); }
void shared_out(benchmark::internal::Benchmark* benchmark) {
    times(benchmark);
    benchmark->ArgNames({"sentences", "threads"});
    int const all = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    for (int const count : {1, 8, 64, 512, 1024}) {
        benchmark->Args({count, 1});
        if (all > 1) benchmark->Args({count, all});
    }
}

BENCHMARK(length)->Apply(times)->Arg(16)->Arg(64)->Arg(256)->Arg(1024);
BENCHMARK(sentences)->Apply(shared_out);
BENCHMARK(vocabulary)->Apply(times)->Arg(1000)->Arg(8000)->Arg(32000)->Arg(128000);
BENCHMARK(steps)->Apply(times)->Arg(2)->Arg(20)->Arg(200)->Arg(2000);

}  // namespace
