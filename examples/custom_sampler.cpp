// A sampler of your own: it turns a noise schedule into a plan of steps, in plain numbers. The loop that runs the plan,
// on any backend, is the library's.
//
// ctest: 8 of 8 texts are one of the lines, after 6 steps

#include <inkling/backend/cpu.hpp>
#include <inkling/inkling.hpp>

#include <algorithm>
#include <iostream>

using namespace inkling;

// [sampler]
/// Each step goes half of the way to clean text; the last one goes all of it.
struct Halving {
    Index steps = 6;

    template <NoiseSchedule Schedule>
    sampler::Plan plan(Schedule const& schedule) const {
        sampler::Plan plan;
        double time = 1.0;
        for (Index i = 0; i < steps; ++i, time /= 2.0) {
            double const from = schedule.alpha_bar(time);
            double const to = i + 1 < steps ? schedule.alpha_bar(time / 2.0) : 1.0;
            auto const factors = schedule::ddim(from, to);  // z_next = z0 * z0_hat + z_t * z_t
            plan.steps.push_back({.time = time, .alpha_bar = from, .z0 = factors.z0, .z_t = factors.z_t});
        }
        return plan;
    }
};
static_assert(Sampler<Halving>);
// [/sampler]

int main() {
    std::vector<std::string> const lines{"the ink is still wet", "a drop falls into clear water",
                                         "no page was ever blank"};
    text::MemoryLines reader{lines};
    auto const tokenizer = text::WordTokenizer::train(reader);
    std::vector<std::vector<Token>> known;
    for (auto const& line : lines) known.push_back(tokenizer.encode(line));

    using Reciter = TextDiffusion<schedule::Cosine, embedding::Learned, denoiser::Empirical<backend::Cpu<>>, Halving>;
    Reciter const reciter(tokenizer,
                          {.embedding = {.width = 16, .standard_deviation = 0.25}, .denoiser = {.lines = known}});
    std::vector<std::string> const sources(8, "anything");
    auto const texts = reciter.generate(sources, {.seed = 7});
    for (auto const& text : texts) std::cout << text << '\n';
    auto const right = std::count_if(texts.begin(), texts.end(), [&](std::string const& text) {
        return std::find(lines.begin(), lines.end(), text) != lines.end();
    });
    std::cout << right << " of " << texts.size() << " texts are one of the lines, after " << Halving{}.steps
              << " steps\n";
}
