#include <inkling/guidance/classifier_free.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/denoiser/encoder_only.hpp>
#include <inkling/denoiser/infiller.hpp>
#include <inkling/embedding/noisy_learned.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace inkling;
using Device = backend::Cpu<double>;
using Model = denoiser::Infiller<Device>;
using Guided = guidance::ClassifierFree<Model>;
using Values = std::vector<double>;
using View = MatrixView<double>;

static_assert(TrainableDenoiser<Guided> && joins_source<Guided> && continues_source<Guided>);
static_assert(DenoiserOver<Guided, embedding::NoisyLearned>);
static_assert(TrainableDenoiser<guidance::ClassifierFree<denoiser::EncoderOnly<Device>>>);

constexpr Index latent = 3;

/// Three lines: the middle of the first and the beginning of the second are kept, and nothing of the third.
struct Setting {
    text::JoinedBatch lines;
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    testing::RaggedBatch<Device> batch{device, {4, 3, 2}};
    testing::DeviceArray<Device, Index> parts{device, std::vector<Index>{0, 1, 3, 4, 6, 7, 9}};
    Values z_t = testing::random_values<double>(9 * latent, 1),
           previous = testing::random_values<double>(9 * latent, 2);
    Values labels = Values(3, 0.4);

    Setting() {
        lines.tokens.resize(9);
        for (Index const end : {1, 3, 4}) lines.end_part(end, end == 3 ? text::part::kept : text::part::written);
        lines.end_sequence();
        lines.end_part(6, text::part::kept);
        lines.end_part(7, text::part::written);
        lines.end_sequence();
        lines.end_part(9, text::part::written);
        lines.end_sequence();
    }

    static denoiser::InfillerOptions sizes() {
        denoiser::InfillerOptions options;
        options.width = 4;
        options.layers = 1;
        options.heads = 2;
        options.reach = 2;
        options.longest = 8;
        return options;
    }

    /// What `denoiser` says of z_t; told what is kept where it wants to know.
    template <class Denoiser>
    Values predict(Denoiser const& denoiser, nn::ParameterLayout const& layout, Values& z, Values& last) {
        auto weights = testing::random_values<double>(layout.size(), 6, 0.5);
        workspace.reset();
        nn::Pass<Device> pass{device, workspace, weights.data()};
        PackedSequences const target{batch.segments(), {}, batch.positions()};
        auto encoded = denoiser.encode(pass, target);
        if constexpr (requires { denoiser.keep(pass, encoded, lines, Segments{}); })
            denoiser.keep(pass, encoded, lines, {parts.data(), 6, 9, 2});
        View const time = denoiser.embed_times(pass, VectorView<double const>(labels.data(), 3));
        Values z0_hat(z.size());
        denoiser.predict(pass, target, encoded, View(z.data(), 9, latent), time, View(last.data(), 9, latent),
                         View(z0_hat.data(), 9, latent));
        return z0_hat;
    }
    Values guided(double g) {
        nn::ParameterLayout layout;
        Guided const denoiser(layout, {.model = sizes(), .guidance = g}, latent);
        return predict(denoiser, layout, z_t, previous);
    }
    Values plain(Values& z, Values& last) {
        nn::ParameterLayout layout;
        Model const denoiser(layout, sizes(), latent);
        return predict(denoiser, layout, z, last);
    }
};

}  // namespace

TEST_CASE("ClassifierFree: z0_hat = f(z_t, 0, 0) + g (f(z_t, c, previous) - f(z_t, 0, 0)) where a condition is kept") {
    Setting setting;
    auto const with = setting.plain(setting.z_t, setting.previous);
    Values dropped = setting.z_t, nothing(setting.z_t.size());
    for (Index const row : {1, 2, 4, 5}) std::fill_n(dropped.begin() + row * latent, latent, 0.0);
    auto const without = setting.plain(dropped, nothing);
    for (double const g : {0.0, 2.5, -1.0}) {
        auto const guided = setting.guided(g);
        for (std::size_t row = 0; row < 9; ++row) {
            bool const driven = row == 0 || row == 3 || row == 6;  // written, of a line of which something is kept
            for (std::size_t i = row * latent; i < (row + 1) * latent; ++i)
                CHECK(guided[i]
                      == doctest::Approx(driven ? without[i] + g * (with[i] - without[i]) : with[i]).epsilon(1e-12));
        }
    }
}

TEST_CASE("ClassifierFree: a guidance of 1 is the denoiser's own estimate to the last bit") {
    Setting setting;
    CHECK(setting.guided(1.0) == setting.plain(setting.z_t, setting.previous));
    CHECK(setting.guided(1.5) != setting.plain(setting.z_t, setting.previous));
}

TEST_CASE("ClassifierFree: what it is guided by is no part of the model's file, and no number is refused") {
    using Options = Guided::Options;
    std::vector<std::string> names;
    Options const options;
    describe(options, [&](std::string_view name, auto const&...) { names.emplace_back(name); });
    std::vector<std::string> own;
    describe(options.model, [&](std::string_view name, auto const&...) { own.emplace_back(name); });
    CHECK(names == own);
    nn::ParameterLayout layout;
    CHECK_THROWS_AS(
        Guided(layout, {.model = Setting::sizes(), .guidance = std::numeric_limits<double>::infinity()}, latent),
        Error);
}
