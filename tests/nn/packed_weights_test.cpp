#include <inkling/nn/packed_weights.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

using namespace inkling;

TEST_CASE("PackedWeights: in bfloat16 a part of joined weights lies as it would alone, and takes half the memory") {
    backend::Cpu<> device({.threads = 1, .precision = backend::CpuPrecision::bf16});
    nn::ParameterLayout layout;
    nn::Parameter const first = layout.add_map("first", 64, 6), second = layout.add_map("second", 32, 6);
    auto const weights = testing::random_values<float>(layout.size(), 1);
    nn::PackedWeights<backend::Cpu<>> packed;
    packed.update(device, layout, weights.data());
    float const* const both = packed.find({first.offset, 96, 6});
    REQUIRE(both != nullptr);
    CHECK(packed.find(second) == both + 64 * 6 / 2);
    std::vector<float> alone(32 * 6 / 2);
    pack(device, MatrixView<float const>(weights.data() + second.offset, 32, 6), alone.data());
    CHECK(std::memcmp(alone.data(), packed.find(second), alone.size() * sizeof(float)) == 0);
}
