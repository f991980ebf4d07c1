// A pipeline on a device: what it learns, and what it writes.

#include <inkling/backend/cuda.hpp>
#include <inkling/inkling.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <doctest/doctest.h>

#include "on_cpu.hpp"
#include "pipeline/same_tokens.hpp"

#include <vector>

using namespace inkling;
using Cuda = backend::Cuda<>;

TEST_CASE("Cuda: the same weights and seed give the tokens that Cpu gives, for 200 sentences") {
    for (auto const& options : same_tokens::settings())
        same_tokens::check(on_cpu::generated(options), same_tokens::generated<Cuda>(on_cpu::learnt(), options, {}));
}

TEST_CASE("Cuda: steps that are replayed as graphs give the same tokens") {
    for (auto const& options : same_tokens::settings())
        same_tokens::check(same_tokens::generated<Cuda>(on_cpu::learnt(), options, {}),
                           same_tokens::generated<Cuda>(on_cpu::learnt(), options, {.graphs = true}));
}

TEST_CASE("Cuda: what cannot be recorded is an error, and leaves the device usable") {
    Cuda device({.graphs = true});
    testing::DeviceArray<Cuda> x(device, std::vector<float>{1, 2, 3, 4});
    scale(device, 1.0F, x.matrix(2), x.matrix(2));  // so that it is loaded
    CHECK_THROWS_AS((void)record(device, [&] { (void)x.get(device); }), Error);
    CHECK_THROWS_AS((void)record(device, [&] { x.set(device, std::vector<float>(4)); }), Error);
    CHECK_THROWS_AS((void)record(device, [&] { backend::CudaBuffer<float> const more(1); }), Error);
    auto const twice = record(device, [&] { scale(device, 2.0F, x.matrix(2), x.matrix(2)); });
    CHECK(x.get(device) == std::vector<float>{1, 2, 3, 4});
    replay(device, twice);
    replay(device, twice);
    CHECK(x.get(device) == std::vector<float>{4, 8, 12, 16});
}

TEST_CASE("Cuda: training goes as on Cpu") {
    // ten times as far as ThrustHost may be, as cuBLAS sums in orders of its own; not yet seen on a device
    CHECK(same_tokens::held_out_loss<Cuda>({}) == doctest::Approx(on_cpu::held_out_loss()).epsilon(1e-3));
}
