#pragma once

#include "dinoiser_plan.hpp"
#include "model_golden.hpp"

#include <inkling/backend/concept.hpp>
#include <inkling/decode/beams.hpp>
#include <inkling/decode/concept.hpp>
#include <inkling/denoiser/bottleneck_decoder.hpp>
#include <inkling/embedding/unit_sphere.hpp>
#include <inkling/objective/annealed_levels.hpp>
#include <inkling/objective/clipped_levels.hpp>
#include <inkling/objective/diffusion_loss.hpp>
#include <inkling/objective/length_only.hpp>
#include <inkling/pipeline/candidate_lengths.hpp>
#include <inkling/pipeline/denoise.hpp>
#include <inkling/recipe/dinoiser_import.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// DINOISER's golden cases on any backend: forward passes, losses with every gradient, time samplers and decoding.
/// Everything that a model is, is read from the case.
namespace golden::dinoiser {

using inkling::Index, inkling::Token, inkling::Backend, inkling::MatrixView, inkling::VectorView;
using nlohmann::json;

constexpr double forward_tolerance = 5e-5;
constexpr double loss_tolerance = 3e-5;
constexpr double trajectory_tolerance = 1e-4;
constexpr double level_tolerance = 1e-5;  // of clipped times: distances cancel in the official float32

/// What is DINOISER's of a case.
template <Backend B>
struct Dinoiser {
    using Space = inkling::embedding::UnitSphere;
    using Model = inkling::denoiser::BottleneckDecoder<B>;
    using Settings = inkling::recipe::DinoiserSettings;

    /// How it is trained is said beside the settings.
    [[nodiscard]] static Settings read(json const& entry) {
        json all = entry.at("settings");
        for (char const* const name : {"diffusion_loss_type", "time_sampler"})
            if (entry.contains(name)) all[name] = entry.at(name);
        return Settings::read(all, "golden");
    }
    [[nodiscard]] static auto const& space_options(Settings const& settings) { return settings.embedding; }
    [[nodiscard]] static auto weights(inkling::io::Safetensors const& file,
                                      inkling::nn::ParameterLayout const& layout) {
        return inkling::recipe::read_dinoiser_weights<typename B::Scalar>(file, layout);
    }
};
template <Backend B>
using Official = PaddedCase<B, Dinoiser<B>>;

/// Where tokens are by a mask of what is none.
template <Backend B>
[[nodiscard]] Packing places_beside(Official<B> const& official, std::string const& mask) {
    std::vector<bool> valid;
    for (Index const padded : official.file.template get<Index>(mask)) valid.push_back(padded == 0);
    return {valid, static_cast<std::size_t>(official.file.at(mask).shape().back())};
}

/// The official clipped end of a range, mended and held to [0, 1].
[[nodiscard]] inline double right_least_time(inkling::recipe::DinoiserSchedule const& schedule, double official) {
    if (schedule.kind != inkling::recipe::DinoiserNoise::linear) return std::clamp(official, 0.0, 1.0);
    double const first = 0.1, rise = 19.9, d = official * rise + first;  // its inverse lacks a square root
    return std::clamp((-first + std::sqrt(2.0 * first * first - d)) / rise, 0.0, 1.0);
}

/// ToEstimate of each level as rows [S, 3].
template <class Scalar>
[[nodiscard]] std::vector<Scalar> estimate_factors(inkling::denoiser::Output output,
                                                   std::vector<double> const& levels) {
    std::vector<Scalar> factors;
    for (double const level : levels) {
        auto const map = inkling::denoiser::to_estimate(output, level);
        for (double const factor : {map.output, map.z_t, map.second}) factors.push_back(static_cast<Scalar>(factor));
    }
    return factors;
}

/// The layers of a forward pass in the order of the official names "layer0", "layer1" ...
template <Backend B>
void compare_layers(Official<B>& official, std::string const& what, std::string const& array, Packing const& packing,
                    auto const& layers, MatrixView<typename B::Scalar const> last) {
    for (std::size_t i = 0; i < layers.size(); ++i) {
        // What a layer gives is what the next one is given: pre-norm, in front of its norm.
        auto const given = [&](auto const& layer) {
            return layer.options_before ? layer.saved->self_branch.norm.input : layer.saved->self.input;
        };
        auto const output = i + 1 < layers.size() ? given(layers[i + 1]) : last;
        official.compare(what + std::to_string(i), official.host(output),
                         official.numbers(array + std::to_string(i), packing), forward_tolerance);
    }
}

/// A layer's values, and whether its norms are in front.
template <class Saved>
struct SeenLayer {
    Saved const* saved;
    bool options_before;
};
template <class Saved>
[[nodiscard]] std::vector<SeenLayer<Saved>> seen(std::vector<Saved> const& layers, bool before) {
    std::vector<SeenLayer<Saved>> result;
    for (Saved const& layer : layers) result.push_back({&layer, before});
    return result;
}

template <Backend B>
void check_forward(json const& entry) {
    using Scalar = typename B::Scalar;
    using ConstView = MatrixView<Scalar const>;
    Official<B> official(entry);
    auto const& file = official.file;
    auto const& model = official.model;
    auto const& options = model.options();
    auto pass = official.pass();
    Packing const source = official.places("in/src_tokens"), target = places_beside(official, "in/tgt_padding_mask");
    Index const sentences = source.sentences(), rows = target.offsets.back(), latent = official.space.width();
    typename Official<B>::Model::Saved saved;

    auto const packed_source = official.source(pass, source);
    auto const encoded = model.encode(pass, packed_source, &saved);
    compare_layers(official, "encoder layer ", "out/encoder/layer", source,
                   seen(saved.encoder.layers, options.encoder_normalize_before), saved.encoder.norm.input);
    official.compare("encoder output, kept for training", official.host(encoded.output),
                     official.numbers("out/encoder/feature", source), forward_tolerance);
    official.compare("encoder output", official.host(model.encode(pass, packed_source).output),
                     official.numbers("out/encoder/feature", source), forward_tolerance);
    official.compare("mean encoder output", official.host(encoded.mean_output(pass)),
                     file.template get<Scalar>("out/length/pooled_feature"), forward_tolerance);
    official.compare("length logits", official.host(model.length_logits(pass, encoded)),
                     file.template get<Scalar>("out/length/logits"), forward_tolerance);
    auto const beam = file.at("out/length/predicted_beam3").shape().back();
    official.compare_exact(
        "lengths of the likeliest classes",
        inkling::pipeline::candidate_lengths(pass, model, encoded, source.lengths(),
                                             {.length_beam = beam, .longest = model.longest_target()}),
        file.template get<Index>("out/length/predicted_beam3"));
    std::vector<Index> first, classes;
    VectorView<Token> const likeliest{official.workspace.template take<Token>(sentences), sentences};
    model.predict_lengths(pass, encoded, likeliest);
    auto const chosen = official.host(static_cast<Token const*>(likeliest.data), sentences);
    for (Index s = 0; s < sentences; ++s) {
        auto const best = file.template get<Index>("out/length/predicted_beam3")[static_cast<std::size_t>(s * beam)];
        first.push_back(
            std::min(model.length_of(source.length(s), chosen[static_cast<std::size_t>(s)]), model.longest_target())
            - best);
        classes.push_back(model.length_class(source.length(s), target.length(s)));
    }
    official.compare_exact("the likeliest length is the first", first, std::vector<Index>(first.size(), 0));
    official.compare_exact("length classes of the targets", classes,
                           file.template get<Index>("out/length/target_class"));

    official.compare("table as it is read", official.host(inkling::embedding::readout_matrix(pass, official.space)),
                     file.template get<Scalar>("out/embedding/weight_used"), forward_tolerance);
    auto const packed = official.target(pass, target, official.tokens("in/tgt_tokens", target));
    auto const z0 = pass.take(rows, latent);
    official.space.embed(pass, packed.tokens, z0);
    official.compare("x0", official.host(z0), official.numbers("out/embedding/x0", target), forward_tolerance);

    std::vector<double> labels, levels;
    for (auto const t : file.template get<float>("in/t")) {
        levels.push_back(official.settings.schedule.alpha_bar(static_cast<double>(t)));
        labels.push_back(model.time_label({static_cast<double>(t), levels.back()}));
    }
    auto const device_labels = inkling::pipeline::to_device<double>(pass, std::span<double const>(labels));
    auto const frequencies = pass.vector(official.layout.find("timeW")->parameter);
    auto const features = pass.take(sentences, 2 * frequencies.size);
    fourier_features(official.device, VectorView<double const>(device_labels), frequencies, features);
    official.compare("time features", official.host(features), file.template get<Scalar>("out/time/embedding"),
                     forward_tolerance);
    auto const time = model.embed_times(pass, device_labels);
    official.compare("time embedding", official.host(time), file.template get<Scalar>("out/time/projected"),
                     forward_tolerance);

    auto const z_t = official.matrix(pass, official.numbers("in/x_t", target), rows);
    auto const factors = official.matrix(pass, estimate_factors<Scalar>(model.output(), levels), sentences);
    std::set<std::string> names;
    for (auto const& tensor : file.tensors())
        if (tensor.name().starts_with("out/denoise/") && tensor.name().ends_with("/model_out"))
            names.insert(tensor.name().substr(12, tensor.name().size() - 12 - 10));
    REQUIRE_FALSE(names.empty());
    for (std::string const& which : names) {
        std::string const out = "out/denoise/" + which + "/";
        auto given = official.numbers("in/prev_x_start", target);
        if (which == "prev_zero") std::fill(given.begin(), given.end(), Scalar{0});
        auto const previous = official.matrix(pass, given, rows);
        auto const memory = which == "unconditional" ? model.encode_nothing(pass, sentences) : encoded;
        auto const output = pass.take(rows, inkling::denoiser::output_width(model.output(), latent));
        model.predict(pass, packed, memory, z_t, time, previous, output);
        official.compare("output, " + which, official.host(output), official.numbers(out + "model_out", target),
                         forward_tolerance);
        model.predict(pass, packed, memory, z_t, time, previous, output, &saved);
        official.compare("output kept for training, " + which, official.host(output),
                         official.numbers(out + "model_out", target), forward_tolerance);
        auto const layers = seen(saved.decoder.layers, options.decoder_normalize_before);
        bool const before = options.decoder_normalize_before;
        compare_layers(official, which + ", layer ", out + "layer", target, layers,
                       before ? saved.decoder.norm.input : ConstView(saved.down.input));
        official.compare("decoder's output, " + which, official.host(saved.down.input),
                         official.numbers(out + "decoder_output", target), forward_tolerance);

        auto const z0_hat = pass.take(rows, latent);
        bool const mixed = model.output() == inkling::denoiser::Output::mixed;
        combine(official.device, packed.segments, factors, output.columns(0, latent), z_t,
                mixed ? ConstView(output.columns(latent, latent)) : ConstView{}, z0_hat);
        official.compare("x_start, " + which, official.host(z0_hat), official.numbers(out + "x_start", target),
                         forward_tolerance);
        official.compare("logits, " + which, official.host(official.logits(pass, z0_hat)),
                         official.numbers(out + "generator_logits", target), forward_tolerance);
        official.compare_exact("tokens, " + which, official.read_out(pass, z0_hat).first,
                               official.tokens(out + "prediction", target));
    }
}

/// One batch of a loss case with all that is random drawn, and a weight for each example.
template <Backend B>
[[nodiscard]] inkling::objective::NoisedBatch<B> batch_of(Official<B>& official, inkling::nn::Pass<B>& pass,
                                                          std::vector<double> const& weights, bool self_condition) {
    using Scalar = typename B::Scalar;
    auto const& settings = official.settings;
    auto const& model = official.model;
    Packing const source = official.places("in/src_tokens"), target = official.places("in/tgt_tokens");
    Index const sentences = source.sentences(), rows = target.offsets.back();
    auto const times = official.file.template get<float>("in/t");
    std::vector<Scalar> levels, error_factors, row_weights, error_weights;
    std::vector<double> labels, alpha_bars;
    std::vector<Token> classes;
    for (Index s = 0; s < sentences; ++s) {
        auto const at = static_cast<std::size_t>(s);
        double const t = static_cast<double>(times[at]), level = level_at(settings.schedule, t);
        auto const noising = inkling::schedule::noising(level);
        for (double const factor : {noising.z0, 1.0, noising.noise}) levels.push_back(static_cast<Scalar>(factor));
        for (double const factor : {inkling::objective::error_factor(settings.objective, level), 1.0, 0.0})
            error_factors.push_back(static_cast<Scalar>(factor));
        alpha_bars.push_back(level);
        labels.push_back(model.time_label({t, level}));
        classes.push_back(model.length_class(source.length(s), target.length(s)));
        row_weights.resize(row_weights.size() + static_cast<std::size_t>(target.length(s)),
                           static_cast<Scalar>(weights[at] / static_cast<double>(sentences * target.length(s))));
        double const counts = inkling::objective::error_weight(settings.objective, settings.schedule, t, level);
        error_weights.resize(row_weights.size(), row_weights.back() * static_cast<Scalar>(counts));
    }
    inkling::objective::NoisedBatch<B> batch;
    batch.source = official.source(pass, source);
    batch.target = official.target(pass, target, official.tokens("in/tgt_tokens", target));
    batch.length_classes = inkling::pipeline::to_device<Token>(pass, std::span<Token const>(classes));
    batch.levels = official.matrix(pass, levels, sentences);
    batch.labels = inkling::pipeline::to_device<double>(pass, std::span<double const>(labels));
    batch.noise = official.matrix(pass, official.numbers("in/noise", target), rows);
    batch.self_condition = batch.train_first = self_condition;
    batch.row_weights = inkling::pipeline::to_device<Scalar>(pass, std::span<Scalar const>(row_weights));
    batch.last_signal = inkling::schedule::signal(settings.schedule, 1.0);
    batch.error_factors = official.matrix(pass, error_factors, sentences);
    batch.error_weights = inkling::pipeline::to_device<Scalar>(pass, std::span<Scalar const>(error_weights));
    batch.to_estimate = official.matrix(pass, estimate_factors<Scalar>(model.output(), alpha_bars), sentences);
    return batch;
}

/// The time sampler of a case, by the live table: which least time it gives, and what it makes of the case's numbers.
template <Backend B>
void check_drawn_times(Official<B>& official, json const& entry) {
    auto const& file = official.file;
    auto pass = official.pass();
    auto const& chosen = official.settings.levels.chosen;
    inkling::objective::TimeRange range{entry.at("min_t"), entry.value("max_t", 1.0)};
    if (auto const* const clipped = std::get_if<inkling::objective::ClippedLevels>(&chosen)) {
        inkling::objective::ClippedLevels::State state;
        clipped->follow(state, pass, official.space, official.settings.schedule, 1);
        official.compare("least time", std::vector<double>{state.first},
                         std::vector<double>{right_least_time(official.settings.schedule, entry.at("min_t"))},
                         level_tolerance);
    }
    std::vector<double> times;
    for (double const u : file.template get<double>("in/u")) times.push_back(range.at(u));
    official.compare("times", times, file.template get<double>("in/t"), level_tolerance);
}

template <Backend B>
void check_loss(json const& entry) {
    using Scalar = typename B::Scalar;
    Official<B> official(entry);
    auto const& file = official.file;
    auto const& objective = official.settings.objective;
    Packing const target = official.places("in/tgt_tokens");
    auto const sentences = static_cast<std::size_t>(target.sentences());
    bool const both = official.settings.denoiser.self_conditioning;
    check_drawn_times(official, entry);

    typename B::template Buffer<Scalar> gradients(official.layout.size());
    clear(official.device, gradients.data(), gradients.size());
    auto const evaluate = [&](std::vector<double> const& weights, bool self_condition, Scalar* slopes,
                              auto const& look) {
        auto pass = official.pass(slopes);
        auto const batch = batch_of(official, pass, weights, self_condition);
        inkling::objective::DiffusionSaved<typename Official<B>::Space, typename Official<B>::Model> saved;
        inkling::objective::DiffusionValues<B> values;
        auto losses = inkling::objective::diffusion_loss(pass, official.space, official.model, objective, batch, saved,
                                                         {.length_weight = 0.0}, &values);
        losses.collect(pass);
        look(losses, values);
    };
    Row row(official.name, official.said("losses"), loss_tolerance);
    auto const against = [&](std::string const& what, double got, double want) {
        row.add(what, worst_relative_error(std::vector<double>{got}, std::vector<double>{want}));
    };
    auto const stored = [&](std::string const& array, std::size_t example = 0) {
        return file.template get<double>(array)[example];
    };
    // A cross-entropy near 0 is a difference of numbers as large as logits: where it is less than a hundredth of the
    // loss, its rounding in float32 is told against that.
    auto const against_nll = [&](std::string const& what, double got, double want) {
        row.add(what, std::abs(got - want) / std::max(std::abs(want), 0.01 * stored("loss/total")));
    };
    struct Parts {
        double diffusion = 0.0, nll = 0.0;
    };
    auto const parts_of = [&](auto const& losses) {
        Parts parts;
        std::set<std::string_view> terms;
        for (auto const& term : losses.terms()) {
            row.add_exact("a term is reported once", terms.insert(term.name).second);
            if (term.name == "regression" || term.name == "prior") parts.diffusion += term.weight * term.value;
            if (term.name == "rounding") parts.nll += term.weight * term.value;
        }
        row.add_exact("every term is reported",
                      terms.contains("regression") && terms.contains("prior") && terms.contains("rounding"));
        return parts;
    };

    evaluate(std::vector<double>(sentences, 1.0), both, gradients.data(), [&](auto const& losses, auto const& values) {
        official.compare("x_0", official.host(values.z0), official.numbers("mid/x_0", target), forward_tolerance);
        official.compare("x_t", official.host(values.z_t), official.numbers("mid/x_t", target), forward_tolerance);
        auto const first = both ? values.first_output : values.output;
        official.compare("output, first pass", official.host(first), official.numbers("mid/pass0/model_out", target),
                         forward_tolerance);
        if (both)
            official.compare("output, second pass", official.host(values.output),
                             official.numbers("mid/pass1/model_out", target), forward_tolerance);
        Parts const parts = parts_of(losses);
        against("total", losses.total(), stored("loss/total"));
        against("diffusion", parts.diffusion, stored("loss/diffusion"));
        against_nll("nll", parts.nll, stored("loss/nll"));
    });
    if (entry.at("gradients_stored").template get<bool>())
        check_gradients(official, official.host(static_cast<Scalar const*>(gradients.data()), gradients.size()));

    for (std::size_t example = 0; example < sentences; ++example) {
        std::vector<double> alone(sentences, 0.0);
        alone[example] = static_cast<double>(sentences);
        for (bool const second : {false, true}) {
            if (second && !both) continue;
            evaluate(alone, second, nullptr, [&](auto const& losses, auto const&) {
                Parts const parts = parts_of(losses);
                auto const of_passes = [&](std::string const& name) {
                    return stored("mid/pass0/" + name, example) + (second ? stored("mid/pass1/" + name, example) : 0.0);
                };
                against("diffusion of an example", parts.diffusion, of_passes("diffusion_loss"));
                against_nll("nll of an example", parts.nll, of_passes("nll"));
            });
        }
    }
}

template <Backend B>
void check_length_loss(json const& entry) {
    using Scalar = typename B::Scalar;
    Official<B> official(entry);
    typename B::template Buffer<Scalar> gradients(official.layout.size());
    clear(official.device, gradients.data(), gradients.size());
    auto pass = official.pass(gradients.data());
    Packing const source = official.places("in/src_tokens"), target = official.places("in/tgt_tokens");
    std::vector<Token> classes;
    for (Index s = 0; s < source.sentences(); ++s)
        classes.push_back(official.model.length_class(source.length(s), target.length(s)));
    inkling::objective::NoisedBatch<B> batch;
    batch.source = official.source(pass, source);
    batch.target = official.target(pass, target, official.tokens("in/tgt_tokens", target));
    batch.length_classes = inkling::pipeline::to_device<Token>(pass, std::span<Token const>(classes));
    inkling::objective::DiffusionSaved<typename Official<B>::Space, typename Official<B>::Model> saved;
    auto losses = inkling::objective::diffusion_loss(
        pass, official.space, official.model, inkling::objective::LengthOnly{}, batch, saved, {.length_weight = 1.0});
    losses.collect(pass);
    official.compare("length loss", std::vector<double>{losses.total()},
                     official.file.template get<double>("loss/total"), loss_tolerance);
    if (!entry.at("gradients_stored").template get<bool>()) return;

    // What has no gradient stored has none: the encoder is a constant.
    auto const host = official.host(static_cast<Scalar const*>(gradients.data()), gradients.size());
    Row row(official.name, official.said("gradients"), gradient_tolerance);
    for (auto const& layout_entry : official.layout.entries()) {
        auto const own = std::span(host).subspan(static_cast<std::size_t>(layout_entry.parameter.offset),
                                                 static_cast<std::size_t>(layout_entry.parameter.size()));
        std::string const array = "grad/" + layout_entry.name;
        if (official.file.contains(array))
            row.add(array, worst_relative_error(own, official.file.template get<Scalar>(array)));
        else
            row.add_exact(layout_entry.name + " has no gradient",
                          std::all_of(own.begin(), own.end(), [](Scalar slope) { return slope == Scalar{0}; }));
    }
}

/// A time sampler's own numbers: what its range is from a table, and where a share of it lies.
template <Backend B>
void check_time_samplers(json const& entry) {
    using Scalar = typename B::Scalar;
    std::string const name = entry.at("file");
    auto const file = tensors(name);
    std::string const in_double = std::same_as<Scalar, double> ? ", in double" : "";
    Row tables(name, "tables as they are read" + in_double, forward_tolerance),
        least(name, "least times" + in_double, level_tolerance), times(name, "times" + in_double, level_tolerance);
    auto const shares = file.template get<double>("u");
    auto const at_shares = [](inkling::objective::TimeRange const& range, std::vector<double> const& all) {
        std::vector<double> result;
        for (double const share : all) result.push_back(range.at(share));
        return result;
    };
    for (auto const& one : entry.at("entries")) {
        std::string const key = one.at("key"), embedding = one.at("embedding"), sampler = one.at("sampler");
        auto const schedule = inkling::recipe::dinoiser_schedule(one.at("scheduler").template get<std::string>());
        auto const& parameter = file.at(embedding + "/embedding_parameter");
        inkling::nn::ParameterLayout layout;
        inkling::embedding::UnitSphere const space(
            layout, parameter.shape()[0],
            {.width = parameter.shape()[1], .normalized = embedding.starts_with("normalized")});
        B device;
        inkling::nn::Workspace<B> workspace;
        auto const weights = parameter.template to<Scalar>();
        typename B::template Buffer<Scalar> memory(layout.size());
        upload(device, std::span<Scalar const>(weights), memory.data());
        inkling::nn::Pass<B> pass{device, workspace, memory.data()};
        auto const matrix = inkling::embedding::readout_matrix(pass, space);
        std::vector<Scalar> read(static_cast<std::size_t>(matrix.size()));
        download(device, matrix.data, std::span<Scalar>(read));
        tables.add(embedding,
                   worst_relative_error(read, file.template get<Scalar>(embedding + "/get_embedding_weight")));

        inkling::objective::ClippedLevels const levels{.smoothed = sampler == "clipped_s"};
        inkling::objective::ClippedLevels::State state;
        levels.follow(state, pass, space, schedule, 1);
        double const official = file.template get<double>(key + "/min_t").front();
        least.add(key,
                  worst_absolute_error(std::vector<double>{state.first},
                                       std::vector<double>{right_least_time(schedule, official)}));
        times.add(key, worst_absolute_error(at_shares({official, 1.0}, shares), file.template get<double>(key + "/t")));
    }

    Row simple(name, "times of even and annealed ranges" + in_double, level_tolerance);
    auto const drawn = file.template get<double>("simple/u"), steps = file.template get<double>("simple/k");
    for (auto const& tensor : file.tensors()) {
        auto const part = [&](int index) {
            std::size_t from = 0;
            for (int i = 0; i < index; ++i) from = tensor.name().find('/', from) + 1;
            return tensor.name().substr(from, tensor.name().find('/', from) - from);
        };
        if (part(0) != "simple" || tensor.name().find("/update") == std::string::npos) continue;
        inkling::objective::TimeRange range{.first = entry.value("min_t", 1e-3), .last = entry.value("max_t", 1.0)};
        if (part(1) != "uniform")
            range.first =
                inkling::objective::AnnealedLevels{range, entry.value("decay_factor", 5e-6), part(1) == "anneal_ascend"}
                    .first_after(std::stoll(part(3).substr(6)));
        auto all = drawn;
        if (part(2).starts_with("timesteps"))
            for (std::size_t i = 0; i < all.size(); ++i) all[i] = (steps[i] + 1.0) / std::stod(part(2).substr(9));
        simple.add(tensor.name(), worst_absolute_error(at_shares(range, all), tensor.template to<double>()));
    }
}

template <Backend B>
void check_sampling(json const& entry) {
    using Scalar = typename B::Scalar;
    using ConstView = MatrixView<Scalar const>;
    Official<B> official(entry);
    auto const& file = official.file;
    auto const& model = official.model;
    auto said = entry.at("decoding");
    bool const lengths_given = said.value("oracle_length", false);
    said["oracle_length"] = false;
    auto const decoding = inkling::recipe::DinoiserDecoding::read(said, official.settings, "golden");
    auto const plan = dinoiser_plan(decoding, official.settings.schedule, said, official.name, file);

    auto pass = official.pass();
    Packing const source = official.places("in/src_tokens"), target = places_beside(official, "out/padding_mask");
    Index const sentences = source.sentences(), rows = target.offsets.back();
    auto encoded = model.encode(pass, official.source(pass, source));
    auto beams = decoding.beams;
    beams.longest = model.longest_target();
    std::vector<Index> sources;
    for (Index s = 0; s < sentences; ++s)
        sources.insert(sources.end(), static_cast<std::size_t>(beams.candidates()), s);
    if (!lengths_given)
        official.compare_exact("lengths",
                               inkling::pipeline::candidate_lengths(pass, model, encoded, source.lengths(), beams),
                               file.template get<Index>("out/lengths"));
    REQUIRE(static_cast<Index>(sources.size()) == target.sentences());
    encoded.source_of = inkling::pipeline::to_device<Index>(pass, std::span<Index const>(sources)).data;

    // The trajectory, with the official noise.
    auto const step_noise =
        file.contains("in/step_noise") ? file.template get<Scalar>("in/step_noise") : std::vector<Scalar>{};
    auto const at_step = [&](std::vector<Scalar> const& all, Index step) {
        std::size_t const size = all.size() / plan.steps.size();
        return target.pack(std::span<Scalar const>(all).subspan(static_cast<std::size_t>(step) * size, size));
    };
    auto const all_of = [&](std::string const& array) {
        return file.contains(array) ? file.template get<Scalar>(array) : std::vector<Scalar>{};
    };
    auto const after = all_of("out/x_after_step"), before = all_of("out/x_before_step"),
               estimates = all_of("out/x_start"), noises = all_of("out/pred_noise");
    auto const z = official.matrix(pass, official.numbers("in/init_noise", target), rows);
    if (!before.empty()) official.compare("first x", official.host(z), at_step(before, 0), forward_tolerance);
    auto const packed = official.target(pass, target);
    auto last = official.host(z);  // what the step started from
    std::optional<Row> z_row;      // of ancestral decoding only what each step starts from is stored
    if (!after.empty() || plan.steps.size() > 1)
        z_row.emplace(official.name, official.said("x after each step"), trajectory_tolerance);
    Row estimate_row(official.name, official.said("x_start of each step"), trajectory_tolerance);
    Row noise_row(official.name, official.said("noise of each step"), trajectory_tolerance);
    auto const z0_hat = inkling::pipeline::denoise(
        pass, official.space, model, plan, packed, encoded, z,
        [&](Index step, MatrixView<Scalar> noise) {
            upload(official.device, std::span<Scalar const>(at_step(step_noise, step)), noise.data);
        },
        [&](inkling::pipeline::StepState<B> const& state) {
            auto const own = official.host(state.z0_hat);
            estimate_row.add(std::to_string(state.step), worst_relative_error(own, at_step(estimates, state.step)));
            double const level = plan.steps[static_cast<std::size_t>(state.step)].alpha_bar;
            auto const form = inkling::schedule::conversion(inkling::schedule::Quantity::z0,
                                                            inkling::schedule::Quantity::noise, level);
            std::vector<double> noise;
            for (std::size_t i = 0; i < own.size(); ++i)
                noise.push_back(form.known * static_cast<double>(own[i]) + form.z_t * static_cast<double>(last[i]));
            noise_row.add(std::to_string(state.step), worst_relative_error(noise, at_step(noises, state.step)));
            last = official.host(state.z);
            if (!after.empty())
                z_row->add(std::to_string(state.step), worst_relative_error(last, at_step(after, state.step)));
            else if (state.step + 1 < state.steps)
                z_row->add(std::to_string(state.step), worst_relative_error(last, at_step(before, state.step + 1)));
            return true;
        });

    // Tokens, and the candidate that is chosen.
    official.compare("last x_start", official.host(ConstView(z0_hat)), official.numbers("out/final_x_start", target),
                     trajectory_tolerance);
    official.compare("last logits", official.host(official.logits(pass, z0_hat)),
                     official.numbers("out/final_logits", target), trajectory_tolerance);
    auto const best = official.read_out(pass, z0_hat).first;
    auto const official_tokens = official.tokens("out/final_tokens", target);
    official.compare_exact("tokens", best, official_tokens);
    std::vector<bool> same;
    for (Index c = 0; c < target.sentences(); ++c) {
        bool equal = true;
        for (Index i = target.offsets[static_cast<std::size_t>(c)]; i < target.offsets[static_cast<std::size_t>(c) + 1];
             ++i)
            equal = equal && best[static_cast<std::size_t>(i)] == official_tokens[static_cast<std::size_t>(i)];
        same.push_back(equal);
    }
    json const& strings = entry.at("candidate_strings");
    auto const texts = texts_of(strings.empty() ? json() : strings, same);
    auto const each = static_cast<std::size_t>(beams.candidates());
    auto const selected = file.template get<Token>("out/selected_tokens");
    std::size_t const length = selected.size() / static_cast<std::size_t>(sentences);
    Row chosen(official.name, official.said("chosen candidates"), 0.0);
    for (std::size_t s = 0; s < static_cast<std::size_t>(sentences); ++s) {
        std::size_t index = 0;
        if (each > 1) {
            std::vector<inkling::decode::Candidate> candidates;
            for (std::size_t c = s * each; c < (s + 1) * each; ++c)
                candidates.push_back({texts[c], 0.0, beams.group(static_cast<Index>(c))});
            index = static_cast<std::size_t>(decoding.selection().select(candidates));
        }
        auto const begin = static_cast<std::size_t>(target.offsets[s * each + index]);
        auto const end = static_cast<std::size_t>(target.offsets[s * each + index + 1]);
        bool equal = end - begin <= length;
        for (std::size_t i = 0; equal && i < end - begin; ++i) equal = best[begin + i] == selected[s * length + i];
        for (std::size_t i = end - begin; equal && i < length; ++i)
            equal = selected[s * length + i] < 0 || selected[s * length + i] == official.settings.specials.pad;
        chosen.add_exact("of sentence " + std::to_string(s), equal);
    }
}

}  // namespace golden::dinoiser
