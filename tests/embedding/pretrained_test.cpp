#include <inkling/embedding/pretrained.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/io/named_tensors.hpp>
#include <inkling/io/npy.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <doctest/doctest.h>

#include "io/temporary_folder.hpp"

#include <cmath>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace inkling;
using embedding::Pretrained;
using Device = backend::Cpu<double>;

static_assert(EmbeddingSpaceOn<Pretrained, Device>);

embedding::VectorTable raw(Index rows = 5, Index width = 4) {
    return {width, testing::random_values<float>(rows * width, 3)};
}

double norm_of(std::span<float const> row) {
    double squares = 0.0;
    for (float const value : row) squares += static_cast<double>(value) * static_cast<double>(value);
    return std::sqrt(squares);
}

}  // namespace

TEST_CASE("normalized: every row has norm sqrt(D) and points where it did") {
    auto const before = raw();
    auto const after = embedding::normalized(before);
    for (std::size_t row = 0; row < 5; ++row) {
        std::span<float const> const a(before.values.data() + 4 * row, 4), b(after->values.data() + 4 * row, 4);
        CHECK(norm_of(b) == doctest::Approx(2.0).epsilon(1e-6));
        for (std::size_t i = 0; i < 4; ++i)
            CHECK(static_cast<double>(b[i]) == doctest::Approx(static_cast<double>(a[i]) * 2.0 / norm_of(a)));
    }
    CHECK_THROWS_WITH_AS((void)embedding::normalized({2, {1, 2, 0, 0}}),
                         "inkling::embedding::normalized: row 1 has the norm 0.000000, expected a positive finite one",
                         Error);
    CHECK_THROWS_AS((void)embedding::normalized({}), Error);
}

TEST_CASE("Pretrained: z0 is the table's row, the read-out starts as the table, and only the read-out is trained") {
    auto const table = embedding::normalized(raw());
    nn::ParameterLayout layout;
    Pretrained const space(layout, 5, {.width = 4, .table = table});
    CHECK(space.width() == 4);
    CHECK(space.vocabulary() == 5);
    CHECK(embedding::start_noise(space) == 0.01);
    CHECK(space.readout().offset != space.table().offset);
    std::vector<double> weights(static_cast<std::size_t>(layout.size())), gradients(weights.size());
    layout.initialize<double>(1, weights);
    for (std::size_t i = 0; i < 20; ++i) {
        CHECK(weights[static_cast<std::size_t>(space.table().offset) + i] == static_cast<double>(table->values[i]));
        CHECK(weights[static_cast<std::size_t>(space.readout().offset) + i] == static_cast<double>(table->values[i]));
    }
    Index const begin = space.readout().offset;
    CHECK(layout.trained_ranges() == std::vector<std::pair<Index, Index>>{{begin, begin + 20}});
    CHECK(layout.find("embedding.weight")->stored);

    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    nn::Pass<Device> pass{device, workspace, weights.data(), gradients.data()};
    std::vector<Token> const tokens{3, 0, 3};
    std::vector<double> z0(12);
    MatrixView<double> const view(z0.data(), 3, 4);
    space.embed(pass, TokenView(tokens.data(), 3), view);
    for (std::size_t row = 0; row < 3; ++row)
        for (std::size_t i = 0; i < 4; ++i)
            CHECK(z0[4 * row + i] == static_cast<double>(table->values[4 * static_cast<std::size_t>(tokens[row]) + i]));
    space.embed_backward(pass, TokenView(tokens.data(), 3), {}, view);
    CHECK(gradients == std::vector<double>(gradients.size()));
}

TEST_CASE("Pretrained: where it is not frozen the table is trained, by the rows of each of its tokens") {
    auto const table = embedding::normalized(raw());
    nn::ParameterLayout layout;
    Pretrained const space(layout, 5, {.width = 4, .frozen = false, .table = table});
    CHECK(layout.trained_ranges() == std::vector<std::pair<Index, Index>>{{0, 40}});
    std::vector<double> weights(40), gradients(40), dz0(12);
    layout.initialize<double>(1, weights);
    for (std::size_t i = 0; i < 12; ++i) dz0[i] = static_cast<double>(i);
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    nn::Pass<Device> pass{device, workspace, weights.data(), gradients.data()};
    std::vector<Token> const tokens{3, 0, 3};
    space.embed_backward(pass, TokenView(tokens.data(), 3), {}, MatrixView<double>(dz0.data(), 3, 4));
    for (std::size_t i = 0; i < 4; ++i) {
        auto const at = static_cast<std::size_t>(space.table().offset) + i;
        CHECK(gradients[at + 12] == dz0[i] + dz0[8 + i]);
        CHECK(gradients[at] == dz0[4 + i]);
        CHECK(gradients[at + 4] == 0.0);
    }
}

TEST_CASE(
    "Pretrained: a table of another vocabulary, width or norm is refused, and so is none where a model is fresh") {
    auto const made = [](Index vocabulary, embedding::PretrainedOptions const& options) {
        nn::ParameterLayout layout;
        (void)Pretrained(layout, vocabulary, options);
    };
    auto const table = embedding::normalized(raw());
    CHECK_THROWS_WITH_AS(made(6, {.width = 4, .table = table}),
                         "inkling::embedding::Pretrained: the table has 5 rows, expected 6, one for each token of the "
                         "vocabulary, in its order (was it made with another tokenizer?)",
                         Error);
    CHECK_THROWS_WITH_AS(made(5, {.width = 32, .table = table}),
                         "inkling::embedding::Pretrained: the table has width 4, expected 32, the option 'width'",
                         Error);
    CHECK_THROWS_WITH_AS(made(5, {.width = 4, .table = std::make_shared<embedding::VectorTable const>(raw())}),
                         doctest::Contains("expected 2.000000, sqrt(D), as 'normalized' makes it"), Error);
    CHECK_THROWS_AS(made(5, {.width = 4, .start_noise = 1.0, .table = table}), Error);
    CHECK_THROWS_AS(made(5, {.width = 0}), Error);
    nn::ParameterLayout layout;
    CHECK_NOTHROW(Pretrained(layout, 5, {.width = 4}));  // a model file has the table
    std::vector<double> weights(static_cast<std::size_t>(layout.size()));
    CHECK_THROWS_WITH_AS(layout.initialize<double>(1, weights),
                         "inkling::nn::ParameterLayout: 'embedding.weight' has no values to start with, expected a "
                         "table in the options, or a model file",
                         Error);
}

TEST_CASE("read_vectors: the same table from .npy and from safetensors, by name, whatever its type") {
    TemporaryFolder const folder;
    xt::xarray<double> const numbers{{1.5, 2.0}, {-3.0, 4.0}, {0.25, 6.0}};
    io::write_npy(folder / "table.npy", numbers);
    auto const from_npy = embedding::read_vectors(folder / "table.npy");
    CHECK(from_npy.width == 2);
    CHECK(from_npy.rows() == 3);
    CHECK(from_npy.values == std::vector<float>{1.5f, 2.0f, -3.0f, 4.0f, 0.25f, 6.0f});

    std::vector<float> const other{1, 2, 3, 4, 5, 6}, bias{7, 8};
    std::vector<io::NamedTensor> const one{{"words", {3, 2}, from_npy.values.data()}, {"bias", {2}, bias.data()}};
    io::save_tensors(folder / "one.safetensors", one);
    CHECK(embedding::read_vectors(folder / "one.safetensors").values == from_npy.values);  // the only matrix
    std::vector<io::NamedTensor> two = one;
    two.push_back({"more", {2, 3}, other.data()});
    io::save_tensors(folder / "two.safetensors", two);
    CHECK(embedding::read_vectors(folder / "two.safetensors", "words").values == from_npy.values);
    CHECK(embedding::read_vectors(folder / "two.safetensors", "more").width == 3);
    CHECK_THROWS_WITH_AS((void)embedding::read_vectors(folder / "two.safetensors"),
                         doctest::Contains("expected the name of one"), Error);
    CHECK_THROWS_WITH_AS((void)embedding::read_vectors(folder / "two.safetensors", "bias"),
                         doctest::Contains("'bias' has shape [2], expected [tokens, width]"), Error);
    CHECK_THROWS_AS((void)embedding::read_vectors(folder / "two.safetensors", "none"), Error);
    CHECK_THROWS_AS((void)embedding::read_vectors(folder / "absent.npy"), Error);
    io::write_npy(folder / "line.npy", xt::xarray<float>{1.0f, 2.0f});
    CHECK_THROWS_WITH_AS((void)embedding::read_vectors(folder / "line.npy"), doctest::Contains("has shape [2]"), Error);
}
