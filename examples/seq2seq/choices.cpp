#include "../support/autoregression.hpp"
#include "recipe.hpp"
#include "rescoring.hpp"

namespace seq2seq {

namespace {

template <Selection S>
Choice choice_of(S selection) {
    return {[selection](std::span<decode::Candidate const> candidates) { return selection.select(candidates); }};
}

}  // namespace

Choice make_choice(GenerateSettings const& settings) {
    require((settings.select == "perplexity") == !settings.scorer.empty(),
            "--select perplexity and --scorer go together");
    if (settings.select == "log-probability") return choice_of(decode::MeanLogProbability{});
    if (settings.select == "two-level-mbr") return choice_of(decode::TwoLevelMinimumBayesRisk{});
    if (settings.select == "mbr") return choice_of(decode::MinimumBayesRisk{});
    support::SearchSettings of_scorer;
    of_scorer.model = settings.scorer;
    of_scorer.threads = settings.threads;
    auto const scorer = std::make_shared<support::Autoregression const>(support::load(of_scorer));
    return {[scorer](std::span<decode::Candidate const> candidates) {
        return decode::LowestPerplexity<support::Autoregression>{scorer.get()}.select(candidates);
    }};
}

sampler::StepPlan step_plan(GenerateSettings const& settings) {
    if (settings.plan == "adaptive") return sampler::AdaptiveDecay{};
    if (settings.plan == "quadratic") return sampler::QuadraticSteps{};
    if (settings.plan == "even") return sampler::EvenSteps{};
    sampler::FittedSteps fitted;
    io::LineReader lines(settings.plan);
    for (std::string line; lines.next(line);) {
        std::size_t end = 0;
        double change = -1.0;
        try {
            change = std::stod(line, &end);
        } catch (std::exception const&) {}
        require(end == line.size() && change >= 0.0, "'", settings.plan, "': line ", lines.line_number(), " is '", line,
                "', expected a number of at least 0, as fit-plan writes them");
        fitted.change.push_back(change);
    }
    require(!fitted.change.empty(), "'", settings.plan, "' is empty, expected what fit-plan writes");
    return fitted;
}

Sampling discrete_sampling(GenerateSettings const& settings, Index steps_of_training, sampler::Ddpm ddpm) {
    auto const& chosen = settings.sampler;
    if (chosen == "dpm-solver")
        return {sampler::DpmSolver2M{
            .steps = settings.steps, .early_stopping = settings.early_stopping, .clamp = ddpm.clamp}};
    if (chosen == "ddim")
        return {sampler::Ddim{.steps = settings.steps,
                              .early_stopping = settings.early_stopping,
                              .discrete_steps = steps_of_training,
                              .step_plan = step_plan(settings),
                              .clamp = ddpm.clamp}};
    if (chosen == "cedi")
        return {sampler::Cedi{.steps = settings.steps, .early_stopping = settings.early_stopping, .clamp = ddpm.clamp}};
    ddpm.steps = settings.steps;
    ddpm.early_stopping = settings.early_stopping;
    ddpm.discrete_steps = steps_of_training;
    ddpm.step_plan = step_plan(settings);
    return {ddpm};
}

void distill(support::SearchSettings const& settings) { support::distill(settings); }

void rescore(RescoreSettings const& settings) {
    support::SearchSettings of_scorer;
    of_scorer.model = settings.scorer;
    of_scorer.threads = settings.threads;
    auto const scorer = support::load(of_scorer);
    decode::LowestPerplexity<support::Autoregression> const selection{&scorer};
    io::LineReader sources(settings.source);
    std::vector<io::LineReader> answers;
    for (std::string const& file : settings.candidates) answers.emplace_back(file);
    std::vector<std::string> lines(answers.size());
    Index number = 0;
    for (std::string source; sources.next(source);) {
        ++number;
        std::vector<decode::Candidate> candidates;
        for (std::size_t i = 0; i < answers.size(); ++i) {
            require(answers[i].next(lines[i]), "'", settings.candidates[i], "' ends before line ", number,
                    ", expected as many lines as '", settings.source, "'");
            candidates.push_back({.text = lines[i], .source = source});
        }
        std::cout << lines[static_cast<std::size_t>(selection.select(candidates))] << '\n';
    }
    for (std::size_t i = 0; i < answers.size(); ++i)
        require(!answers[i].next(lines[i]), "'", settings.candidates[i], "' has more lines than '", settings.source,
                "', expected as many");
    std::cout.flush();
    require(std::cout.good(), "standard output cannot be written");
}

}  // namespace seq2seq
