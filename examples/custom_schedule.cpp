// A noise schedule of your own: one function, no base class, no registration.
//
// The denoiser here is exact and knows three lines by heart, so that nothing needs training: whatever the schedule,
// each text must come out as one of the lines.
//
// ctest: 8 of 8 texts are one of the lines

#include <inkling/backend/cpu.hpp>
#include <inkling/inkling.hpp>

#include <algorithm>
#include <iostream>

using namespace inkling;

// [schedule]
struct StraightLine {
    double alpha_bar(double t) const { return (1.0 - t) * (1.0 - t); }  // the signal falls evenly: a(t) = 1 - t
};
// [/schedule]

int main() {
    std::vector<std::string> const lines{"the ink is still wet", "a drop falls into clear water",
                                         "no page was ever blank"};
    text::MemoryLines reader{lines};
    auto const tokenizer = text::WordTokenizer::train(reader);
    std::vector<std::vector<Token>> known;
    for (auto const& line : lines) known.push_back(tokenizer.encode(line));

    // [pipeline]
    using Reciter = TextDiffusion<StraightLine, embedding::Learned, denoiser::Empirical<backend::Cpu<>>, sampler::Ddim>;
    Reciter const reciter(tokenizer,
                          {.embedding = {.width = 16, .standard_deviation = 0.25},
                           .denoiser = {.lines = known},
                           .sampler = {.steps = 20}});
    // [/pipeline]

    std::vector<std::string> const sources(8, "anything");
    auto const texts = reciter.generate(sources, {.seed = 7});
    for (auto const& text : texts) std::cout << text << '\n';
    auto const right = std::count_if(texts.begin(), texts.end(), [&](std::string const& text) {
        return std::find(lines.begin(), lines.end(), text) != lines.end();
    });
    std::cout << right << " of " << texts.size() << " texts are one of the lines\n";
}
