#include "recipe.hpp"

namespace seq2seq {

namespace {

using Model = TextDiffusion<schedule::Rescaled<schedule::Sqrt>, embedding::Learned,
                            denoiser::EncoderDecoder<support::Device>, Sampling>;

/// Learned embeddings that an anchor loss keeps apart, and training noise F times as strong.
class Difformer final : public RecipeOf<Model> {
public:
    [[nodiscard]] std::string_view name() const override { return "difformer"; }

    void train(TrainSettings settings) const override {
        if (settings.latent == 0) settings.latent = 128;
        if (settings.longest == 0) settings.longest = 256;
        bool const clipped = settings.levels.value_or("even") == "clipped";
        bool const scored = !settings.valid_source.empty() && settings.valid_lines > 0;
        if (clipped && !scored) settings.average_best = 0;  // losses of ranges of noise that move cannot be compared
        require(!clipped || settings.loss == "anchor", "--levels is clipped, expected even with --loss rounding");
        if (clipped)
            train_by<objective::Anchor, objective::ClippedLevels>(settings, {.every = 50});
        else if (settings.loss == "rounding")
            train_by<objective::Rounding>(settings);
        else
            train_by<objective::Anchor>(settings);
    }

    void post_train(TrainSettings settings) const override {
        if (settings.loss == "rounding")
            post_train_by<objective::Rounding>(settings);
        else
            post_train_by<objective::Anchor>(settings);
    }

protected:
    [[nodiscard]] Sampling sampling(GenerateSettings const& settings) const override {
        return discrete_sampling(settings, table_steps);
    }

private:
    static constexpr Index table_steps = 2000;

    template <class Objective_>
    void post_train_by(TrainSettings const& settings) const {
        train_on<Trainer<Model, objective::DistancePenalty<Objective_>>>(
            settings, {.objective = penalty<Objective_>(settings), .discrete_steps = table_steps});
    }

    template <class Objective_, class Levels = objective::EvenLevels>
    void train_by(TrainSettings const& settings, Levels const& levels = {}) const {
        using Learning = Trainer<Model, Objective_, train::InverseSquareRoot, Levels>;
        typename Learning::Options options;
        options.levels = levels;
        options.discrete_steps = table_steps;
        options.drop_source = settings.drop_source.value_or(0.0);
        train_fresh<Learning>(settings, options, [&](support::Texts const& texts) {
            Model::Options model{.schedule = {.training_noise = settings.noise_factor},
                                 .embedding = {.width = settings.latent},
                                 .sampler = sampling({}),
                                 .device = settings.device(),
                                 .seed = settings.seed};
            set_sizes(model.denoiser, settings);
            model.denoiser.embedding_norm = !settings.without_embedding_norm;
            if (settings.without_self_conditioning) model.denoiser.self_conditioning = denoiser::SelfConditioning::none;
            return Model(texts.tokenizer, model);
        });
    }
};

}  // namespace

std::unique_ptr<Recipe> difformer() { return std::make_unique<Difformer>(); }

}  // namespace seq2seq
