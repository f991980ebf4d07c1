#include <inkling/sampler/guided.hpp>

#include <inkling/sampler/cedi.hpp>
#include <inkling/sampler/ddpm.hpp>
#include <inkling/schedule/sigma_linear.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <limits>

using namespace inkling;

TEST_CASE("Guided: the plan is the inner sampler's, with the weight of guidance beside it") {
    schedule::SigmaLinear const schedule;
    sampler::Cedi const inner{.steps = 7};
    auto const plain = inner.plan(schedule);
    auto const guided = sampler::Guided<sampler::Cedi>{.steps = inner, .weight = 1.5}.plan(schedule);
    CHECK(plain.guidance == 0.0);
    CHECK(guided.guidance == 1.5);
    REQUIRE(guided.steps.size() == plain.steps.size());
    for (std::size_t i = 0; i < plain.steps.size(); ++i) {
        CHECK(guided.steps[i].time == plain.steps[i].time);
        CHECK(guided.steps[i].z0 == plain.steps[i].z0);
        CHECK(guided.steps[i].z_t == plain.steps[i].z_t);
    }
    static_assert(Sampler<sampler::Guided<sampler::Ddpm>>);
}

TEST_CASE("Guided: a weight that is no number is refused") {
    double const none = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_WITH_AS((void)(sampler::Guided<sampler::Cedi>{.weight = none}.plan(schedule::SigmaLinear{})),
                         doctest::Contains("inkling::sampler::Guided: the plan's guidance is "), Error);
}
