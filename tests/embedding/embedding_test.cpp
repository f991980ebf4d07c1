#include <inkling/embedding/layer_normed.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/embedding/unit_sphere.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/autoregressive.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/testing/device_arrays.hpp>
#include <inkling/testing/gradient_check.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <span>
#include <vector>

namespace {

using namespace inkling;
using Device = backend::Cpu<double>;
using Values = std::vector<double>;

constexpr Index vocabulary = 6;
constexpr Index width = 4;

/// A space with random weights, and one packed batch of tokens.
template <class Space>
struct Table {
    nn::ParameterLayout layout;
    Space space;
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    Values weights, gradients;
    testing::RaggedBatch<Device> batch{device, {3, 1, 4}, vocabulary};

    explicit Table(typename Space::Options options = {})
        : space(layout, vocabulary,
                [&] {
                    options.width = width;
                    return options;
                }()),
          weights(testing::random_values<double>(layout.size(), 1)),
          gradients(weights.size()) {}

    nn::Pass<Device> pass() {
        workspace.reset();
        return {device, workspace, weights.data(), gradients.data(), 0.0, {}};
    }
    Values embed(typename Space::template Saved<Device>* saved = nullptr) {
        Values z0(static_cast<std::size_t>(batch.rows() * width));
        auto p = pass();
        space.embed(p, batch.tokens(), MatrixView<double>(z0.data(), batch.rows(), width), saved);
        return z0;
    }
    void check_gradient() {
        Values const pull = testing::random_values<double>(batch.rows() * width, 2);
        auto const loss = [&] {
            Values const z0 = embed();
            double sum = 0.0;
            for (std::size_t i = 0; i < z0.size(); ++i) sum += pull[i] * z0[i];
            return sum;
        };
        typename Space::template Saved<Device> saved;
        Values z0(pull.size());
        auto p = pass();
        space.embed(p, batch.tokens(), MatrixView<double>(z0.data(), batch.rows(), width), &saved);
        Values dz0 = pull;
        space.embed_backward(p, batch.tokens(), saved, MatrixView<double>(dz0.data(), batch.rows(), width));
        auto const report = testing::check_gradient(weights, gradients, loss, {.magnitude = 10.0});
        INFO(report.text());
        CHECK(report.passed());
        CHECK(report.largest > 0.1);
    }
};

}  // namespace

TEST_CASE("Learned: a token's vector is its row of the table times the square root of the width") {
    for (bool const scaled : {false, true}) {
        Table<embedding::Learned> table({.scaled = scaled});
        auto const z0 = table.embed();
        CHECK(table.space.scale() == (scaled ? 2.0 : 1.0));
        for (Index row = 0; row < table.batch.rows(); ++row)
            for (Index j = 0; j < width; ++j)
                CHECK(z0[static_cast<std::size_t>(row * width + j)]
                      == table.space.scale()
                          * table.weights[static_cast<std::size_t>(table.batch.tokens().data[row] * width + j)]);
    }
}

TEST_CASE("Learned: tied, one matrix is table and read-out under two names; else each has its own") {
    Table<embedding::Learned> const tied({.tied = true});
    CHECK(tied.space.table().offset == tied.space.readout().offset);
    CHECK(tied.layout.find("decoder.embed_tokens.weight") == tied.layout.find("decoder.output_projection.weight"));
    CHECK(tied.layout.size() == vocabulary * width);
    Table<embedding::Learned> const untied({.tied = false});
    CHECK(untied.space.table().offset != untied.space.readout().offset);
    CHECK(untied.layout.size() == 2 * vocabulary * width);
}

TEST_CASE("Learned: a vocabulary without tokens is refused") {
    nn::ParameterLayout layout;
    CHECK_THROWS_WITH_AS(
        embedding::Learned(layout, 0, {.width = 4}),
        "inkling::nn::ParameterLayout: 'decoder.embed_tokens.weight' is 0 x 4, expected at least 1 x 1", Error);
}

TEST_CASE_TEMPLATE("a space of no width, or of one that no memory holds, is refused", Space, embedding::Learned,
                   embedding::LayerNormed) {
    nn::ParameterLayout layout;
    CHECK_THROWS_WITH_AS(Space(layout, 10, {.width = 0}), "inkling::embedding: width is 0, expected 1 to 1048576",
                         Error);
    CHECK_THROWS_WITH_AS(Space(layout, 10, {.width = Index{1} << 40}),
                         "inkling::embedding: width is 1099511627776, expected 1 to 1048576", Error);
    CHECK(layout.size() == 0);
}

TEST_CASE_TEMPLATE("a spread of starting values that is none is refused by its name", Space, embedding::Learned,
                   embedding::LayerNormed) {
    nn::ParameterLayout layout;
    CHECK_THROWS_WITH_AS(Space(layout, 10, {.width = 4, .standard_deviation = -3.0}),
                         "inkling::embedding: standard_deviation is -3.000000, expected a finite number of at least 0",
                         Error);
    for (double const none : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
        CHECK_THROWS_AS(Space(layout, 10, {.width = 4, .standard_deviation = none}), Error);
    CHECK(layout.size() == 0);
}

TEST_CASE("LayerNormed: beside a denoiser with that norm of its own, the message says what to set") {
    using Model = denoiser::EncoderDecoder<Device>;
    nn::ParameterLayout layout;
    embedding::LayerNormed const space(layout, 10, {.width = 4});
    CHECK_THROWS_WITH_AS(Model(layout, {.width = 8, .layers = 1, .heads = 2}, space),
                         doctest::Contains("embedding_norm is true"), Error);
    nn::ParameterLayout other;
    embedding::LayerNormed const same(other, 10, {.width = 4});
    CHECK_NOTHROW(Model(other, {.width = 8, .layers = 1, .heads = 2, .embedding_norm = false}, same));
}

TEST_CASE("LayerNormed: without gain and bias, every token lies as far from the origin as every other: sqrt(D)") {
    Table<embedding::LayerNormed> table({.affine = false});
    auto const z0 = table.embed();
    for (Index row = 0; row < table.batch.rows(); ++row) {
        double mean = 0.0;
        double squares = 0.0;
        for (Index j = 0; j < width; ++j) {
            double const value = z0[static_cast<std::size_t>(row * width + j)];
            mean += value;
            squares += value * value;
        }
        CHECK(std::abs(mean) < 1e-12);
        CHECK(std::sqrt(squares)
              == doctest::Approx(std::sqrt(width)).epsilon(1e-4));  // the norm's epsilon shrinks it a little
    }
}

TEST_CASE("UnitSphere: every token lies at the square root of the width from the origin, however long its row") {
    Table<embedding::UnitSphere> table;
    for (Index j = 0; j < width; ++j) table.weights[static_cast<std::size_t>(j)] *= 1e-9;  // token 0 is short
    auto const z0 = table.embed();
    for (Index row = 0; row < table.batch.rows(); ++row) {
        auto const token = static_cast<std::size_t>(table.batch.tokens().data[row]) * width;
        double squares = 0.0, along = 0.0, length = 0.0;
        for (std::size_t j = 0; j < width; ++j) {
            double const value = z0[static_cast<std::size_t>(row * width) + j], own = table.weights[token + j];
            squares += value * value;
            along += value * own;
            length += own * own;
        }
        CHECK(std::sqrt(squares) == doctest::Approx(std::sqrt(width)).epsilon(1e-14));
        CHECK(along == doctest::Approx(std::sqrt(squares * length)).epsilon(1e-14));  // where the row points
    }
    Table<embedding::UnitSphere> free({.normalized = false});
    CHECK(free.embed() == [&] {
        Values rows;
        for (Index row = 0; row < free.batch.rows(); ++row) {
            auto const first = free.weights.begin() + free.batch.tokens().data[row] * width;
            rows.insert(rows.end(), first, first + width);
        }
        return rows;
    }());
}

TEST_CASE("UnitSphere: the read-out is the table as it is read, so the nearest embedding is the likeliest token") {
    for (bool const normalized : {true, false}) {
        CAPTURE(normalized);
        Table<embedding::UnitSphere> table({.normalized = normalized});
        auto pass = table.pass();
        std::vector<Token> const all{0, 1, 2, 3, 4, 5};
        auto const z0 = pass.take(vocabulary, width);
        table.space.embed(pass, TokenView(all.data(), vocabulary), z0);
        auto const matrix = embedding::readout_matrix(pass, table.space);
        CHECK(Values(z0.data, z0.data + z0.size()) == Values(matrix.data, matrix.data + matrix.size()));

        Values const wanted = testing::random_values<double>(40 * width, 3, 3.0);
        MatrixView<double const> const z(wanted.data(), 40, width);
        std::vector<Token> likeliest(40), nearest(40);
        embedding::read_out<embedding::UnitSphere, Device>(pass, table.space, z, {likeliest.data(), 40});
        embedding::round_to_tokens<embedding::UnitSphere, Device>(pass, table.space, z, {nearest.data(), 40});
        for (std::size_t row = 0; row < nearest.size(); ++row) {
            auto const distance = [&](Token token) {
                double sum = 0.0;
                for (std::size_t j = 0; j < width; ++j)
                    sum += std::pow(wanted[row * width + j] - matrix.row(token)[j], 2);
                return sum;
            };
            for (Token const token : all) CHECK(distance(nearest[row]) <= distance(token) + 1e-12);
        }
        CHECK((likeliest == nearest) == normalized);  // long rows of a free table attract more than is near them
    }
}

TEST_CASE("UnitSphere: the gradient of the read-out reaches the table through the norm") {
    for (bool const normalized : {true, false}) {
        Table<embedding::UnitSphere> table({.normalized = normalized});
        Values const pull = testing::random_values<double>(vocabulary * width, 4);
        auto const loss = [&] {
            auto pass = table.pass();
            auto const matrix = embedding::readout_matrix(pass, table.space);
            double sum = 0.0;
            for (std::size_t i = 0; i < pull.size(); ++i) sum += pull[i] * matrix.data[i];
            return sum;
        };
        auto pass = table.pass();
        embedding::with_readout_gradient(pass, table.space, [&](MatrixView<double> gradient) {
            for (std::size_t i = 0; i < pull.size(); ++i) gradient.data[i] += pull[i];
        });
        auto const report = testing::check_gradient(table.weights, table.gradients, loss, {.magnitude = 10.0});
        INFO(report.text());
        CHECK(report.passed());
        CHECK(report.largest > 0.1);
    }
}

TEST_CASE("UnitSphere: a spread of starting values that is none is refused by its name, and so is a shared source") {
    nn::ParameterLayout layout;
    CHECK_THROWS_WITH_AS(embedding::UnitSphere(layout, 10, {.width = 4, .standard_deviation = 0.0}),
                         "inkling::embedding::UnitSphere: standard_deviation is 0.000000, expected a positive finite "
                         "number",
                         Error);
    CHECK_THROWS_WITH_AS(embedding::UnitSphere(layout, 10, {.width = 0}),
                         "inkling::embedding::UnitSphere: width is 0, expected 1 to 1048576", Error);
    using Model = denoiser::EncoderDecoder<Device>;
    embedding::UnitSphere const space(layout, 10, {.width = 4});
    CHECK_THROWS_WITH_AS(Model(layout, {.width = 8, .layers = 1, .heads = 2}, space),
                         doctest::Contains("EncoderDecoder: share_embedding is true"), Error);
    using Baseline = denoiser::Autoregressive<Device>;
    nn::ParameterLayout next;
    embedding::UnitSphere const equal(next, 10, {.width = 4});
    CHECK_THROWS_WITH_AS(Baseline(next, {.width = 8, .layers = 1, .heads = 2}, equal),
                         doctest::Contains("Autoregressive: share_embedding is true"), Error);
    nn::ParameterLayout other;
    embedding::UnitSphere const same(other, 10, {.width = 4});
    CHECK_NOTHROW(Model(other, {.width = 8, .layers = 1, .heads = 2, .share_embedding = false}, same));
}

TEST_CASE("embedding spaces: the gradient of the vectors reaches table and norm") {
    Table<embedding::Learned>().check_gradient();
    Table<embedding::Learned>({.scaled = false, .tied = false}).check_gradient();
    Table<embedding::LayerNormed>().check_gradient();
    Table<embedding::LayerNormed>({.scaled = false, .affine = false}).check_gradient();
    Table<embedding::UnitSphere>().check_gradient();
    Table<embedding::UnitSphere>({.normalized = false}).check_gradient();
}

static_assert(EmbeddingSpace<embedding::Learned>);
static_assert(EmbeddingSpace<embedding::LayerNormed>);
static_assert(EmbeddingSpace<embedding::UnitSphere>);
static_assert(!EmbeddingSpace<int>);
