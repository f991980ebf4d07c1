#include <inkling/objective/level_pairs.hpp>

#include <inkling/schedule/sqrt.hpp>

#include <doctest/doctest.h>

#include <set>

#include <cmath>

using namespace inkling;
using objective::LevelPairs;
using objective::SecondLevel;

namespace {

schedule::Discrete table() { return schedule::Discrete::sampled(schedule::Sqrt{}, 200); }
double noise(schedule::Discrete const& levels, Index step) { return std::sqrt(1.0 - levels.level(step)); }

}  // namespace

TEST_CASE("LevelPairs: the window ends where one step more would differ by more than it") {
    auto const levels = table();
    LevelPairs const pairs{.window = 0.05};
    for (Index t = 0; t < levels.steps(); ++t)
        for (bool const noisier : {true, false}) {
            CAPTURE(t);
            Index const way = noisier ? 1 : -1;
            auto const end = pairs.window_end_of(levels, t, noisier);
            Index const last = noisier ? levels.steps() - 1 : 0;
            if (!end) {
                CHECK(std::abs(noise(levels, last) - noise(levels, t)) <= 0.05);
                continue;
            }
            CHECK(std::abs(noise(levels, *end) - noise(levels, t)) <= 0.05);
            CHECK(std::abs(noise(levels, *end + way) - noise(levels, t)) > 0.05);
        }
}

TEST_CASE(
    "LevelPairs: a level in the window is beside t, every one can be drawn, and t itself only where there is none") {
    auto const levels = table();
    LevelPairs const pairs{.second = SecondLevel::in_window};
    Index const end = *pairs.window_end_of(levels, 100, true);
    CHECK(end > 102);
    std::set<Index> drawn;
    for (int i = 0; i < 1000; ++i) drawn.insert(pairs.second_of(levels, 100, true, i / 1000.0));
    std::set<Index> every;
    for (Index step = 101; step <= end; ++step) every.insert(step);
    CHECK(drawn == every);
    CHECK(pairs.second_of(levels, 100, false, 0.0) == 99);
    CHECK(pairs.second_of(levels, levels.steps() - 1, true, 0.5) == levels.steps() - 1);
    CHECK_FALSE(pairs.counts(levels, 7, 7));
    CHECK(pairs.counts(levels, 7, 8));
}

TEST_CASE("LevelPairs: steps away, held to the table, where the ends do not count") {
    auto const levels = table();
    LevelPairs const pairs{.second = SecondLevel::steps, .steps = 10};
    CHECK(pairs.second_of(levels, 100, true, 0.7) == 110);
    CHECK(pairs.second_of(levels, 100, false, 0.7) == 90);
    CHECK(pairs.second_of(levels, 3, false, 0.7) == 0);
    CHECK(pairs.second_of(levels, 195, true, 0.7) == 199);
    CHECK_FALSE(pairs.counts(levels, 3, 0));
    CHECK_FALSE(pairs.counts(levels, 195, 199));
    CHECK(pairs.counts(levels, 100, 90));
}

TEST_CASE("LevelPairs: options out of their range are refused by name") {
    CHECK_THROWS_WITH_AS((LevelPairs{.steps = 0}.check()),
                         "inkling::objective::LevelPairs: steps is 0, expected at least 1", Error);
    CHECK_THROWS_AS((LevelPairs{.window = 0.0}.check()), Error);
}
