#pragma once

#include "model_golden.hpp"

#include <inkling/backend/concept.hpp>
#include <inkling/denoiser/encoder_only.hpp>
#include <inkling/embedding/noisy_learned.hpp>
#include <inkling/objective/diffusion_loss.hpp>
#include <inkling/objective/distance_penalty.hpp>
#include <inkling/pipeline/denoise.hpp>
#include <inkling/pipeline/device_batch.hpp>
#include <inkling/recipe/diffuseq_import.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// DiffuSeq's and Bridge's golden cases on any backend: forward passes, losses with every gradient, and decoding.
/// Everything that a model is, is read from the case. There is no padding: all sequences have one length.
namespace golden::diffuseq {

using inkling::Index, inkling::Token, inkling::Backend, inkling::MatrixView, inkling::VectorView;
using nlohmann::json;

constexpr double forward_tolerance = 2e-5;
constexpr double distance_tolerance = 5e-5;  // of logits_mode2, the root of a sum that cancels
constexpr double loss_tolerance = 1e-5;
constexpr double trajectory_tolerance = 1e-4;

/// The official model of one case with its weights, on a backend.
template <Backend B>
struct Official {
    using Scalar = typename B::Scalar;
    using View = MatrixView<Scalar>;
    using ConstView = MatrixView<Scalar const>;
    using Space = inkling::embedding::NoisyLearned;
    using Model = inkling::denoiser::EncoderOnly<B>;

    std::string name;  // of the case's file
    inkling::io::Safetensors file;
    inkling::recipe::DiffuSeqSettings settings;
    inkling::nn::ParameterLayout layout{};
    Space space;
    Model model;
    B device{};
    inkling::nn::Workspace<B> workspace{};
    typename B::template Buffer<Scalar> weights;
    std::vector<Token> scratch{};
    std::vector<Token> tokens;  // [N], of all sequences
    std::vector<bool> noised;   // [N], false where the source is
    Index sentences = 0, rows = 0, length = 0;

    explicit Official(json const& entry)
        : name(entry.at("file")),
          file(golden::tensors(name)),
          settings(inkling::recipe::DiffuSeqSettings::read(entry.at("settings"), "golden")),
          space(layout, settings.vocabulary, settings.embedding),
          model(layout, settings.denoiser, space),
          weights(layout.size()),
          tokens(file.template get<Token>("in/input_ids")) {
        auto const values =
            inkling::recipe::read_diffuseq_weights<Scalar>(golden::tensors(entry.at("weights")), layout);
        upload(device, std::span<Scalar const>(values), weights.data());
        for (Index const mark : file.template get<Index>("in/input_mask")) noised.push_back(mark != 0);
        auto const shape = file.at("in/input_ids").shape();
        sentences = shape[0], length = shape[1], rows = sentences * length;
    }

    [[nodiscard]] inkling::nn::Pass<B> pass(Scalar* gradients = nullptr) {
        workspace.reset();
        return {device, workspace, weights.data(), gradients};
    }

    /// Where rows begin to be noised, or cease to be, `times` times over; which of these spans are noised; and whose
    /// they are.
    struct Spans {
        std::vector<Index> offsets{0};
        std::vector<bool> noised;
        std::vector<std::size_t> sentences;
    };
    [[nodiscard]] Spans spans(Index times = 1) const {
        Spans result;
        for (Index row = 0; row < times * rows; ++row) {
            bool const own = noised[static_cast<std::size_t>(row % rows)];
            if (row % length == 0 || own != result.noised.back()) {
                if (row > 0) result.offsets.push_back(row);
                result.noised.push_back(own);
                result.sentences.push_back(static_cast<std::size_t>(row / length));
            }
        }
        result.offsets.push_back(times * rows);
        return result;
    }
    [[nodiscard]] inkling::Segments segments(inkling::nn::Pass<B>& pass, std::vector<Index> const& offsets) {
        auto const memory = inkling::pipeline::to_device<Index>(pass, std::span<Index const>(offsets));
        Index longest = 0;
        for (std::size_t i = 1; i < offsets.size(); ++i) longest = std::max(longest, offsets[i] - offsets[i - 1]);
        return {memory.data, static_cast<Index>(offsets.size()) - 1, offsets.back(), longest};
    }

    /// The sequences, one behind the other, `times` times over.
    [[nodiscard]] inkling::PackedSequences sequences(inkling::nn::Pass<B>& pass, Index times = 1) {
        std::vector<Index> offsets;
        for (Index s = 0; s <= times * sentences; ++s) offsets.push_back(s * length);
        return inkling::pipeline::to_device(pass, offsets, repeated(tokens, times), scratch, model.longest_target(),
                                            "packed");
    }
    template <class T>
    [[nodiscard]] static std::vector<T> repeated(std::vector<T> const& values, Index times) {
        std::vector<T> all;
        for (Index i = 0; i < times; ++i) all.insert(all.end(), values.begin(), values.end());
        return all;
    }

    [[nodiscard]] std::vector<Scalar> numbers(std::string const& array) const {
        return file.template get<Scalar>(array);
    }
    [[nodiscard]] View matrix(inkling::nn::Pass<B>& pass, std::vector<Scalar> const& values, Index count) {
        auto const memory = inkling::pipeline::to_device<Scalar>(pass, std::span<Scalar const>(values));
        return {memory.data, count, memory.size / count};
    }
    template <class T>
    [[nodiscard]] std::vector<T> host(T const* memory, Index count) {
        std::vector<T> values(static_cast<std::size_t>(count));
        download(device, memory, std::span<T>(values));
        return values;
    }
    [[nodiscard]] std::vector<Scalar> host(ConstView view) { return host(view.data, view.size()); }

    /// Logits [N, V] of z [N, D].
    [[nodiscard]] View logits(inkling::nn::Pass<B>& pass, ConstView z) {
        auto const table = pass.matrix(space.readout());
        View const result = pass.take(z.rows, table.rows);
        product(device, z, inkling::backend::Orientation::plain, table, inkling::backend::Orientation::transposed,
                result, false, pass.vector(space.readout_bias()));
        return result;
    }

    /// One row of the table of results; in double the case is said to be so.
    void compare(std::string const& what, auto const& got, auto const& want, double tolerance) const {
        check(name, said(what), worst_relative_error(got, want), tolerance);
    }
    void compare_exact(std::string const& what, auto const& got, auto const& want) const {
        check(name, said(what), worst_absolute_error(got, want), 0.0);
    }
    [[nodiscard]] std::string said(std::string const& what) const {
        return std::same_as<Scalar, double> ? what + ", in double" : what;
    }
};

template <Backend B>
void check_forward(json const& entry) {
    using Scalar = typename B::Scalar;
    Official<B> official(entry);
    auto const& file = official.file;
    auto const& model = official.model;
    auto pass = official.pass();
    auto const packed = official.sequences(pass);

    auto const embedded = pass.take(official.rows, official.space.width());
    official.space.embed(pass, packed.tokens, embedded);
    official.compare("embeddings", official.host(embedded), official.numbers("out/embeds"), forward_tolerance);

    std::vector<double> labels;
    for (Index const t : file.template get<Index>("in/t"))
        labels.push_back(model.time_label(
            {.time = static_cast<double>(t) / static_cast<double>(official.settings.diffusion_steps)}));
    auto const official_labels = file.template get<double>("out/model_t");  // in float32
    official.compare("time labels", labels, official_labels, forward_tolerance);
    auto const device_labels = inkling::pipeline::to_device<double>(pass, std::span<double const>(official_labels));
    auto const features = pass.take(official.sentences, model.options().time_width);
    time_features(official.device, VectorView<double const>(device_labels), features);
    // The official angles are float32, one unit in the last place of the largest label off what double says.
    double const angle_rounding =
        std::same_as<Scalar, double> ? *std::max_element(labels.begin(), labels.end()) * 0x1p-23 : 0.0;
    official.compare("time features", official.host(features), official.numbers("out/timestep_sinusoid"),
                     std::max(forward_tolerance, angle_rounding));
    auto const time = model.embed_times(pass, device_labels);
    official.compare("time embedding", official.host(time), official.numbers("out/time_embedding"), forward_tolerance);

    auto const z = official.matrix(pass, official.numbers("in/x"), official.rows);
    auto const z0_hat = pass.take(official.rows, official.space.width());
    auto const encoded = model.encode(pass, packed);
    typename Official<B>::Model::Saved saved;
    model.predict(pass, packed, encoded, z, time, {}, z0_hat);
    official.compare("z0_hat", official.host(z0_hat), official.numbers("out/x0_hat"), forward_tolerance);
    model.predict(pass, packed, encoded, z, time, {}, z0_hat, &saved);
    official.compare("z0_hat, kept for training", official.host(z0_hat), official.numbers("out/x0_hat"),
                     forward_tolerance);
    official.compare("transformer's input", official.host(saved.layers.front().self.input),
                     official.numbers("out/transformer_input"), forward_tolerance);
    for (std::size_t i = 0; i < saved.layers.size(); ++i) {
        auto const last = saved.down.input.empty() ? typename Official<B>::ConstView(z0_hat) : saved.down.input;
        auto const output = i + 1 < saved.layers.size() ? saved.layers[i + 1].self.input : last;
        official.compare("layer " + std::to_string(i), official.host(output),
                         official.numbers("out/layer" + std::to_string(i)), forward_tolerance);
    }

    auto const logits = official.host(official.logits(pass, z0_hat));
    official.compare("logits", logits, official.numbers("out/logits"), forward_tolerance);
    // Minus the distance to every embedding, by the same verbs that nearest_rows is made of.
    auto const table = pass.matrix(official.space.table());
    auto const dots = pass.take(official.rows, table.rows);
    product(official.device, z0_hat, inkling::backend::Orientation::plain, table,
            inkling::backend::Orientation::transposed, dots);
    auto const vocabulary = static_cast<std::size_t>(table.rows);
    auto const products = official.host(dots), estimates = official.host(z0_hat), embeddings = official.host(table);
    auto const square = [](auto const& values, std::size_t row, std::size_t width) {
        double sum = 0.0;
        for (std::size_t i = row * width; i < (row + 1) * width; ++i)
            sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
        return sum;
    };
    auto const width = static_cast<std::size_t>(table.cols);
    std::vector<double> distances;
    std::vector<Token> closest;
    for (std::size_t row = 0; row < products.size() / vocabulary; ++row) {
        for (std::size_t v = 0; v < vocabulary; ++v)
            distances.push_back(-std::sqrt(std::max(0.0,
                                                    square(estimates, row, width) + square(embeddings, v, width)
                                                        - 2.0 * static_cast<double>(products[row * vocabulary + v]))));
        auto const begin = distances.end() - static_cast<std::ptrdiff_t>(vocabulary);
        closest.push_back(static_cast<Token>(std::max_element(begin, distances.end()) - begin));
    }
    official.compare("distances", distances, official.numbers("out/logits_mode2"), distance_tolerance);
    VectorView<Token> const nearest{official.workspace.template take<Token>(official.rows), official.rows};
    inkling::embedding::round_to_tokens<typename Official<B>::Space, B>(pass, official.space, z0_hat, nearest);
    official.compare_exact("nearest tokens", official.host(static_cast<Token const*>(nearest.data), official.rows),
                           closest);
}

/// A case's penalty in terms of our options; nothing where it has none.
[[nodiscard]] inline std::optional<inkling::objective::DistancePenalty<>> penalty_of(json const& entry) {
    if (!entry.contains("simi_penalty") || entry.at("simi_penalty").is_null()) return std::nullopt;
    return inkling::recipe::bridge_penalty(entry, "golden");
}

/// Compares the second level of each pair, and whether it counts, with what the case says; where it is drawn, that it
/// could be.
template <Backend B>
void check_pairs(Official<B> const& official, inkling::objective::LevelPairs const& pairs,
                 std::vector<bool> const& counted) {
    auto const table = official.settings.table();
    auto const steps = official.file.template get<Index>("in/t"),
               others = official.file.template get<Index>("in/t_similar");
    auto const directions = official.file.template get<double>("in/direction");
    Row row(official.name, official.said("second levels"), 0.0);
    for (std::size_t s = 0; s < steps.size(); ++s) {
        bool const noisier = directions[s] > 0.0;
        bool possible = false;
        for (double const uniform : {0.0, 0.5, 0.999999})
            possible = possible || pairs.second_of(table, steps[s], noisier, uniform) == others[s];
        if (pairs.second == inkling::objective::SecondLevel::in_window && !possible) {
            Index const first = pairs.second_of(table, steps[s], noisier, 0.0),
                        last = pairs.second_of(table, steps[s], noisier, 0.999999);
            possible = others[s] >= std::min(first, last) && others[s] <= std::max(first, last);
        }
        row.add_exact("of sentence " + std::to_string(s), possible);
        row.add_exact("counts, sentence " + std::to_string(s), pairs.counts(table, steps[s], others[s]) == counted[s]);
    }
}

template <Backend B>
void check_loss(json const& entry) {
    using Scalar = typename B::Scalar;
    Official<B> official(entry);
    auto const& file = official.file;
    auto const& model = official.model;
    auto const penalty = penalty_of(entry);
    inkling::objective::DiffuSeq const lower_bound{.clean_goal = entry.at("kind") == "bridgegap_loss"};
    Index const times = penalty ? 2 : 1;
    auto const sentences = static_cast<std::size_t>(official.sentences);
    auto const table = official.settings.table();
    auto steps = file.template get<Index>("in/t");
    if (penalty) {
        auto const others = file.template get<Index>("in/t_similar");
        steps.insert(steps.end(), others.begin(), others.end());
    }
    std::vector<bool> counted(sentences, true);
    if (penalty) {
        auto const marks = file.template get<Index>("in/penalty_mask");
        for (std::size_t s = 0; s < sentences; ++s) counted[s] = marks[s] != 0;
        check_pairs(official, penalty->pairs, counted);
    }
    auto const both = [&](std::string const& array) {
        auto values = official.numbers(array);
        if (penalty) {
            auto const more = official.numbers(array + "_similar");
            values.insert(values.end(), more.begin(), more.end());
        }
        return values;
    };

    // One batch, with a weight for each example.
    auto const evaluate = [&](std::vector<double> const& weights, Scalar* gradients, auto const& look) {
        auto pass = official.pass(gradients);
        std::vector<Scalar> levels, goals, row_weights, pair_weights;
        std::vector<double> labels;
        auto const spans = official.spans(times);
        for (std::size_t p = 0; p < spans.noised.size(); ++p) {
            auto const level = inkling::schedule::noising(table.level(steps[spans.sentences[p]]), table.noise_factor());
            bool const noised = spans.noised[p];
            for (double const factor : {noised ? level.z0 : 1.0, 1.0, noised ? level.noise : 0.0})
                levels.push_back(static_cast<Scalar>(factor));
        }
        for (Index const t : steps) {
            labels.push_back(model.time_label({table.label_time(t), table.level(t)}));
            for (double const share : {t == 0 ? 0.0 : 1.0, t == 0 ? 1.0 : 0.0, 0.0})
                goals.push_back(static_cast<Scalar>(share));
        }
        double pair_weight_sum = 0.0;
        for (Index row = 0; row < times * official.rows; ++row) {
            auto const s = static_cast<std::size_t>(row / official.length) % sentences;
            double const share = weights[s] / static_cast<double>(official.rows);
            row_weights.push_back(static_cast<Scalar>(share / static_cast<double>(times)));
            if (row >= official.rows) continue;
            pair_weights.push_back(static_cast<Scalar>(counted[s] ? share : 0.0));
            pair_weight_sum += counted[s] ? share : 0.0;
        }
        inkling::objective::NoisedBatch<B> batch;
        batch.target = official.sequences(pass, times);
        batch.source = batch.target;
        batch.levels = official.matrix(pass, levels, static_cast<Index>(spans.noised.size()));
        batch.labels = inkling::pipeline::to_device<double>(pass, std::span<double const>(labels));
        batch.noise = official.matrix(pass, both("in/noise"), times * official.rows);
        batch.spans = official.segments(pass, spans.offsets);
        batch.start_noise = official.matrix(pass, official.repeated(official.numbers("in/x_start_noise"), times),
                                            times * official.rows);
        batch.goals = official.matrix(pass, goals, times * official.sentences);
        batch.row_weights = inkling::pipeline::to_device<Scalar>(pass, std::span<Scalar const>(row_weights));
        batch.pair_weights = inkling::pipeline::to_device<Scalar>(pass, std::span<Scalar const>(pair_weights));
        batch.pair_weight_sum = pair_weight_sum;
        batch.last_signal = std::sqrt(table.level(table.steps() - 1));
        batch.follow_rows = true;

        inkling::objective::DiffusionSaved<typename Official<B>::Space, typename Official<B>::Model> saved;
        inkling::objective::DiffusionValues<B> values;
        auto losses = penalty
            ? inkling::objective::diffusion_loss(pass, official.space, model, *penalty, batch, saved, {}, &values)
            : inkling::objective::diffusion_loss(pass, official.space, model, lower_bound, batch, saved, {}, &values);
        losses.collect(pass);
        look(losses, values, pass);
    };

    std::vector<double> weights;
    for (auto const weight : official.numbers("in/weights")) weights.push_back(static_cast<double>(weight));
    typename B::template Buffer<Scalar> gradients(official.layout.size());
    clear(official.device, gradients.data(), gradients.size());
    Row row(official.name, official.said("losses"), loss_tolerance);
    auto const against = [&](std::string const& array, std::size_t example, double got) {
        auto const want = file.template get<double>("loss/" + array);
        auto with_ours = want;  // the others stay as they are: an error is told against the array's largest
        with_ours[want.size() == 1 ? 0 : example] = got;
        row.add(array, worst_relative_error(with_ours, want));
    };
    evaluate(weights, gradients.data(), [&](auto const& losses, auto const& values, auto& pass) {
        std::size_t const own =
            static_cast<std::size_t>(official.rows) * static_cast<std::size_t>(official.space.width());
        auto x_start = official.host(values.z0), means = official.host(values.embedded);
        x_start.resize(own), means.resize(own);
        official.compare("x_start", x_start, official.numbers("mid/x_start"), forward_tolerance);
        official.compare("embeddings", means, official.numbers("mid/x_start_mean"), forward_tolerance);
        official.compare("x_t", official.host(values.z_t), both("mid/x_t"), forward_tolerance);
        official.compare("z0_hat", official.host(values.z0_hat), both("mid/x0_hat"), forward_tolerance);
        against("total_weighted_mean", 0, losses.total());
        auto const of_rows = official.host(losses.rows().data, losses.rows().size);
        for (std::size_t s = 0; s < sentences; ++s) {  // what levels that learn are told
            double sum = 0.0;
            auto const length = static_cast<std::size_t>(official.length);
            for (std::size_t i = 0; i < of_rows.size(); ++i)
                if (i / length % sentences == s) sum += static_cast<double>(of_rows[i]);
            against("per_example/loss", s, sum * static_cast<double>(sentences) / weights[s]);
        }
        if (penalty) {
            auto const estimates = official.host(values.z0_hat);
            std::size_t const each = own / sentences;
            for (std::size_t s = 0; s < sentences; ++s) {
                double sum = 0.0;
                for (std::size_t i = s * each; i < (s + 1) * each; ++i)
                    sum += std::pow(static_cast<double>(estimates[own + i]) - static_cast<double>(means[i]), 2);
                against("per_example/mse_similar", s, sum / static_cast<double>(each));
            }
        }
        // What is logged alone: the cross-entropy of the estimate's read-out over what was noised.
        auto const logits = official.host(official.logits(pass, values.z0_hat));
        std::size_t const vocabulary = logits.size() / static_cast<std::size_t>(times * official.rows);
        for (std::size_t s = 0; s < sentences; ++s) {
            double nll = 0.0, count = 0.0;
            for (std::size_t r = s * static_cast<std::size_t>(official.length);
                 r < (s + 1) * static_cast<std::size_t>(official.length); ++r) {
                if (!official.noised[r]) continue;
                auto const begin = logits.begin() + static_cast<std::ptrdiff_t>(r * vocabulary);
                double const top =
                    static_cast<double>(*std::max_element(begin, begin + static_cast<std::ptrdiff_t>(vocabulary)));
                double total = 0.0;
                for (std::size_t v = 0; v < vocabulary; ++v)
                    total += std::exp(static_cast<double>(logits[r * vocabulary + v]) - top);
                nll += std::log(total) + top
                    - static_cast<double>(logits[r * vocabulary + static_cast<std::size_t>(official.tokens[r])]);
                count += 1.0;
            }
            against("per_example/nll", s, nll / count);
        }
    });
    if (entry.at("gradients_stored").get<bool>())
        check_gradients(official, official.host(static_cast<Scalar const*>(gradients.data()), gradients.size()));

    for (std::size_t example = 0; example < sentences; ++example) {
        std::vector<double> alone(sentences, 0.0);
        alone[example] = static_cast<double>(sentences);
        evaluate(alone, nullptr, [&](auto const& losses, auto const&, auto&) {
            double distance = 0.0;
            std::set<std::string_view> terms;
            for (auto const& term : losses.terms()) {
                terms.insert(term.name);
                if (term.name == "regression") {
                    against("per_example/mse", example,
                            static_cast<double>(times) * term.value);  // Bridge's is of both levels
                }
                if (term.name == "rounding") against("per_example/decoder_nll_before_doubling", example, term.value);
                if (term.name == "prior") against("per_example/tT_loss_before_doubling", example, term.value);
                if (term.name == "distance" || term.name == "cosine") distance += 2.0 * term.weight * term.value;
            }
            if (penalty && counted[example])
                against(penalty->distance == inkling::objective::Distance::cosine ? "per_example/cos_penalty"
                                                                                  : "per_example/l2",
                        example, distance);
            against("per_example/loss", example, losses.total());
            row.add_exact("every term is reported",
                          terms.contains("regression") && terms.contains("rounding") && terms.contains("prior")
                              && terms.contains("distance") == penalty.has_value());
        });
    }
}

template <Backend B>
void check_sampling(json const& entry) {
    using Scalar = typename B::Scalar;
    Official<B> official(entry);
    auto const& file = official.file;
    auto const& model = official.model;
    auto const decoding = inkling::recipe::DiffuSeqDecoding::read(entry, official.settings, "golden");
    auto const plan = decoding.sampler.plan(official.settings.table());
    std::vector<double> labels;
    for (auto const& step : plan.steps) labels.push_back(model.time_label({step.time, step.alpha_bar}));
    official.compare("time labels", labels, file.template get<double>("out/model_t"), 1e-12);
    REQUIRE(labels.size() == file.template get<double>("out/model_t").size());

    auto pass = official.pass();
    auto const packed = official.sequences(pass);
    auto const encoded = model.encode(pass, packed);
    auto const width = official.space.width();

    // Clean text in the source's place, noise in that of the target.
    auto const spans = official.spans();
    std::vector<std::uint8_t> kept;
    std::vector<Scalar> start;
    for (bool const noised : spans.noised) {
        kept.push_back(noised ? 0 : 1);
        for (double const share : {noised ? 0.0 : 1.0, noised ? 1.0 : 0.0, 0.0})
            start.push_back(static_cast<Scalar>(share));
    }
    auto const segments = official.segments(pass, spans.offsets);
    auto const clean = pass.take(official.rows, width);
    official.space.embed(pass, packed.tokens, clean);
    official.compare("embeddings", official.host(clean), official.numbers("out/x_start"), forward_tolerance);
    auto const z = official.matrix(pass, official.numbers("in/noise"), official.rows);
    combine(official.device, segments, official.matrix(pass, start, static_cast<Index>(kept.size())), clean, z, {}, z);
    official.compare("first z", official.host(z), official.numbers("out/x_initial"), forward_tolerance);

    auto const step_noise = file.contains("in/step_noise") ? official.numbers("in/step_noise") : std::vector<Scalar>{};
    auto const after = official.numbers("out/x_after_step"), estimates = official.numbers("out/pred_xstart");
    std::size_t const size = after.size() / plan.steps.size();
    auto const at_step = [&](std::vector<Scalar> const& all, Index step) {
        return std::span<Scalar const>(all).subspan(static_cast<std::size_t>(step) * size, size);
    };
    Row after_row(official.name, official.said("z after each step"), trajectory_tolerance);
    Row estimate_row(official.name, official.said("z0_hat of each step"), trajectory_tolerance);
    std::optional<Row> token_row;
    if (plan.clamp) token_row.emplace(official.name, official.said("nearest tokens of each step"), 0.0);
    VectorView<Token> const nearest{official.workspace.template take<Token>(official.rows), official.rows};
    inkling::pipeline::denoise(
        pass, official.space, model, plan, packed, encoded, z,
        [&](Index step, MatrixView<Scalar> noise) { upload(official.device, at_step(step_noise, step), noise.data); },
        [&](inkling::pipeline::StepState<B> const& state) {
            after_row.add(std::to_string(state.step),
                          worst_relative_error(official.host(state.z), at_step(after, state.step)));
            estimate_row.add(std::to_string(state.step),
                             worst_relative_error(official.host(state.z0_hat), at_step(estimates, state.step)));
            if (plan.clamp) {  // what was clamped is the embedding of a token: that token must be the official one
                auto const rounded = [&](typename Official<B>::ConstView rows) {
                    inkling::embedding::round_to_tokens<typename Official<B>::Space, B>(pass, official.space, rows,
                                                                                        nearest);
                    return official.host(static_cast<Token const*>(nearest.data), official.rows);
                };
                auto const got = rounded(state.z0_hat);
                std::vector<Scalar> const want(at_step(estimates, state.step).begin(),
                                               at_step(estimates, state.step).end());
                inkling::nn::Scope<B> const scope(official.workspace);
                token_row->add(std::to_string(state.step),
                               worst_absolute_error(got, rounded(official.matrix(pass, want, official.rows))));
            }
            return true;
        },
        {segments, kept});

    // The official answer is read out of the last z, which is the last estimate but for 'gap'.
    VectorView<Token> const best{official.workspace.template take<Token>(official.rows), official.rows};
    inkling::embedding::read_out<typename Official<B>::Space, B>(pass, official.space, z, best);
    official.compare("logits", official.host(official.logits(pass, z)), official.numbers("out/final_logits"),
                     trajectory_tolerance);
    official.compare_exact("final tokens", official.host(static_cast<Token const*>(best.data), official.rows),
                           file.template get<Token>("out/final_tokens"));
}

/// What of single steps is a device's business: the nearest embeddings, and a source that stays clean.
template <Backend B>
void check_steps(json const& entry) {
    using Scalar = typename B::Scalar;
    std::string const name = entry.at("file");
    auto const file = golden::tensors(name);
    B device{};
    inkling::nn::Workspace<B> workspace{};
    inkling::nn::Pass<B> pass{device, workspace};
    auto const table_shape = file.at("embedding").shape();
    auto const mask = file.template get<Index>("mask");
    auto const rows = static_cast<Index>(mask.size());
    Index const width = table_shape[1], sentences = file.at("mask").shape()[0], length = rows / sentences;
    auto const matrix = [&](std::string const& array, Index count) {
        auto const values = file.template get<Scalar>(array);
        auto const memory = inkling::pipeline::to_device<Scalar>(pass, std::span<Scalar const>(values));
        return MatrixView<Scalar>{memory.data, count, memory.size / count};
    };
    auto const host = [&](MatrixView<Scalar const> view) {
        std::vector<Scalar> values(static_cast<std::size_t>(view.size()));
        download(device, view.data, std::span<Scalar>(values));
        return values;
    };
    bool const exact = std::same_as<Scalar, double>;
    std::string const suffix = exact ? ", in double" : "";

    auto const table = matrix("embedding", table_shape[0]);
    auto const z0_hat = matrix("x0_hat", rows);
    VectorView<Token> const nearest{workspace.template take<Token>(rows), rows};
    inkling::embedding::nearest_rows<B>(pass, table, z0_hat, nearest);
    std::vector<Token> tokens(static_cast<std::size_t>(rows));
    download(device, static_cast<Token const*>(nearest.data), std::span<Token>(tokens));
    check(name, "nearest embeddings" + suffix, worst_absolute_error(tokens, file.template get<Token>("knn/index")),
          0.0);
    auto const rounded = pass.take(rows, width);
    gather(device, table, inkling::TokenView(nearest), Scalar{1}, rounded);
    check(name, "clamped estimates" + suffix,
          worst_relative_error(host(rounded), file.template get<Scalar>("knn/denoised_fn_round")), 0.0);

    std::vector<Index> offsets;
    std::vector<bool> noised;
    for (Index row = 0; row < rows; ++row) {
        bool const own = mask[static_cast<std::size_t>(row)] != 0;
        if (row % length != 0 && own == noised.back()) continue;
        offsets.push_back(row);
        noised.push_back(own);
    }
    offsets.push_back(rows);
    auto const device_offsets = inkling::pipeline::to_device<Index>(pass, std::span<Index const>(offsets));
    inkling::Segments const parts{device_offsets.data, static_cast<Index>(noised.size()), rows, length};
    auto const x0 = matrix("x0", rows), noise = matrix("noise", rows), drawn = matrix("step_noise", rows);
    auto values = host(matrix("x_t", rows));
    auto const clean = host(x0);
    for (std::size_t i = 0; i < values.size(); ++i)  // where the source is, z was clean before
        if (mask[i / static_cast<std::size_t>(width)] == 0) values[i] = clean[i];
    auto const memory = inkling::pipeline::to_device<Scalar>(pass, std::span<Scalar const>(values));
    MatrixView<Scalar> const beside{memory.data, rows, width};
    Row row(name, "a source stays clean" + suffix, forward_tolerance);
    for (auto const& one : entry.at("cases")) {
        Index steps = one.at("T"), kept_steps = 0;
        auto table_of = inkling::recipe::diffuseq_table(one.at("schedule").get<std::string>(), steps);
        if (!one.at("respacing").is_null()) {
            auto const plan = inkling::recipe::diffuseq_step_plan(one.at("respacing").get<std::string>(), steps,
                                                                  kept_steps, inkling::recipe::SectionRule::diffuseq);
            table_of = table_of.respaced(inkling::sampler::kept_steps(plan, steps, kept_steps));
        }
        auto const t = one.at("t").get<std::vector<Index>>();
        std::string const prefix = "case" + std::to_string(one.at("case").get<int>()) + "/";
        auto const run = [&](std::string const& array, auto const& factors_of, MatrixView<Scalar> x,
                             MatrixView<Scalar> y, MatrixView<Scalar> e) {
            std::vector<Scalar> factors;
            for (std::size_t p = 0; p < noised.size(); ++p) {
                auto own = factors_of(t[static_cast<std::size_t>(offsets[p] / length)]);
                if (!noised[p]) own = {0.0, 1.0, 0.0};
                for (double const factor : {own.z0, own.z_t, own.noise}) factors.push_back(static_cast<Scalar>(factor));
            }
            auto const device_factors = inkling::pipeline::to_device<Scalar>(pass, std::span<Scalar const>(factors));
            auto const out = pass.take(rows, width);
            combine(device, parts, MatrixView<Scalar const>(device_factors.data, parts.count, 3), x, y, e, out);
            row.add(prefix + array, worst_relative_error(host(out), file.template get<Scalar>(prefix + array)));
        };
        using inkling::schedule::StepCoefficients;
        run(
            "q_sample_masked", [&](Index step) { return inkling::schedule::noising(table_of.level(step)); }, x0, beside,
            noise);
        run(
            "p_sample_round",
            [&](Index step) {
                StepCoefficients factors = table_of.ddpm(step, inkling::schedule::StepVariance::beta);
                if (step == 0) factors.noise = 0.0;
                return factors;
            },
            rounded, beside, drawn);
    }
}

/// The windows of noise in which Bridge looks for a second level.
inline void check_noise_map(json const& entry) {
    auto const file = golden::tensors(entry.at("file"));
    for (auto const& one : entry.at("entries")) {
        auto const table = inkling::recipe::diffuseq_table(one.at("schedule").get<std::string>(), one.at("T"));
        inkling::objective::LevelPairs const pairs{.window = one.at("simi_noise")};
        for (bool const noisier : {true, false}) {
            std::string const name = one.at("key").get<std::string>() + (noisier ? "/up_map" : "/down_map");
            std::vector<Index> ends;
            for (Index t = 0; t < table.steps(); ++t)
                ends.push_back(pairs.window_end_of(table, t, noisier).value_or(-1));
            check(entry.at("file"), name, worst_absolute_error(ends, file.get<Index>(name)), 0.0);
        }
    }
}

}  // namespace golden::diffuseq
