#include "recipe.hpp"

#include "../support/autoregression.hpp"

#include <algorithm>
#include <string>
#include <string_view>

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

void refuse_settings_of_others(GenerateSettings const& settings, std::string_view sampler) {
    require(!settings.eta || sampler == "ddim", "--eta is ", settings.eta.value_or(0.0),
            ", expected none with --sampler ", sampler, ", as ddim alone chooses how much of its noise is fresh");
    require(!settings.fixed_time || sampler != "cedi", "--fixed-time is ", settings.fixed_time.value_or(0.0),
            ", expected none with --sampler cedi, which tells the denoiser times of its own");
}

Sampling discrete_sampling(GenerateSettings const& settings, Index steps_of_training, sampler::Ddpm ddpm) {
    std::string const chosen = settings.sampler.empty() ? "ddpm" : settings.sampler;
    refuse_settings_of_others(settings, chosen);
    bool const clamp = settings.clamp.value_or(ddpm.clamp);
    if (chosen == "dpm-solver")
        return {sampler::DpmSolver2M{.steps = settings.steps,
                                     .discrete_steps = steps_of_training,
                                     .step_plan = step_plan(settings),
                                     .early_stopping = settings.early_stopping,
                                     .clamp = clamp,
                                     .fixed_time = settings.fixed_time}};
    if (chosen == "ddim")
        return {sampler::Ddim{.steps = settings.steps,
                              .eta = settings.eta.value_or(0.0),
                              .early_stopping = settings.early_stopping,
                              .discrete_steps = steps_of_training,
                              .step_plan = step_plan(settings),
                              .clamp = clamp,
                              .fixed_time = settings.fixed_time}};
    require(settings.plan == "even" || chosen != "cedi", "--plan is ", settings.plan,
            ", expected none with --sampler cedi, whose times are continuous");
    if (chosen == "cedi")
        return {sampler::Cedi{.steps = settings.steps, .early_stopping = settings.early_stopping, .clamp = clamp}};
    ddpm.steps = settings.steps;
    ddpm.early_stopping = settings.early_stopping;
    ddpm.discrete_steps = steps_of_training;
    ddpm.step_plan = step_plan(settings);
    ddpm.clamp = clamp;
    ddpm.fixed_time = settings.fixed_time;
    return {ddpm};
}

}  // namespace seq2seq
