#include <inkling/schedule/gaussian.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

using namespace inkling;
using namespace inkling::schedule;

namespace {

struct Levels {
    double from, to;
};

/// Pairs of levels with from < to, some close together and some near the ends; the same on every system.
std::vector<Levels> random_levels(int count) {
    std::mt19937_64 engine(77);
    auto const number = [&] { return static_cast<double>(engine() >> 11) * 0x1p-53; };
    std::vector<Levels> pairs;
    for (int i = 0; i < count; ++i) {
        double const to = i % 3 == 0 ? number() : 1.0 - std::pow(10.0, -4.0 * number());
        double const from = to * (i % 2 == 0 ? number() : 1.0 - std::pow(10.0, -1.0 - 4.0 * number()));
        pairs.push_back({from, to});
    }
    return pairs;
}

constexpr std::array<Quantity, 4> quantities{Quantity::z0, Quantity::noise, Quantity::velocity, Quantity::score};

}  // namespace

TEST_CASE(
    "noising: the parts of signal and noise in z_t are √alpha_bar and √(1 - alpha_bar), and only noise is rescaled") {
    auto const plain = noising(0.64), stronger = noising(0.64, 4.0);
    CHECK(plain.z0 == doctest::Approx(0.8));
    CHECK(plain.noise == doctest::Approx(0.6));
    CHECK(plain.z_t == 0.0);
    CHECK(stronger.z0 == plain.z0);
    CHECK(stronger.noise == doctest::Approx(2.4));
}

TEST_CASE("the posterior of one noising step is what Bayes' rule gives") {
    for (Levels const levels : random_levels(500)) {
        double const from = levels.from, to = levels.to;
        CAPTURE(from);
        CAPTURE(to);
        double const beta = step_beta(from, to);
        CHECK(beta == doctest::Approx((to - from) / to).epsilon(1e-14));
        // z_to ~ N(√to z0, 1 - to), z_from | z_to ~ N(√(1 - beta) z_to, beta): precisions add up
        double const variance = 1.0 / (1.0 / (1.0 - to) + (1.0 - beta) / beta);
        Posterior const found = posterior(from, to);
        CHECK(found.variance == doctest::Approx(variance).epsilon(1e-9));
        CHECK(found.z0 == doctest::Approx(variance * std::sqrt(to) / (1.0 - to)).epsilon(1e-9));
        CHECK(found.z_t == doctest::Approx(variance * std::sqrt(1.0 - beta) / beta).epsilon(1e-9));
        CHECK(found.log_variance == std::log(found.variance));
        Posterior const with_beta = posterior_with_beta(beta, from, to);
        CHECK(with_beta.z0 == found.z0);
        CHECK(with_beta.z_t == found.z_t);
        CHECK(with_beta.variance == found.variance);
    }
}

TEST_CASE("a step with the true z0 lands on the level it aims at, for ddpm and for ddim of any eta") {
    for (Levels const levels : random_levels(500)) {
        double const from = levels.from, to = levels.to;
        CAPTURE(from);
        CAPTURE(to);
        for (StepCoefficients const step : {ddpm(from, to), ddim(from, to), ddim(from, to, 0.3), ddim(from, to, 1.0)}) {
            CHECK(step.z0 + step.z_t * std::sqrt(from) == doctest::Approx(std::sqrt(to)).epsilon(1e-12));
            double const variance = step.z_t * step.z_t * (1.0 - from) + step.noise * step.noise;
            CHECK(variance == doctest::Approx(1.0 - to).epsilon(1e-9));
        }
    }
}

TEST_CASE("ddim with eta = 1 is ddpm, and eta is the share of its noise") {
    for (Levels const levels : random_levels(500)) {
        double const from = levels.from, to = levels.to;
        CHECK(ddim(from, to, 0.25).noise == doctest::Approx(0.25 * ddpm(from, to).noise).epsilon(1e-9));
        CHECK(ddim(from, to).noise == 0.0);
        StepCoefficients const one = ddim(from, to, 1.0), other = ddpm(from, to);
        CHECK(one.z0 == doctest::Approx(other.z0).epsilon(1e-9));
        CHECK(one.z_t == doctest::Approx(other.z_t).epsilon(1e-9));
        CHECK(one.noise == doctest::Approx(other.noise).epsilon(1e-9));
    }
}

TEST_CASE("two deterministic ddim steps with one z0_hat are one step, and a step back undoes a step") {
    for (Levels const levels : random_levels(200)) {
        double const from = levels.from, to = levels.to;
        double const middle = 0.5 * (from + to);
        auto const first = ddim(from, middle), second = ddim(middle, to), whole = ddim(from, to);
        CHECK(second.z0 + second.z_t * first.z0 == doctest::Approx(whole.z0).epsilon(1e-9));
        CHECK(second.z_t * first.z_t == doctest::Approx(whole.z_t).epsilon(1e-9));
        auto const back = ddim(to, from);
        CHECK(back.z_t * whole.z_t == doctest::Approx(1.0).epsilon(1e-12));
        CHECK(std::abs(back.z0 + back.z_t * whole.z0) <= 1e-12 * (1.0 + back.z_t));
    }
}

TEST_CASE("a step to alpha_bar = 1 gives z0_hat itself; a step from 0 knows z_t as noise only") {
    for (double const from : {0.0, 0.3, 0.999}) {
        for (StepCoefficients const step : {ddpm(from, 1.0), ddim(from, 1.0), ddim(from, 1.0, 1.0)}) {
            CHECK(step.z0 == 1.0);
            CHECK(step.z_t == 0.0);
            CHECK(step.noise == 0.0);
        }
    }
    CHECK(posterior(0.3, 1.0).log_variance == -std::numeric_limits<double>::infinity());
    auto const start = ddim(0.0, 0.64);
    CHECK(start.z0 == doctest::Approx(0.8));
    CHECK(start.z_t == doctest::Approx(0.6));
    auto const ancestral = ddpm(0.0, 0.64);
    CHECK(ancestral.z0 == doctest::Approx(0.8));
    CHECK(ancestral.z_t == 0.0);
    CHECK(ancestral.noise == doctest::Approx(0.6));
}

TEST_CASE("a step that goes nowhere changes nothing") {
    for (double const level : {0.0, 0.4}) {
        for (StepCoefficients const step : {ddpm(level, level), ddim(level, level), ddim(level, level, 1.0)}) {
            CHECK(step.z0 == 0.0);
            CHECK(step.z_t == 1.0);
            CHECK(step.noise == 0.0);
        }
    }
}

TEST_CASE("dpm_solver_2m is a ddim step where z0_hat does not change") {
    for (Levels const levels : random_levels(200)) {
        double const from = levels.from, to = levels.to;
        if (from < 1e-6) continue;
        auto const step = dpm_solver_2m(0.5 * from, from, to);
        auto const first_order = ddim(from, to);
        CHECK(step.z0 + step.previous_z0 == doctest::Approx(first_order.z0).epsilon(1e-9));
        CHECK(step.z_t == first_order.z_t);
    }
    CHECK(dpm_solver_2m(0.1, 0.2, 1.0).previous_z0 == 0.0);
    CHECK(dpm_solver_2m(0.1, 0.2, 1.0).z0 == 1.0);
    CHECK(dpm_solver_2m(0.0, 0.2, 0.5).previous_z0 == 0.0);
}

TEST_CASE("for normal data half the step length quarters dpm_solver_2m's error and halves ddim's") {
    // z0 ~ N(0, v): the best guess is z0_hat = √alpha_bar v z / (alpha_bar v + 1 - alpha_bar), and z keeps its place
    // among the quantiles, z(alpha_bar) ~ √(alpha_bar v + 1 - alpha_bar).
    double const v = 0.25;
    auto const spread = [=](double alpha_bar) { return std::sqrt(alpha_bar * v + 1.0 - alpha_bar); };
    auto const guess = [=](double alpha_bar, double z) {
        return std::sqrt(alpha_bar) * v * z / (alpha_bar * v + 1.0 - alpha_bar);
    };
    auto const error = [&](int steps, bool second_order) {
        auto const level = [=](int i) { return 1.0 / (1.0 + std::exp(-2.0 * (-2.0 + 4.0 * i / steps))); };
        double z = spread(level(0)), previous = 0.0;
        for (int i = 0; i < steps; ++i) {
            double const now = guess(level(i), z);
            if (second_order && i > 0) {
                auto const step = dpm_solver_2m(level(i - 1), level(i), level(i + 1));
                z = step.z0 * now + step.z_t * z + step.previous_z0 * previous;
            } else {
                auto const step = ddim(level(i), level(i + 1));
                z = step.z0 * now + step.z_t * z;
            }
            previous = now;
        }
        return std::abs(z / spread(level(steps)) - 1.0);
    };
    for (int const steps : {40, 80, 160}) {
        CHECK(error(steps, false) / error(2 * steps, false) == doctest::Approx(2.0).epsilon(0.1));
        CHECK(error(steps, true) / error(2 * steps, true) == doctest::Approx(4.0).epsilon(0.1));
    }
    CHECK(error(20, true) < 0.2 * error(20, false));
}

TEST_CASE("every quantity follows from every other and z_t") {
    std::mt19937_64 engine(5);
    for (int i = 0; i < 200; ++i) {
        auto const number = [&] { return static_cast<double>(engine() >> 11) * 0x1p-53; };
        double const alpha_bar = 0.01 + 0.98 * number();
        double const z0 = 2.0 * number() - 1.0, noise = 4.0 * number() - 2.0;
        double const a = std::sqrt(alpha_bar), s = std::sqrt(1.0 - alpha_bar);
        double const z_t = a * z0 + s * noise;
        std::array<double, 4> const values{z0, noise, a * noise - s * z0, -noise / s};
        for (std::size_t known = 0; known < 4; ++known) {
            for (std::size_t wanted = 0; wanted < 4; ++wanted) {
                CAPTURE(known);
                CAPTURE(wanted);
                auto const form = conversion(quantities[known], quantities[wanted], alpha_bar);
                CHECK(std::abs(form.z_t * z_t + form.known * values[known] - values[wanted]) <= 1e-11);
            }
        }
    }
}

TEST_CASE("conversions that are determined at the ends of the range are given there") {
    CHECK(conversion(Quantity::velocity, Quantity::z0, 1.0).z_t == 1.0);
    CHECK(conversion(Quantity::velocity, Quantity::noise, 0.0).z_t == 1.0);
    CHECK(conversion(Quantity::velocity, Quantity::z0, 0.0).known == -1.0);
    CHECK(conversion(Quantity::noise, Quantity::z0, 1.0).z_t == 1.0);
    CHECK(conversion(Quantity::noise, Quantity::score, 0.0).known == -1.0);
    CHECK(conversion(Quantity::score, Quantity::noise, 0.0).known == -1.0);
    CHECK(conversion(Quantity::z0, Quantity::noise, 0.0).z_t == 1.0);
    for (double const end : {0.0, 1.0})
        for (Quantity const same : quantities) CHECK(conversion(same, same, end).known == 1.0);
}

TEST_CASE("conversions that are not determined are refused, and the message says why") {
    char const* const no_signal =
        "inkling::schedule::conversion: alpha_bar is 0, where z_t tells nothing of z0; expected above 0";
    char const* const no_noise =
        "inkling::schedule::conversion: alpha_bar is 1, where z_t tells nothing of the noise; expected below 1";
    for (Quantity const known : {Quantity::noise, Quantity::score})
        for (Quantity const wanted : {Quantity::z0, Quantity::velocity})
            CHECK_THROWS_WITH_AS(conversion(known, wanted, 0.0), no_signal, Error);
    for (Quantity const wanted : {Quantity::noise, Quantity::velocity, Quantity::score})
        CHECK_THROWS_WITH_AS(conversion(Quantity::z0, wanted, 1.0), no_noise, Error);
    for (Quantity const known : {Quantity::noise, Quantity::velocity})
        CHECK_THROWS_WITH_AS(conversion(known, Quantity::score, 1.0), no_noise, Error);
    CHECK_THROWS_AS(conversion(Quantity::z0, Quantity::noise, 1.5), Error);
}

TEST_CASE("steps out of range are refused, and the message says what was seen") {
    double const not_a_number = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_WITH_AS(ddpm(1.0, 1.0),
                         "inkling::schedule::ddpm: from is 1, which has no noise left to remove; expected below 1",
                         Error);
    CHECK_THROWS_WITH_AS(ddpm(0.5, 0.25),
                         "inkling::schedule::ddpm: to is 0.250000, noisier than from, which is 0.500000; expected "
                         "an alpha_bar in [from, 1]",
                         Error);
    CHECK_THROWS_WITH_AS(ddim(-0.5, 0.25),
                         "inkling::schedule::ddim: from is -0.500000, expected an alpha_bar in [0, 1]", Error);
    CHECK_THROWS_WITH_AS(ddim(0.5, 0.25, 0.1),
                         "inkling::schedule::ddim: to is 0.250000, noisier than from, which is 0.500000; expected an "
                         "alpha_bar in [from, 1]",
                         Error);
    CHECK_THROWS_WITH_AS(ddim(0.25, 0.5, 1.5), "inkling::schedule::ddim: eta is 1.500000, expected a number in [0, 1]",
                         Error);
    CHECK_THROWS_AS(ddim(0.25, not_a_number), Error);
    CHECK_THROWS_AS(ddim(not_a_number, 0.25), Error);
    CHECK_THROWS_AS(posterior_with_beta(0.5, 0.5, 0.25), Error);
    CHECK_THROWS_WITH_AS(posterior_with_beta(1.5, 0.25, 0.5),
                         "inkling::schedule::posterior_with_beta: beta is 1.500000, expected a number in [0, 1]",
                         Error);
    CHECK_THROWS_WITH_AS(noising(1.5),
                         "inkling::schedule::noising: alpha_bar is 1.500000, expected an alpha_bar in [0, 1]", Error);
    CHECK_THROWS_WITH_AS(noising(0.5, 0.0),
                         "inkling::schedule::noising: noise_factor is 0.000000, expected a positive number", Error);
    CHECK_THROWS_WITH_AS(
        dpm_solver_2m(0.5, 0.4, 0.6),
        "inkling::schedule::dpm_solver_2m: alpha_bar goes 0.500000, 0.400000, 0.600000, expected rising "
        "numbers in [0, 1]",
        Error);
}
