// Whole sentences out of noise: generated tokens a second, with 20 steps, one candidate and many.

#include "machine.hpp"

#include <inkling/backend/cpu.hpp>
#include <inkling/inkling.hpp>

using namespace inkling;

namespace {

using Model =
    TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddpm>;

/// So many sentences of 15 words out of 8000.
std::vector<std::string> sentences(std::uint32_t count) {
    RandomStream const stream{1, Purpose::user, 0, 0};
    std::vector<std::string> lines(count);
    for (std::uint32_t i = 0; i < count; ++i)
        for (std::uint32_t place = 0; place < 15; ++place)
            lines[i] += message(place == 0 ? "" : " ", "w", stream.below(8000, 15 * i + place));
    return lines;
}

Model model(Index width, int threads) {
    std::vector<std::string> words(8000);
    for (std::size_t i = 0; i < words.size(); ++i) words[i] = message("w", i);
    text::MemoryLines lines{words};
    return {text::WordTokenizer::train(lines),
            {.denoiser = {.width = width, .layers = 4, .heads = 4},
             .sampler = {.steps = 20},
             .device = {.threads = threads}}};
}

void generate(benchmark::State& state, decode::Beams const& beams) {
    Model const pipeline = model(state.range(0), static_cast<int>(state.range(1)));
    auto const sources = sentences(64);
    auto const few = std::span(sources).first(4);
    if (pipeline.generate(few, {.beams = beams}) != pipeline.generate(few, {.beams = beams, .tokens_per_batch = 1}))
        return state.SkipWithError("the text depends on how it is cut into batches");
    machine::reset_peak_memory();
    double tokens = 0.0;
    for (auto _ : state) {
        auto const start = std::chrono::steady_clock::now();
        auto const generated = pipeline.generate_with(sources, {.beams = beams});
        state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
        for (Generated const& one : generated) tokens += static_cast<double>(one.tokens.size());
    }
    state.counters["tokens/s"] = benchmark::Counter(tokens, benchmark::Counter::kIsRate);
    state.counters["peak_MB"] = machine::peak_memory();
}
BENCHMARK_CAPTURE(generate, one_candidate, decode::Beams{})->Apply(machine::one_and_all_threads);
BENCHMARK_CAPTURE(generate, five_lengths_two_noises, decode::Beams{.length_beam = 5, .noise_beam = 2})
    ->Apply(machine::one_and_all_threads);

}  // namespace
