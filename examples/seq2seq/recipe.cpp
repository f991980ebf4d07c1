#include "recipe.hpp"

#include "../support/autoregression.hpp"

#include <algorithm>

namespace seq2seq {

namespace {

template <Selection S>
Choice choice_of(S selection) {
    return {[selection](std::span<decode::Candidate const> candidates) { return selection.select(candidates); }};
}

/// The plan of steps of the settings.
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

}  // namespace

Choice make_choice(GenerateSettings const& settings) {
    require((settings.select == "perplexity") == !settings.scorer.empty(),
            "--select perplexity and --scorer go together");
    if (settings.select == "log-probability") return choice_of(decode::MeanLogProbability{});
    if (settings.select == "two-level-mbr") return choice_of(decode::TwoLevelMinimumBayesRisk{});
    if (settings.select == "mbr") return choice_of(decode::MinimumBayesRisk{});
    auto const scorer =
        std::make_shared<support::Autoregression const>(support::load_autoregression(settings.scorer, settings));
    return {[scorer](std::span<decode::Candidate const> candidates) {
        return decode::LowestPerplexity<support::Autoregression>{scorer.get()}.select(candidates);
    }};
}

Sampling discrete_sampling(GenerateSettings const& settings, Index steps_of_training, sampler::Ddpm ddpm) {
    auto const& chosen = settings.sampler;
    if (chosen == "dpm-solver")
        return {sampler::DpmSolver2M{.steps = settings.steps,
                                     .discrete_steps = steps_of_training,
                                     .step_plan = step_plan(settings),
                                     .early_stopping = settings.early_stopping,
                                     .clamp = ddpm.clamp}};
    if (chosen == "ddim")
        return {sampler::Ddim{.steps = settings.steps,
                              .early_stopping = settings.early_stopping,
                              .discrete_steps = steps_of_training,
                              .step_plan = step_plan(settings),
                              .clamp = ddpm.clamp}};
    require(settings.plan == "even" || chosen != "cedi", "--plan is ", settings.plan,
            ", expected none with --sampler cedi, whose times are continuous");
    if (chosen == "cedi")
        return {sampler::Cedi{.steps = settings.steps, .early_stopping = settings.early_stopping, .clamp = ddpm.clamp}};
    ddpm.steps = settings.steps;
    ddpm.early_stopping = settings.early_stopping;
    ddpm.discrete_steps = steps_of_training;
    ddpm.step_plan = step_plan(settings);
    return {ddpm};
}

}  // namespace seq2seq
