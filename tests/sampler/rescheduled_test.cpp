#include <inkling/sampler/rescheduled.hpp>

#include <inkling/sampler/ddim.hpp>
#include <inkling/schedule/cosine.hpp>
#include <inkling/schedule/discrete.hpp>
#include <inkling/schedule/sqrt.hpp>

#include <doctest/doctest.h>

#include <cstddef>

using namespace inkling;

static_assert(Sampler<sampler::Rescheduled<schedule::Cosine, sampler::Ddim>>);
static_assert(Sampler<sampler::Rescheduled<schedule::Discrete, sampler::Ddim>>);

TEST_CASE("Rescheduled: its plan is that of its own schedule, whatever the model was trained with") {
    sampler::Ddim const steps{.steps = 5, .discrete_steps = 100};
    auto const plan = sampler::Rescheduled<schedule::Cosine, sampler::Ddim>{.steps = steps}.plan(schedule::Sqrt{});
    auto const own = steps.plan(schedule::Cosine{});
    auto const trained = steps.plan(schedule::Sqrt{});
    REQUIRE(plan.steps.size() == own.steps.size());
    for (std::size_t i = 0; i < own.steps.size(); ++i) {
        CHECK(plan.steps[i].alpha_bar == own.steps[i].alpha_bar);
        CHECK(plan.steps[i].z0 == own.steps[i].z0);
        CHECK(plan.steps[i].time == trained.steps[i].time);
        CHECK(plan.steps[i].alpha_bar != trained.steps[i].alpha_bar);
    }
}
