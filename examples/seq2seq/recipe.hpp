#pragma once

#include "../support/translation.hpp"
#include "../support/vectors.hpp"

#include <inkling/io/json.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <iostream>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

/// What the program seq2seq does with the models of a recipe; a file beside this one says what each recipe is made of.
namespace seq2seq {

using namespace inkling;

/// Settings of a training, a fresh one or one that goes on from another model. 0 sizes are the recipe's own.
struct TrainSettings : support::TrainSettings {
    std::string recipe = "difformer", loss = "anchor";
    std::optional<std::string> levels;  // else dinoiser "clipped", difformer "even"
    double noise_factor = 4.0;
    std::optional<double> drop_source;  // else sed 0.1, others 0
    bool without_self_conditioning = false, without_embedding_norm = false;
    support::VectorSettings vectors{};
    std::string from, distance = "squared", second = "in-window";  // of post-training
    double penalty = 2.0, window = 0.05;
    Index apart = 10;

    TrainSettings() { latent = longest = 0; }
};

/// Settings of writing text.
struct GenerateSettings : support::WriteSettings {
    std::string select = "mbr", scorer, sampler, plan = "even";
    Index steps = 20, early_stopping = 0, length_beam = 1, noise_beam = 1;
    double guidance = 1.0;
    std::optional<double> fixed_time, eta;
    std::optional<bool> clamp;  // else the recipe's own
    std::uint64_t seed = 0;
};

/// Any of the library's ways of walking noise back, chosen while the program runs.
struct Sampling {
    std::variant<sampler::Ddpm, sampler::Ddim, sampler::ContinuousDdim, sampler::Cedi, sampler::DpmSolver2M> steps;
    double guidance = 0.0;

    template <NoiseSchedule Schedule>
    [[nodiscard]] sampler::Plan plan(Schedule const& schedule) const {
        return std::visit(
            [&]<class Steps>(Steps const& chosen) {
                return sampler::Guided<Steps>{.steps = chosen, .weight = guidance}.plan(schedule);
            },
            steps);
    }
};
static_assert(Sampler<Sampling>);

/// Any of the ways to choose among candidates.
struct Choice {
    std::function<Index(std::span<decode::Candidate const>)> select;
};
static_assert(Selection<Choice>);

/// The choice that the settings ask for.
/// @throws Error when the scorer's file is none, or there is one without the choice that needs it
[[nodiscard]] Choice make_choice(GenerateSettings const& settings);

/// What the program does with the models of one recipe.
class Recipe {
public:
    virtual ~Recipe() = default;
    [[nodiscard]] virtual std::string_view name() const = 0;
    /// Whether a model file holds a model of this recipe.
    [[nodiscard]] virtual bool wrote(io::ModelFile const& file) const = 0;
    virtual void train(TrainSettings settings) const = 0;
    /// Trains a model that is there with a penalty on how far apart its estimates are.
    virtual void post_train(TrainSettings settings) const = 0;
    virtual void generate(GenerateSettings const& settings) const = 0;
    virtual void evaluate(GenerateSettings const& settings) const = 0;
    /// Tells how far each time of the diffusion leaves tokens readable, and which noise factor would be enough.
    virtual void measure_noise(GenerateSettings const& settings) const = 0;
    /// Writes a file that --plan takes: where the model's answers to some lines change.
    virtual void fit_plan(GenerateSettings const& settings) const = 0;
};

[[nodiscard]] std::unique_ptr<Recipe> difformer();
[[nodiscard]] std::unique_ptr<Recipe> sed();
[[nodiscard]] std::unique_ptr<Recipe> dinoiser();
[[nodiscard]] std::unique_ptr<Recipe> diffuseq();

/// The penalty that the settings ask for, beside another objective.
template <class Base>
[[nodiscard]] objective::DistancePenalty<Base> penalty(TrainSettings const& settings) {
    objective::DistancePenalty<Base> penalty;
    penalty.weight = settings.penalty;
    penalty.distance = settings.distance == "cosine" ? objective::Distance::cosine
        : settings.distance == "divergence"          ? objective::Distance::divergence
                                                     : objective::Distance::squared;
    penalty.pairs.second = settings.second == "steps" ? objective::SecondLevel::steps
        : settings.second == "window-end"             ? objective::SecondLevel::window_end
                                                      : objective::SecondLevel::in_window;
    penalty.pairs.window = settings.window;
    penalty.pairs.steps = settings.apart;
    if (settings.label_smoothing) penalty.base.label_smoothing = *settings.label_smoothing;
    return penalty;
}

/// What every denoiser is told of its sizes.
template <class Options>
void set_sizes(Options& options, TrainSettings const& settings) {
    options.width = settings.width;
    options.layers = settings.layers;
    options.heads = settings.heads;
    options.hidden = settings.hidden;
    options.dropout = settings.dropout;
    if constexpr (requires { options.longest_source; })
        options.longest_source = options.longest_target = settings.longest;
    if constexpr (requires { options.share_embedding; }) options.share_embedding = settings.source_vocabulary == 0;
}

/// All but training, which is the same for every recipe.
template <class Model>
class RecipeOf : public Recipe {
public:
    [[nodiscard]] bool wrote(io::ModelFile const& file) const final {
        auto const settings = io::parse_json(file.description().configuration);
        auto const same = [&](char const* part, nlohmann::json const& own) {
            return settings.is_object() && pipeline::same_names(settings.value(part, nlohmann::json()), own);
        };
        return same("embedding", pipeline::to_json(typename Model::SpaceType::Options{}))
            && same("denoiser", pipeline::to_json(typename Model::ModelType::Options{}));
    }

    void post_train(TrainSettings) const override {
        fail("post-train: '", name(), "' is a recipe without it, expected a model of difformer or diffuseq");
    }

    void generate(GenerateSettings const& settings) const final {
        auto choice = make_choice(settings);
        auto const model = load(settings);
        support::write_lines(writer(model, settings, std::move(choice)));
    }
    void evaluate(GenerateSettings const& settings) const final {
        if (!settings.output.empty())
            support::refuse_to_replace({settings.scorer, settings.plan}, settings.output, "--output");
        auto choice = make_choice(settings);
        auto const model = load(settings);
        support::evaluate(settings, writer(model, settings, std::move(choice)));
    }

    void measure_noise(GenerateSettings const& settings) const final {
        auto const model = load(settings);
        auto const specials = model.tokenizer().specials();
        std::array<Token, 4> const excluded{specials.bos, specials.pad, specials.eos, specials.unk};
        train::Recoverability const tokens(model.embeddings(), model.space().width(),
                                           {.sample = 2048, .seed = settings.seed, .excluded = excluded});
        auto const& schedule = plain(model.schedule());
        double const factor = schedule::training_noise_factor(model.schedule());
        std::printf("tokens that can be read out of their own noisy embedding; chance reads %.1f %%\n  t    F = 1",
                    100.0 * tokens.share(std::numeric_limits<double>::infinity()));
        if (factor != 1.0) std::printf("   F = %.4g", factor);
        for (int tenth = 1; tenth < 10; ++tenth) {
            std::printf("\n%.1f  %5.1f %%", tenth / 10.0, 100.0 * train::recovered(tokens, schedule, tenth / 10.0));
            if (factor != 1.0)
                std::printf("   %5.1f %%", 100.0 * train::recovered(tokens, model.schedule(), tenth / 10.0));
        }
        std::printf(
            "\nthis F leaves one of twenty beyond chance at t = 0.5 (train --noise-factor, with difformer):\n"
            "noise_factor=%.2f\n",
            train::measured_noise_factor(tokens, schedule));
        require(std::fflush(stdout) == 0, "standard output cannot be written");
    }

    void fit_plan(GenerateSettings const& settings) const final {
        support::refuse_to_replace({settings.model, settings.source}, settings.output, "--output");
        io::AtomicFile(settings.output);  // can be written
        auto even = settings;
        if (even.sampler.empty()) even.sampler = "ddpm";  // which tells the denoiser the times that it is at
        auto const model = load(even);
        io::LineReader lines(settings.source);
        std::vector<std::vector<Token>> sources;
        for (std::string line; lines.next(line);) sources.push_back(model.tokenizer().encode_source(line));
        require(!sources.empty(), "'", settings.source, "' is empty, expected lines of text");
        decode::EstimateChange measured;
        (void)model.generate_tokens(
            sources,
            {.tokens_per_batch = settings.tokens_per_batch,
             .on_progress = [](Index done, Index total) { std::cerr << '\r' << done << '/' << total << std::flush; }},
            decode::MeanLogProbability{}, measured);
        std::string text;
        for (double const change : measured.change()) text += message(change, '\n');
        io::AtomicFile file(settings.output);
        file.write(text);
        file.commit();
        std::cerr << "\nplan written to " << settings.output << '\n';
    }

protected:
    /// The steps that noise is walked back in, without the guidance.
    [[nodiscard]] virtual Sampling sampling(GenerateSettings const& settings) const = 0;
    /// Rows that each side of a pair may have.
    [[nodiscard]] virtual Index longest_side(Model const& model) const { return model.model().longest_source(); }

    [[nodiscard]] Model load(GenerateSettings const& settings) const {
        constexpr bool can_do_without_source =
            requires(typename Model::ModelType const& denoiser, nn::Pass<typename Model::Device>& pass) {
                denoiser.encode_nothing(pass, Index{});
            };
        require(can_do_without_source || settings.guidance == 1.0, "--guidance is ", settings.guidance,
                ", expected 1, as models of ", name(), " always see their source");
        auto steps = sampling(settings);
        steps.guidance = settings.guidance - 1.0;
        return Model::template load<text::SentencePieceTokenizer, text::WordTokenizer, support::TwoTokenizers>(
            settings.model, {.sampler = std::move(steps), .device = settings.device()});
    }

    /// A fresh model, trained and written. @param make  make(texts) -> Model
    template <class AnyTrainer, class Make>
    static void train_fresh(TrainSettings const& settings, typename AnyTrainer::Options options, Make const& make) {
        support::check(settings);
        support::refuse_to_replace_model(settings, settings.model + ".checkpoint");
        auto const texts = support::read_texts(settings);
        Model model = make(texts);
        support::tell_size(model);
        support::fit<AnyTrainer>(settings, texts, model, std::move(options));
        support::write_model(model, settings);
    }

    /// A model that is there, trained on. What another model begins with has a checkpoint of its own.
    template <class AnyTrainer>
    void train_on(TrainSettings settings, typename AnyTrainer::Options options) const {
        GenerateSettings own;
        own.model = settings.from;
        static_cast<support::DeviceSettings&>(own) = settings;
        auto model = load(own);
        settings.longest = longest_side(model);
        support::check(settings);
        support::refuse_to_replace({settings.from}, settings.model, "--model");
        std::string const stage = ".from-" + pipeline::fingerprint(model);
        support::refuse_to_replace_model(settings, settings.model + stage + ".checkpoint");
        auto const texts =
            support::read_texts(settings, support::AnyTokenizer::deserialise(model.tokenizer().serialise()));
        support::fit<AnyTrainer>(settings, texts, model, std::move(options), stage);
        support::write_model(model, settings);
    }

private:
    [[nodiscard]] static auto writer(Model const& model, GenerateSettings const& settings, Choice choice) {
        return support::Writer(
            model, settings,
            [&model, &settings, choice = std::move(choice)](std::vector<std::vector<Token>> const& sources, Index first,
                                                            std::function<void(Index, Index)> on_progress) {
                return model.generate_tokens(
                    sources,
                    {.seed = settings.seed,
                     .first_source = first,
                     .beams = {.length_beam = settings.length_beam, .noise_beam = settings.noise_beam},
                     .tokens_per_batch = settings.tokens_per_batch,
                     .on_progress = std::move(on_progress)},
                    choice);
            });
    }

    /// A schedule without its training noise factor.
    template <class Schedule>
    [[nodiscard]] static Schedule const& plain(Schedule const& schedule) {
        return schedule;
    }
    template <class Schedule>
    [[nodiscard]] static Schedule const& plain(schedule::Rescaled<Schedule> const& rescaled) {
        return rescaled.schedule;
    }
};

/// @param sampler  the one that is run
/// @throws Error when a setting was given that it has no use for
void refuse_settings_of_others(GenerateSettings const& settings, std::string_view sampler);

/// The sampler of the settings, ddpm if they name none.
/// @param steps_of_training  T
/// @param ddpm               of the recipe, but for steps, plan and T
/// @throws Error when a plan or a setting is asked for that the sampler has no use for, or the plan's file is none
[[nodiscard]] Sampling discrete_sampling(GenerateSettings const& settings, Index steps_of_training,
                                         sampler::Ddpm ddpm = {});

}  // namespace seq2seq
