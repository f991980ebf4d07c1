#include "recipe.hpp"

#include <algorithm>
#include <string>

namespace seq2seq {

namespace {

using Model =
    TextDiffusion<schedule::SigmaLinear, embedding::UnitSphere, denoiser::BottleneckDecoder<support::Device>, Sampling>;
template <class Levels>
using LevelTrainer = Trainer<Model, objective::DiffuSeq, train::InverseSquareRoot, Levels>;
using LengthTrainer = Trainer<Model, objective::LengthOnly>;

/// Tokens on a sphere; noise in training that hides them, and a sampler that says there is much of it to the end.
class Dinoiser final : public RecipeOf<Model> {
public:
    [[nodiscard]] std::string_view name() const override { return "dinoiser"; }

    /// In two stages: all but the lengths, and then nothing but them, for a tenth of the minutes or a tenth more
    /// updates.
    void train(TrainSettings settings) const override {
        if (settings.latent == 0) settings.latent = 16;
        if (settings.longest == 0) settings.longest = 256;
        support::check(settings);
        support::refuse_to_replace_model(settings, settings.model + ".checkpoint");
        auto const texts = support::read_texts(settings);
        Model::Options options{.embedding = {.width = settings.latent},
                               .sampler = sampling({}),
                               .device = settings.device(),
                               .seed = settings.seed};
        set_sizes(options.denoiser, settings);
        options.denoiser.self_conditioning = !settings.without_self_conditioning;
        Model model(texts.tokenizer, options);
        support::tell_size(model);
        auto first = settings, second = settings;
        first.minutes = 0.9 * settings.minutes;
        second.minutes = 0.1 * settings.minutes;
        second.steps = settings.steps > 0 ? std::max<Index>(1, settings.steps / 10) : 0;
        second.warm_up = std::max<Index>(1, settings.warm_up / 10);
        first.valid_lines = second.valid_lines = 0;    // nothing can be written before lengths are known
        first.average_best = second.average_best = 0;  // losses of ranges of noise that move cannot be compared
        second.ema = second.weight_decay = 0.0;        // decay would move what the loss does not reach
        if (settings.levels.value_or("clipped") == "clipped")
            fit_levels<objective::ClippedLevels>(first, texts, model, {.every = 50});
        else
            fit_levels<objective::EvenLevels>(first, texts, model, {});
        std::cerr << "now the lengths\n";
        support::fit<LengthTrainer>(second, texts, model,
                                    recipe::dinoiser_length_training<support::Device, LengthTrainer::Options>(),
                                    ".lengths-" + pipeline::fingerprint(model));
        support::write_model(model, settings);
    }

protected:
    [[nodiscard]] Sampling sampling(GenerateSettings const& settings) const override {
        std::string const chosen = settings.sampler.empty() ? "cedi" : settings.sampler;
        if (chosen == "ddpm") return discrete_sampling(settings, 2000);
        require(settings.plan == "even", "--plan is ", settings.plan,
                ", expected none where dinoiser's sampler is cedi, ddim or dpm-solver, whose times are continuous");
        refuse_settings_of_others(settings, chosen);
        bool const clamp = settings.clamp.value_or(false);
        if (chosen == "dpm-solver")
            return {sampler::DpmSolver2M{.steps = settings.steps,
                                         .early_stopping = settings.early_stopping,
                                         .clamp = clamp,
                                         .fixed_time = settings.fixed_time}};
        if (chosen == "ddim")
            return {sampler::ContinuousDdim{.steps = settings.steps,
                                            .eta = settings.eta.value_or(0.0),
                                            .early_stopping = settings.early_stopping,
                                            .clamp = clamp,
                                            .fixed_time = settings.fixed_time}};
        return {sampler::Cedi{.steps = settings.steps, .early_stopping = settings.early_stopping, .clamp = clamp}};
    }

private:
    template <class Levels>
    static void fit_levels(TrainSettings const& settings, support::Texts const& texts, Model& model, Levels levels) {
        auto options = recipe::dinoiser_training<support::Device, typename LevelTrainer<Levels>::Options>();
        options.levels = levels;
        options.drop_source = settings.drop_source.value_or(0.0);
        if (settings.without_self_conditioning) options.self_conditioning = 0.0;
        support::fit<LevelTrainer<Levels>>(settings, texts, model, std::move(options));
    }
};

}  // namespace

std::unique_ptr<Recipe> dinoiser() { return std::make_unique<Dinoiser>(); }

}  // namespace seq2seq
