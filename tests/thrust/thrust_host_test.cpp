#include <inkling/backend/thrust_host.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/testing/backend_conformance.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

using namespace inkling;

TEST_CASE_TEMPLATE("every backend keeps the laws of the verbs: Thrust on one thread", Device,
                   backend::ThrustHost<float>, backend::ThrustHost<double>) {
    Device device;
    for (auto const& law : testing::backend_laws<Device>()) {
        CAPTURE(law.name);
        CHECK(law.broken(device) == "");
    }
}

#ifdef _OPENMP
TEST_CASE_TEMPLATE("every backend keeps the laws of the verbs: Thrust on OpenMP", Device,
                   backend::ThrustHost<float, backend::ThrustOmp>, backend::ThrustHost<double, backend::ThrustOmp>) {
    Device device({.threads = 3});
    for (auto const& law : testing::backend_laws<Device>()) {
        CAPTURE(law.name);
        CHECK(law.broken(device) == "");
    }
}

TEST_CASE("ThrustOmp: a number of threads that cannot be is refused") {
    using Device = backend::ThrustHost<float, backend::ThrustOmp>;
    CHECK_THROWS_WITH_AS(Device({.threads = -1}), "inkling::backend::ThrustOmp: threads is -1, expected 0 or more",
                         Error);
    CHECK_THROWS_WITH_AS(Device({.threads = 100'000}),
                         "inkling::backend::ThrustOmp: threads is 100000, expected at most 1024", Error);
    CHECK(Device({.threads = 2}).options().threads == 2);
    CHECK(Device().options().threads >= 1);
}
#endif

TEST_CASE("ThrustCpp: more threads than the one it has are refused; a copy has scratch of its own") {
    CHECK_THROWS_WITH_AS(backend::ThrustHost<>({.threads = 2}),
                         "inkling::backend::ThrustCpp: threads is 2, expected 0 or 1, as this system runs on one",
                         Error);
    backend::ThrustHost<> device({.threads = 1});
    backend::ThrustHost<> copied(device);
    CHECK(copied.options().threads == 1);
    CHECK(copied.scratch(10) != device.scratch(10));
    CHECK(copied.scratch(5) == copied.scratch(10));
}

TEST_CASE("ThrustHost: a layer norm has gain and bias or neither, and keys are of one sentence in a backward pass") {
    backend::ThrustHost<> device;
    std::vector<float> values{1, 2, 3, 4}, slopes(2);
    MatrixView<float> const x(values.data(), 2, 2);
    VectorView<float> const d(slopes.data(), 2);
    CHECK_THROWS_WITH_AS(layer_norm(device, x, d, {}, 1e-5, x),
                         "inkling::backend::layer_norm: gain alone, expected gain and bias or neither", Error);
    CHECK_THROWS_WITH_AS(dropout_add_layer_norm(device, {}, 0.0, x, x, d, {}, 1e-5, x, x),
                         "inkling::backend::dropout_add_layer_norm: gain alone, expected gain and bias or neither",
                         Error);
    CHECK_THROWS_WITH_AS(layer_norm_backward(device, x, x, x, d, x, {}, d),
                         "inkling::backend::layer_norm_backward: dbias alone, expected dgain and dbias or neither",
                         Error);
    Index const sentence = 0;
    backend::AttentionShape const shape{{}, {}, 1, &sentence};
    CHECK_THROWS_AS(attention_backward(device, shape, x, x, x, x, x, x, x, x, x), Error);
    CHECK(values == std::vector<float>{1, 2, 3, 4});
}

TEST_CASE("ThrustHost: logits that are not numbers still name a token of the vocabulary") {
    backend::ThrustHost<> device;
    std::vector<float> const z{std::numeric_limits<float>::quiet_NaN()};
    std::vector<float> const table{1.0F, 2.0F, 3.0F};
    Token token = -1;
    readout_argmax(device, {z.data(), 1, 1}, {table.data(), 3, 1}, {}, {&token, 1});
    CHECK(token >= 0);
    CHECK(token < 3);
}

TEST_CASE("ThrustHost: sums of nothing are 0, and verbs on no rows do nothing") {
    backend::ThrustHost<> device;
    double sum = -1.0;
    squared_norm(device, {}, &sum);
    CHECK(sum == 0.0);
    sum = -1.0;
    squared_error(device, {}, {}, 1.0, &sum);
    CHECK(sum == 0.0);
    add(device, {}, {}, {});
    attention(device, {}, {}, {}, {}, {});
    std::vector<double> losses{-1.0, -1.0};
    std::vector<float> const table{1.0F, 2.0F, 3.0F};
    readout_cross_entropy(device, MatrixView<float const>(nullptr, 0, 1), {table.data(), 3, 1}, {}, {}, 0.1, 1.0,
                          losses.data());
    CHECK(losses == std::vector<double>{0.0, 0.0});
}

TEST_CASE("ThrustHost: what attention keeps of a row does not grow with the text, and long texts agree with Cpu") {
    backend::ThrustHost<double> device;
    backend::Cpu<double> cpu;
    Index const rows = 1000, heads = 2, cols = 6;
    std::vector<Index> const offsets{0, rows};
    Segments const segments{offsets.data(), 1, rows, rows};
    backend::AttentionShape const shape{segments, segments, heads, nullptr, true};
    Index const kept = attention_saved_cols(device, shape);
    CHECK(kept == 2 * heads);
    auto const run = [&](auto& on) {
        Index const own = attention_saved_cols(on, shape);
        auto values = [&](std::uint32_t sequence) { return testing::random_values<double>(rows * cols, sequence); };
        auto const q = values(1), k = values(2), v = values(3), dout = values(4);
        std::vector<double> out(q.size()), dq(q.size()), dk(q.size()), dv(q.size()),
            saved(static_cast<std::size_t>(rows * own));
        auto const in = [&](std::vector<double> const& of) { return MatrixView<double const>(of.data(), rows, cols); };
        auto const to = [&](std::vector<double>& of) { return MatrixView<double>(of.data(), rows, cols); };
        MatrixView<double> const all_saved(saved.data(), rows, own);
        attention(on, shape, in(q), in(k), in(v), to(out), all_saved);
        attention_backward(on, shape, in(q), in(k), in(v), in(out), all_saved, in(dout), to(dq), to(dk), to(dv));
        for (auto const* part : {&dq, &dk, &dv}) out.insert(out.end(), part->begin(), part->end());
        return out;
    };
    auto const got = run(device), want = run(cpu);
    std::size_t apart = 0;  // what is no number is apart from any
    for (std::size_t i = 0; i < want.size(); ++i) apart += std::abs(got[i] - want[i]) < 1e-12 ? 0 : 1;
    CHECK(apart == 0);
}

TEST_CASE("ThrustHost: what minus infinity rules out is ruled out, and nothing else") {
    constexpr double never = -std::numeric_limits<double>::infinity();
    backend::ThrustHost<double> device;
    backend::Cpu<double> cpu;
    std::vector<double> const table(3000, 1.0), z{1.0};  // tokens of one column, over three slices
    std::vector<double> bias(3000, never);
    bias[2100] = 0.5;
    bias[2900] = 0.5;
    Token token = -1;
    double log_probability = 0.0;
    readout_argmax(device, {z.data(), 1, 1}, {table.data(), 3000, 1}, {bias.data(), 3000}, {&token, 1},
                   {&log_probability, 1});
    CHECK(token == 2100);
    CHECK(log_probability == doctest::Approx(std::log(0.5)));

    Index const rows = 70, cols = 3, reach = 40;
    std::vector<double> by_distance(2 * reach + 1, 0.0);
    for (Index far = 0; far < 10; ++far) by_distance[static_cast<std::size_t>(far)] = never;  // 31 rows back and more
    std::vector<Index> const offsets{0, rows};
    Segments const segments{offsets.data(), 1, rows, rows};
    auto const q = testing::random_values<double>(rows * cols, 1), k = testing::random_values<double>(rows * cols, 2);
    auto const run = [&](auto& on) {
        std::vector<double> out(q.size());
        attention(on, {segments, segments}, {q.data(), rows, cols}, {k.data(), rows, cols}, {k.data(), rows, cols},
                  MatrixView<double>(out.data(), rows, cols), {}, {by_distance.data(), 1, 2 * reach + 1});
        return out;
    };
    auto const got = run(device), want = run(cpu);
    for (std::size_t i = 0; i < want.size(); ++i) {
        CAPTURE(i);
        CHECK(got[i] == doctest::Approx(want[i]).epsilon(1e-12));
    }
}
