#include <inkling/decode/estimate_change.hpp>

#include <doctest/doctest.h>

#include <numeric>
#include <span>
#include <vector>

using namespace inkling;

namespace {

/// A run whose answers are these, one number a step.
void run(decode::EstimateChange& measured, std::vector<double> const& times, std::vector<float> const& answers) {
    decode::StepData<float> step;
    for (std::size_t i = 0; i < times.size(); ++i) {
        step.step = static_cast<Index>(i);
        step.time = times[i];
        step.z0_hat = {&answers[i], 1};
        measured(step);
    }
}

}  // namespace

TEST_CASE("EstimateChange: a change between two steps belongs to the times between them, share by share") {
    decode::EstimateChange measured(4);
    run(measured, {0.875, 0.375, 0.0}, {1.0F, 3.0F, 2.25F});
    // 2 over [0.375, 0.875]: an eighth of time is half a unit; 0.75 over [0, 0.375]
    std::vector<double> const expected{0.5, 0.25 + 0.5, 1.0, 0.5};
    for (std::size_t part = 0; part < 4; ++part)
        CHECK(measured.change()[part] == doctest::Approx(expected[part]).epsilon(1e-12));
}

TEST_CASE("EstimateChange: all change is somewhere, runs add up, and what one ends with does not count for the next") {
    decode::EstimateChange measured(7);
    run(measured, {1.0, 0.6, 0.6, 0.01}, {0.0F, 1.0F, -1.0F, 0.5F});
    run(measured, {0.9, 0.2}, {100.0F, 101.0F});
    CHECK(std::accumulate(measured.change().begin(), measured.change().end(), 0.0)
          == doctest::Approx(1.0 + 2.0 + 1.5 + 1.0).epsilon(1e-12));
}

TEST_CASE("EstimateChange: how sentences are batched changes nothing") {
    std::vector<float> const before{1.0F, 2.0F, 3.0F}, after{2.0F, 2.5F, 1.0F};
    decode::EstimateChange together(3), apart(3);
    auto const tell = [](decode::EstimateChange& measured, Index number, double time, std::span<float const> z0_hat) {
        decode::StepData<float> step;
        step.step = number;
        step.time = time;
        step.z0_hat = z0_hat;
        measured(step);
    };
    tell(together, 0, 0.9, before);
    tell(together, 1, 0.1, after);
    for (std::size_t i = 0; i < 3; ++i) {
        tell(apart, 0, 0.9, std::span(before).subspan(i, 1));
        tell(apart, 1, 0.1, std::span(after).subspan(i, 1));
    }
    for (std::size_t part = 0; part < 3; ++part)
        CHECK(together.change()[part] == doctest::Approx(apart.change()[part]).epsilon(1e-12));
    decode::StepData<float> first;
    first.step = 1;
    first.z0_hat = before;
    decode::EstimateChange fresh;
    CHECK_THROWS_WITH_AS(fresh(first),
                         "inkling::decode::EstimateChange: step 1 has 3 elements, expected 0, as the step before it",
                         Error);
}

TEST_CASE("EstimateChange: no part at all is refused") {
    CHECK_THROWS_WITH_AS(decode::EstimateChange(0), "inkling::decode::EstimateChange: parts is 0, expected at least 1",
                         Error);
}
