#pragma once

#include "model_golden.hpp"

#include <inkling/backend/concept.hpp>
#include <inkling/decode/beams.hpp>
#include <inkling/decode/concept.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/embedding/layer_normed.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/objective/diffusion_loss.hpp>
#include <inkling/pipeline/denoise.hpp>
#include <inkling/recipe/difformer_import.hpp>
#include <inkling/schedule/discrete.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

/// Difformer's golden cases on any backend: forward passes, losses with every gradient, and decoding. Everything that a
/// model is, is read from the case.
namespace golden::difformer {

using inkling::Index, inkling::Token, inkling::Backend, inkling::MatrixView, inkling::VectorView;
using nlohmann::json;

constexpr double forward_tolerance = 2e-5;
constexpr double loss_tolerance = 1e-5;
constexpr double trajectory_tolerance = 1e-4;
constexpr double bleu_tolerance = 1e-6;  // stored through a float

/// Either of Difformer's embeddings, chosen when a case is read: so models are compiled once for both.
class AnySpace {
    using Space = std::variant<inkling::embedding::Learned, inkling::embedding::LayerNormed>;
    Space space_;

    template <class Question>
    [[nodiscard]] auto ask(Question const& question) const {
        return std::visit(question, space_);
    }

public:
    using Options = inkling::recipe::DifformerSettings;
    template <Backend B>
    using Saved = typename inkling::embedding::LayerNormed::template Saved<B>;

    AnySpace(inkling::nn::ParameterLayout& layout, Index vocabulary, Options const& settings)
        : space_(settings.normed_embedding
                     ? Space(inkling::embedding::LayerNormed(layout, vocabulary, settings.embedding))
                     : Space(inkling::embedding::Learned(layout, vocabulary,
                                                         {.width = settings.embedding.width,
                                                          .scaled = settings.embedding.scaled,
                                                          .tied = settings.embedding.tied}))) {}

    [[nodiscard]] Index width() const {
        return ask([](auto const& space) { return space.width(); });
    }
    [[nodiscard]] Index vocabulary() const {
        return ask([](auto const& space) { return space.vocabulary(); });
    }
    [[nodiscard]] double scale() const {
        return ask([](auto const& space) { return space.scale(); });
    }
    [[nodiscard]] inkling::nn::Parameter table() const {
        return ask([](auto const& space) { return space.table(); });
    }
    [[nodiscard]] inkling::nn::Parameter readout() const {
        return ask([](auto const& space) { return space.readout(); });
    }

    template <Backend B>
    void embed(inkling::nn::Pass<B>& pass, inkling::TokenView tokens, MatrixView<typename B::Scalar> z0,
               Saved<B>* saved = nullptr) const {
        if (auto const* const normed = std::get_if<inkling::embedding::LayerNormed>(&space_))
            normed->embed(pass, tokens, z0, saved);
        else
            std::get<inkling::embedding::Learned>(space_).template embed<B>(pass, tokens, z0);
    }
    template <Backend B>
    void embed_backward(inkling::nn::Pass<B>& pass, inkling::TokenView tokens, Saved<B> const& saved,
                        MatrixView<typename B::Scalar> dz0) const {
        if (auto const* const normed = std::get_if<inkling::embedding::LayerNormed>(&space_))
            normed->embed_backward(pass, tokens, saved, dz0);
        else
            std::get<inkling::embedding::Learned>(space_).template embed_backward<B>(pass, tokens, {}, dz0);
    }
};

/// What is Difformer's of a case.
template <Backend B>
struct Difformer {
    using Space = AnySpace;
    using Model = inkling::denoiser::EncoderDecoder<B>;
    using Settings = inkling::recipe::DifformerSettings;

    [[nodiscard]] static Settings read(json const& entry) {
        auto settings = Settings::read(entry.at("settings"), "golden");
        auto& model = settings.denoiser;  // fairseq's sinusoidal tables grow when a sentence needs it
        Index constexpr long_enough = 1024;
        if (model.encoder_positions == inkling::denoiser::Positions::sinusoidal)
            model.longest_source = std::max(model.longest_source, long_enough);
        if (model.decoder_positions == inkling::denoiser::Positions::sinusoidal)
            model.longest_target = std::max(model.longest_target, long_enough);
        return settings;
    }
    [[nodiscard]] static Settings const& space_options(Settings const& settings) { return settings; }
    [[nodiscard]] static auto weights(inkling::io::Safetensors const& file,
                                      inkling::nn::ParameterLayout const& layout) {
        return inkling::recipe::read_difformer_weights<typename B::Scalar>(file, layout);
    }
};
template <Backend B>
using Official = PaddedCase<B, Difformer<B>>;

template <Backend B>
void check_forward(json const& entry) {
    using Scalar = typename B::Scalar;
    Official<B> official(entry);
    auto const& file = official.file;
    auto const& model = official.model;
    auto pass = official.pass();
    Packing const source = official.places("in/src_tokens"), target = official.places("in/tgt_mask");
    Index const sentences = source.sentences(), rows = target.offsets.back();

    auto const encoded = model.encode(pass, official.source(pass, source));
    official.compare("encoder output", official.host(encoded.output), official.numbers("out/encoder/output", source),
                     forward_tolerance);

    auto const logits = official.host(model.length_logits(pass, encoded));
    official.compare("length logits", logits, file.template get<Scalar>("out/length/logits"), forward_tolerance);
    official.compare("length log-probabilities",
                     log_softmax(logits, logits.size() / static_cast<std::size_t>(sentences)),
                     file.template get<double>("out/length/log_probs"), forward_tolerance);
    VectorView<Token> const classes{official.workspace.template take<Token>(sentences), sentences};
    model.predict_lengths(pass, encoded, classes);
    auto const chosen = official.host(static_cast<Token const*>(classes.data), sentences);
    std::vector<Index> predicted, target_classes, official_lengths;
    for (Index s = 0; s < sentences; ++s) {
        predicted.push_back(model.length_of(source.length(s), chosen[static_cast<std::size_t>(s)]));
        target_classes.push_back(model.length_class(source.length(s), target.length(s)));
    }
    for (Index const length : file.template get<Index>("out/length/predicted"))
        official_lengths.push_back(std::max<Index>(2, length));  // decoding makes nothing shorter
    official.compare_exact("predicted lengths", predicted, official_lengths);
    official.compare_exact("length classes of the targets", target_classes,
                           file.template get<Index>("out/length/target_class"));

    auto const packed = official.target(pass, target, official.tokens("in/tgt_tokens", target));
    auto const z0 = pass.take(rows, official.space.width());
    official.space.embed(pass, packed.tokens, z0);
    official.compare("z_0", official.host(z0), official.numbers("out/decoder/z_0", target), forward_tolerance);

    std::vector<double> labels;
    for (Index const t : file.template get<Index>("in/t"))
        labels.push_back(model.time_label(
            {.time = static_cast<double>(t) / static_cast<double>(official.settings.diffusion_steps)}));
    auto const official_labels = file.template get<double>("out/decoder/model_t");  // in float32
    official.compare("time labels", labels, official_labels, forward_tolerance);
    auto const device_labels = inkling::pipeline::to_device<double>(pass, std::span<double const>(official_labels));
    auto const features = pass.take(sentences, model.options().width);
    time_features(official.device, VectorView<double const>(device_labels), features);
    // The official angles are float32, one unit in the last place of the largest label off what double says.
    double const angle_rounding =
        std::same_as<Scalar, double> ? *std::max_element(labels.begin(), labels.end()) * 0x1p-23 : 0.0;
    official.compare("time features", official.host(features),
                     file.template get<Scalar>("out/decoder/timestep_sinusoid"),
                     std::max(forward_tolerance, angle_rounding));
    auto const time = model.embed_times(pass, device_labels);
    official.compare("time embedding", official.host(time), file.template get<Scalar>("out/decoder/time_embedding"),
                     forward_tolerance);

    auto const z_t = official.matrix(pass, official.numbers("in/z_t", target), rows);
    for (std::string const which : {"prev_zero", "prev_given"}) {
        std::string const out = "out/decoder/" + which + "/";
        auto given = official.numbers("in/prev_z0_hat", target);
        if (which == "prev_zero") std::fill(given.begin(), given.end(), Scalar{0});
        auto const previous = official.matrix(pass, given, rows);
        auto const z0_hat = pass.take(rows, official.space.width());
        model.predict(pass, packed, encoded, z_t, time, previous, z0_hat);
        official.compare("z0_hat, " + which, official.host(z0_hat), official.numbers(out + "z0_hat", target),
                         forward_tolerance);
        official.compare("logits, " + which, official.host(official.logits(pass, z0_hat)),
                         official.numbers(out + "logits", target), forward_tolerance);
        auto const [best, scores] = official.read_out(pass, z0_hat);
        official.compare_exact("tokens, " + which, best, official.tokens(out + "tokens", target));
        official.compare("token scores, " + which, scores, official.numbers(out + "token_scores", target),
                         forward_tolerance);
    }
}

template <Backend B>
void check_loss(json const& entry) {
    using Scalar = typename B::Scalar;
    Official<B> official(entry);
    auto const& file = official.file;
    auto const& settings = official.settings;
    auto const& model = official.model;
    CHECK(settings.variance_preserving == entry.at("schedule_vp_factor").get<double>());
    CHECK(settings.training_noise == entry.at("noise_factor").get<double>());

    typename B::template Buffer<Scalar> gradients(official.layout.size());
    clear(official.device, gradients.data(), gradients.size());
    auto pass = official.pass(gradients.data());
    Packing const source = official.places("in/src_tokens"), target = official.places("in/tgt_tokens");
    Index const sentences = source.sentences(), rows = target.offsets.back();

    auto const table = settings.table();
    std::vector<Scalar> levels;
    std::vector<double> labels;
    std::vector<Token> classes;
    auto const steps = file.template get<Index>("in/t");
    for (Index s = 0; s < sentences; ++s) {
        Index const t = steps[static_cast<std::size_t>(s)];
        auto const level = inkling::schedule::noising(table.level(t), table.noise_factor());
        for (double const factor : {level.z0, 1.0, level.noise}) levels.push_back(static_cast<Scalar>(factor));
        labels.push_back(model.time_label({table.label_time(t), table.level(t)}));
        classes.push_back(model.length_class(source.length(s), target.length(s)));
    }
    std::vector<Index> const own_classes(classes.begin(), classes.end());
    official.compare_exact("length classes", own_classes, file.template get<Index>("mid/length_target"));

    inkling::objective::NoisedBatch<B> batch;
    batch.source = official.source(pass, source);
    batch.target = official.target(pass, target, official.tokens("in/tgt_tokens", target));
    batch.length_classes = inkling::pipeline::to_device<Token>(pass, std::span<Token const>(classes));
    batch.levels = official.matrix(pass, levels, sentences);
    batch.labels = inkling::pipeline::to_device<double>(pass, std::span<double const>(labels));
    batch.noise = official.matrix(pass, official.numbers("in/noise", target), rows);
    batch.self_condition = entry.at("self_conditioning_branch_taken").get<bool>();

    inkling::objective::DiffusionSaved<AnySpace, typename Official<B>::Model> saved;
    inkling::objective::DiffusionValues<B> values;
    auto losses = inkling::objective::diffusion_loss(pass, official.space, model, settings.objective(), batch, saved,
                                                     {.length_weight = settings.length_weight}, &values);
    losses.collect(pass);

    official.compare("z_0", official.host(values.z0), official.numbers("mid/z_0", target), forward_tolerance);
    official.compare("z_t", official.host(values.z_t), official.numbers("mid/z_t", target), forward_tolerance);
    official.compare("previous z0_hat", official.host(values.previous), official.numbers("mid/prev_z0_hat", target),
                     forward_tolerance);
    official.compare("z0_hat", official.host(values.z0_hat), official.numbers("mid/z0_hat", target), forward_tolerance);

    Row row(official.name, official.said("losses"), loss_tolerance);
    auto const against = [&](std::string const& array, double got) {
        row.add(array, worst_relative_error(std::vector<double>{got}, file.template get<double>("loss/" + array)));
    };
    against("total", losses.total());
    std::set<std::string_view> terms;
    for (auto const& term : losses.terms()) {
        terms.insert(term.name);
        if (term.name == "regression") against("diffusion", term.weight * term.value);
        if (term.name == "anchor" || term.name == "rounding") against("word_ins", term.weight * term.value);
        if (term.name == "nll") against("word_ins_nll", term.value);
        if (term.name == "length")
            against("length_nll", term.value), against("length_times_factor", term.weight * term.value);
    }
    row.add_exact("every term is reported",
                  terms.contains("regression") && terms.contains("nll") && terms.contains("length")
                      && terms.contains(settings.rounding_loss ? "rounding" : "anchor"));
    if (entry.at("gradients_stored").get<bool>())
        check_gradients(official, official.host(static_cast<Scalar const*>(gradients.data()), gradients.size()));
}

/// The decoding of a case in terms of our options: as index.json says it, and the same as the official options say it.
[[nodiscard]] inline inkling::recipe::DifformerDecoding decoding_of(
    json const& entry, inkling::io::Safetensors const& file, inkling::recipe::DifformerSettings const& settings) {
    auto const& said = entry.at("decoding");
    inkling::recipe::DifformerDecoding decoding;
    decoding.noise_schedule = said.at("noise_schedule");
    decoding.variance_preserving = said.at("schedule_vp_factor");
    decoding.sampler = {.steps = said.at("steps"),
                        .early_stopping = said.at("early_stopping"),
                        .discrete_steps = settings.diffusion_steps,
                        .noise_factor = said.at("noise_factor"),
                        .clamp = said.at("clamping")};
    for (char const* const name : {"fixed_t", "decoding_fixed_t"})
        if (said.contains(name) && !said.at(name).is_null()) decoding.sampler.fixed_time = said.at(name).get<double>();
    decoding.beams = {.length_beam = said.at("length_beam_size"), .noise_beam = said.at("noise_beam_size")};
    decoding.bleu_mbr = said.at("bleu_mbr");

    auto const metadata = golden::metadata(file);
    if (metadata.contains("decoding") && metadata.at("decoding").is_object()) {
        auto const read = inkling::recipe::DifformerDecoding::read(metadata.at("decoding"), settings);
        CHECK(read.noise_schedule == decoding.noise_schedule);
        CHECK(read.variance_preserving == decoding.variance_preserving);
        CHECK(read.sampler.steps == decoding.sampler.steps);
        CHECK(read.sampler.early_stopping == decoding.sampler.early_stopping);
        CHECK(read.sampler.noise_factor == decoding.sampler.noise_factor);
        CHECK(read.sampler.clamp == decoding.sampler.clamp);
        CHECK(read.sampler.fixed_time == decoding.sampler.fixed_time);
        CHECK(read.beams.length_beam == decoding.beams.length_beam);
        CHECK(read.beams.noise_beam == decoding.beams.noise_beam);
        CHECK(read.bleu_mbr == decoding.bleu_mbr);
    }
    return decoding;
}

template <Backend B>
void check_sampling(json const& entry) {
    using Scalar = typename B::Scalar;
    Official<B> official(entry);
    auto const& file = official.file;
    auto const& model = official.model;
    auto const decoding = decoding_of(entry, file, official.settings);
    auto const plan = decoding.sampler.plan(decoding.table());
    REQUIRE(plan.steps.size() == file.template get<Index>("out/step_index").size());
    auto const& beams = decoding.beams;

    auto pass = official.pass();
    Packing const source = official.places("in/src_tokens"), target = official.places("out/mask");
    Index const sentences = source.sentences(), rows = target.offsets.back();
    auto encoded = model.encode(pass, official.source(pass, source));

    // Lengths of all candidates, ordered by source, length, noise.
    VectorView<Token> const classes{official.workspace.template take<Token>(sentences), sentences};
    model.predict_lengths(pass, encoded, classes);
    auto const chosen_classes = official.host(static_cast<Token const*>(classes.data), sentences);
    std::vector<Index> predicted, sources;
    for (Index s = 0; s < sentences; ++s) {
        predicted.push_back(model.length_of(source.length(s), chosen_classes[static_cast<std::size_t>(s)]));
        sources.insert(sources.end(), static_cast<std::size_t>(beams.candidates()), s);
    }
    auto const lengths = inkling::decode::candidate_lengths(predicted, beams);
    official.compare_exact("lengths", lengths, file.template get<Index>("out/lengths"));
    REQUIRE(lengths == target.lengths());
    encoded.source_of = inkling::pipeline::to_device<Index>(pass, std::span<Index const>(sources)).data;

    // The trajectory, with the official noise.
    auto const step_noise = file.template get<Scalar>("in/step_noise");
    auto const after = file.template get<Scalar>("out/z_after_step");
    auto const estimates = file.template get<Scalar>("out/z0_hat");
    auto const at_step = [&](std::vector<Scalar> const& all, Index step) {
        std::size_t const size = all.size() / plan.steps.size();
        return target.pack(std::span<Scalar const>(all).subspan(static_cast<std::size_t>(step) * size, size));
    };
    auto const z = official.matrix(pass, official.numbers("in/initial_noise", target), rows);
    if (plan.initial_noise != 1.0) scale(official.device, static_cast<Scalar>(plan.initial_noise), z, z);
    official.compare("first z", official.host(z), official.numbers("out/z_initial", target), forward_tolerance);
    auto const packed = official.target(pass, target);
    Row after_row(official.name, official.said("z after each step"), trajectory_tolerance);
    Row estimate_row(official.name, official.said("z0_hat of each step"), trajectory_tolerance);
    auto const z0_hat = inkling::pipeline::denoise(
        pass, official.space, model, plan, packed, encoded, z,
        [&](Index step, MatrixView<Scalar> noise) {
            upload(official.device, std::span<Scalar const>(at_step(step_noise, step)), noise.data);
        },
        [&](inkling::pipeline::StepState<B> const& state) {
            after_row.add(std::to_string(state.step),
                          worst_relative_error(official.host(state.z), at_step(after, state.step)));
            estimate_row.add(std::to_string(state.step),
                             worst_relative_error(official.host(state.z0_hat), at_step(estimates, state.step)));
            return true;
        });

    // Tokens, scores, and the candidate that is chosen.
    auto const [best, scores] = official.read_out(pass, z0_hat);
    auto const official_tokens = official.tokens("out/final_tokens", target);
    official.compare_exact("final tokens", best, official_tokens);
    official.compare("token scores", scores, official.numbers("out/final_token_scores", target), trajectory_tolerance);
    std::vector<inkling::decode::Candidate> candidates;
    std::vector<bool> same;
    std::vector<double> means;
    for (Index c = 0; c < target.sentences(); ++c) {
        auto const begin = static_cast<std::size_t>(target.offsets[static_cast<std::size_t>(c)]);
        auto const end = static_cast<std::size_t>(target.offsets[static_cast<std::size_t>(c) + 1]);
        double sum = 0.0;
        bool equal = true;
        for (std::size_t i = begin; i < end; ++i) {
            sum += static_cast<double>(scores[i]);
            equal = equal && best[i] == official_tokens[i];
        }
        same.push_back(equal);
        means.push_back(sum / static_cast<double>(end - begin));
    }
    official.compare("mean log-probability of the candidates", means,
                     file.template get<double>("out/candidate_mean_log_prob"), trajectory_tolerance);
    auto const texts = texts_of(entry.at("candidate_strings"), same);
    for (std::size_t c = 0; c < means.size(); ++c)
        candidates.push_back({texts[c], means[c], beams.group(static_cast<Index>(c))});

    auto const each = static_cast<std::size_t>(beams.candidates());
    std::vector<double> candidate_scores, chosen_scores;
    std::vector<Token> chosen_tokens;
    auto const selected = file.template get<Token>("out/selected_tokens");
    std::size_t const length = selected.size() / static_cast<std::size_t>(sentences);
    for (std::size_t first = 0; first < candidates.size(); first += each) {
        auto const group = std::span<inkling::decode::Candidate const>(candidates).subspan(first, each);
        auto const all = decoding.selection().scores(group);
        auto const index = static_cast<std::size_t>(decoding.selection().select(group));
        candidate_scores.insert(candidate_scores.end(), all.begin(), all.end());
        chosen_scores.push_back(all[index]);
        std::size_t const begin = static_cast<std::size_t>(target.offsets[first + index]);
        std::size_t const end = static_cast<std::size_t>(target.offsets[first + index + 1]);
        for (std::size_t i = 0; i < length; ++i) chosen_tokens.push_back(begin + i < end ? best[begin + i] : Token{-1});
    }
    official.compare_exact("selected tokens", chosen_tokens, selected);
    official.compare("selected scores", chosen_scores, file.template get<double>("out/selected_score"),
                     trajectory_tolerance);
    if (file.contains("out/candidate_bleu_mbr_score"))
        official.compare("BLEU of the candidates", candidate_scores,
                         file.template get<double>("out/candidate_bleu_mbr_score"), bleu_tolerance);
}

}  // namespace golden::difformer
