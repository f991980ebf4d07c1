#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/decode/beams.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/embedding/layer_normed.hpp>
#include <inkling/recipe/difformer_choices.hpp>
#include <inkling/sampler/ddpm.hpp>
#include <inkling/schedule/cdcd.hpp>
#include <inkling/schedule/cosine.hpp>
#include <inkling/schedule/discrete.hpp>
#include <inkling/schedule/edm.hpp>
#include <inkling/schedule/linear_beta.hpp>
#include <inkling/schedule/rescaled.hpp>
#include <inkling/schedule/sqrt.hpp>
#include <inkling/text/concept.hpp>

#include <nlohmann/json.hpp>

#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace inkling::recipe {

namespace detail {

/// Takes settings by name out of a JSON object; what is not there, or null, has a fallback.
class NamedSettings {
public:
    NamedSettings(nlohmann::json const& json, std::string_view where) : json_(&json), where_(where) {
        require(json.is_object(), where, ": the settings are not a JSON object");
    }

    [[nodiscard]] bool flag(char const* name, bool fallback) const {
        auto const* const value = find(name);
        if (value == nullptr) return fallback;
        if (!value->is_boolean()) refuse(name, "true or false");
        return value->get<bool>();
    }
    [[nodiscard]] Index count(char const* name, Index fallback, Index least = 1) const {
        auto const* const value = find(name);
        if (value == nullptr) return fallback;
        Index constexpr most = Index{1} << 30;
        bool const good = value->is_number_integer() && value->get<double>() >= static_cast<double>(least)
            && value->get<double>() <= static_cast<double>(most);
        if (!good) refuse(name, least == 0 ? "a whole number from 0 to 2^30" : "a whole number from 1 to 2^30");
        return value->get<Index>();
    }
    [[nodiscard]] double number(char const* name, double fallback) const {
        auto const* const value = find(name);
        if (value == nullptr) return fallback;
        if (!value->is_number()) refuse(name, "a number");
        return value->get<double>();
    }
    [[nodiscard]] std::string text(char const* name, char const* fallback) const {
        auto const* const value = find(name);
        if (value == nullptr) return fallback;
        if (!value->is_string()) refuse(name, "a string");
        return value->get<std::string>();
    }
    [[nodiscard]] std::optional<double> optional_number(char const* name) const {
        if (find(name) == nullptr) return std::nullopt;
        return number(name, 0.0);
    }
    [[noreturn]] void refuse(char const* name, std::string_view expected) const {
        fail(where_, ": the setting '", name, "' is ", find(name) ? find(name)->dump() : "missing", ", expected ",
             expected);
    }

private:
    [[nodiscard]] nlohmann::json const* find(char const* name) const {
        auto const found = json_->find(name);
        return found == json_->end() || found->is_null() ? nullptr : &*found;
    }

    nlohmann::json const* json_;
    std::string_view where_;
};

}  // namespace detail

/// The table of T noise levels that the official programs make of a schedule's name.
///
/// @param name                 "linear", "cosine", "sqrt", "edm" or "cdcd"
/// @param steps                T
/// @param variance_preserving  see schedule::Rescaled
/// @param training_noise       likewise
/// @throws Error when there is no such schedule or a factor is not positive
[[nodiscard]] inline schedule::Discrete difformer_table(std::string_view name, Index steps,
                                                        double variance_preserving = 1.0, double training_noise = 1.0) {
    auto const table = [&]<class Schedule>(Schedule const& schedule) {
        return schedule::Discrete::sampled(schedule::Rescaled<Schedule>{schedule, variance_preserving, training_noise},
                                           steps);
    };
    if (name == "sqrt") return table(schedule::Sqrt{});
    if (name == "linear") return table(schedule::LinearBeta{});
    if (name == "cosine") return table(schedule::Cosine{});
    if (name == "edm") return table(schedule::Edm{});
    if (name == "cdcd") return table(schedule::Cdcd{});
    fail("inkling::recipe::difformer_table: the noise schedule is '", name,
         "', expected 'linear', 'cosine', 'sqrt', 'edm' or 'cdcd'");
}

/// What an official Difformer is trained with, in terms of our options.
struct DifformerSettings {
    Index vocabulary = 0;  ///< V; 0: not said
    text::SpecialTokens specials{};
    Index diffusion_steps = 2000;  ///< T
    std::string noise_schedule = "sqrt";
    double variance_preserving = 1.0;           ///< factor of the schedule, see schedule::Rescaled
    double training_noise = 1.0;                ///< F
    bool normed_embedding = false;              ///< z0 is embedding::LayerNormed; else embedding::Learned
    embedding::LayerNormedOptions embedding{};  ///< `affine` is for the former alone
    denoiser::EncoderDecoderOptions denoiser{};
    bool rounding_loss = false;  ///< objective::Rounding; else objective::Anchor
    double label_smoothing = 0.0;
    double length_weight = 0.1;

    /// What training lowers, but for the length loss.
    [[nodiscard]] DifformerObjective objective() const { return {rounding_loss, label_smoothing}; }
    /// Noise levels of training.
    [[nodiscard]] schedule::Discrete table() const {
        return difformer_table(noise_schedule, diffusion_steps, variance_preserving, training_noise);
    }

    /// Reads the official options, under the names of the command line with '_' for '-', such as the `args` of a
    /// checkpoint as JSON. Options that are not there have the official defaults; options of no concern are passed
    /// over.
    /// @param where  begins messages
    /// @throws Error naming an option of another kind than expected, or that asks for what this model has not
    [[nodiscard]] static DifformerSettings read(nlohmann::json const& json,
                                                std::string_view where = "inkling::recipe::DifformerSettings");
};

/// How an official Difformer decodes, in terms of our options.
struct DifformerDecoding {
    std::string noise_schedule = "sqrt";
    double variance_preserving = 1.0;  ///< factor of the schedule
    sampler::Ddpm sampler{};
    decode::Beams beams{};
    bool bleu_mbr = false;  ///< decode::MinimumBayesRisk; else decode::MeanLogProbability

    /// How a candidate is chosen.
    [[nodiscard]] DifformerSelection selection() const { return {bleu_mbr}; }
    /// Noise levels of decoding.
    [[nodiscard]] schedule::Discrete table() const {
        return difformer_table(noise_schedule, sampler.discrete_steps, variance_preserving);
    }

    /// Reads the official options: decoding_steps, clamping, length_beam_size and so on.
    /// @throws Error naming an option of another kind than expected
    [[nodiscard]] static DifformerDecoding read(nlohmann::json const& json, DifformerSettings const& trained,
                                                std::string_view where = "inkling::recipe::DifformerDecoding");
};

inline DifformerSettings DifformerSettings::read(nlohmann::json const& json, std::string_view where) {
    detail::NamedSettings const official(json, where);
    // What would change the model and is not there.
    for (char const* name : {"no_token_positional_embeddings", "adaptive_input", "no_cross_attention",
                             "cross_self_attention", "no_decoder_final_norm"})
        if (official.flag(name, false)) official.refuse(name, "false: the model has no such option");
    for (char const* name : {"attention_dropout", "activation_dropout", "relu_dropout", "encoder_layerdrop",
                             "decoder_layerdrop", "quant_noise_pq"})
        if (official.number(name, 0.0) != 0.0)
            official.refuse(name, "0: dropout is on the output of each part alone; to only decode, set it to 0");
    if (official.number("layer_norm_eps", 1e-5) != 1e-5) official.refuse("layer_norm_eps", "1e-05, PyTorch's own");

    DifformerSettings settings;
    settings.vocabulary = official.count("vocab", 0);
    settings.specials = {.bos = static_cast<Token>(official.count("bos", 0, 0)),
                         .pad = static_cast<Token>(official.count("pad", 1, 0)),
                         .eos = static_cast<Token>(official.count("eos", 2, 0)),
                         .unk = static_cast<Token>(official.count("unk", 3, 0))};
    if (settings.specials.pad != 1) official.refuse("pad", "1, fairseq's own, behind which positions begin");

    settings.diffusion_steps = official.count("diffusion_steps", 2000);
    settings.noise_schedule = official.text("noise_schedule", "sqrt");
    // Checkpoints of before the code's commit c1ec0e3 have each factor under a name of its own.
    settings.training_noise = official.number("rescaling_factor", official.number("noise_factor", 1.0));
    settings.variance_preserving =
        official.flag("vp_rf", false) ? settings.training_noise : official.number("rescale_factor", 1.0);

    bool const norm = official.flag("embed_norm", false);
    settings.normed_embedding = norm && official.flag("embed_norm_before_proj", false);
    bool const affine = official.flag("embed_norm_affine", false);
    bool const one_table = official.flag("share_all_embeddings", false);
    settings.embedding = {.width = official.count("latent_dim", 128),
                          .scaled = !official.flag("no_scale_embedding", false),
                          .tied = one_table || official.flag("share_decoder_input_output_embed", false),
                          .affine = affine};

    denoiser::EncoderDecoderOptions& model = settings.denoiser;
    model.width = official.count("model_dim", 512);
    model.layers = official.count("decoder_layers", 6);
    model.heads = official.count("decoder_attention_heads", 8);
    model.encoder_layers = official.count("encoder_layers", 6);
    model.encoder_heads = official.count("encoder_attention_heads", 8);
    model.encoder_hidden = official.count("encoder_ffn_embed_dim", 2048);
    model.hidden = official.count("decoder_ffn_embed_dim", model.encoder_hidden);
    model.dropout = official.number("dropout", 0.1);
    model.longest_source = official.count("max_source_positions", 1024);
    model.longest_target = official.count("max_target_positions", 1024);
    std::string const activation = official.text("activation_fn", "relu");
    if (activation == "relu")
        model.activation = backend::Activation::relu;
    else if (activation == "gelu")
        model.activation = backend::Activation::gelu;
    else if (activation == "silu")
        model.activation = backend::Activation::silu;
    else
        official.refuse("activation_fn", "\"relu\", \"gelu\" or \"silu\"");
    auto const positions = [&](char const* name) {
        return official.flag(name, false) ? denoiser::Positions::learned : denoiser::Positions::sinusoidal;
    };
    model.encoder_positions = positions("encoder_learned_pos");
    model.decoder_positions = positions("decoder_learned_pos");
    model.self_conditioning = !official.flag("self_cond", false) ? denoiser::SelfConditioning::none
        : official.flag("self_cond_before_proj", false)          ? denoiser::SelfConditioning::before_projection
                                                                 : denoiser::SelfConditioning::after_projection;
    model.encoder_embedding_norm = official.flag("layernorm_embedding", false);
    model.embedding_norm = norm && !settings.normed_embedding;
    model.embedding_norm_affine = affine;
    model.share_embedding = one_table;
    model.share_projection = official.flag("share_project_in_dim", false);
    model.encoder_normalize_before = official.flag("encoder_normalize_before", false);
    model.decoder_normalize_before = official.flag("decoder_normalize_before", false);
    model.time_scale =
        official.flag("rescale_timesteps", false) ? 1000.0 : static_cast<double>(settings.diffusion_steps);
    model.length_target =
        official.flag("pred_length_offset", false) ? denoiser::LengthTarget::offset : denoiser::LengthTarget::absolute;
    model.length_classes = 256;
    model.length_trains_encoder = !official.flag("sg_length_pred", false);

    settings.rounding_loss = official.flag("rounding_loss", false);
    settings.label_smoothing = official.number("label_smoothing", 0.0);
    settings.length_weight = official.number("length_loss_factor", 0.1);
    return settings;
}

inline DifformerDecoding DifformerDecoding::read(nlohmann::json const& json, DifformerSettings const& trained,
                                                 std::string_view where) {
    detail::NamedSettings const official(json, where);
    DifformerDecoding decoding;
    decoding.noise_schedule = official.text("decoding_noise_schedule", trained.noise_schedule.c_str());
    double const factor = official.number("decoding_rescaling_factor", official.number("decoding_noise_factor", 1.0));
    decoding.variance_preserving =
        official.flag("decoding_vp_rf", false) ? factor : official.number("decoding_rescale_factor", 1.0);
    decoding.sampler = {.steps = official.count("decoding_steps", trained.diffusion_steps),
                        .early_stopping = official.count("decoding_early_stopping", 0, 0),
                        .discrete_steps = trained.diffusion_steps,
                        .noise_factor = factor,
                        .clamp = official.flag("clamping", false),
                        .fixed_time = official.optional_number("decoding_fixed_t")};
    decoding.beams = {.length_beam = official.count("length_beam_size", 1),
                      .noise_beam = official.count("noise_beam_size", 1)};
    decoding.bleu_mbr = official.flag("bleu_mbr", false);
    if (official.flag("ppl_mbr", false))
        official.refuse("ppl_mbr", "false: decode::LowestPerplexity re-ranks by another model");
    return decoding;
}

}  // namespace inkling::recipe
