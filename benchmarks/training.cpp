// Updates of a Difformer-like model: tokens a second, source and target, with all that a training does but validation.

#include "machine.hpp"

#include <inkling/backend/cpu.hpp>
#include <inkling/inkling.hpp>

#include <cmath>

using namespace inkling;

namespace {

using Model = TextDiffusion<schedule::Rescaled<schedule::Sqrt>, embedding::Learned,
                            denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddpm>;

constexpr Index vocabulary = 8000, length = 14;

/// Sentences that are to be said again.
text::ParallelCorpus corpus() {
    RandomStream const stream{1, Purpose::user, 0, 0};
    text::ParallelCorpus corpus;
    std::vector<Token> sentence(length);
    for (std::uint32_t i = 0; i < 2048; ++i) {
        for (std::uint32_t place = 0; place < length; ++place)
            sentence[place] =
                static_cast<Token>(4 + stream.below(vocabulary - 4, static_cast<std::uint32_t>(length) * i + place));
        corpus.add(sentence, sentence);
    }
    return corpus;
}

void training(benchmark::State& state) {
    constexpr Index warm = 3, timed = 5;
    std::vector<std::string> words(vocabulary - 4);
    for (std::size_t i = 0; i < words.size(); ++i) words[i] = message("w", i);
    text::MemoryLines lines{words};
    Model model(text::WordTokenizer::train(lines),
                {.schedule = {.training_noise = 4.0},
                 .denoiser = {.width = state.range(0), .layers = 4, .heads = 4},
                 .device = {.threads = static_cast<int>(state.range(1))}});
    auto const text = corpus();
    machine::reset_peak_memory();
    double tokens = 0.0, first = 0.0, last = 0.0;
    for (auto _ : state) {
        auto start = std::chrono::steady_clock::now();
        auto end = start;
        Trainer<Model, objective::Anchor, train::Constant> trainer(
            model,
            {.steps = warm + timed,
             .learning_rate = {.rate = 1e-3},
             .tokens_per_batch = 64 * (length + 2),
             .on_progress = [&](train::Progress const& progress) {
                 if (progress.step == warm) start = std::chrono::steady_clock::now();
                 if (progress.step == warm + timed && !progress.finished) end = std::chrono::steady_clock::now();
                 last = progress.losses.front().value;
                 if (first == 0.0) first = last;
             }});
        trainer.fit(text);
        state.SetIterationTime(std::chrono::duration<double>(end - start).count());
        tokens += static_cast<double>(timed * 64 * (length + 1 + length + 2));
    }
    if (!(std::isfinite(last) && last < first)) return state.SkipWithError("the loss does not fall");
    state.counters["tokens/s"] = benchmark::Counter(tokens, benchmark::Counter::kIsRate);
    state.counters["updates/s"] =
        benchmark::Counter(static_cast<double>(timed * state.iterations()), benchmark::Counter::kIsRate);
    state.counters["peak_MB"] = machine::peak_memory();
}
BENCHMARK(training)->Apply(machine::one_and_all_threads);

}  // namespace
