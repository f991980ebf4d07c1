#include <inkling/train/budget.hpp>
#include <inkling/train/health.hpp>
#include <inkling/train/interrupt.hpp>
#include <inkling/train/progress.hpp>
#include <inkling/train/train.hpp>

#include <inkling/core/random.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <array>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace inkling;

namespace {

using Handler = void (*)(int);

/// Whether two handlers are the same one. (doctest cannot show functions.)
bool same(Handler a, Handler b) { return a == b; }

/// What the process does on a signal now.
Handler handler_of(int signal) {
    struct ::sigaction action {};
    ::sigaction(signal, nullptr, &action);
    return action.sa_handler;
}

/// The signal that ends a child process that does `body`, or 0 when it ends by itself.
template <class Body>
int signal_that_ends(Body const& body) {
    ::pid_t const child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        body();
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/// A table [V, D] of independent numbers.
std::vector<float> random_table(Index vocabulary, Index width, std::uint64_t seed) {
    std::vector<float> table(static_cast<std::size_t>(vocabulary * width));
    RandomStream const stream{seed};
    for (std::size_t i = 0; i < table.size(); ++i)
        table[i] = normals<float>(stream.bits(static_cast<std::uint32_t>(i / 4)))[i % 4];
    return table;
}

}  // namespace

TEST_CASE("InterruptGuard: a signal becomes a question while it lives, and the old handlers are back after it") {
    auto const by_hand = +[](int) {};
    auto const before = std::signal(SIGINT, by_hand);
    {
        train::InterruptGuard const guard;
        CHECK_FALSE(guard.requested());
        CHECK_FALSE(same(handler_of(SIGINT), by_hand));
        std::raise(SIGINT);
        CHECK(guard.requested());
        CHECK(guard.signal() == SIGINT);
        CHECK(same(handler_of(SIGINT), SIG_DFL));  // the next one ends the program
        CHECK(same(handler_of(SIGTERM), SIG_DFL));
    }
    CHECK(same(handler_of(SIGINT), by_hand));
    CHECK_FALSE(train::InterruptGuard().requested());  // the next guard starts afresh
    (void)std::signal(SIGINT, before);
}

TEST_CASE("InterruptGuard: guards within each other share the flag, and the last one restores the handlers") {
    auto const before = handler_of(SIGTERM);
    {
        train::InterruptGuard const outer;
        auto const installed = handler_of(SIGTERM);
        { train::InterruptGuard const inner; }
        CHECK(same(handler_of(SIGTERM), installed));
        std::raise(SIGTERM);
        CHECK(outer.signal() == SIGTERM);
        CHECK(train::InterruptGuard().signal() == SIGTERM);
    }
    CHECK(same(handler_of(SIGTERM), before));
}

TEST_CASE("InterruptGuard: a first signal does not end the program, a second one of either kind does") {
    CHECK(signal_that_ends([] {
              train::InterruptGuard const guard;
              std::raise(SIGINT);
          })
          == 0);
    CHECK(signal_that_ends([] {
              train::InterruptGuard const guard;
              std::raise(SIGINT);
              std::raise(SIGTERM);
          })
          == SIGTERM);
    CHECK(signal_that_ends([] {
              train::InterruptGuard const guard;
              std::raise(SIGINT);
              std::raise(SIGINT);
          })
          == SIGINT);
}

TEST_CASE("Budget: it ends at the first limit, minutes or steps, and 0 is no limit") {
    double now = 1000.0;
    auto const clock = [&now] { return now; };
    train::Budget const unlimited({}, 0.0, 0, clock);
    train::Budget const timed({.minutes = 2.0}, 0.0, 0, clock);
    train::Budget const both({.minutes = 2.0, .steps = 50}, 0.0, 0, clock);
    now += 119.9;
    CHECK_FALSE(timed.spent(1'000'000));
    CHECK_FALSE(both.spent(49));
    CHECK(both.spent(50));
    now += 0.2;
    CHECK(timed.spent(1));
    CHECK(both.spent(49));
    CHECK_FALSE(unlimited.spent(1'000'000));
    CHECK(timed.seconds() == doctest::Approx(120.1));
}

TEST_CASE("Budget: a resumed run has used what it used before, and its pace is that of now") {
    double now = 0.0;
    train::Budget const budget({.minutes = 1.0, .steps = 300}, 30.0, 100, [&now] { return now; });
    CHECK(*budget.seconds_left(100) == 30.0);  // no pace yet: time alone
    now = 10.0;
    CHECK(budget.seconds() == 40.0);
    CHECK(*budget.seconds_left(200) == 10.0);  // 100 steps in 10 s, 100 to go
    CHECK(*budget.seconds_left(150) == 20.0);  // 150 steps at 0.2 s would take longer than the 20 s that are left
    CHECK(*budget.seconds_left(400) == 0.0);
    now = 29.9;
    CHECK_FALSE(budget.spent(200));
    now = 30.0;
    CHECK(budget.spent(200));
    CHECK_FALSE(train::Budget({}, 0.0, 0, [&now] { return now; }).seconds_left(5).has_value());
    CHECK_THROWS_WITH_AS(train::Budget({.minutes = -1.0}),
                         "inkling::train::Budget: minutes is -1.000000, expected 0 (no limit) or more", Error);
    CHECK_THROWS_AS(train::Budget({.steps = -1}), Error);
}

TEST_CASE("Budget: the machine's clock runs forwards") {
    train::Budget const budget({.minutes = 1.0});
    double const before = budget.seconds();
    CHECK(before >= 0.0);
    CHECK(budget.seconds() >= before);
}

TEST_CASE("progress: the share that is done is told by steps, by time, or not at all") {
    CHECK_FALSE(train::Progress{.step = 5}.fraction().has_value());
    CHECK(*train::Progress{.step = 5, .steps = 20}.fraction() == 0.25);
    CHECK(*train::Progress{.step = 5, .minutes = 2.0, .seconds = 90.0}.fraction() == 0.75);
    CHECK(*train::Progress{.step = 5, .steps = 20, .minutes = 2.0, .seconds = 90.0}.fraction() == 0.75);
    // what is left is a guess, which a resumed run at another pace would be wrong by
    CHECK(*train::Progress{.step = 5, .steps = 20, .seconds = 90.0, .seconds_left = 1.0}.fraction() == 0.25);
    CHECK(*train::Progress{.step = 25, .steps = 20}.fraction() == 1.0);
}

TEST_CASE("progress bar: one line says how far, how well, how fast and how long") {
    std::array const losses{train::NamedNumber{"loss", 2.34567}, train::NamedNumber{"anchor", 0.2}};
    CHECK(train::ProgressBar::line({.step = 1234,
                                    .steps = 3000,
                                    .seconds = 60.0,
                                    .seconds_left = 83.4,
                                    .tokens_per_second = 12'345.0,
                                    .losses = losses})
          == "[########------------]  41%  step 1234/3000  loss 2.3457  12.3k tokens/s  1:23 left  anchor 0.2000");
    CHECK(train::ProgressBar::line({.step = 7, .seconds = 3723.0, .tokens_per_second = 950.0, .finished = true})
          == "step 7  950 tokens/s  1:02:03 in all");
    std::array const bad{train::NamedNumber{"loss", std::nan("")}};
    CHECK(train::ProgressBar::line({.step = 1, .tokens_per_second = 2.5e6, .losses = bad})
          == "step 1  loss nan  2.5M tokens/s");
}

TEST_CASE("progress bar: on a terminal the line is drawn over, and nothing of a longer one stays") {
    std::ostringstream out;
    auto bar = train::progress_bar(out, {.terminal = true});
    bar({.step = 10, .seconds = 1.0});
    bar({.step = 11, .seconds = 1.05});  // too soon
    bar({.step = 9, .seconds = 2.0, .finished = true});
    CHECK(out.str() == "\rstep 10  0 tokens/s\rstep 9  0 tokens/s  0:02 in all\n");
    out.str("");
    auto over = train::progress_bar(out, {.terminal = true});
    over({.step = 10, .seconds = 1.0, .tokens_per_second = 1500.0});
    over({.step = 11, .seconds = 2.0});
    CHECK(out.str() == "\rstep 10  1.5k tokens/s\rstep 11  0 tokens/s   ");
    out.str("");
    auto narrow = train::progress_bar(out, {.terminal = true, .columns = 9});
    narrow({.step = 10, .seconds = 1.0});
    CHECK(out.str() == "\rstep 10");
    out.str("");
    std::vector<train::NamedNumber> const losses(10, {"loss", 1.0});
    auto usual = train::progress_bar(out, {.terminal = true});
    usual({.step = 10, .seconds = 1.0, .losses = losses});
    CHECK(out.str().size() <= 1 + 79);  // what a terminal of 80 columns shows without breaking the line
    CHECK(out.str().ends_with("loss 1.0000"));
}

TEST_CASE("progress bar: elsewhere it writes a line now and then, and always the last one") {
    std::ostringstream out;
    auto bar = train::progress_bar(out, {.every_seconds = 10.0});
    for (Index step = 1; step <= 25; ++step) bar({.step = step, .seconds = static_cast<double>(step)});
    bar({.step = 26, .seconds = 26.0, .finished = true});
    CHECK(out.str()
          == "step 1  0 tokens/s\nstep 11  0 tokens/s\nstep 21  0 tokens/s\nstep 26  0 tokens/s  0:26 in all\n");
}

TEST_CASE("health: corners of a cube have their edge as distance, and equal norms") {
    std::vector<float> corners;
    for (int corner = 0; corner < 8; ++corner)
        for (int axis = 0; axis < 3; ++axis) corners.push_back(corner >> axis & 1 ? 1.0F : -1.0F);
    auto const health = train::embedding_health(corners, 3, {.scale = 10.0});
    CHECK(health.nearest_distance == doctest::Approx(20.0));
    CHECK(health.norm_mean == doctest::Approx(10.0 * std::sqrt(3.0)));
    CHECK(health.norm_spread == doctest::Approx(0.0));
}

TEST_CASE("health: a nearest neighbour found by trying all is the one that is found") {
    for (Index const width : {1, 15, 16, 17, 40}) {
        CAPTURE(width);
        Index const vocabulary = 60;
        auto const table = random_table(vocabulary, width, 4);
        std::array<Token, 3> const special{0, 7, 59};
        double mean = 0.0;
        int rows = 0;
        auto const counts = [&](Index row) { return row != 0 && row != 7 && row != 59; };
        for (Index a = 0; a < vocabulary; ++a) {
            double nearest = std::numeric_limits<double>::infinity();
            for (Index b = 0; b < vocabulary; ++b) {
                double square = 0.0;
                for (Index i = 0; i < width; ++i)
                    square += std::pow(
                        double(table[std::size_t(a * width + i)]) - double(table[std::size_t(b * width + i)]), 2.0);
                if (a != b && counts(a) && counts(b)) nearest = std::min(nearest, square);
            }
            if (counts(a)) mean += std::sqrt(nearest), ++rows;
        }
        auto const health = train::embedding_health(table, width, {.excluded = special});
        CHECK(health.nearest_distance == doctest::Approx(mean / rows).epsilon(1e-5));
        CHECK(train::embedding_health(table, width, {.sample = 3, .excluded = special}).norm_mean == health.norm_mean);
    }
}

TEST_CASE("health: pulling all rows to one point shrinks the distance and leaves the norms, and scaling scales both") {
    Index const width = 32;
    auto const table = random_table(300, width, 5);
    auto const health = train::embedding_health(table, width, {.sample = 64});
    // Rows of D normal numbers: norm near √D with a spread near 1 / √(2 D), neighbours about √(2 D) apart at most.
    CHECK(health.norm_mean == doctest::Approx(std::sqrt(double(width))).epsilon(0.05));
    CHECK(health.norm_spread == doctest::Approx(1.0 / std::sqrt(2.0 * width)).epsilon(0.2));
    CHECK(health.nearest_distance < std::sqrt(2.0 * width));
    std::vector<float> collapsed = table;
    for (std::size_t i = 0; i < collapsed.size(); ++i) collapsed[i] = 3.0F + 0.01F * collapsed[i];
    auto const after = train::embedding_health(collapsed, width, {.sample = 64});
    CHECK(after.nearest_distance == doctest::Approx(0.01 * health.nearest_distance).epsilon(1e-3));
    CHECK(after.norm_spread < 0.01);
    auto const scaled = train::embedding_health(table, width, {.scale = -2.0, .sample = 64});
    CHECK(scaled.nearest_distance == doctest::Approx(2.0 * health.nearest_distance));
    CHECK(scaled.norm_spread == doctest::Approx(health.norm_spread));
}

TEST_CASE("health: equal rows are 0 apart, a NaN shows as NaN, and a table that makes no sense is refused") {
    std::vector<float> const equal(40, 0.5F);
    CHECK(train::embedding_health(equal, 4).nearest_distance == 0.0);
    std::vector<float> const zeros(40, 0.0F);
    CHECK(train::embedding_health(zeros, 4).norm_spread == 0.0);
    std::vector<float> bad = equal;
    bad[21] = std::numeric_limits<float>::quiet_NaN();
    CHECK(std::isnan(train::embedding_health(bad, 4).nearest_distance));
    std::array<Token, 1> const fifth{5};
    CHECK(train::embedding_health(bad, 4, {.excluded = fifth}).nearest_distance == 0.0);
    CHECK_THROWS_WITH_AS(train::embedding_health(equal, 7),
                         "inkling::train::embedding_health: the table has 40 elements, expected rows of width 7",
                         Error);
    CHECK_THROWS_AS(train::embedding_health(equal, 4, {.sample = 0}), Error);
    CHECK_THROWS_AS(train::embedding_health(equal, 40), Error);
    std::array<Token, 1> const outside{10};
    CHECK_THROWS_AS(train::embedding_health(equal, 4, {.excluded = outside}), Error);
}
