// What sentences would have been, had they stopped once their tokens stood still, or had candidates that are little
// like the others been dropped on the way; and how many evaluations of the denoiser that would have saved. Called by
// the row early-exits: early_exits MODEL SOURCES REFERENCES, of the recipe difformer.

#include <inkling/backend/cpu.hpp>
#include <inkling/inkling.hpp>
#include <inkling/text/sentencepiece_tokenizer.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

using namespace inkling;

namespace {

using Model = TextDiffusion<schedule::Rescaled<schedule::Sqrt>, embedding::Learned,
                            denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddpm>;
using Texts = std::vector<std::string>;

[[nodiscard]] Texts read_lines(char const* path) {
    Texts lines;
    io::LineReader reader(path);
    for (std::string line; reader.next(line);) lines.push_back(line);
    return lines;
}

[[nodiscard]] double bleu(Texts const& texts, Texts const& references) {
    return metric::corpus_bleu(texts, references, {.tokenizer = metric::BleuTokenizer::none}).score;
}

/// What every candidate of a source reads as after every step.
struct Course {
    std::vector<Texts> after;  ///< [steps][candidates]
};

[[nodiscard]] std::vector<Course> courses(Model& model, Texts const& sources, Index steps, decode::Beams const& beams) {
    model.set_sampler({.steps = steps});
    std::vector<Course> result(sources.size());
    for (Course& course : result) course.after.resize(static_cast<std::size_t>(steps));
    (void)model.generate_with(
        sources, {.beams = beams}, decode::MeanLogProbability{}, [&](decode::StepData<float> const& step) {
            for (Index s = 0; s < step.sentences(); ++s) {
                auto& course = result[static_cast<std::size_t>(step.sources[static_cast<std::size_t>(s)])];
                course.after[static_cast<std::size_t>(step.step)].push_back(model.tokenizer().decode(step.sentence(s)));
            }
        });
    return result;
}

/// Each sentence stops once it has read the same after `still` steps in a row.
void stop_where_still(std::vector<Course> const& all, Texts const& references, std::size_t still) {
    Texts texts;
    std::size_t evaluations = 0;
    for (Course const& course : all) {
        std::size_t same = 0, step = 1;
        for (; step < course.after.size() && same < still; ++step)
            same = course.after[step].front() == course.after[step - 1].front() ? same + 1 : 0;
        evaluations += step;
        texts.push_back(course.after[step - 1].front());
    }
    std::printf("still=%zu evaluations=%.1f bleu=%.2f\n", still,
                static_cast<double>(evaluations) / static_cast<double>(all.size()), bleu(texts, references));
}

/// The candidates by minimum Bayes risk, best first, as they read after a step.
[[nodiscard]] std::vector<std::size_t> ranked(Texts const& texts, std::vector<std::size_t> order) {
    std::vector<decode::Candidate> candidates(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) candidates[i].text = texts[order[i]];
    auto const scores = decode::MinimumBayesRisk{}.scores(candidates);
    std::vector<std::size_t> places(order.size());
    std::iota(places.begin(), places.end(), std::size_t{0});
    std::ranges::stable_sort(places, [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    for (std::size_t& place : places) place = order[place];
    return places;
}

/// After step `from` (counted from 1) only the `kept` best go on; of those the best in the end is taken.
void drop_candidates(std::vector<Course> const& all, Texts const& references, std::size_t from, std::size_t kept) {
    Texts texts;
    std::size_t evaluations = 0;
    for (Course const& course : all) {
        std::vector<std::size_t> alive(course.after.front().size());
        std::iota(alive.begin(), alive.end(), std::size_t{0});
        evaluations += alive.size() * from + kept * (course.after.size() - from);
        alive = ranked(course.after[from - 1], alive);
        alive.resize(kept);
        if (kept > 2) alive = ranked(course.after.back(), alive);  // two are as much like each other
        texts.push_back(course.after.back()[alive.front()]);
    }
    std::printf("from=%zu keep=%zu evaluations=%.1f bleu=%.2f\n", from, kept,
                static_cast<double>(evaluations) / static_cast<double>(all.size()), bleu(texts, references));
}

}  // namespace

int main(int count, char** arguments) try {
    require(count == 4, "expected three arguments: MODEL SOURCES REFERENCES");
    auto model = Model::load<text::WordTokenizer, text::SentencePieceTokenizer>(arguments[1]);
    Texts const sources = read_lines(arguments[2]), references = read_lines(arguments[3]);
    auto const alone = courses(model, sources, 20, {});
    for (std::size_t const still : {1, 2, 3, 4}) stop_where_still(alone, references, still);
    auto const many = courses(model, sources, 10, {.length_beam = 5, .noise_beam = 2});
    for (std::size_t const from : {1, 2, 3, 5, 8, 10})
        for (std::size_t const kept : {1, 3, 5}) drop_candidates(many, references, from, kept);
    return 0;
} catch (std::exception const& problem) {
    std::cerr << "early_exits: " << problem.what() << '\n';
    return 2;
}
