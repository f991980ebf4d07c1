#include <inkling/denoiser/bottleneck_decoder.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/embedding/unit_sphere.hpp>
#include <inkling/objective/diffuseq.hpp>
#include <inkling/objective/diffusion_loss.hpp>
#include <inkling/objective/length_only.hpp>
#include <inkling/testing/device_arrays.hpp>
#include <inkling/testing/gradient_check.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace inkling;
using denoiser::Output;
using schedule::Quantity;
using Device = backend::Cpu<double>;
using Model = denoiser::BottleneckDecoder<Device>;
using Space = embedding::UnitSphere;
using Options = denoiser::BottleneckDecoderOptions;
using Array = testing::DeviceArray<Device>;
using View = MatrixView<double>;

static_assert(TrainableDenoiser<Model> && DenoiserOver<Model, Space>);
static_assert(begins_source<Model> && ranks_lengths<Model> && !joins_source<Model>);

constexpr Index vocabulary = 7;
constexpr Index latent = 4;

Options small() {
    Options options;
    options.width = 6;
    options.layers = 2;
    options.encoder_layers = 1;
    options.heads = 2;
    options.hidden = 5;
    options.dropout = 0.0;
    options.longest_source = 5;
    options.longest_target = 6;
    options.time_frequencies = 3;
    options.time_hidden = 5;
    return options;
}

/// DINOISER's training step on three sentences, with all that is random drawn.
struct TrainingStep {
    nn::ParameterLayout layout;
    Space space;
    Model model;
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    testing::RaggedBatch<Device> source{device, {3, 1, 4}, vocabulary, 1};
    testing::RaggedBatch<Device> target{device, {2, 4, 1}, vocabulary, 2};
    testing::DeviceArray<Device, double> labels{device, std::vector<double>{0.3, 0.7, 0.9}};
    testing::DeviceArray<Device, Token> classes{device, std::vector<Token>{1, 4, 0}};
    Array noise, row_weights{device, std::vector<double>{0.1, 0.2, 0.3, 0.1, 0.2, 0.05, 0.4}};
    std::vector<double> const alpha_bars{0.8, 0.3, 0.1};
    std::vector<double> weights, gradients;
    objective::DiffusionSaved<Space, Model> saved;
    bool self_condition = false, train_first = false, without_source = false;
    double length_weight = 0.7;

    explicit TrainingStep(Options const& options, bool normalized = true)
        : space(layout, vocabulary, {.width = latent, .normalized = normalized}),
          model(layout, options, space),
          noise(device, testing::random_values<double>(target.rows() * latent, 3)),
          weights(static_cast<std::size_t>(layout.size())) {
        auto const random = testing::random_values<double>(layout.size(), 6);
        for (auto const& entry : layout.entries())  // far from narrow starting values, so that nothing is nearly 0
            for (Index i = entry.parameter.offset; i < entry.parameter.offset + entry.parameter.size(); ++i) {
                auto const at = static_cast<std::size_t>(i);
                bool const gain =
                    entry.initializer.value == 1.0 && entry.initializer.kind == nn::Initializer::Kind::constant;
                weights[at] = gain ? 1 + 0.2 * random[at] : 0.4 * random[at];
            }
    }

    template <class Chosen>
    double run(Chosen const& chosen, bool training, objective::DiffusionValues<Device>* values = nullptr) {
        workspace.reset();
        if (training) gradients.assign(weights.size(), 0.0);
        nn::Pass<Device> pass{device, workspace, weights.data(), training ? gradients.data() : nullptr};
        std::vector<double> levels, error_factors, to_estimate;
        for (double const level : alpha_bars) {
            for (double const c : {std::sqrt(level), 1.0, std::sqrt(1.0 - level)}) levels.push_back(c);
            for (double const c : {objective::error_factor(chosen, level), 1.0, 0.0}) error_factors.push_back(c);
            auto const map = denoiser::to_estimate(model.output(), level);
            for (double const c : {map.output, map.z_t, map.second}) to_estimate.push_back(c);
        }
        Array const on_device[] = {{device, levels}, {device, error_factors}, {device, to_estimate}};
        objective::NoisedBatch<Device> batch;
        batch.source = {source.segments(), source.tokens(), source.positions()};
        batch.target = {target.segments(), target.tokens(), target.positions()};
        batch.length_classes = classes.vector();
        batch.levels = on_device[0].matrix(3);
        batch.labels = labels.vector();
        batch.noise = noise.matrix(latent);
        batch.self_condition = self_condition;
        batch.train_first = train_first;
        batch.without_source = without_source;
        batch.row_weights = row_weights.vector();
        batch.last_signal = 0.7;
        batch.error_factors = on_device[1].matrix(3);
        batch.to_estimate = on_device[2].matrix(3);
        auto losses = objective::diffusion_loss(pass, space, model, chosen, batch, saved,
                                                {.length_weight = length_weight}, values);
        losses.collect(pass);
        std::vector<std::string_view> names;
        for (auto const& term : losses.terms()) {
            CHECK((term.name.empty() || std::find(names.begin(), names.end(), term.name) == names.end()));
            names.push_back(term.name);
        }
        return losses.total();
    }

    /// @param silent  beginnings of the names of weights that have no gradient
    template <class Chosen>
    void check(Chosen const& chosen, std::vector<std::string> silent = {}) {
        silent.insert(silent.end(), {"timeW"});
        double const with = run(chosen, true);
        auto const analytic = gradients;
        CHECK(run(chosen, false) == doctest::Approx(with).epsilon(1e-13));
        for (auto const& entry : layout.entries()) {
            auto const first = static_cast<std::size_t>(entry.parameter.offset);
            auto const size = static_cast<std::size_t>(entry.parameter.size());
            auto const own = std::span<double const>(analytic).subspan(first, size);
            bool const nothing = std::any_of(silent.begin(), silent.end(),
                                             [&](std::string const& name) { return entry.name.starts_with(name); });
            if (nothing) {
                INFO(entry.name);
                CHECK(std::all_of(own.begin(), own.end(), [](double slope) { return slope == 0.0; }));
                continue;
            }
            auto const report =
                testing::check_gradient(std::span<double>(weights).subspan(first, size), own,
                                        [&] { return run(chosen, false); }, {.magnitude = 10.0, .most_elements = 10});
            INFO(entry.name, ": ", report.text());
            CHECK(report.passed());
            CHECK(report.largest > 1e-9);
        }
    }
};

// The length head learns from the encoder and does not teach it: its own gradient is checked where no other is.
TEST_CASE("BottleneckDecoder: every gradient of DINOISER's loss is that of central differences") {
    for (bool const before : {false, true}) {
        CAPTURE(before);
        auto options = small();
        options.encoder_normalize_before = options.decoder_normalize_before = before;
        TrainingStep step(options, before);
        step.length_weight = 0.0;
        step.check(objective::DiffuSeq{.label_smoothing = 0.1, .weight = 0.8, .prior_weight = 1.3},
                   {"length_predictor."});
    }
    auto options = small();
    options.self_conditioning = false;
    options.length_target = denoiser::LengthTarget::absolute;
    TrainingStep step(options);
    step.length_weight = 0.0;
    step.check(objective::DiffuSeq{}, {"length_predictor."});
}

TEST_CASE("BottleneckDecoder: whatever the network says and the loss compares, gradients are right") {
    for (Output const output : {Output::noise, Output::velocity, Output::score, Output::mixed})
        for (auto const measure :
             {objective::ErrorMeasure::squared, objective::ErrorMeasure::absolute, objective::ErrorMeasure::huber}) {
            auto options = small();
            options.output = output;
            options.layers = 1;
            TrainingStep step(options);
            step.length_weight = 0.0;
            auto const quantity = output == Output::noise ? Quantity::velocity
                : output == Output::mixed                 ? Quantity::noise
                : output == Output::score                 ? Quantity::score
                                                          : Quantity::z0;
            CAPTURE(static_cast<int>(output));
            CAPTURE(static_cast<int>(measure));
            step.check(objective::DiffuSeq{.measure = measure, .quantity = quantity}, {"length_predictor."});
        }
}

TEST_CASE("BottleneckDecoder: a mixed output is held against z0 and the noise, and its gradients are right") {
    auto options = small();
    options.output = Output::mixed;
    options.layers = 1;
    TrainingStep step(options);
    step.length_weight = 0.0;
    step.check(objective::DiffuSeq{.measure = objective::ErrorMeasure::huber, .mixed_output = true},
               {"length_predictor."});
    objective::DiffusionValues<Device> values;
    double const loss = step.run(objective::Regression{.mixed_output = true}, false, &values);
    auto const noise = testing::random_values<double>(step.target.rows() * latent, 3);
    auto const weights = std::vector<double>{0.1, 0.2, 0.3, 0.1, 0.2, 0.05, 0.4};
    double sum = 0.0;
    for (Index row = 0; row < step.target.rows(); ++row)
        for (Index d = 0; d < latent; ++d) {
            double const of_z0 = values.output.row(row)[d] - values.z0.row(row)[d];
            double const of_noise =
                values.output.row(row)[latent + d] - noise[static_cast<std::size_t>(row * latent + d)];
            sum += weights[static_cast<std::size_t>(row)] * (of_z0 * of_z0 + of_noise * of_noise);
        }
    CHECK(loss == doctest::Approx(sum / (2.0 * latent)));

    TrainingStep other(small());
    CHECK_THROWS_WITH_AS((void)other.run(objective::Regression{.mixed_output = true}, false),
                         doctest::Contains("the denoiser's output is not Output::mixed"), Error);
    CHECK_THROWS_AS((objective::DiffuSeq{.quantity = Quantity::noise, .mixed_output = true}.check()), Error);
}

TEST_CASE("the squared error of noise, velocity or score is that of what the network's estimate says of them") {
    for (auto const quantity : {Quantity::noise, Quantity::velocity, Quantity::score}) {
        CAPTURE(static_cast<int>(quantity));
        TrainingStep step(small());
        objective::DiffusionValues<Device> values;
        double const loss = step.run(objective::Regression{.quantity = quantity}, false, &values);
        std::vector<std::size_t> const sentence{0, 0, 1, 1, 1, 1, 2};
        double want = 0.0;
        for (Index row = 0; row < step.target.rows(); ++row)
            for (Index d = 0; d < latent; ++d) {
                auto const form = schedule::conversion(Quantity::z0, quantity,
                                                       step.alpha_bars[sentence[static_cast<std::size_t>(row)]]);
                auto const of = [&](double z0) { return form.known * z0 + form.z_t * values.z_t.row(row)[d]; };
                want += step.row_weights.get(step.device)[static_cast<std::size_t>(row)] / latent
                    * std::pow(of(values.z0_hat.row(row)[d]) - of(values.z0.row(row)[d]), 2);
            }
        step.length_weight = 0.0;
        CHECK(step.run(objective::Regression{.quantity = quantity}, false) == doctest::Approx(want).epsilon(1e-12));
        CHECK(loss != want);  // with the length's
    }
}

TEST_CASE("where both estimates are trained, loss and gradient are those of the first, and of the second beside it") {
    bool mixed = false;
    SUBCASE("of z0") {}
    SUBCASE("of a mixed output") { mixed = true; }
    auto options = small();
    if (mixed) options.output = Output::mixed;
    TrainingStep step(options);
    objective::DiffuSeq const chosen{.mixed_output = mixed};
    step.length_weight = 0.0;
    double const alone = step.run(chosen, true);
    auto const first = step.gradients;
    step.self_condition = true;
    double const beside = step.run(chosen, true);
    auto const second = step.gradients;
    step.train_first = true;
    double const both = step.run(chosen, true);
    CHECK(both == doctest::Approx(alone + beside).epsilon(1e-13));
    double largest = 0.0;
    for (std::size_t i = 0; i < first.size(); ++i) {
        CHECK(step.gradients[i] == doctest::Approx(first[i] + second[i]).epsilon(1e-9));
        largest = std::max(largest, std::abs(first[i] - second[i]));
    }
    CHECK(largest > 1e-3);  // the second estimate is another one
}

TEST_CASE("LengthOnly: lengths are learned without any estimate, and nothing but their head learns") {
    TrainingStep step(small());
    step.check(objective::LengthOnly{}, {"vae.", "encoder.", "decoder.", "bottleneck."});
    double const loss = step.run(objective::LengthOnly{}, false);
    step.noise.data()[0] += 1.0;
    CHECK(step.run(objective::LengthOnly{}, false) == loss);
}

TEST_CASE("BottleneckDecoder: without a source nothing of any source is read, and its keys still learn") {
    TrainingStep step(small());
    step.without_source = true;
    double const loss = step.run(objective::DiffuSeq{}, false);
    for (auto const& entry : step.layout.entries())
        if (entry.name.starts_with("encoder."))
            for (Index i = 0; i < entry.parameter.size(); ++i)
                step.weights[static_cast<std::size_t>(entry.parameter.offset + i)] += 0.3;
    CHECK(step.run(objective::DiffuSeq{}, false) == loss);
    step.without_source = false;
    CHECK(step.run(objective::DiffuSeq{}, false) != loss);
    step.without_source = true;
    step.length_weight = 0.0;
    (void)step.run(objective::DiffuSeq{}, true);
    auto const* const bias = step.layout.find("decoder.trm.layers.0.multihead_attn.in_proj_bias");
    REQUIRE(bias != nullptr);
    auto const slopes = std::span<double const>(step.gradients)
                            .subspan(static_cast<std::size_t>(bias->parameter.offset) + 2 * 6, 6);  // of the values
    CHECK(std::any_of(slopes.begin(), slopes.end(), [](double slope) { return std::abs(slope) > 1e-6; }));
}

TEST_CASE("BottleneckDecoder: pre-norm or post-norm, a sentence's output does not depend on its neighbours") {
    for (bool const before : {false, true}) {
        auto options = small();
        options.decoder_normalize_before = before;
        TrainingStep step(options);
        auto const output = [&] {
            objective::DiffusionValues<Device> values;
            (void)step.run(objective::DiffuSeq{}, false, &values);
            return std::vector<double>(values.output.data, values.output.data + values.output.size());
        };
        auto const first = output();
        for (Index d = 0; d < latent; ++d) step.noise.data()[6 * latent + d] += 2.0;  // the last sentence's
        auto const second = output();
        for (std::size_t i = 0; i < 6 * latent; ++i) CHECK(first[i] == second[i]);
        CHECK(first[6 * latent] != second[6 * latent]);
    }
}

TEST_CASE("BottleneckDecoder: options out of their range are refused by name, and so are sentences without places") {
    auto const made = [](Options const& options, Index width = latent) {
        nn::ParameterLayout layout;
        (void)Model(layout, options, vocabulary, width);
    };
    auto wrong = small();
    wrong.time_frequencies = 0;
    CHECK_THROWS_WITH_AS(made(wrong),
                         "inkling::denoiser::BottleneckDecoder: time_frequencies is 0, expected 1 to 1048576", Error);
    wrong = small();
    wrong.time_spread = -1.0;
    CHECK_THROWS_WITH_AS(made(wrong),
                         "inkling::denoiser::BottleneckDecoder: time_spread is -1.000000, expected a positive finite "
                         "number",
                         Error);
    wrong = small();
    wrong.dropout = 1.0;
    CHECK_THROWS_WITH_AS(
        made(wrong), "inkling::denoiser::BottleneckDecoder: dropout is 1.000000, expected a number in [0, 1)", Error);
    CHECK_THROWS_AS(made(small(), 0), Error);
    auto narrow = small();
    narrow.longest_target = 3;
    TrainingStep step(narrow);
    CHECK_THROWS_WITH_AS((void)step.run(objective::DiffuSeq{}, false),
                         "inkling::denoiser::BottleneckDecoder: a target sentence has 4 tokens, expected at most 3, "
                         "for which there are positions",
                         Error);
}

TEST_CASE("the estimate of z0 is the same whatever of the truth a network says") {
    double const z0 = 0.7, noise = -1.3;
    for (double const alpha_bar : {0.02, 0.5, 0.97}) {
        double const a = std::sqrt(alpha_bar), s = std::sqrt(1.0 - alpha_bar), z_t = a * z0 + s * noise;
        auto const estimate = [&](Output output, double said, double second = 0.0) {
            auto const map = denoiser::to_estimate(output, alpha_bar);
            return map.output * said + map.z_t * z_t + map.second * second;
        };
        CHECK(estimate(Output::z0, z0) == z0);
        CHECK(estimate(Output::noise, noise) == doctest::Approx(z0).epsilon(1e-12));
        CHECK(estimate(Output::velocity, a * noise - s * z0) == doctest::Approx(z0).epsilon(1e-12));
        CHECK(estimate(Output::score, -noise / s) == doctest::Approx(z0).epsilon(1e-12));
        CHECK(estimate(Output::mixed, z0, noise) == doctest::Approx(z0).epsilon(1e-12));
    }
    CHECK(denoiser::output_width(Output::mixed, 8) == 16);
    CHECK_THROWS_AS((void)denoiser::to_estimate(Output::noise, 0.0), Error);  // pure noise tells nothing of z0
    CHECK_NOTHROW((void)denoiser::to_estimate(Output::mixed, 0.0));
}

TEST_CASE("a length's class stands for that length, as far as classes reach") {
    using denoiser::LengthTarget;
    CHECK(denoiser::length_class(LengthTarget::offset, 28, 7, 9) == 16);
    CHECK(denoiser::length_of(LengthTarget::offset, 28, 7, 16) == 9);
    CHECK(denoiser::length_class(LengthTarget::offset, 28, 2, 40) == 27);
    CHECK(denoiser::length_class(LengthTarget::absolute, 28, 7, 9) == 9);
    CHECK(denoiser::length_of(LengthTarget::absolute, 28, 7, 0) == 2);
}

}  // namespace
