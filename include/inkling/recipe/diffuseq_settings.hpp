#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/denoiser/encoder_only.hpp>
#include <inkling/embedding/noisy_learned.hpp>
#include <inkling/objective/distance_penalty.hpp>
#include <inkling/recipe/difformer_settings.hpp>
#include <inkling/sampler/ddim.hpp>
#include <inkling/sampler/ddpm.hpp>
#include <inkling/sampler/step_plan.hpp>
#include <inkling/schedule/cosine.hpp>
#include <inkling/schedule/diffuseq.hpp>
#include <inkling/schedule/discrete.hpp>
#include <inkling/schedule/sqrt.hpp>
#include <inkling/text/concept.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <system_error>

namespace inkling::recipe {

/// The table of T noise levels that DiffuSeq and Bridge make of a schedule's name.
///
/// @param name   "linear", "cosine", "sqrt", "trunc_cos", "trunc_lin" or "pw_lin"
/// @param steps  T
/// @throws Error when there is no such schedule, or it has no table of that few steps
[[nodiscard]] inline schedule::Discrete diffuseq_table(std::string_view name, Index steps) {
    using schedule::Discrete;
    if (name == "sqrt") return Discrete::sampled(schedule::Sqrt{}, steps);
    if (name == "cosine") return Discrete::sampled(schedule::Cosine{}, steps);
    if (name == "linear") return Discrete::from_betas(schedule::diffuseq::linear_betas(steps));
    if (name == "trunc_lin") return Discrete::from_betas(schedule::diffuseq::truncated_linear_betas(steps));
    if (name == "pw_lin") return Discrete::from_betas(schedule::diffuseq::piecewise_linear_betas(steps));
    if (name == "trunc_cos") return Discrete::from_betas(schedule::diffuseq::truncated_cosine_betas(steps));
    fail("inkling::recipe::diffuseq_table: the noise schedule is '", name,
         "', expected 'linear', 'cosine', 'sqrt', 'trunc_cos', 'trunc_lin' or 'pw_lin'");
}

/// What an official DiffuSeq or Bridge is trained with, in terms of our options.
struct DiffuSeqSettings {
    Index vocabulary = 0;                                                      ///< V; 0: not said
    text::SpecialTokens specials{.bos = -1, .pad = -1, .eos = -1, .unk = -1};  ///< -1: not said
    Index diffusion_steps = 2000;                                              ///< T
    std::string noise_schedule = "sqrt";
    embedding::NoisyLearnedOptions embedding{};
    denoiser::EncoderOnlyOptions denoiser{};

    /// Noise levels of training and decoding.
    [[nodiscard]] schedule::Discrete table() const { return diffuseq_table(noise_schedule, diffusion_steps); }

    /// Reads the official options, such as training_args.json, with those of the encoder's config.json among them:
    /// sizes of the encoder that are not there are those of bert-base. Options of no concern are passed over.
    /// @param where  begins messages
    /// @throws Error naming an option of another kind than expected, or that asks for what this model has not
    [[nodiscard]] static DiffuSeqSettings read(nlohmann::json const& json,
                                               std::string_view where = "inkling::recipe::DiffuSeqSettings");
};

/// Bridge's penalty in terms of our options: `simi_penalty` ("l2" or "cosine" of a level some steps away, "l2_noise" of
/// the end of a window of noise, "l2_noise_random" of a level anywhere in it), `simi_lambda`, `simi_step`,
/// `simi_noise`.
///
/// Other names are read as the official code does: "l2_random" is "l2", and "cosine" with anything behind it has a
/// second level and no penalty.
///
/// Its target is the embedding without noise, as in Bridge's code.
/// @param where  begins messages
/// @throws Error naming an option of another kind than expected
[[nodiscard]] inline objective::DistancePenalty<> bridge_penalty(
    nlohmann::json const& json, std::string_view where = "inkling::recipe::bridge_penalty") {
    detail::NamedSettings const official(json, where);
    using objective::SecondLevel;
    objective::DistancePenalty<> penalty;
    penalty.base.clean_goal = true;
    std::string const name = official.text("simi_penalty", "l2_noise_random");
    bool const cosine = name.starts_with("cosine");
    std::string const rest = name.substr(std::min<std::size_t>(name.size(), cosine ? 6 : 2));
    if ((!cosine && !name.starts_with("l2"))
        || (!rest.empty() && rest != "_noise" && rest != "_noise_random" && rest != "_random"))
        official.refuse("simi_penalty", "'l2' or 'cosine', alone or with '_noise', '_noise_random' or '_random'");
    penalty.distance = cosine ? objective::Distance::cosine : objective::Distance::squared;
    penalty.weight = cosine && !rest.empty() ? 0.0 : -official.number("simi_lambda", -2.0);
    penalty.pairs.second = cosine || !rest.starts_with("_noise") ? SecondLevel::steps
        : rest == "_noise"                                       ? SecondLevel::window_end
                                                                 : SecondLevel::in_window;
    penalty.pairs.steps = official.count("simi_step", 10);
    penalty.pairs.window = official.number("simi_noise", 0.05);
    penalty.check();
    return penalty;
}

/// Either of the two samplers that DiffuSeq and Bridge decode with, chosen at run time.
struct DiffuSeqSampler {
    bool ddim = false;  ///< `implicit` is run; else `ancestral`
    sampler::Ddpm ancestral{
        .steps = 2000, .variance = schedule::StepVariance::beta, .last_noise = false, .clamp = true};
    sampler::Ddim implicit{};

    /// The steps, noisiest first.  @throws Error as the sampler that is run does
    template <NoiseSchedule Schedule>
    [[nodiscard]] sampler::Plan plan(Schedule const& schedule) const {
        return ddim ? implicit.plan(schedule) : ancestral.plan(schedule);
    }
};
static_assert(Sampler<DiffuSeqSampler>);

/// Which steps of several sections are kept: the first and the last of each, or as sampler::SectionedSteps has it.
enum class SectionRule { diffuseq, bridge };

/// Which of T steps an official text names: "adp_10" and "x2_10" of Bridge, "ddim20", "20", "10,15,20"; "none" or "":
/// all.
///
/// @param steps  takes how many are kept
/// @param rule   whose code keeps several sections
/// @throws Error when it is none of these
[[nodiscard]] inline sampler::StepPlan diffuseq_step_plan(std::string_view text, Index table_steps, Index& steps,
                                                          SectionRule rule) {
    auto const number = [&](std::string_view digits) {
        Index value = 0;
        auto const [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        require(error == std::errc{} && end == digits.data() + digits.size() && value > 0,
                "inkling::recipe::diffuseq_step_plan: the steps are '", text,
                "', expected 'adp_N', 'x2_N', 'ddimN', 'none' or numbers with ',' between them");
        return value;
    };
    steps = table_steps;
    if (text.empty() || text == "none") return sampler::EvenSteps{};
    for (auto const& [prefix, plan] :
         {std::pair<std::string_view, sampler::StepPlan>{"adp_", sampler::AdaptiveDecay{.published = true}},
          {"x2_", sampler::QuadraticSteps{}},
          {"ddim", sampler::StridedSteps{}}})
        if (text.starts_with(prefix)) {
            steps = number(text.substr(prefix.size()));
            return plan;
        }
    sampler::SectionedSteps sections;
    for (std::size_t from = 0; from < text.size();) {
        std::size_t const end = std::min(text.find(',', from), text.size());
        sections.counts.push_back(number(text.substr(from, end - from)));
        from = end + 1;
    }
    sampler::ListedSteps const listed{rule == SectionRule::bridge
                                          ? sampler::kept_steps(sections, table_steps, 1)
                                          : schedule::spaced_steps(table_steps, sections.counts)};
    steps = static_cast<Index>(listed.steps.size());
    return listed;
}

/// How an official DiffuSeq or Bridge decodes, in terms of our options.
struct DiffuSeqDecoding {
    DiffuSeqSampler sampler{};

    /// Reads the official options: `sampler` ("ddpm" or "ddim"), `respacing` (see diffuseq_step_plan; where it is not
    /// there, `timestep_respacing`, as training_args.json has it), `gap` (DiffuSeq's stride over an unchanged table,
    /// each step to the level next below) or `step` (its program's own: fewer than T of them are 'ddim' with a gap of
    /// T / step, rounded down), `eta`, `rounding`; and one that is not official, `source` ("DiffuSeq" or
    /// "Bridge_Gap_Diffusion"): whose code it is, needed where the steps are of several sections.
    /// @throws Error naming an option of another kind than expected, or one that asks for what is not there: `top_p`
    ///         above 0, `clamp_step` other than 0, `clamp_first` false, `clip_denoised`
    [[nodiscard]] static DiffuSeqDecoding read(nlohmann::json const& json, DiffuSeqSettings const& trained,
                                               std::string_view where = "inkling::recipe::DiffuSeqDecoding");
};

inline DiffuSeqSettings DiffuSeqSettings::read(nlohmann::json const& json, std::string_view where) {
    detail::NamedSettings const official(json, where);
    auto const either = [&](char const* one, char const* other, Index fallback) {
        return official.count(one, official.count(other, fallback));
    };
    DiffuSeqSettings settings;
    bool const named = json.contains("vocab") && json["vocab"].is_string();  // 'bert', beside the number in vocab_size
    settings.vocabulary = named ? official.count("vocab_size", 0) : either("vocab", "vocab_size", 0);
    auto const token = [&](char const* name) { return static_cast<Token>(official.count(name, -1, 0)); };
    settings.specials = {.bos = token("start"), .pad = token("pad"), .eos = token("end"), .unk = token("unk")};
    if (token("sep") != settings.specials.eos && token("sep") != -1)
        official.refuse("sep", "the token of 'end', which stands between source and target too");
    settings.diffusion_steps = either("T", "diffusion_steps", 2000);
    settings.noise_schedule = official.text("noise_schedule", "sqrt");
    if (!official.flag("predict_xstart", true)) official.refuse("predict_xstart", "true: the model estimates z0");
    if (official.flag("learn_sigma", false))
        official.refuse("learn_sigma", "false: variances are those of the schedule");
    if (official.number("layer_norm_eps", 1e-12) != 1e-12) official.refuse("layer_norm_eps", "1e-12, BERT's own");
    std::string const activation = official.text("hidden_act", "gelu");
    if (activation != "gelu" && !activation.starts_with("gelu (exact"))
        official.refuse("hidden_act", "\"gelu\", the exact one");

    Index const width = either("input_dims", "hidden_dim", 128);
    if (official.count("output_dims", width) != width) official.refuse("output_dims", "the width of the input");
    settings.embedding = {.width = width};
    settings.embedding.start_noise = schedule::noising(settings.table().level(0)).noise;

    denoiser::EncoderOnlyOptions& model = settings.denoiser;
    model.width = official.count("hidden_size", 768);
    model.layers = official.count("num_hidden_layers", 12);
    model.heads = official.count("num_attention_heads", 12);
    model.hidden = official.count("intermediate_size", 3072);
    model.time_width = official.count("hidden_t_dim", 128);
    model.dropout = official.number("dropout", 0.1);
    model.longest = official.count("max_position_embeddings", 512);
    model.filled = official.count("seq_len", 128);
    model.time_scale =
        official.flag("rescale_timesteps", true) ? 1000.0 : static_cast<double>(settings.diffusion_steps);
    return settings;
}

inline DiffuSeqDecoding DiffuSeqDecoding::read(nlohmann::json const& json, DiffuSeqSettings const& trained,
                                               std::string_view where) {
    detail::NamedSettings const official(json, where);
    DiffuSeqDecoding decoding;
    std::string kind = official.text("sampler", "ddpm");
    if (kind != "ddpm" && kind != "ddim") official.refuse("sampler", "\"ddpm\" or \"ddim\"");
    if (official.number("top_p", 0.0) > 0.0) official.refuse("top_p", "0 or less: noise is not cut off");
    if (official.count("clamp_step", 0, 0) != 0) official.refuse("clamp_step", "0: every step is clamped, or none");
    if (!official.flag("clamp_first", true)) official.refuse("clamp_first", "true: every step is clamped, or none");
    if (official.flag("clip_denoised", false)) official.refuse("clip_denoised", "false: no estimate is cut off");
    std::string const of_training = official.text("timestep_respacing", "");
    std::string const respacing = official.text("respacing", of_training.c_str());
    std::string const source = official.text("source", "");
    if (!source.empty() && source != "DiffuSeq" && source != "Bridge_Gap_Diffusion")
        official.refuse("source", R"("DiffuSeq" or "Bridge_Gap_Diffusion")");
    if (source.empty() && respacing.find(',') != std::string::npos)
        official.refuse("source", R"("DiffuSeq" or "Bridge_Gap_Diffusion", which keep sections differently,)");
    Index gap = official.count("gap", 1);
    if (Index const wanted = official.count("step", trained.diffusion_steps); wanted != trained.diffusion_steps) {
        if (wanted > trained.diffusion_steps) official.refuse("step", "at most those of the training");
        if (gap > 1) official.refuse("gap", "1 beside 'step'");
        if (!respacing.empty() && respacing != "none") official.refuse("step", "none with a table that is respaced");
        if (json.contains("sampler") && kind != "ddim") official.refuse("sampler", "\"ddim\" beside 'step'");
        gap = trained.diffusion_steps / wanted;
        kind = "ddim";
    }
    Index steps = 0;
    sampler::StepPlan plan =
        diffuseq_step_plan(respacing, trained.diffusion_steps, steps,
                           source == "Bridge_Gap_Diffusion" ? SectionRule::bridge : SectionRule::diffuseq);
    if (gap > 1) {
        if (!respacing.empty() && respacing != "none") official.refuse("gap", "1 with a table that is respaced");
        if (kind != "ddim") official.refuse("gap", "1 without 'ddim'");
        steps = (trained.diffusion_steps + gap - 1) / gap;
        plan = sampler::StridedSteps{.from_noisiest = true, .stride = gap};
    }
    bool const clamp = official.flag("rounding", true);
    DiffuSeqSampler& sampler = decoding.sampler;
    sampler.ddim = kind == "ddim";
    sampler.ancestral.steps = sampler.implicit.steps = steps;
    sampler.ancestral.step_plan = sampler.implicit.step_plan = plan;
    sampler.ancestral.discrete_steps = sampler.implicit.discrete_steps = trained.diffusion_steps;
    sampler.ancestral.clamp = sampler.implicit.clamp = clamp;
    sampler.implicit.eta = official.number("eta", 0.0);
    sampler.implicit.neighbour_levels = gap > 1;
    return decoding;
}

}  // namespace inkling::recipe
