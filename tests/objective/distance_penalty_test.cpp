#include <inkling/objective/distance_penalty.hpp>

#include <inkling/embedding/learned.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <doctest/doctest.h>

#include "device.hpp"

#include <cmath>
#include <cstddef>
#include <vector>

namespace {

using namespace inkling;
using Device = tests::Device<double>;
using objective::Distance;
using objective::DistancePenalty;
using Penalty = DistancePenalty<objective::Regression>;

static_assert(Objective<Penalty, embedding::Learned, Device>);
static_assert(objective::is_paired<Penalty> && objective::tells_rows<Penalty>);

constexpr Index vocabulary = 7;
constexpr Index width = 4;

/// Estimates of two sentences, each of them twice, and the distance that a penalty finds between them.
struct Pairs {
    Device device{{.threads = 1}};
    nn::Workspace<Device> workspace;
    nn::ParameterLayout layout;
    embedding::Learned space{layout, vocabulary, {.width = width, .standard_deviation = 1.0}};
    testing::RaggedBatch<Device> target{device, std::vector<Index>{2, 3, 2, 3}, vocabulary};
    testing::DeviceArray<Device> z0{device, testing::random_values<double>(10 * width, 1)};
    std::vector<double> estimates = testing::random_values<double>(10 * width, 2);
    testing::DeviceArray<Device> pair_weights{device, std::vector<double>{0.1, 0.2, 0.3, 0.4, 0.0}};
    testing::DeviceArray<Device> order{device, std::vector<double>{1, 0, 1, 0, 1, 1}};
    std::vector<double> weights = std::vector<double>(static_cast<std::size_t>(layout.size()));

    Pairs() { layout.initialize<double>(3, weights); }

    double distance(bool ordered = true) {
        workspace.reset();
        nn::Pass<Device> pass{device, workspace, weights.data()};
        objective::Losses<Device> losses(pass);
        testing::DeviceArray<Device> const z0_hat(device, estimates);
        objective::Prediction<Device> prediction{
            target.tokens(), target.segments(), z0.matrix(width), z0_hat.matrix(width), {}, {}};
        prediction.pair_weights = pair_weights.vector();
        if (ordered) prediction.pair_order = order.matrix(3);
        Penalty{.distance = Distance::divergence, .weight = 3.0}.evaluate(pass, space, prediction, losses);
        losses.collect(pass);
        for (auto const& term : losses.terms()) {
            if (term.name != "distance") continue;
            CHECK(term.weight == 1.5);
            return term.value;
        }
        FAIL("there is no distance");
        return 0.0;
    }
    /// log p of what is read out of an estimate.
    [[nodiscard]] std::vector<double> read_out(Index row) const {
        std::vector<double> logits;
        double total = 0.0;
        for (Index v = 0; v < vocabulary; ++v) {
            double sum = 0.0;
            for (Index i = 0; i < width; ++i)
                sum += estimates[static_cast<std::size_t>(row * width + i)]
                    * weights[static_cast<std::size_t>(space.readout().offset + v * width + i)];
            logits.push_back(sum);
            total += std::exp(sum);
        }
        for (double& logit : logits) logit -= std::log(total);
        return logits;
    }
};

TEST_CASE("DistancePenalty: a divergence is that of the noisier estimate's read-out from the less noisy one's") {
    Pairs pairs;
    std::vector<double> const weights{0.1, 0.2, 0.3, 0.4, 0.0};
    double want = 0.0;
    for (Index row = 0; row < 5; ++row) {
        bool const first_is_cleaner = row < 2;
        auto const p = pairs.read_out(first_is_cleaner ? row : row + 5);
        auto const q = pairs.read_out(first_is_cleaner ? row + 5 : row);
        for (std::size_t v = 0; v < p.size(); ++v)
            want += weights[static_cast<std::size_t>(row)] * std::exp(p[v]) * (p[v] - q[v]);
    }
    CHECK(want > 0.0);
    CHECK(pairs.distance() == doctest::Approx(want).epsilon(1e-12));
    for (std::size_t i = 0; i < 5 * width; ++i) pairs.estimates[i + 5 * width] = pairs.estimates[i];
    CHECK(std::abs(pairs.distance()) < 1e-14);  // of equal estimates there is none
}

TEST_CASE("DistancePenalty: a batch that does not say which of a pair is less noisy has no divergence") {
    Pairs pairs;
    CHECK_THROWS_WITH_AS((void)pairs.distance(false),
                         "inkling::objective::DistancePenalty: the batch has no pair_order, expected one, as a "
                         "divergence is that of more noise from less",
                         Error);
}

}  // namespace
