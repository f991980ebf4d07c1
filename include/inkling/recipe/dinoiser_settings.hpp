#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/decode/beams.hpp>
#include <inkling/decode/selection.hpp>
#include <inkling/denoiser/bottleneck_decoder.hpp>
#include <inkling/embedding/unit_sphere.hpp>
#include <inkling/io/json.hpp>
#include <inkling/objective/annealed_levels.hpp>
#include <inkling/objective/clipped_levels.hpp>
#include <inkling/objective/diffuseq.hpp>
#include <inkling/objective/level_weight.hpp>
#include <inkling/recipe/difformer_settings.hpp>
#include <inkling/sampler/cedi.hpp>
#include <inkling/sampler/continuous_ddim.hpp>
#include <inkling/schedule/geometric.hpp>
#include <inkling/schedule/inverse.hpp>
#include <inkling/schedule/linear_beta.hpp>
#include <inkling/schedule/quadratic_beta.hpp>
#include <inkling/schedule/sigma_linear.hpp>
#include <inkling/schedule/sigma_sqrt.hpp>
#include <inkling/text/concept.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace inkling::recipe {

/// DINOISER's noise schedulers; the last is its default.
enum class DinoiserNoise { linear, quadratic, geometric, sqrt, interchangable };

/// Any of DINOISER's noise schedulers, chosen at run time.
///
/// `log_snr` is the official one, which keeps pure noise finite by adding 1e-5 here and there; all else is exact.
struct DinoiserSchedule {
    DinoiserNoise kind = DinoiserNoise::interchangable;

    /// @throws Error when t is outside [0, 1]
    [[nodiscard]] double alpha_bar(double t) const {
        return as_chosen([&](auto const& schedule) { return schedule.alpha_bar(t); });
    }
    /// The time at which the noise is s, held to [0, 1].  @throws Error when s is outside [0, 1]
    [[nodiscard]] double time_at_noise(double s) const {
        return as_chosen([&](auto const& schedule) { return schedule.time_at_noise(s); });
    }
    /// -d log alpha_bar / dt, in units of 1 / time.  @throws Error where the official scheduler has none
    [[nodiscard]] double beta(double t) const {
        return as_chosen([&](auto const& schedule) -> double {
            if constexpr (requires { schedule.beta(t); })
                return schedule.beta(t);
            else
                fail(
                    "inkling::recipe::DinoiserSchedule: 'geometric' and 'sqrt' have no rate of noise, expected "
                    "'linear', 'quadratic' or 'interchangable'");
        });
    }
    /// log(a^2 / s^2), with what the official code adds.
    [[nodiscard]] double log_snr(double t) const {
        constexpr double added = 1e-5;
        double const level = alpha_bar(t), s = std::sqrt(1.0 - level);
        switch (kind) {
            case DinoiserNoise::geometric: return std::log(level + added) - 2.0 * std::log(s);
            case DinoiserNoise::sqrt: return std::log(level + added) - 0.5 * std::log(t + added);
            case DinoiserNoise::interchangable: return std::log(level + added) - 2.0 * std::log(t + added);
            case DinoiserNoise::linear:
            case DinoiserNoise::quadratic: break;
        }
        return schedule::log_snr(level);
    }
    /// The time of a log_snr, held to [0, 1]. The official inverse of 'linear' takes it for half of one.
    [[nodiscard]] double time_at_log_snr(double value) const {
        return schedule::time_at_half_log_snr(*this, kind == DinoiserNoise::linear ? value : 0.5 * value);
    }

private:
    template <class Use>
    [[nodiscard]] double as_chosen(Use const& use) const {
        switch (kind) {
            case DinoiserNoise::linear: return use(schedule::LinearBeta{});
            case DinoiserNoise::quadratic: return use(schedule::QuadraticBeta{});
            case DinoiserNoise::geometric: return use(schedule::Geometric{});
            case DinoiserNoise::sqrt: return use(schedule::SigmaSqrt{});
            case DinoiserNoise::interchangable: break;
        }
        return use(schedule::SigmaLinear{});
    }
};
static_assert(NoiseSchedule<DinoiserSchedule>);

/// Names the settings, for model files.
template <class Schedule, class Visit>
    requires std::same_as<std::remove_const_t<Schedule>, DinoiserSchedule>
void describe(Schedule& schedule, Visit const& visit) {
    visit("scheduler", schedule.kind, {"linear", "quadratic", "geometric", "sqrt", "interchangable"});
}

/// The scheduler of an official name.  @throws Error when there is none
[[nodiscard]] inline DinoiserSchedule dinoiser_schedule(std::string_view name) {
    if (name == "linear") return {DinoiserNoise::linear};
    if (name == "quadratic") return {DinoiserNoise::quadratic};
    if (name == "geometric") return {DinoiserNoise::geometric};
    if (name == "sqrt") return {DinoiserNoise::sqrt};
    if (name == "interchangable") return {DinoiserNoise::interchangable};
    fail("inkling::recipe::dinoiser_schedule: the scheduler is '", name,
         "', expected 'linear', 'quadratic', 'geometric', 'sqrt' or 'interchangable'");
}

/// Any of DINOISER's time samplers that can be run, chosen at run time.
struct DinoiserLevels {
    std::variant<objective::EvenLevels, objective::AnnealedLevels, objective::ClippedLevels> chosen =
        objective::ClippedLevels{};

    /// That of the one that is chosen.
    struct State {
        objective::AnnealedLevels::State annealed{};
        objective::ClippedLevels::State clipped{};
    };

private:
    template <class Any, class Use>
    auto with(Any& state, Use const& use) const {
        if (auto const* const own = std::get_if<objective::AnnealedLevels>(&chosen)) return use(*own, state.annealed);
        if (auto const* const own = std::get_if<objective::ClippedLevels>(&chosen)) return use(*own, state.clipped);
        objective::EvenLevels::State nothing;
        return use(std::get<objective::EvenLevels>(chosen), nothing);
    }

public:
    /// @throws Error naming the first setting that is out of its range
    void check() const {
        std::visit([](auto const& own) { own.check(); }, chosen);
    }
    template <Backend B, EmbeddingSpace Space, NoiseSchedule Schedule>
    void follow(State& state, nn::Pass<B>& pass, Space const& space, Schedule const& schedule, Index update) const {
        with(state, [&](auto const& own, auto& own_state) { own.follow(own_state, pass, space, schedule, update); });
    }
    [[nodiscard]] double draw_time(State const& state, RandomStream const& stream) const {
        return with(state, [&](auto const& own, auto& own_state) { return own.draw_time(own_state, stream); });
    }
    [[nodiscard]] Index draw_step(State const& state, schedule::Discrete const& table,
                                  RandomStream const& stream) const {
        return with(state, [&](auto const& own, auto& own_state) { return own.draw_step(own_state, table, stream); });
    }
};

/// Names every setting of the one that is chosen, for the checks of checkpoints.
template <class Visit>
void describe(DinoiserLevels const& levels, Visit const& visit) {
    Index const kind = static_cast<Index>(levels.chosen.index());
    visit("time_sampler", kind);
    std::visit([&](auto const& own) { describe(own, visit); }, levels.chosen);
}

/// Names the numbers of a run, for checkpoints.
template <class State, class Visit>
    requires std::same_as<std::remove_const_t<State>, DinoiserLevels::State>
void describe(State& state, Visit const& visit) {
    visit("annealed_first", state.annealed.first);
    visit("clipped_first", state.clipped.first);
}

/// What an official DINOISER is trained with, in terms of our options.
struct DinoiserSettings {
    Index vocabulary = 0;  ///< V; 0: not said
    text::SpecialTokens specials{};
    DinoiserSchedule schedule{};
    embedding::UnitSphereOptions embedding{};
    denoiser::BottleneckDecoderOptions denoiser{};
    objective::DiffuSeq objective{};
    DinoiserLevels levels{};

    /// Reads the official options, under the names of the command line with '_' for '-', such as the `args` of a
    /// checkpoint as JSON, or with "transformer." and "vae." in front of those that are JSON of their own there
    /// (`diffusion_model_config`, `vae_config`). Options that are not there have the defaults of the official scripts
    /// for IWSLT14; options of no concern are passed over.
    /// @param where  begins messages
    /// @throws Error naming an option of another kind than expected, or that asks for what this model has not
    [[nodiscard]] static DinoiserSettings read(nlohmann::json const& json,
                                               std::string_view where = "inkling::recipe::DinoiserSettings");
};

/// Any of DINOISER's solvers, with its guidance, chosen at run time.
struct DinoiserSampler {
    bool stretched = true;  ///< `cedi` is run; else `direct`
    sampler::Cedi cedi{};
    sampler::ContinuousDdim direct{};  ///< 'ddim', or with eta 1 'ddpm'
    double guidance = 0.0;             ///< see sampler::Guided

    /// The steps, noisiest first.  @throws Error as the sampler that is run does
    template <NoiseSchedule Schedule>
    [[nodiscard]] sampler::Plan plan(Schedule const& schedule) const {
        sampler::Plan plan = stretched ? cedi.plan(schedule) : direct.plan(schedule);
        plan.guidance = guidance;
        return plan;
    }
};
static_assert(Sampler<DinoiserSampler>);

/// How an official DINOISER decodes, in terms of our options.
struct DinoiserDecoding {
    DinoiserSampler sampler{};
    decode::Beams beams{};
    bool german = false;  ///< BLEU of candidates takes words apart by the international rules

    /// How a candidate is chosen.
    [[nodiscard]] decode::TwoLevelMinimumBayesRisk selection() const {
        decode::TwoLevelMinimumBayesRisk selection;
        if (german) selection.bleu.tokenizer = metric::BleuTokenizer::international;
        return selection;
    }

    /// Reads the official options: `solver`, `denoise_steps`, `denoise_scheduler` and so on.
    /// @throws Error naming an option of another kind than expected, or that asks for what is not there
    [[nodiscard]] static DinoiserDecoding read(nlohmann::json const& json, DinoiserSettings const& trained,
                                               std::string_view where = "inkling::recipe::DinoiserDecoding");
};

namespace detail {

/// Names of the two configurations that are JSON texts in the official arguments, written into one object.
[[nodiscard]] inline nlohmann::json flattened_dinoiser(nlohmann::json json, std::string_view where) {
    require(json.is_object(), where, ": the settings are not a JSON object");
    for (auto const& [name, prefix] : {std::pair{"diffusion_model_config", "transformer."}, {"vae_config", "vae."}}) {
        auto const found = json.find(name);
        if (found == json.end()) continue;
        nlohmann::json inner = *found;
        if (inner.is_string()) inner = io::parse_json(inner.get<std::string>());
        require(inner.is_object(), where, ": the setting '", name, "' is ", found->dump(), ", expected a JSON object");
        for (auto const& [own, value] : inner.items()) json[prefix + own] = value;
    }
    return json;
}

[[nodiscard]] inline denoiser::Output dinoiser_output(NamedSettings const& official) {
    using denoiser::Output;
    std::string const name = official.text("model_output_type", "x0");
    if (name == "x0") return Output::z0;
    if (name == "noise") return Output::noise;
    if (name == "velocity") return Output::velocity;
    if (name == "score") return Output::score;
    if (name == "mix_x0_eps") return Output::mixed;
    official.refuse("model_output_type", R"("x0", "noise", "velocity", "score" or "mix_x0_eps")");
}

/// `diffusion_loss_type`: a measure, '-' and a quantity, or how the levels of one are weighed.
[[nodiscard]] inline objective::DiffuSeq dinoiser_objective(NamedSettings const& official) {
    objective::DiffuSeq result;
    std::string const name = official.text("diffusion_loss_type", "l2-x0");
    auto const refuse = [&] {
        official.refuse("diffusion_loss_type",
                        "'l2', 'l1' or 'huber', then '-x0', '-noise', '-velocity', '-mle', '-reweighted', "
                        "'-trunc_snr', '-P2_' with two numbers of 0 or more, k and gamma, or, for that output, "
                        "'-mix_x0_eps'");
    };
    std::size_t const dash = name.find('-');
    std::string const measure = name.substr(0, dash), compared = dash == std::string::npos ? "" : name.substr(dash + 1);
    if (measure == "l2")
        result.measure = objective::ErrorMeasure::squared;
    else if (measure == "l1")
        result.measure = objective::ErrorMeasure::absolute;
    else if (measure == "huber")
        result.measure = objective::ErrorMeasure::huber;
    else
        refuse();
    using objective::LevelWeighting;
    auto const noise_by = [&](LevelWeighting by) {
        result.quantity = schedule::Quantity::noise;
        result.level_weight.by = by;
    };
    if (compared == "x0") {
        result.quantity = schedule::Quantity::z0;
    } else if (compared == "noise") {
        noise_by(LevelWeighting::even);
    } else if (compared == "velocity") {
        result.quantity = schedule::Quantity::velocity;
    } else if (compared == "mix_x0_eps") {
        result.mixed_output = true;
    } else if (compared == "mle") {
        noise_by(LevelWeighting::likelihood);
    } else if (compared == "reweighted") {
        noise_by(LevelWeighting::rate);
    } else if (compared == "trunc_snr") {
        noise_by(LevelWeighting::truncated_snr);
    } else if (compared.starts_with("P2_")) {
        std::size_t const between = std::min(compared.find('_', 3), compared.size() - 1);
        auto const number = [&](std::string const& digits) {
            auto const read = io::parse_json(digits);
            if (!read.is_number() || read.get<double>() < 0.0) refuse();
            return read.get<double>();
        };
        result.level_weight = {LevelWeighting::p2, number(compared.substr(3, between - 3)),
                               number(compared.substr(between + 1))};
    } else {
        refuse();
    }
    return result;
}

/// `time_sampler`, with `min_t`, `max_t`, `decay_factor` and `timesteps`.
[[nodiscard]] inline DinoiserLevels dinoiser_levels(NamedSettings const& official) {
    std::string const name = official.text("time_sampler", "clipped");
    double const steps = official.number("timesteps", -1.0);
    if (steps != -1.0 && (steps < 1.0 || steps != std::floor(steps)))
        official.refuse("timesteps", "-1 or a positive whole number");
    objective::TimeRange const range{official.number("min_t", 1e-3), official.number("max_t", 1.0),
                                     steps < 0.0 ? 0 : static_cast<Index>(steps)};
    DinoiserLevels levels;
    if (name == "uniform")
        levels.chosen = objective::EvenLevels{range};
    else if (name == "anneal_decay" || name == "anneal_ascend")
        levels.chosen =
            objective::AnnealedLevels{range, official.number("decay_factor", 5e-6), name == "anneal_ascend"};
    else if (name == "clipped" || name == "clipped_s")
        levels.chosen =
            objective::ClippedLevels{.smoothed = name == "clipped_s", .steps = range.steps, .last = range.last};
    else
        official.refuse("time_sampler", R"("uniform", "clipped", "clipped_s", "anneal_decay" or "anneal_ascend")");
    levels.check();
    return levels;
}

}  // namespace detail

inline DinoiserSettings DinoiserSettings::read(nlohmann::json const& json, std::string_view where) {
    nlohmann::json const flat = detail::flattened_dinoiser(json, where);
    detail::NamedSettings const official(flat, where);
    if (official.flag("partial_diffusion", false))
        official.refuse("partial_diffusion", "false: the model has no such option");
    for (char const* name : {"vae.inf_num_layers", "vae.gen_num_layers"})
        if (official.count(name, 0, 0) != 0) official.refuse(name, "0: z0 is an embedding");
    if (official.number("vae.std", 0.0) != 0.0) official.refuse("vae.std", "0: z0 is an embedding without noise");
    if (official.text("vae_type", "vae") != "vae") official.refuse("vae_type", "\"vae\"");
    if (official.text("length_model_type", "classification") != "classification")
        official.refuse("length_model_type", "\"classification\"");
    if (official.number("layer_norm_eps", 1e-5) != 1e-5) official.refuse("layer_norm_eps", "1e-05, PyTorch's own");

    DinoiserSettings settings;
    settings.vocabulary = official.count("vocab", 0, 0);
    settings.specials = {.bos = static_cast<Token>(official.count("bos", 0, 0)),
                         .pad = static_cast<Token>(official.count("pad", 1, 0)),
                         .eos = static_cast<Token>(official.count("eos", 2, 0)),
                         .unk = static_cast<Token>(official.count("unk", 3, 0))};
    settings.schedule = dinoiser_schedule(official.text("scheduler", "interchangable"));
    Index const latent = official.count("latent_dim", 16);
    if (official.count("vae.hidden_dim", latent) != latent)
        official.refuse("vae.hidden_dim", "latent_dim: z0 is an embedding");
    settings.embedding = {.width = latent,
                          .normalized = official.flag("vae.normalized_embedding", true),
                          .standard_deviation = official.number("vae.embedding_init_std", 1e-3)};

    denoiser::BottleneckDecoderOptions& model = settings.denoiser;
    model.width = official.count("transformer.hidden_dim", 512);
    model.hidden = official.count("transformer.ffn_dim", 1024);
    model.heads = official.count("transformer.num_heads", 4);
    model.encoder_layers = official.count("transformer.enc_num_layers", 6);
    model.layers = official.count("transformer.dec_num_layers", 6);
    model.encoder_normalize_before = official.flag("transformer.enc_prenorm", false);
    model.decoder_normalize_before = official.flag("transformer.dec_prenorm", false);
    model.dropout = official.number("dropout", 0.2);
    model.longest_source = official.count("max_source_positions", 256);
    model.longest_target = official.count("max_target_positions", 256);
    model.self_conditioning = official.flag("self_conditioning", true);
    model.time_frequencies = official.count("half_time_embedding_dim", 128);
    model.time_hidden = official.count("time_projection_hidden", 512);
    model.output = detail::dinoiser_output(official);
    std::string const lengths = official.text("length_predict_type", "difference");
    if (lengths != "difference" && lengths != "absolute")
        official.refuse("length_predict_type", "\"difference\" or \"absolute\"");
    model.length_target = lengths == "difference" ? denoiser::LengthTarget::offset : denoiser::LengthTarget::absolute;
    settings.objective = detail::dinoiser_objective(official);
    if (settings.objective.mixed_output && model.output != denoiser::Output::mixed)
        official.refuse("diffusion_loss_type", "another, as model_output_type is not mix_x0_eps");
    auto const weighed = settings.objective.level_weight.by;
    bool const by_rate = weighed == objective::LevelWeighting::likelihood || weighed == objective::LevelWeighting::rate;
    if (by_rate
        && (settings.schedule.kind == DinoiserNoise::geometric || settings.schedule.kind == DinoiserNoise::sqrt))
        official.refuse("diffusion_loss_type", "another, as the scheduler has no rate of noise");
    settings.levels = detail::dinoiser_levels(official);
    return settings;
}

inline DinoiserDecoding DinoiserDecoding::read(nlohmann::json const& json, DinoiserSettings const& trained,
                                               std::string_view where) {
    detail::NamedSettings const official(json, where);
    if (official.flag("interpolate", false)) official.refuse("interpolate", "false");
    if (official.text("diverse_generation", "none") != "none") official.refuse("diverse_generation", "\"none\"");
    if (official.flag("oracle_length", false)) official.refuse("oracle_length", "false: lengths are predicted");
    DinoiserDecoding decoding;
    std::string const spacing = official.text("denoise_scheduler", "uniform_time");
    DinoiserSchedule const& schedule = trained.schedule;
    sampler::TimeGrid grid{official.number("denoise_start", 1.0), official.number("denoise_end", 1e-3)};
    auto const ends = [&](sampler::Spacing even, auto const& time_of) {  // which are no times but what they are even in
        grid = {time_of(grid.start), time_of(grid.end), even};
    };
    if (spacing == "uniform_noise")
        ends(sampler::Spacing::noise, [&](double end) { return schedule.time_at_noise(end); });
    else if (spacing == "quadratic_noise")
        ends(sampler::Spacing::root_noise, [&](double end) { return schedule.time_at_noise(end); });
    else if (spacing == "uniform_half_log_snr")
        ends(sampler::Spacing::log_snr, [&](double end) { return schedule.time_at_log_snr(schedule.log_snr(end)); });
    else if (spacing != "uniform_time")
        official.refuse("denoise_scheduler",
                        R"("uniform_time", "uniform_noise", "quadratic_noise" or "uniform_half_log_snr")");
    std::string const solver = official.text("solver", "ddim");
    if (solver != "cedi" && solver != "ddim" && solver != "ddpm")
        official.refuse("solver", R"("cedi", "ddim" or "ddpm")");
    Index const steps = official.count("denoise_steps", 200);
    bool const clamp = official.flag("clamp", false), ancestral = solver == "ddpm";
    decoding.sampler = {.stretched = solver == "cedi",
                        .cedi = {.steps = steps, .labels = grid, .clamp = clamp},
                        .direct = {.steps = steps,
                                   .eta = ancestral ? 1.0 : 0.0,
                                   .times = grid,
                                   .stale_signal = ancestral,
                                   .clamp = clamp},
                        .guidance = official.number("denoise_guidance", 0.0)};
    decoding.beams = {.length_beam = official.count("beam", 1), .noise_beam = official.count("mbr", 1)};
    decoding.german = official.text("target_lang", "en") == "de";
    return decoding;
}

}  // namespace inkling::recipe
