#include <inkling/denoiser/encoder_decoder.hpp>

#include <inkling/embedding/layer_normed.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/testing/device_arrays.hpp>
#include <inkling/testing/gradient_check.hpp>

#include <doctest/doctest.h>

#include "device.hpp"

#include <cmath>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace {

using namespace inkling;
using Device = tests::Device<double>;
using Model = denoiser::EncoderDecoder<Device>;
using Options = denoiser::EncoderDecoderOptions;
using Batch = testing::RaggedBatch<Device>;
using Array = testing::DeviceArray<Device>;
using View = MatrixView<double>;
using ConstView = MatrixView<double const>;

constexpr Index vocabulary = 7;

Options small() {
    Options options;
    options.width = 6;
    options.layers = 2;
    options.heads = 2;
    options.hidden = 7;
    options.dropout = 0.0;
    options.longest_source = 5;
    options.longest_target = 5;
    options.activation = backend::Activation::silu;
    options.length_classes = 5;
    return options;
}

/// One training step of the kind Difformer makes, as a function of weights and noise:
/// z_t = a z0 + b noise, and then four losses: a weighted sum of z0_hat, its read-out, its distance to z0, and the
/// length.
template <class Space>
struct TrainingStep {
    Options options;
    nn::ParameterLayout layout;
    Space space;
    Model model;
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    Batch source{device, {3, 1, 4}, vocabulary, 1};
    Batch target{device, {2, 4, 1}, vocabulary, 2};
    Array noise, previous, pull, keep, stir;
    testing::DeviceArray<Device, double> labels{device, std::vector<double>{0.3, 1.7, 0.9}};
    testing::DeviceArray<Device, Token> length_classes{device, std::vector<Token>{1, 4, 0}};
    std::vector<double> weights, gradients, noise_gradient;
    typename Model::Saved saved;
    double length_weight = 0.7;
    bool without_source = false;  ///< then nothing is said of lengths

    TrainingStep(Options const& options_, Index latent, typename Space::Options space_options = {})
        : options(options_),
          space(layout, vocabulary,
                [&] {
                    space_options.width = latent;
                    return space_options;
                }()),
          model(layout, options_, vocabulary, latent, space.scale(), space.table()),
          noise(device, testing::random_values<double>(target.rows() * latent, 3)),
          previous(device, testing::random_values<double>(target.rows() * latent, 4)),
          pull(device, testing::random_values<double>(target.rows() * latent, 5, 0.3)),
          keep(device, std::vector<double>{0.9, 0, 0, 0.5, 0, 0, 0.2, 0, 0}),
          stir(device, std::vector<double>{0.4, 0, 0, 0.8, 0, 0, 0.95, 0, 0}),
          weights(static_cast<std::size_t>(layout.size())) {
        layout.initialize<double>(7, weights);
        auto const random = testing::random_values<double>(layout.size(), 6);
        for (auto const& entry : layout.entries())  // far from the narrow starting values, so that nothing is nearly 0
            for (Index i = entry.parameter.offset; i < entry.parameter.offset + entry.parameter.size(); ++i) {
                auto const at = static_cast<std::size_t>(i);
                if (entry.trained)
                    weights[at] = entry.initializer.value == 1.0 ? 1 + 0.2 * random[at] : 0.4 * random[at];
            }
    }

    nn::Pass<Device> pass(bool training) {
        workspace.reset();
        return {device,          workspace,
                weights.data(),  training ? gradients.data() : nullptr,
                options.dropout, RandomStream{11, Purpose::dropout, 0, 5}};
    }

    /// Losses, and with `training` their gradients; `frozen` stands in for the encoder's output in the length loss.
    double run(bool training, std::vector<double>* frozen = nullptr) {
        Index const latent = space.width();
        Index const rows = target.rows();
        if (training) gradients.assign(weights.size(), 0.0);
        auto p = pass(training);
        typename Space::template Saved<Device> embedded;
        View const z0 = p.take(rows, latent);
        View const z_t = p.take(rows, latent);
        View const z0_hat = p.take(rows, latent);
        View const scaled_noise = p.take_zeros(rows, latent);
        space.embed(p, target.tokens(), z0, &embedded);
        combine(device, target.segments(), stir.matrix(3), noise.matrix(latent), {}, {}, scaled_noise);
        combine(device, target.segments(), keep.matrix(3), z0, {}, {}, z_t);
        add(device, z_t, scaled_noise, z_t);

        PackedSequences const sources{source.segments(), source.tokens(), source.positions()};
        PackedSequences const targets{target.segments(), target.tokens(), target.positions()};
        auto* const save = training ? &saved : nullptr;
        auto encoded =
            without_source ? model.encode_nothing(p, targets.segments.count) : model.encode(p, sources, save);
        View const time = model.embed_times(p, labels.vector(), save);
        model.predict(p, targets, encoded, z_t, time, previous.matrix(latent), z0_hat, save);

        View const dz0_hat = p.take(rows, latent);
        View const dz0 = p.take_zeros(rows, latent);
        double losses[2] = {};
        double distance = 0.0;
        double length[2] = {};
        double total = 0.0;
        for (Index i = 0; i < z0_hat.size(); ++i) total += z0_hat.data[i] * pull.data()[i];
        copy(device, static_cast<double const*>(pull.data()), dz0_hat.data, dz0_hat.size());
        readout_cross_entropy(device, z0_hat, p.matrix(space.readout()), {}, target.tokens(), 0.1, 1.0, losses,
                              training ? dz0_hat : View{}, training ? p.matrix_gradient(space.readout()) : View{});
        squared_error(device, z0_hat, z0, 0.5, &distance, training ? dz0_hat : View{}, training ? dz0 : View{});
        total += losses[1] + 0.5 * distance;
        if (frozen && frozen->empty()) frozen->assign(encoded.output.data, encoded.output.data + encoded.output.size());
        auto length_source = encoded;
        if (frozen) length_source.output = {frozen->data(), encoded.output.rows, encoded.output.cols};
        View const doutput = p.take_zeros(encoded.output.rows, options.width);
        if (!without_source)
            model.length_loss(p, length_source, length_classes.vector(), length_weight, length,
                              training ? doutput : View{});
        total += length_weight * length[0];
        if (!training) return total;

        View const dz_t = p.take_zeros(rows, latent);
        View const dtime = p.take(time.rows, time.cols);
        View const dkeys_values = p.take(encoded.output.rows, options.layers * 2 * options.width);
        model.predict_backward(p, targets, encoded, saved, dz0_hat, dz_t, dtime, dkeys_values);
        model.embed_times_backward(p, saved, dtime);
        model.encode_backward(p, encoded, saved, doutput, dkeys_values);
        View const dnoise = p.take(rows, latent);
        combine(device, target.segments(), stir.matrix(3), dz_t, {}, {}, dnoise);
        noise_gradient.assign(dnoise.data, dnoise.data + dnoise.size());
        combine(device, target.segments(), keep.matrix(3), dz_t, {}, {}, dz_t);
        add(device, dz0, dz_t, dz0);
        space.embed_backward(p, target.tokens(), embedded, dz0);
        return total;
    }

    void check(Index most_elements = -1) {
        std::vector<double> output;
        std::vector<double>* const frozen = options.length_trains_encoder ? nullptr : &output;
        double const with_gradients = run(true, frozen);
        auto const f = [&] { return run(false, frozen); };
        CHECK(f() == with_gradients);  // what is saved for the backward pass changes nothing
        for (auto const& entry : layout.entries()) {
            auto const first = static_cast<std::size_t>(entry.parameter.offset);
            auto const size = static_cast<std::size_t>(entry.parameter.size());
            auto const report = testing::check_gradient(std::span(weights).subspan(first, size),
                                                        std::span<double const>(gradients).subspan(first, size), f,
                                                        {.magnitude = 10.0, .most_elements = most_elements});
            INFO(entry.name, ": ", report.text());
            CHECK(report.passed());
            bool const key_bias = entry.name.ends_with("k_proj.bias");  // the softmax does not see it
            if (!key_bias && !without_source && most_elements < 0) CHECK(report.largest > 1e-4);
        }
        auto const report =
            testing::check_gradient({noise.data(), noise_gradient.size()}, noise_gradient, f, {.magnitude = 10.0});
        INFO("noise: ", report.text());
        CHECK(report.passed());
    }
};

using Plain = TrainingStep<embedding::Learned>;
using Normed = TrainingStep<embedding::LayerNormed>;

}  // namespace

TEST_CASE("EncoderDecoder: every gradient of a training step is the slope of its loss") { Plain(small(), 4).check(); }

TEST_CASE(
    "EncoderDecoder: without a source its gradients hold, nothing of any source is read, and values still learn") {
    Plain step(small(), 4);
    step.without_source = true;
    step.check();
    double const loss = step.run(true);
    auto const* const values = step.layout.find("decoder.layers.0.encoder_attn.v_proj.bias");
    REQUIRE(values != nullptr);
    CHECK(std::abs(step.gradients[static_cast<std::size_t>(values->parameter.offset)]) > 1e-4);
    for (auto const& entry : step.layout.entries())
        if (entry.name.starts_with("encoder.") && entry.name != "encoder.embed_tokens.weight")  // that is the target's
            for (Index i = 0; i < entry.parameter.size(); ++i)
                step.weights[static_cast<std::size_t>(entry.parameter.offset + i)] += 0.3;
    CHECK(step.run(false) == loss);
    step.without_source = false;
    CHECK(step.run(false) != loss);
}

TEST_CASE("EncoderDecoder: its gradients hold under dropout, which draws the same masks on both sides") {
    Options options = small();
    options.dropout = 0.2;
    Plain(options, 4).check(8);
    options.self_conditioning = denoiser::SelfConditioning::before_projection;
    options.encoder_normalize_before = options.decoder_normalize_before = true;
    Plain(options, 4).check(8);
}

TEST_CASE("EncoderDecoder: its gradients hold wherever the last estimate joins z_t, and where it does not") {
    for (auto const where : {denoiser::SelfConditioning::none, denoiser::SelfConditioning::before_projection,
                             denoiser::SelfConditioning::after_projection})
        for (bool const shared : {false, true})
            for (Index const latent : {4, 6}) {  // 6 is the width: no projection
                CAPTURE(static_cast<int>(where));
                CAPTURE(shared);
                CAPTURE(latent);
                Options options = small();
                options.self_conditioning = where;
                options.share_projection = shared;
                Plain(options, latent).check(4);
            }
}

TEST_CASE("EncoderDecoder: its gradients hold with pre-norm layers, relu, and separate or untied tables") {
    Options options = small();
    options.encoder_normalize_before = true;
    options.decoder_normalize_before = true;
    options.activation = backend::Activation::relu;
    options.share_embedding = false;
    Plain(options, 4, {.tied = false}).check(8);
}

TEST_CASE("EncoderDecoder: its gradients hold with other norms and positions, and a deeper encoder") {
    Options options = small();
    options.encoder_layers = 3;
    options.encoder_heads = 3;
    options.encoder_hidden = 5;
    options.layers = 1;
    options.embedding_norm_affine = false;
    options.encoder_embedding_norm = true;
    options.encoder_positions = denoiser::Positions::sinusoidal;
    options.decoder_positions = denoiser::Positions::sinusoidal;
    options.activation = backend::Activation::gelu;
    Plain(options, 4, {.scaled = false}).check(8);
    options.embedding_norm = false;
    options.activation = backend::Activation::tanh;
    Normed(options, 4).check(8);
    Normed(options, 4, {.tied = false, .affine = false}).check(8);
}

TEST_CASE("EncoderDecoder: a length loss that does not train the encoder still trains its own table") {
    Options options = small();
    options.length_trains_encoder = false;
    Plain(options, 4).check(8);
}
