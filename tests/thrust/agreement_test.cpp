#include <inkling/backend/thrust_host.hpp>

#include <inkling/backend/cpu.hpp>

#include <doctest/doctest.h>

#include "backend/all_results.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <utility>

using namespace inkling;

namespace {

/// The largest difference, in units of the largest magnitude.
template <class Real>
double apart(std::vector<Real> const& got, std::vector<Real> const& want) {
    double difference = 0.0, largest = 0.0;
    for (std::size_t i = 0; i < want.size(); ++i) {
        difference = std::max(difference, std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i])));
        largest = std::max(largest, std::abs(static_cast<double>(want[i])));
    }
    return difference / largest;
}

}  // namespace

TEST_CASE_TEMPLATE("ThrustHost and Cpu agree verb by verb, to 1e-5 in float and 1e-12 in double", Real, float, double) {
    backend::Cpu<Real> cpu({.threads = 1});
    backend::ThrustHost<Real> thrust;
    auto const want = all_results(cpu);
    auto const got = all_results(thrust);
    REQUIRE(got.size() == want.size());
    double worst = 0.0;
    for (std::size_t i = 0; i < want.size(); ++i) {
        CAPTURE(want[i].first);
        CHECK(got[i].first == want[i].first);
        REQUIRE(got[i].second.size() == want[i].second.size());
        double const difference = apart(got[i].second, want[i].second);
        CHECK(difference <= (std::is_same_v<Real, float> ? 1e-5 : 1e-12));
        worst = std::max(worst, difference);
    }
    MESSAGE("worst difference: ", worst);
}

#ifdef _OPENMP
TEST_CASE_TEMPLATE("ThrustHost: every verb gives the same bits on one thread, and on 1, 2, 3 and 5 of OpenMP", Real,
                   float, double) {
    backend::ThrustHost<Real> alone;
    auto const want = all_results(alone);
    CHECK(want.size() > 30);
    for (int const threads : {1, 2, 3, 5}) {
        backend::ThrustHost<Real, backend::ThrustOmp> device({.threads = threads});
        check_same_bits(all_results(device), want, threads);
    }
}
#endif
