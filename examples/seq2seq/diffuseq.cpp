#include "recipe.hpp"

namespace seq2seq {

namespace {

using Model = TextDiffusion<schedule::Sqrt, embedding::NoisyLearned, denoiser::EncoderOnly<support::Device>, Sampling>;

constexpr Index table_steps = 2000;

/// Source and target as one sequence, of which the target alone is noised; one encoder cleans it.
class DiffuSeq final : public RecipeOf<Model> {
public:
    [[nodiscard]] std::string_view name() const override { return "diffuseq"; }

    void train(TrainSettings settings) const override {
        if (settings.latent == 0) settings.latent = 128;
        if (settings.longest == 0) settings.longest = 32;
        train_fresh<Trainer<Model, objective::DiffuSeq, train::InverseSquareRoot, objective::LossAwareLevels>>(
            settings, {.discrete_steps = table_steps}, [&](support::Texts const& texts) {
                Model::Options model{
                    .embedding = {.width = settings.latent, .start_noise = recipe::diffuseq_start_noise(table_steps)},
                    .sampler = sampling({}),
                    .device = settings.device(),
                    .seed = settings.seed};
                set_sizes(model.denoiser, settings);
                // behind bos source eos eos bos target eos come pads, up to the longest pair
                model.denoiser.longest = 2 * settings.longest + 1;
                return Model(texts.tokenizer, model);
            });
    }

    /// Each of a hundred parts of the levels soon has the losses that levels are drawn by, even in a short training.
    void post_train(TrainSettings settings) const override {
        auto objective = penalty<objective::DiffuSeq>(settings);
        objective.base.clean_goal = true;
        train_on<Trainer<Model, objective::DistancePenalty<objective::DiffuSeq>, train::InverseSquareRoot,
                         objective::LossAwareLevels>>(
            settings, {.objective = objective, .levels = {.parts = 100}, .discrete_steps = table_steps});
    }

protected:
    [[nodiscard]] Sampling sampling(GenerateSettings const& settings) const override {
        return discrete_sampling(settings, table_steps,
                                 {.variance = schedule::StepVariance::beta, .last_noise = false, .clamp = true});
    }
    [[nodiscard]] Index longest_side(Model const& model) const override {
        return (model.model().longest_target() - 1) / 2;
    }
};

}  // namespace

std::unique_ptr<Recipe> diffuseq() { return std::make_unique<DiffuSeq>(); }

}  // namespace seq2seq
