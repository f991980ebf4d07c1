#include <inkling/backend/thrust_host.hpp>

#include <inkling/backend/cpu.hpp>

#include <doctest/doctest.h>

#include "pipeline/same_tokens.hpp"

using namespace inkling;

TEST_CASE_TEMPLATE("the same weights and seed give the same tokens on Cpu and on ThrustHost, for 200 sentences", Real,
                   float, double) {
    static auto const weights = same_tokens::learnt<backend::Cpu<float>>({.threads = 1});
    for (auto const& options : same_tokens::settings())
        same_tokens::check(same_tokens::generated<backend::Cpu<Real>>(weights, options, {.threads = 1}),
                           same_tokens::generated<backend::ThrustHost<Real>>(weights, options, {}));
}
