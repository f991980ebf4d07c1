#include "../support/make_table.hpp"
#include "recipe.hpp"

namespace seq2seq {

namespace {

using Model =
    TextDiffusion<schedule::Cosine, embedding::Pretrained, denoiser::EncoderDecoder<support::Device>, Sampling>;

/// SED's table, schedule, self-conditioning and guidance, for pairs: the published system has one side alone, and the
/// program infill is that. Here an encoder reads the source, and is left out now and then, for guidance.
class Sed final : public RecipeOf<Model> {
public:
    [[nodiscard]] std::string_view name() const override { return "sed"; }

    void train(TrainSettings settings) const override {
        if (settings.latent == 0) settings.latent = 32;
        if (settings.longest == 0) settings.longest = 256;
        settings.vectors.latent = settings.latent;
        settings.vectors.kept = settings.model + ".vectors";
        settings.vectors.pads = 0.0;
        settings.vectors.seed = settings.seed;
        settings.vectors.anew = settings.restart;
        require(settings.drop_source.value_or(0.0) < 1.0 && settings.drop_source.value_or(0.0) >= 0.0,
                "--drop-source is ", settings.drop_source.value_or(0.0), ", expected a share in [0, 1)");
        Trainer<Model, objective::Rounding>::Options options;
        options.self_conditioning = settings.without_self_conditioning ? 0.0 : 1.0;
        options.train_first = !settings.without_self_conditioning;
        options.drop_source = settings.drop_source.value_or(0.1);
        options.discrete_steps = table_steps;
        train_fresh<Trainer<Model, objective::Rounding>>(settings, options, [&](support::Texts const& texts) {
            text::ParallelCorpus lines;
            for (Index i = 0; i < texts.corpus.size(); ++i) {
                if (settings.source_vocabulary == 0) lines.add({}, texts.corpus.source(i));
                lines.add({}, texts.corpus.target(i));
            }
            Model::Options model{.embedding = {.width = settings.latent,
                                               .frozen = !settings.vectors.trained,
                                               .table = support::make_table(settings.vectors, texts.tokenizer, lines)},
                                 .sampler = sampling({}),
                                 .device = settings.device(),
                                 .seed = settings.seed};
            set_sizes(model.denoiser, settings);
            if (settings.without_self_conditioning) model.denoiser.self_conditioning = denoiser::SelfConditioning::none;
            return Model(texts.tokenizer, model);
        });
    }

protected:
    [[nodiscard]] Sampling sampling(GenerateSettings const& settings) const override {
        return discrete_sampling(settings, table_steps);
    }

private:
    static constexpr Index table_steps = 1000;
};

}  // namespace

std::unique_ptr<Recipe> sed() { return std::make_unique<Sed>(); }

}  // namespace seq2seq
