// Watches a sentence form out of noise, step by step, and stops the run once it no longer changes.
//
// ctest: settled after [0-9]+ of 50 steps: [a-z ]+

#include <inkling/backend/cpu.hpp>
#include <inkling/decode/listener.hpp>
#include <inkling/inkling.hpp>

#include <algorithm>
#include <iostream>

using namespace inkling;

int main() {
    std::vector<std::string> const lines{"the ink is still wet", "a drop falls into clear water",
                                         "no page was ever blank"};
    text::MemoryLines reader{lines};
    auto const tokenizer = text::WordTokenizer::train(reader);
    std::vector<std::vector<Token>> known;
    for (auto const& line : lines) known.push_back(tokenizer.encode(line));

    using Reciter =
        TextDiffusion<schedule::Cosine, embedding::Learned, denoiser::Empirical<backend::Cpu<>>, sampler::Ddpm>;
    Reciter const reciter(tokenizer,
                          {.embedding = {.width = 8, .standard_deviation = 0.35},
                           .denoiser = {.lines = known},
                           .sampler = {.steps = 50}});

    // [listener]
    std::vector<Token> last;
    int unchanged = 0;
    Index seen = 0;
    auto const listener = [&](decode::StepView const& step) {
        auto const now = step.sentence(0);  // of the first candidate; step.z and step.z0_hat are xtensor arrays [N, D]
        bool const same = std::equal(now.begin(), now.end(), last.begin(), last.end());
        unchanged = same ? unchanged + 1 : 0;
        last.assign(now.begin(), now.end());
        seen = step.step + 1;
        if (!same) std::cout << "t = " << step.time << "  " << tokenizer.decode(now) << '\n';
        return unchanged < 10;  // false stops
    };
    std::vector<std::string> const source{"anything"};
    auto const result = reciter.generate_with(source, {.seed = 3}, decode::MeanLogProbability{}, listener);
    // [/listener]

    std::cout << "settled after " << seen << " of 50 steps: " << result.front().text << '\n';
}
