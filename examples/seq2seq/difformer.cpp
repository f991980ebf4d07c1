#include "recipe.hpp"

namespace seq2seq {

namespace {

using Model = TextDiffusion<schedule::Rescaled<schedule::Sqrt>, embedding::Learned,
                            denoiser::EncoderDecoder<backend::Cpu<>>, Sampling>;

/// Learned embeddings that an anchor loss keeps apart, and training noise F times as strong.
class Difformer final : public RecipeOf<Model> {
public:
    [[nodiscard]] std::string_view name() const override { return "difformer"; }

    void train(TrainSettings settings) const override {
        if (settings.latent == 0) settings.latent = 128;
        if (settings.longest == 0) settings.longest = 256;
        auto const make = [&](support::Texts const& texts) {
            return Model(texts.tokenizer,
                         {.schedule = {.training_noise = settings.noise_factor},
                          .embedding = {.width = settings.latent},
                          .denoiser = {.width = settings.width,
                                       .layers = settings.layers,
                                       .heads = settings.heads,
                                       .hidden = settings.hidden,
                                       .dropout = settings.dropout,
                                       .longest_source = settings.longest,
                                       .longest_target = settings.longest,
                                       .self_conditioning = settings.without_self_conditioning
                                           ? denoiser::SelfConditioning::none
                                           : denoiser::SelfConditioning::after_projection,
                                       .embedding_norm = !settings.without_embedding_norm},
                          .sampler = sampling({}),
                          .device = {.threads = settings.threads},
                          .seed = settings.seed});
        };
        if (settings.loss == "rounding")
            train_fresh<Trainer<Model, objective::Rounding>>(settings, {}, make);
        else
            train_fresh<Trainer<Model>>(settings, {}, make);
    }

    void post_train(TrainSettings settings) const override {
        using Penalty = objective::DistancePenalty<objective::Anchor>;
        train_on<Trainer<Model, Penalty>>(settings, {.objective = penalty<objective::Anchor>(settings)});
    }

protected:
    [[nodiscard]] Sampling sampling(GenerateSettings const& settings) const override {
        return discrete_sampling(settings, 2000);
    }
};

}  // namespace

std::unique_ptr<Recipe> difformer() { return std::make_unique<Difformer>(); }

}  // namespace seq2seq
