#include <inkling/backend/thrust_host.hpp>

#include <inkling/backend/cpu.hpp>

#include <doctest/doctest.h>

#include "pipeline/same_tokens.hpp"

#include <vector>

using namespace inkling;

namespace {
std::vector<float> const& learnt() {
    static auto const weights = same_tokens::learnt<backend::Cpu<float>>({.threads = 1});
    return weights;
}
}  // namespace

TEST_CASE_TEMPLATE("the same weights and seed give the same tokens on Cpu and on ThrustHost, for 200 sentences", Real,
                   float, double) {
    for (auto const& options : same_tokens::settings())
        same_tokens::check(same_tokens::generated<backend::Cpu<Real>>(learnt(), options, {.threads = 1}),
                           same_tokens::generated<backend::ThrustHost<Real>>(learnt(), options, {}));
}

TEST_CASE("a training on ThrustHost comes to the loss that it comes to on Cpu") {
    double const want = same_tokens::held_out_loss<backend::Cpu<>>({.threads = 1});
    double const got = same_tokens::held_out_loss<backend::ThrustHost<>>({});
    MESSAGE("losses ", want, " and ", got);
    CHECK(got == doctest::Approx(want).epsilon(1e-4));
}
