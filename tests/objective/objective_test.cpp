#include <inkling/objective/objective.hpp>

#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/embedding/layer_normed.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/schedule/linear_beta.hpp>
#include <inkling/schedule/sqrt.hpp>
#include <inkling/testing/device_arrays.hpp>
#include <inkling/testing/gradient_check.hpp>

#include <doctest/doctest.h>

#include "device.hpp"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace inkling;
using Device = tests::Device<double>;
using View = MatrixView<double>;

constexpr Index vocabulary = 7;
constexpr Index width = 4;

/// An objective's inputs as free numbers, and what it makes of them.
struct Setting {
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    nn::ParameterLayout layout;
    embedding::Learned space{layout, vocabulary, {.width = width, .standard_deviation = 0.5}};
    testing::RaggedBatch<Device> target{device, std::vector<Index>{2, 3, 1}, vocabulary};
    std::vector<double> weights = std::vector<double>(static_cast<std::size_t>(layout.size()));
    std::vector<double> z0 = testing::random_values<double>(target.rows() * width, 1);
    std::vector<double> z0_hat = testing::random_values<double>(target.rows() * width, 2);
    std::vector<double> error_factors;  ///< [3, 3], or none
    std::vector<double> error_weights;  ///< [rows], or none
    std::vector<double> dweights, dz0, dz0_hat;
    std::vector<objective::Term> terms;

    Setting() { layout.initialize<double>(3, weights); }

    template <class Chosen>
    double run(Chosen const& chosen, bool training) {
        workspace.reset();
        auto const clean = [&](std::vector<double>& slopes, std::vector<double> const& values) {
            slopes.assign(values.size(), 0.0);
            return training ? View(slopes.data(), target.rows(), width) : View{};
        };
        dweights.assign(weights.size(), 0.0);
        nn::Pass<Device> pass{device, workspace, weights.data(), training ? dweights.data() : nullptr};
        objective::Losses<Device> losses(pass);
        View const slopes = clean(dz0, z0), slopes_hat = clean(dz0_hat, z0_hat);
        objective::Prediction<Device> prediction{target.tokens(),
                                                 target.segments(),
                                                 View(z0.data(), target.rows(), width),
                                                 View(z0_hat.data(), target.rows(), width),
                                                 slopes,
                                                 slopes_hat};
        if (!error_factors.empty()) prediction.error_factors = View(error_factors.data(), 3, 3);
        if (!error_weights.empty()) prediction.error_weights = {error_weights.data(), target.rows()};
        chosen.evaluate(pass, space, prediction, losses);
        losses.collect(pass);
        terms.assign(losses.terms().begin(), losses.terms().end());
        return losses.total();
    }

    [[nodiscard]] double term(std::string_view name) const {
        for (objective::Term const& one : terms)
            if (one.name == name) return one.value;
        FAIL("no term ", std::string(name));
        return 0.0;
    }
};

TEST_CASE_TEMPLATE("the gradients of an objective are those of central differences", Chosen, objective::Regression,
                   objective::Anchor, objective::Rounding) {
    Setting setting;
    Chosen chosen;
    if constexpr (requires { chosen.label_smoothing; }) {
        chosen.label_smoothing = 0.2;
        chosen.weight = 0.7;
        chosen.regression_weight = 1.3;
    } else {
        chosen.weight = 0.7;
    }
    double const with = setting.run(chosen, true);
    auto const weights = setting.dweights, z0 = setting.dz0, z0_hat = setting.dz0_hat;
    CHECK(setting.run(chosen, false) == with);
    auto const check = [&](char const* what, std::vector<double>& values, std::vector<double> const& analytic) {
        auto const report =
            testing::check_gradient(std::span<double>(values), analytic, [&] { return setting.run(chosen, false); });
        INFO(what, ": ", report.text());
        CHECK(report.passed());
        return report.largest;
    };
    double const table = check("read-out", setting.weights, weights);
    CHECK(check("z0", setting.z0, z0) > 0.0);
    CHECK(check("z0_hat", setting.z0_hat, z0_hat) > 0.0);
    if constexpr (requires { chosen.label_smoothing; }) CHECK(table > 0.0);
}

TEST_CASE("regression is the mean square over all tokens and dimensions") {
    Setting setting;
    double sum = 0.0;
    for (std::size_t i = 0; i < setting.z0.size(); ++i) sum += std::pow(setting.z0[i] - setting.z0_hat[i], 2);
    CHECK(setting.run(objective::Regression{.weight = 2.0}, false)
          == doctest::Approx(2.0 * sum / static_cast<double>(setting.z0.size())));
    setting.z0_hat = setting.z0;
    CHECK(setting.run(objective::Regression{}, false) == 0.0);
}

TEST_CASE("a sentence's factor multiplies its errors, and factors of 1 are as good as none") {
    Setting setting;
    double const plain = setting.run(objective::Regression{}, true);
    auto const dz0 = setting.dz0, dz0_hat = setting.dz0_hat;
    setting.error_factors = {1, 1, 0, 1, 1, 0, 1, 1, 0};
    CHECK(setting.run(objective::Regression{}, true) == plain);
    CHECK(setting.dz0 == dz0);
    CHECK(setting.dz0_hat == dz0_hat);

    std::vector<double> const factors{3, 0.5, 2};
    for (std::size_t s = 0; s < 3; ++s) setting.error_factors[3 * s] = factors[s];
    double const scaled = setting.run(objective::Regression{}, true);
    auto const slopes = setting.dz0, slopes_hat = setting.dz0_hat;
    double sum = 0.0;
    for (std::size_t i = 0; i < setting.z0.size(); ++i) {
        std::size_t const row = i / width, sentence = row < 2 ? 0 : row < 5 ? 1 : 2;
        sum += std::pow(factors[sentence] * (setting.z0[i] - setting.z0_hat[i]), 2);
        CHECK(slopes[i] == doctest::Approx(factors[sentence] * factors[sentence] * dz0[i]));
        CHECK(slopes_hat[i] == doctest::Approx(factors[sentence] * factors[sentence] * dz0_hat[i]));
    }
    CHECK(scaled == doctest::Approx(sum / static_cast<double>(setting.z0.size())));
}

TEST_CASE("what errors of a row count for is neither a factor of them nor a weight of other terms") {
    Setting setting;
    objective::DiffuSeq const huber{.measure = objective::ErrorMeasure::huber};
    (void)setting.run(huber, false);
    double const rounding = setting.term("rounding"), prior = setting.term("prior");
    setting.error_weights = {0.5, 0.25, 2.0, 0.0, 1.0, 0.125};
    double sum = 0.0;
    for (std::size_t i = 0; i < setting.z0.size(); ++i) {
        double const error = std::abs(setting.z0[i] - setting.z0_hat[i]);
        sum += setting.error_weights[i / width] * (error < 1.0 ? error * error / 2.0 : error - 0.5);
    }
    (void)setting.run(huber, true);
    CHECK(setting.term("regression") == doctest::Approx(sum / width));
    CHECK(setting.term("rounding") == rounding);
    CHECK(setting.term("prior") == prior);
    auto const slopes = setting.dz0_hat;
    auto const report =
        testing::check_gradient(std::span<double>(setting.z0_hat), slopes, [&] { return setting.run(huber, false); });
    INFO(report.text());
    CHECK(report.passed());
}

TEST_CASE("the weights of levels are what their papers say") {
    schedule::LinearBeta const linear;
    for (double const t : {0.05, 0.3, 0.7, 0.99}) {
        double const level = linear.alpha_bar(t), snr = level / (1.0 - level), apart = 1e-6;
        double const rate =
            -(std::log(linear.alpha_bar(t + apart)) - std::log(linear.alpha_bar(t - apart))) / (2 * apart);
        using objective::LevelWeight, objective::LevelWeighting;
        auto const of = [&](LevelWeight const& weight) { return weight.at(linear, t, level); };
        CHECK(of({}) == 1.0);
        CHECK(of({LevelWeighting::rate}) == doctest::Approx(rate).epsilon(1e-6));
        CHECK(of({LevelWeighting::likelihood}) == doctest::Approx(rate / (1.0 - level)).epsilon(1e-6));
        // With the error of noise, which is snr times that of z0, it is max(snr, 1) of the latter.
        double const factor = objective::Regression{.quantity = schedule::Quantity::noise}.error_factor(level);
        CHECK(of({LevelWeighting::truncated_snr}) * factor * factor == doctest::Approx(std::max(snr, 1.0)));
        CHECK(of({LevelWeighting::p2, 0.0, 1.0}) == doctest::Approx(1.0 / snr));
        CHECK(of({LevelWeighting::p2, 1.0, 2.0}) == doctest::Approx((1.0 - level) * (1.0 - level)));
        CHECK(of({LevelWeighting::p2, 3.0, 0.0}) == 1.0);
    }
    CHECK_THROWS_WITH_AS((void)objective::LevelWeight{objective::LevelWeighting::rate}.at(schedule::Sqrt{}, 0.5, 0.3),
                         doctest::Contains("has no 'double beta(double t) const'"), Error);
    CHECK_THROWS_WITH_AS((objective::Regression{.level_weight = {objective::LevelWeighting::p2, -1.0, 1.0}}.check()),
                         doctest::Contains("Regression: p2_offset is -1"), Error);
    CHECK_THROWS_AS((objective::DiffuSeq{.level_weight = {objective::LevelWeighting::p2, 1.0, std::nan("")}}.check()),
                    Error);
}

TEST_CASE("an objective around another passes on what levels do to errors") {
    objective::Regression const base{.quantity = schedule::Quantity::noise,
                                     .level_weight = {objective::LevelWeighting::p2, 2.0, 1.0}};
    auto const check = [&](auto const& around) {
        CHECK(objective::error_factor(around, 0.3) == base.error_factor(0.3));
        CHECK(objective::error_weight(around, schedule::Sqrt{}, 0.5, 0.3)
              == base.error_weight(schedule::Sqrt{}, 0.5, 0.3));
    };
    check(objective::DistancePenalty<objective::Regression>{.base = base});
    check(objective::Infilling<objective::Regression>{.base = base});
}

TEST_CASE("an estimate that says nothing costs log V, in the anchor loss of z0_hat and the rounding loss of z0") {
    Setting setting;
    auto const nothing = std::vector<double>(setting.z0.size());
    setting.z0_hat = nothing;
    (void)setting.run(objective::Anchor{.label_smoothing = 0.3}, false);
    CHECK(setting.term("anchor") == doctest::Approx(std::log(7.0)));
    CHECK(setting.term("nll") == doctest::Approx(std::log(7.0)));
    setting.z0 = nothing;
    CHECK(setting.run(objective::Rounding{}, false) == doctest::Approx(std::log(7.0)));  // and nothing to regress
    CHECK(setting.term("rounding") == doctest::Approx(std::log(7.0)));
}

TEST_CASE("a batch may be cut anywhere: the mean over its rows is all that counts") {
    Setting setting;
    double const all = setting.run(objective::Anchor{}, false);
    double apart = 0.0;
    auto const z0 = setting.z0, z0_hat = setting.z0_hat;
    setting.workspace.reset();
    nn::Pass<Device> pass{setting.device, setting.workspace, setting.weights.data()};
    for (Index row = 0; row < setting.target.rows(); ++row) {
        objective::Losses<Device> losses(pass);
        auto const at = static_cast<std::size_t>(row * width);
        objective::Anchor{}.evaluate(pass, setting.space,
                                     objective::Prediction<Device>{{setting.target.tokens().data + row, 1},
                                                                   {},
                                                                   MatrixView<double const>(&z0[at], 1, width),
                                                                   MatrixView<double const>(&z0_hat[at], 1, width),
                                                                   {},
                                                                   {}},
                                     losses);
        losses.collect(pass);
        apart += losses.total() / static_cast<double>(setting.target.rows());
    }
    CHECK(all == doctest::Approx(apart).epsilon(1e-12));
}

TEST_CASE_TEMPLATE("an objective's options are refused by name where they are out of their range", Chosen,
                   objective::Regression, objective::Anchor, objective::Rounding) {
    std::string const name = std::same_as<Chosen, objective::Regression> ? "Regression"
        : std::same_as<Chosen, objective::Anchor>                        ? "Anchor"
                                                                         : "Rounding";
    auto const refused = [&](Chosen const& chosen, std::string const& what) {
        CHECK_THROWS_WITH_AS(chosen.check(), ("inkling::objective::" + name + ": " + what).c_str(), Error);
    };
    Chosen chosen;
    chosen.check();
    chosen.weight = 0.0;
    chosen.check();
    chosen.weight = -1.0;
    refused(chosen, "weight is -1.000000, expected a finite number of 0 or more");
    for (double const number : {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
        chosen.weight = number;
        CHECK_THROWS_AS(chosen.check(), Error);
    }
    chosen = {};
    if constexpr (requires { chosen.label_smoothing; }) {
        chosen.regression_weight = -0.5;
        refused(chosen, "regression_weight is -0.500000, expected a finite number of 0 or more");
        chosen = {};
        for (double const share : {1.5, 1.0, -0.1, std::numeric_limits<double>::quiet_NaN()}) {
            chosen.label_smoothing = share;
            refused(chosen, message("label_smoothing is ", share, ", expected a number in [0, 1)"));
        }
    }
}

TEST_CASE("more terms than there is room for are refused") {
    Setting setting;
    nn::Pass<Device> pass{setting.device, setting.workspace, setting.weights.data()};
    objective::Losses<Device> losses(pass);
    for (int i = 0; i < 24; ++i) (void)losses.add({{"one", 0.0, 1.0}}, 1.0);
    CHECK_THROWS_WITH_AS((void)losses.add({{"one", 0.0, 1.0}}, 1.0),
                         "inkling::objective::Losses: 25 terms, expected at most 24", Error);
}

static_assert(Objective<objective::Anchor, embedding::Learned, Device>);
static_assert(!Objective<int, embedding::Learned, Device>);

/// A whole step with all that is random drawn.
template <class Space>
struct Step {
    using Model = denoiser::EncoderDecoder<Device>;
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    nn::ParameterLayout layout;
    Space space{layout, vocabulary, {.width = width, .standard_deviation = 0.5}};
    Model model;
    testing::RaggedBatch<Device> source{device, std::vector<Index>{3, 1, 2}, vocabulary, 4};
    testing::RaggedBatch<Device> target{device, std::vector<Index>{2, 3, 1}, vocabulary, 5};
    testing::DeviceArray<Device> levels{device, std::vector<double>{0.9, 1, 0.4, 0.5, 1, 1.7, 0.1, 1, 2.0}};
    testing::DeviceArray<Device, double> labels{device, std::vector<double>{0.2, 0.7, 0.95}};
    testing::DeviceArray<Device> noise{device, testing::random_values<double>(target.rows() * width, 6)};
    testing::DeviceArray<Device, Token> classes{device, std::vector<Token>{1, 3, 0}};
    std::vector<double> weights, gradients;
    objective::DiffusionSaved<Space, Model> saved;
    objective::DiffusionValues<Device> values;

    Step()
        : model(layout,
                {.width = 6,
                 .layers = 1,
                 .heads = 2,
                 .hidden = 5,
                 .dropout = 0.0,
                 .longest_source = 4,
                 .longest_target = 4,
                 .activation = backend::Activation::silu,
                 .embedding_norm = std::same_as<Space, embedding::Learned>,  // the other has one of its own
                 .length_classes = 5},
                space),
          weights(static_cast<std::size_t>(layout.size())) {
        layout.template initialize<double>(7, weights);
        auto const random = testing::random_values<double>(layout.size(), 8, 0.3);
        for (std::size_t i = 0; i < weights.size(); ++i) weights[i] += random[i];  // far from narrow starting values
    }

    double run(bool training, bool self_condition = false) {
        workspace.reset();
        if (training) gradients.assign(weights.size(), 0.0);
        nn::Pass<Device> pass{device, workspace, weights.data(), training ? gradients.data() : nullptr};
        objective::NoisedBatch<Device> const batch{{source.segments(), source.tokens(), source.positions()},
                                                   {target.segments(), target.tokens(), target.positions()},
                                                   classes.vector(),
                                                   levels.matrix(3),
                                                   labels.vector(),
                                                   noise.matrix(width),
                                                   self_condition};
        auto losses = objective::diffusion_loss(pass, space, model, objective::Anchor{}, batch, saved,
                                                {.length_weight = 0.3}, &values);
        losses.collect(pass);
        return losses.total();
    }
};

TEST_CASE_TEMPLATE("a whole step's gradient is that of central differences", Space, embedding::Learned,
                   embedding::LayerNormed) {
    Step<Space> step;
    double const with = step.run(true);
    CHECK(step.run(false) == with);
    auto const analytic = step.gradients;
    auto const report =
        testing::check_gradient(std::span<double>(step.weights), analytic, [&] { return step.run(false); },
                                {.magnitude = 30.0, .most_elements = 300});
    INFO(report.text());
    CHECK(report.passed());
    CHECK(report.largest > 0.0);
}

TEST_CASE("z_t is signal and noise as the levels say, and self-conditioning feeds the first estimate to the second") {
    Step<embedding::Learned> step;
    (void)step.run(false);
    auto const levels = step.levels.get(step.device), noise = step.noise.get(step.device);
    std::vector<std::size_t> const sentence{0, 0, 1, 1, 1, 2};
    for (Index row = 0; row < 6; ++row)
        for (Index column = 0; column < width; ++column) {
            double const* const level = &levels[3 * sentence[static_cast<std::size_t>(row)]];
            CHECK(step.values.z_t.row(row)[column]
                  == doctest::Approx(level[0] * step.values.z0.row(row)[column]
                                     + level[2] * noise[static_cast<std::size_t>(row * width + column)]));
            CHECK(step.values.previous.row(row)[column] == 0.0);
        }
    std::vector<double> const first(step.values.z0_hat.data, step.values.z0_hat.data + step.values.z0_hat.size());
    (void)step.run(false, true);
    bool other = false;
    for (std::size_t i = 0; i < first.size(); ++i) {
        CHECK(step.values.previous.data[i] == first[i]);
        other = other || step.values.z0_hat.data[i] != first[i];
    }
    CHECK(other);
}

}  // namespace
