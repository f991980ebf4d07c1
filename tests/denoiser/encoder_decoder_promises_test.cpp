#include <inkling/denoiser/encoder_decoder.hpp>

#include <inkling/embedding/learned.hpp>
#include <inkling/testing/device_arrays.hpp>

#include "allocations.hpp"
#include "device.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace {

using namespace inkling;
using Device = tests::Device<>;
using Model = denoiser::EncoderDecoder<Device>;
using Batch = testing::RaggedBatch<Device>;
using Floats = std::vector<float>;
using View = MatrixView<float>;
using ConstView = MatrixView<float const>;

static_assert(Denoiser<Model>);
static_assert(Denoiser<denoiser::EncoderDecoder<tests::Device<double>>>);
static_assert(!Denoiser<int>);

constexpr Index vocabulary = 90;
constexpr Index latent = 20;

denoiser::EncoderDecoderOptions sizes() {
    denoiser::EncoderDecoderOptions options;
    options.width = 24;
    options.layers = 2;
    options.heads = 2;
    options.longest_source = 40;
    options.longest_target = 40;
    options.activation = backend::Activation::gelu;
    return options;
}

/// A model with random weights.
struct Translator {
    nn::ParameterLayout layout;
    embedding::Learned space{layout, vocabulary, {.width = latent}};
    Model model;
    Floats weights;
    Floats gradients;

    explicit Translator(denoiser::EncoderDecoderOptions const& options = sizes())
        : model(layout, options, vocabulary, latent, space.scale(), space.table()),
          weights(testing::random_values<float>(layout.size(), 1, 0.3)),
          gradients(weights.size()) {}
};

/// Sentence pairs on a device, with all that one call of the model reads.
struct Pairs {
    Batch source;
    Batch target;
    testing::DeviceArray<Device, double> labels;
    testing::DeviceArray<Device, Token> length_classes;
    testing::DeviceArray<Device> z_t;
    testing::DeviceArray<Device> previous;

    /// The pairs of these numbers, from 0 to 4.
    Pairs(Device& device, std::vector<std::size_t> const& numbers)
        : source(Batch::of(device, chosen(testing::random_sentences({3, 1, 40, 8, 2}, vocabulary, 1), numbers))),
          target(Batch::of(device, chosen(testing::random_sentences({5, 2, 33, 1, 9}, vocabulary, 2), numbers))),
          labels(device, chosen(std::vector<double>{100.0, 900.0, 0.0, 333.3, 7.0}, numbers)),
          length_classes(device, chosen(std::vector<Token>{1, 2, 3, 4, 5}, numbers)),
          z_t(device, values(numbers, 1)),
          previous(device, values(numbers, 2)) {}

private:
    template <class T>
    static std::vector<T> chosen(std::vector<T> const& all, std::vector<std::size_t> const& numbers) {
        std::vector<T> result;
        for (std::size_t const number : numbers) result.push_back(all[number]);
        return result;
    }
    static Floats values(std::vector<std::size_t> const& numbers, std::uint32_t kind) {
        Floats result;
        for (std::size_t const number : numbers) {
            constexpr Index lengths[] = {5, 2, 33, 1, 9};
            auto const own =
                testing::random_values<float>(lengths[number] * latent, static_cast<std::uint32_t>(10 * number) + kind);
            result.insert(result.end(), own.begin(), own.end());
        }
        return result;
    }
};

/// z0_hat of the pairs, outside training.
struct Results {
    Floats z0_hat;
    Floats length_logits;
    bool operator==(Results const&) const = default;
};
Results predict(Translator& translator, Pairs& pairs, int threads) {
    Device device({.threads = threads});
    nn::Workspace<Device> workspace;
    nn::Pass<Device> pass{device, workspace, translator.weights.data(), nullptr, 0.0, {}};
    auto const encoded =
        translator.model.encode(pass, {pairs.source.segments(), pairs.source.tokens(), pairs.source.positions()});
    View const time = translator.model.embed_times(pass, pairs.labels.vector());
    View const z0_hat = pass.take(pairs.target.rows(), latent);
    translator.model.predict(pass, {pairs.target.segments(), {}, pairs.target.positions()}, encoded,
                             pairs.z_t.matrix(latent), time, pairs.previous.matrix(latent), z0_hat);
    View const logits = translator.model.length_logits(pass, encoded);
    return {Floats(z0_hat.data, z0_hat.data + z0_hat.size()), Floats(logits.data, logits.data + logits.size())};
}

/// One training step: gradients of a plain loss, on what a caller keeps from step to step.
struct Training {
    Device device;
    nn::Workspace<Device> workspace{};
    Model::Saved saved{};

    void step(Translator& translator, Pairs& pairs, std::uint32_t number) {
        workspace.reset();
        std::fill(translator.gradients.begin(), translator.gradients.end(), 0.0F);
        Model const& model = translator.model;
        nn::Pass<Device> pass{device,
                              workspace,
                              translator.weights.data(),
                              translator.gradients.data(),
                              0.1,
                              RandomStream{1, Purpose::dropout, 0, number}};
        PackedSequences const source{pairs.source.segments(), pairs.source.tokens(), pairs.source.positions()};
        PackedSequences const target{pairs.target.segments(), pairs.target.tokens(), pairs.target.positions()};
        auto const encoded = model.encode(pass, source, &saved);
        View const time = model.embed_times(pass, pairs.labels.vector(), &saved);
        View const z0_hat = pass.take(pairs.target.rows(), latent);
        model.predict(pass, target, encoded, pairs.z_t.matrix(latent), time, pairs.previous.matrix(latent), z0_hat,
                      &saved);
        View const dz0_hat = pass.take_zeros(z0_hat.rows, latent);
        View const dz_t = pass.take_zeros(z0_hat.rows, latent);
        View const dtime = pass.take(time.rows, time.cols);
        View const doutput = pass.take_zeros(pairs.source.rows(), model.options().width);
        View const dkeys_values = pass.take(pairs.source.rows(), model.options().layers * 2 * model.options().width);
        double losses[2];
        auto const readout = translator.space.readout();
        readout_cross_entropy(device, z0_hat, pass.matrix(readout), {}, pairs.target.tokens(), 0.1, 0.02, losses,
                              dz0_hat, pass.matrix_gradient(readout));
        model.predict_backward(pass, target, encoded, saved, dz0_hat, dz_t, dtime, dkeys_values);
        model.embed_times_backward(pass, saved, dtime);
        model.length_loss(pass, encoded, pairs.length_classes.vector(), 0.1, losses, doutput);
        model.encode_backward(pass, encoded, saved, doutput, dkeys_values);
    }
};

Floats cut(Floats const& all, Index first, Index count) {
    return Floats(all.begin() + first, all.begin() + first + count);
}

}  // namespace

TEST_CASE("EncoderDecoder: a sentence gets the same bits in a batch, alone, and beside others") {
    Translator translator;
    Device device;
    Pairs together(device, {0, 1, 2, 3, 4});
    auto const want = predict(translator, together, 2);
    Index row = 0;
    for (std::size_t number = 0; number < 5; ++number) {
        Pairs alone(device, {number});
        auto const got = predict(translator, alone, 1);
        Index const size = alone.target.rows() * latent;
        CAPTURE(number);
        CHECK(got.z0_hat == cut(want.z0_hat, row, size));
        CHECK(got.length_logits == cut(want.length_logits, static_cast<Index>(number) * 256, 256));
        Pairs beside(device, {4, number});
        auto const second = predict(translator, beside, 2);
        CHECK(cut(second.z0_hat, 9 * latent, size) == got.z0_hat);
        row += size;
    }
}

TEST_CASE("EncoderDecoder: outputs and gradients are the same bits on 1, 2 and 3 threads") {
    Translator translator;
    Device device;
    Pairs pairs(device, {0, 1, 2, 3, 4});
    auto const want = predict(translator, pairs, 1);
    Training{Device({.threads = 1})}.step(translator, pairs, 1);
    Floats const gradients = translator.gradients;
    for (int const threads : {2, 3}) {
        CHECK(predict(translator, pairs, threads) == want);
        Training{Device({.threads = threads})}.step(translator, pairs, 1);
        CHECK(translator.gradients == gradients);
    }
}

TEST_CASE("EncoderDecoder: many targets of one source read it once, and get what each would with a source of its own") {
    Translator translator;
    Device device;
    Pairs own(device, {0, 1, 1, 0});
    auto const want = predict(translator, own, 2).z0_hat;
    Pairs shared(device, {0, 1});
    testing::DeviceArray<Device, Index> const source_of(device, std::vector<Index>{0, 1, 1, 0});
    nn::Workspace<Device> workspace;
    nn::Pass<Device> pass{device, workspace, translator.weights.data(), nullptr, 0.0, {}};
    auto encoded =
        translator.model.encode(pass, {shared.source.segments(), shared.source.tokens(), shared.source.positions()});
    encoded.source_of = source_of.data();
    View const time = translator.model.embed_times(pass, own.labels.vector());
    View const z0_hat = pass.take(own.target.rows(), latent);
    translator.model.predict(pass, {own.target.segments(), {}, own.target.positions()}, encoded, own.z_t.matrix(latent),
                             time, own.previous.matrix(latent), z0_hat);
    CHECK(Floats(z0_hat.data, z0_hat.data + z0_hat.size()) == want);
}

TEST_CASE("EncoderDecoder: rows of z_t, previous and z0_hat may lie apart, with a map back to D and without") {
    for (Index const width : {24, 20}) {
        auto options = sizes();
        options.width = width;
        Translator translator(options);
        Device device;
        Pairs pairs(device, {0, 1, 4});
        auto const want = predict(translator, pairs, 1).z0_hat;
        nn::Workspace<Device> workspace;
        nn::Pass<Device> pass{device, workspace, translator.weights.data(), nullptr, 0.0, {}};
        Index const rows = pairs.target.rows();
        View const wide = pass.take_zeros(rows, 3 * latent);
        View const z_t = wide.columns(0, latent), previous = wide.columns(latent, latent),
                   z0_hat = wide.columns(2 * latent, latent);
        scale(device, 1.0F, pairs.z_t.matrix(latent), z_t);
        scale(device, 1.0F, pairs.previous.matrix(latent), previous);
        auto const encoded =
            translator.model.encode(pass, {pairs.source.segments(), pairs.source.tokens(), pairs.source.positions()});
        View const time = translator.model.embed_times(pass, pairs.labels.vector());
        translator.model.predict(pass, {pairs.target.segments(), {}, pairs.target.positions()}, encoded, z_t, time,
                                 previous, z0_hat);
        Floats got;
        for (Index row = 0; row < rows; ++row) got.insert(got.end(), z0_hat.row(row), z0_hat.row(row) + latent);
        CAPTURE(width);
        CHECK(got == want);
        CHECK(Floats(z_t.row(0), z_t.row(0) + latent) == Floats(pairs.z_t.data(), pairs.z_t.data() + latent));
    }
}

TEST_CASE("EncoderDecoder: one row of time serves all sentences") {
    Translator translator;
    Device device;
    Pairs pairs(device, {0, 1});
    testing::DeviceArray<Device, double> const both(device, std::vector<double>{400.0, 400.0});
    nn::Workspace<Device> workspace;
    nn::Pass<Device> pass{device, workspace, translator.weights.data(), nullptr, 0.0, {}};
    PackedSequences const target{pairs.target.segments(), {}, pairs.target.positions()};
    auto const encoded =
        translator.model.encode(pass, {pairs.source.segments(), pairs.source.tokens(), pairs.source.positions()});
    View const time = translator.model.embed_times(pass, both.vector());
    View one = translator.model.embed_times(pass, VectorView<double const>(both.data(), 1));
    one.stride = 0;
    Floats results[2];
    for (View const& each : {time, one}) {
        View const z0_hat = pass.take(pairs.target.rows(), latent);
        translator.model.predict(pass, target, encoded, pairs.z_t.matrix(latent), each, pairs.previous.matrix(latent),
                                 z0_hat);
        results[each.stride == 0] = Floats(z0_hat.data, z0_hat.data + z0_hat.size());
    }
    CHECK(results[0] == results[1]);
}

TEST_CASE("EncoderDecoder: after the first step nothing is allocated, in training and in denoising") {
    Translator translator;
    for (int const threads : {1, 2}) {
        CAPTURE(threads);
        Training training{Device({.threads = threads})};
        Pairs largest(training.device, {0, 1, 2, 3, 4});
        Pairs smaller(training.device, {3, 2});
        training.step(translator, largest, 1);
        training.workspace.reset();  // joins the memory of the first step
        long const before = allocations();
        for (std::uint32_t number = 2; number < 5; ++number) {
            training.step(translator, largest, number);
            training.step(translator, smaller, number);
        }
        CHECK(allocations() == before);

        nn::Workspace<Device> workspace;
        nn::Pass<Device> pass{training.device, workspace, translator.weights.data(), nullptr, 0.0, {}};
        PackedSequences const target{largest.target.segments(), {}, largest.target.positions()};
        auto const encoded = translator.model.encode(
            pass, {largest.source.segments(), largest.source.tokens(), largest.source.positions()});
        View const time = translator.model.embed_times(pass, largest.labels.vector());
        View const z0_hat = pass.take(largest.target.rows(), latent);
        testing::DeviceArray<Device, Token> tokens(training.device, largest.target.rows());
        long first_step = 0;
        for (int step = 0; step < 4; ++step) {
            translator.model.predict(pass, target, encoded, largest.z_t.matrix(latent), time,
                                     largest.previous.matrix(latent), z0_hat);
            readout_argmax(training.device, z0_hat, pass.matrix(translator.space.readout()), {}, tokens.vector());
            if (step == 0) first_step = allocations();
        }
        CHECK(allocations() == first_step);
    }
}

TEST_CASE("EncoderDecoder: a length becomes a class and a length again, by difference or as it is") {
    auto options = sizes();
    options.length_classes = 16;
    Model const offset = Translator(options).model;
    for (Index target = 2; target <= 17; ++target)
        CHECK(offset.length_of(10, offset.length_class(10, target)) == target);
    CHECK(offset.length_class(10, 10) == 8);
    CHECK(offset.length_class(10, 1) == 0);  // what no class stands for goes to the nearest
    CHECK(offset.length_class(10, 40) == 15);
    CHECK(offset.length_of(2, 0) == 2);  // a target has at least its two ends
    options.length_target = denoiser::LengthTarget::absolute;
    Model const absolute = Translator(options).model;
    for (Index target = 2; target < 16; ++target)
        CHECK(absolute.length_of(3, absolute.length_class(3, target)) == target);
}

TEST_CASE("EncoderDecoder: predicted lengths are the largest logits") {
    Translator translator;
    Device device;
    Pairs pairs(device, {0, 1, 2, 3, 4});
    nn::Workspace<Device> workspace;
    nn::Pass<Device> pass{device, workspace, translator.weights.data(), nullptr, 0.0, {}};
    auto const encoded =
        translator.model.encode(pass, {pairs.source.segments(), pairs.source.tokens(), pairs.source.positions()});
    View const logits = translator.model.length_logits(pass, encoded);
    testing::DeviceArray<Device, Token> classes(device, 5);
    translator.model.predict_lengths(pass, encoded, classes.vector());
    for (Index s = 0; s < 5; ++s) {
        float const* const row = logits.row(s);
        CHECK(classes.data()[s] == std::max_element(row, row + logits.cols) - row);
    }
}

TEST_CASE("EncoderDecoder: what cannot be is refused, and the message says what and why") {
    auto const refused = [](auto const& change) {
        auto options = sizes();
        change(options);
        Translator{options};
    };
    CHECK_THROWS_WITH_AS(refused([](auto& options) { options.layers = 0; }),
                         "inkling::denoiser::EncoderDecoder: layers is 0, expected 1 to 1024", Error);
    CHECK_THROWS_WITH_AS(refused([](auto& options) { options.width = Index{1} << 62; }),
                         "inkling::denoiser::EncoderDecoder: width is 4611686018427387904, expected 1 to 1048576",
                         Error);
    CHECK_THROWS_WITH_AS(refused([](auto& options) { options.encoder_hidden = -1; }),
                         "inkling::denoiser::EncoderDecoder: encoder_hidden is -1, expected 0 to 1048576", Error);
    for (auto const member :
         {&denoiser::EncoderDecoderOptions::layers, &denoiser::EncoderDecoderOptions::heads,
          &denoiser::EncoderDecoderOptions::hidden, &denoiser::EncoderDecoderOptions::encoder_layers,
          &denoiser::EncoderDecoderOptions::encoder_heads, &denoiser::EncoderDecoderOptions::encoder_hidden,
          &denoiser::EncoderDecoderOptions::longest_source, &denoiser::EncoderDecoderOptions::longest_target,
          &denoiser::EncoderDecoderOptions::length_classes})
        CHECK_THROWS_WITH_AS(refused([=](auto& options) { options.*member = (Index{1} << 20) + 1; }),
                             doctest::Contains(" is 1048577, expected "), Error);
    CHECK_THROWS_WITH_AS(refused([](auto& options) { options.time_scale = std::nan(""); }),
                         "inkling::denoiser::EncoderDecoder: time_scale is nan, expected a finite number", Error);
    CHECK_THROWS_WITH_AS(refused([](auto& options) { options.dropout = 1.0; }),
                         "inkling::denoiser::EncoderDecoder: dropout is 1.000000, expected a number in [0, 1)", Error);
    CHECK_THROWS_WITH_AS(
        refused([](auto& options) { options.heads = 5; }),
        "inkling::nn::Attention: encoder.layers.0 has width 24 and 5 heads, expected the heads to divide "
        "the width",
        Error);
    auto options = sizes();
    options.longest_source = 39;
    Translator translator(options);
    Device device;
    Pairs pairs(device, {0, 2});
    CHECK_THROWS_WITH_AS(
        predict(translator, pairs, 1),
        "inkling::denoiser::EncoderDecoder: a source sentence has 40 tokens, expected at most 39, for which there "
        "are positions",
        Error);
}

TEST_CASE("EncoderDecoder: parameters carry the official names, and shared ones several") {
    Translator const translator;
    auto const shape = [&](char const* name) {
        auto const* const entry = translator.layout.find(name);
        REQUIRE_MESSAGE(entry != nullptr, name);
        return entry->shape;
    };
    using Shape = std::vector<Index>;
    CHECK(shape("decoder.embed_tokens.weight") == Shape{vocabulary, latent});
    CHECK(translator.layout.find("encoder.embed_tokens.weight")
          == translator.layout.find("decoder.embed_tokens.weight"));
    CHECK(shape("encoder.embed_positions.weight") == Shape{42, 24});  // two rows in front: fairseq's padding offset
    CHECK(shape("encoder.layers.1.self_attn.q_proj.weight") == Shape{24, 24});
    CHECK(shape("decoder.layers.1.encoder_attn.out_proj.bias") == Shape{24});
    CHECK(shape("decoder.layers.0.fc1.weight") == Shape{96, 24});
    CHECK(shape("decoder.project_out_dim.weight") == Shape{latent, 24});
    CHECK(shape("decoder.embed_length.weight") == Shape{256, 24});
    CHECK(shape("decoder.self_cond_proj.0.weight") == Shape{24, 48});
    CHECK(shape("decoder.embed_time.2.weight") == Shape{24, 96});
}
