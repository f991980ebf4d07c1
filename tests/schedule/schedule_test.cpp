#include <inkling/schedule/schedule.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

using namespace inkling;
using namespace inkling::schedule;

namespace {

/// A user's own policy: one function, no inverse.
struct StraightLine {
    double alpha_bar(double t) const { return (1.0 - t) * (1.0 - t); }
};

/// Hides all but alpha_bar of a schedule, so that everything else must be derived.
template <class Schedule>
struct OnlyAlphaBar {
    Schedule schedule{};
    double alpha_bar(double t) const { return schedule.alpha_bar(t); }
};

struct RescaledSqrt : Rescaled<Sqrt> {
    RescaledSqrt() : Rescaled<Sqrt>{.schedule = {}, .variance_preserving = 4.0, .training_noise = 3.0} {}
};

/// Numbers in [0, 1), the same on every system.
std::vector<double> random_numbers(int count) {
    std::mt19937_64 engine(20240607);
    std::vector<double> numbers;
    for (int i = 0; i < count; ++i) numbers.push_back(static_cast<double>(engine() >> 11) * 0x1p-53);
    return numbers;
}

template <class Schedule>
char const* name_of = "";
template <>
char const* name_of<LinearBeta> = "LinearBeta";
template <>
char const* name_of<QuadraticBeta> = "QuadraticBeta";
template <>
char const* name_of<Cosine> = "Cosine";
template <>
char const* name_of<Sqrt> = "Sqrt";
template <>
char const* name_of<Edm> = "Edm";
template <>
char const* name_of<Cdcd> = "Cdcd";
template <>
char const* name_of<SigmaLinear> = "SigmaLinear";
template <>
char const* name_of<SigmaSqrt> = "SigmaSqrt";
template <>
char const* name_of<Geometric> = "Geometric";

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

}  // namespace

#define INKLING_TESTS_POLICIES LinearBeta, QuadraticBeta, Cosine, Sqrt, Edm, Cdcd, SigmaLinear, SigmaSqrt, Geometric
#define INKLING_TESTS_SCHEDULES INKLING_TESTS_POLICIES, RescaledSqrt, StraightLine

static_assert(NoiseSchedule<StraightLine>);
static_assert(NoiseSchedule<Rescaled<Rescaled<StraightLine>>>);
static_assert(!NoiseSchedule<int>);
namespace {
struct ReturnsFloat {
    float alpha_bar(double t) const;
};
struct ChangesItself {
    double alpha_bar(double t);
};
}  // namespace
static_assert(!NoiseSchedule<ReturnsFloat>);
static_assert(!NoiseSchedule<ChangesItself>);

TEST_CASE_TEMPLATE("signal only fades: alpha_bar never rises with t and stays in [0, 1]", Schedule,
                   INKLING_TESTS_SCHEDULES) {
    Schedule const schedule{};
    double before = 1.0;
    for (int i = 0; i <= 4000; ++i) {
        double const now = schedule.alpha_bar(i / 4000.0);
        REQUIRE(now >= 0.0);
        REQUIRE(now <= before);
        before = now;
    }
    CHECK(schedule.alpha_bar(1.0) < 0.01);
}

TEST_CASE_TEMPLATE("signal and noise are the two sides of alpha_bar, and log_snr their ratio", Schedule,
                   INKLING_TESTS_SCHEDULES) {
    Schedule const schedule{};
    for (double const t : random_numbers(200)) {
        double const a = signal(schedule, t), s = noise(schedule, t);
        CHECK(a * a + s * s == doctest::Approx(1.0).epsilon(1e-15));
        CHECK(a * a == doctest::Approx(schedule.alpha_bar(t)).epsilon(1e-15));
        if (a > 0.0) {
            CHECK(log_snr(schedule, t) == doctest::Approx(2.0 * std::log(a / s)).epsilon(1e-9));
            CHECK(half_log_snr(schedule, t) == 0.5 * log_snr(schedule, t));
        }
    }
}

// s holds alpha_bar to 2^-52, and t moves alpha_bar by up to 50 times its own rounding (Sqrt at t = 0).
constexpr double inverse_tolerance = 50 * 0x1p-52;

TEST_CASE_TEMPLATE("time_at_noise undoes noise", Schedule, INKLING_TESTS_SCHEDULES) {
    Schedule const schedule{};
    for (double const t : random_numbers(300)) {
        CAPTURE(t);
        double const found = time_at_noise(schedule, noise(schedule, t));
        CHECK(std::abs(schedule.alpha_bar(found) - schedule.alpha_bar(t)) <= inverse_tolerance);
    }
}

TEST_CASE_TEMPLATE("bisection finds the time that the closed form gives", Schedule, INKLING_TESTS_POLICIES,
                   RescaledSqrt) {
    Schedule const schedule{};
    static_assert(schedule::detail::HasTimeAtNoise<Schedule>);
    static_assert(!schedule::detail::HasTimeAtNoise<OnlyAlphaBar<Schedule>>);
    auto levels = random_numbers(100);
    levels.insert(levels.end(), {0.0, 1e-6, 1.0});
    for (double const s : levels) {
        CAPTURE(s);
        double const closed = time_at_noise(schedule, s);
        double const searched = time_at_noise(OnlyAlphaBar<Schedule>{}, s);
        CHECK(closed >= 0.0);
        CHECK(closed <= 1.0);
        CHECK(std::abs(schedule.alpha_bar(closed) - schedule.alpha_bar(searched)) <= inverse_tolerance);
    }
}

TEST_CASE_TEMPLATE("a noise level below the first or above the last is reached at time 0, or 1", Schedule, Edm, Cdcd,
                   Geometric, LinearBeta, OnlyAlphaBar<Edm>) {
    Schedule const schedule{};
    CHECK(time_at_noise(schedule, 0.0) == 0.0);
    CHECK(time_at_noise(schedule, 1.0) == 1.0);
}

TEST_CASE_TEMPLATE("time_at_half_log_snr undoes half_log_snr", Schedule, INKLING_TESTS_SCHEDULES) {
    Schedule const schedule{};
    for (double const t : random_numbers(100)) {
        double const found = time_at_half_log_snr(schedule, half_log_snr(schedule, t));
        CHECK(std::abs(schedule.alpha_bar(found) - schedule.alpha_bar(t)) <= inverse_tolerance);
    }
    CHECK(time_at_half_log_snr(schedule, infinity) == 0.0);
    double const end = time_at_half_log_snr(schedule, -infinity);  // may stop short of 1 where noise is 1 already
    CHECK(std::abs(schedule.alpha_bar(end) - schedule.alpha_bar(1.0)) <= inverse_tolerance);
}

TEST_CASE_TEMPLATE("time_at_half_log_snr finds levels of almost no signal", Schedule, Cosine, StraightLine,
                   OnlyAlphaBar<Cosine>, Rescaled<Cosine>) {
    Schedule const schedule{};
    for (double const level : {-2.0, -7.9, -8.1, -12.0, -16.0, -18.5, -20.0}) {
        CAPTURE(level);
        // a is about e^level there and falls with 1 - t, which holds it to 2^-53 of time
        double const tolerance = 4.0 * 0x1p-53 * std::exp(-level) + 1e-9;
        CHECK(std::abs(half_log_snr(schedule, time_at_half_log_snr(schedule, level)) - level) <= tolerance);
    }
    LinearBeta const steep{.first = 0.1, .last = 200.0};  // e^-100 of signal at t = 1
    CHECK(half_log_snr(steep, time_at_half_log_snr(steep, -45.0)) == doctest::Approx(-45.0).epsilon(1e-12));
    CHECK(time_at_half_log_snr(steep, -51.0) == 1.0);
}

TEST_CASE_TEMPLATE("beta(t) is the rate at which the logarithm of alpha_bar falls", Schedule, LinearBeta, QuadraticBeta,
                   SigmaLinear) {
    Schedule const schedule{};
    double const h = 1e-5;
    for (double const number : random_numbers(50)) {
        double const t = 0.01 + 0.9 * number;
        double const slope = (std::log(schedule.alpha_bar(t - h)) - std::log(schedule.alpha_bar(t + h))) / (2 * h);
        CHECK(schedule.beta(t) == doctest::Approx(slope).epsilon(1e-6));
    }
}

TEST_CASE_TEMPLATE("a time outside [0, 1] is refused, and the message names the schedule", Schedule,
                   INKLING_TESTS_POLICIES) {
    std::string const where = std::string("inkling::schedule::") + name_of<Schedule> + ": ";
    Schedule const schedule{};
    CHECK_THROWS_WITH_AS(schedule.alpha_bar(1.5), (where + "t is 1.500000, expected a number in [0, 1]").c_str(),
                         Error);
    CHECK_THROWS_WITH_AS(schedule.alpha_bar(-0.25), (where + "t is -0.250000, expected a number in [0, 1]").c_str(),
                         Error);
    CHECK_THROWS_AS(schedule.alpha_bar(not_a_number), Error);
    CHECK_THROWS_WITH_AS(schedule.time_at_noise(2.0),
                         (where + "noise s is 2.000000, expected a number in [0, 1]").c_str(), Error);
    CHECK_THROWS_AS(schedule.time_at_noise(not_a_number), Error);
    CHECK_NOTHROW(schedule.alpha_bar(0.0));
    CHECK_NOTHROW(schedule.alpha_bar(1.0));
}

TEST_CASE("derived inverses refuse what is no noise level") {
    CHECK_THROWS_WITH_AS(time_at_noise(StraightLine{}, -1.0),
                         "inkling::schedule::time_at_noise: noise s is -1.000000, expected a number in [0, 1]", Error);
    CHECK_THROWS_WITH_AS(time_at_half_log_snr(StraightLine{}, not_a_number),
                         "inkling::schedule::time_at_half_log_snr: level is not a number", Error);
}

TEST_CASE("a setting out of its range is refused, and the message names it") {
    CHECK_THROWS_WITH_AS(Sqrt{.offset = -0.1}.alpha_bar(0.0),
                         "inkling::schedule::Sqrt: offset is -0.100000, expected a number in [0, 1)", Error);
    CHECK_THROWS_WITH_AS(Cosine{.offset = -0.1}.alpha_bar(0.0),
                         "inkling::schedule::Cosine: offset is -0.100000, expected a finite number of at least 0",
                         Error);
    CHECK_THROWS_WITH_AS(LinearBeta{.first = 0.0}.alpha_bar(0.0),
                         "inkling::schedule::LinearBeta: first is 0.000000, expected a positive finite number", Error);
    CHECK_THROWS_WITH_AS(QuadraticBeta{.last = infinity}.time_at_noise(0.5),
                         "inkling::schedule::QuadraticBeta: last is inf, expected a positive finite number", Error);
    CHECK_THROWS_WITH_AS(Edm{.sigma_max = 0.001}.alpha_bar(0.0),
                         "inkling::schedule::Edm: sigma_max is 0.001000, expected a finite number above sigma_min = "
                         "0.002000",
                         Error);
    CHECK_THROWS_WITH_AS(Cdcd{.rho = -7.0}.alpha_bar(0.0),
                         "inkling::schedule::Cdcd: rho is -7.000000, expected a positive finite number", Error);
    CHECK_THROWS_WITH_AS(Geometric{.noise_min = 1.0}.alpha_bar(0.0),
                         "inkling::schedule::Geometric: noise_min is 1.000000, expected a number above 0 and below 1",
                         Error);
    CHECK_THROWS_WITH_AS(Rescaled<Sqrt>{.variance_preserving = 0.0}.alpha_bar(0.5),
                         "inkling::schedule::Rescaled: variance_preserving is 0.000000, expected a positive finite "
                         "number",
                         Error);
    CHECK_THROWS_WITH_AS(Sqrt{.offset = not_a_number}.time_at_noise(0.5),
                         "inkling::schedule::Sqrt: offset is nan, expected a number in [0, 1)", Error);
    for (double const factor : {1e200, 1e-200}) {  // fine numbers, but their squares are none
        CHECK_THROWS_WITH_AS(Rescaled<SigmaLinear>{.variance_preserving = factor}.alpha_bar(0.0),
                             doctest::Contains("the square of variance_preserving is"), Error);
        CHECK_THROWS_AS(Rescaled<SigmaLinear>{.variance_preserving = factor}.time_at_noise(1.0), Error);
    }
    for (double const rho : {1e-3, 1e20})
        CHECK_THROWS_WITH_AS(Edm{.rho = rho}.alpha_bar(0.5), doctest::Contains("inkling::schedule::Edm: rho is "),
                             Error);
    CHECK_THROWS_WITH_AS(Rescaled<Sqrt>{.training_noise = not_a_number}.noise_factor(),
                         "inkling::schedule::Rescaled: training_noise is nan, expected a positive finite number",
                         Error);
}

TEST_CASE("Sqrt: text starts a tenth noisy, and nothing of it is left at t = 1") {
    CHECK(1.0 - Sqrt{}.alpha_bar(0.0) == doctest::Approx(0.1 * 0.1));
    CHECK(Sqrt{}.alpha_bar(1.0) == 0.0);
    CHECK(time_at_noise(Sqrt{}, 1.0) == doctest::Approx(0.9999));
}
TEST_CASE("SigmaSqrt is Sqrt without its offset") {
    for (double const t : random_numbers(20)) CHECK(SigmaSqrt{}.alpha_bar(t) == Sqrt{.offset = 0.0}.alpha_bar(t));
}
TEST_CASE("SigmaLinear: the noise is the time") {
    for (double const t : random_numbers(20)) CHECK(noise(SigmaLinear{}, t) == doctest::Approx(t));
}
TEST_CASE("Geometric: equal times multiply the noise by equal factors, from 0.001 to 1") {
    CHECK(noise(Geometric{}, 0.0) == doctest::Approx(1e-3).epsilon(1e-9));
    CHECK(noise(Geometric{}, 0.5) == doctest::Approx(std::sqrt(1e-3)).epsilon(1e-9));
    CHECK(noise(Geometric{}, 1.0) == 1.0);
}
TEST_CASE("Edm and Cdcd: noise over signal runs from 0.002 to 80, and from 1 to 300") {
    auto const ratio = [](auto schedule, double t) { return noise(schedule, t) / signal(schedule, t); };
    CHECK(ratio(Edm{}, 0.0) == doctest::Approx(0.002).epsilon(1e-9));
    CHECK(ratio(Edm{}, 1.0) == doctest::Approx(80.0).epsilon(1e-9));
    CHECK(ratio(Cdcd{}, 0.0) == doctest::Approx(1.0).epsilon(1e-9));
    CHECK(ratio(Cdcd{}, 1.0) == doctest::Approx(300.0).epsilon(1e-9));
    CHECK(ratio(Edm{.sigma_min = 1.0, .sigma_max = 3.0, .rho = 1.0}, 0.25) == doctest::Approx(1.5));
}
TEST_CASE("Cosine: half of the signal is left half-way, all but the offset at the ends") {
    CHECK(Cosine{.offset = 0.0}.alpha_bar(0.5) == doctest::Approx(0.5));
    CHECK(Cosine{.offset = 0.0}.alpha_bar(0.0) == 1.0);
    CHECK(Cosine{}.alpha_bar(1.0) == doctest::Approx(0.0));
}
TEST_CASE("LinearBeta and QuadraticBeta: rates run from 0.1 to 20, and alpha_bar is exp of minus their integral") {
    CHECK(LinearBeta{}.beta(0.5) == doctest::Approx(10.05));
    CHECK(QuadraticBeta{}.beta(0.0) == doctest::Approx(0.1));
    CHECK(QuadraticBeta{}.beta(1.0) == doctest::Approx(20.0));
    CHECK(LinearBeta{}.alpha_bar(1.0) == doctest::Approx(std::exp(-10.05)));
    CHECK(QuadraticBeta{}.alpha_bar(1.0) == doctest::Approx(std::exp(-(0.1 + std::sqrt(2.0) + 20.0) / 3.0)));
    CHECK(LinearBeta{.first = 2.0, .last = 2.0}.alpha_bar(0.5)
          == QuadraticBeta{.first = 2.0, .last = 2.0}.alpha_bar(0.5));
    CHECK(time_at_noise(QuadraticBeta{.first = 2.0, .last = 2.0}, std::sqrt(1.0 - std::exp(-1.0)))
          == doctest::Approx(0.5));
    CHECK(time_at_noise(LinearBeta{.first = 3.0, .last = 1.0}, noise(LinearBeta{.first = 3.0, .last = 1.0}, 0.75))
          == doctest::Approx(0.75));
}

TEST_CASE_TEMPLATE("a variance-preserving factor F divides the signal-to-noise ratio by F squared", Schedule,
                   INKLING_TESTS_SCHEDULES) {
    for (double const factor : {0.5, 2.0, 3.5, 4.0}) {
        Rescaled<Schedule> const rescaled{.schedule = Schedule{}, .variance_preserving = factor};
        for (double const t : random_numbers(50)) {
            double const plain = log_snr(Schedule{}, t);
            if (std::isinf(plain)) continue;
            CHECK(log_snr(rescaled, t) == doctest::Approx(plain - 2.0 * std::log(factor)).epsilon(1e-8));
        }
    }
}

TEST_CASE_TEMPLATE("a factor of 1 changes nothing", Schedule, INKLING_TESTS_SCHEDULES) {
    for (double const t : random_numbers(50))
        CHECK(Rescaled<Schedule>{.schedule = Schedule{}}.alpha_bar(t) == Schedule{}.alpha_bar(t));
}

TEST_CASE("the training factor multiplies the noise of training alone, and both factors may be set") {
    Rescaled<Sqrt> const both{.variance_preserving = 2.0, .training_noise = 4.0};
    Rescaled<Sqrt> const preserving{.variance_preserving = 2.0};
    CHECK(training_noise_factor(both) == 4.0);
    CHECK(training_noise_factor(preserving) == 1.0);
    CHECK(training_noise_factor(Sqrt{}) == 1.0);
    CHECK(both.alpha_bar(0.3) == preserving.alpha_bar(0.3));
    CHECK(Rescaled<Sqrt>{.training_noise = 4.0}.alpha_bar(0.3) == Sqrt{}.alpha_bar(0.3));

    double const level = both.alpha_bar(0.3);
    auto const seen = noising(level, training_noise_factor(both));  // the ratio that training sees
    auto const plain = noising(Sqrt{}.alpha_bar(0.3));
    double const ratio = (plain.z0 / plain.noise) / (seen.z0 / seen.noise);
    CHECK(ratio == doctest::Approx(2.0 * 4.0));
}

TEST_CASE("rescaling keeps the clean and the noisy end, however large or small the factor") {
    for (double const factor : {1e-140, 1e-8, 1.0, 1e8, 1e140}) {
        Rescaled<SigmaLinear> const schedule{.variance_preserving = factor};
        CHECK(schedule.alpha_bar(0.0) == 1.0);
        CHECK(schedule.alpha_bar(1.0) == 0.0);
    }
}

TEST_CASE("a policy of one's own that rounds to beyond [0, 1] is held to it, and what is no number stays none") {
    struct Fixed {
        double level;
        double alpha_bar(double) const { return level; }
    };
    Fixed const above{1.0 + 0x1p-52}, below{-0x1p-60}, none{not_a_number};
    CHECK(noise(above, 0.0) == 0.0);
    CHECK(signal(above, 0.0) == 1.0);
    CHECK(log_snr(above, 0.0) == infinity);
    CHECK(signal(below, 1.0) == 0.0);
    CHECK(noise(below, 1.0) == 1.0);
    CHECK(half_log_snr(below, 1.0) == -infinity);
    CHECK(std::isnan(noise(none, 0.5)));
    CHECK(std::isnan(signal(none, 0.5)));
    CHECK(std::isnan(log_snr(none, 0.5)));
}

TEST_CASE("rescaling twice multiplies the factors") {
    Rescaled<Rescaled<Sqrt>> const twice{.schedule = {.variance_preserving = 2.0, .training_noise = 3.0},
                                         .variance_preserving = 1.5,
                                         .training_noise = 0.5};
    CHECK(twice.alpha_bar(0.4) == doctest::Approx(Rescaled<Sqrt>{.variance_preserving = 3.0}.alpha_bar(0.4)));
    CHECK(training_noise_factor(twice) == 1.5);
}
