#include <inkling/objective/loss_aware_levels.hpp>

#include "golden.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <span>
#include <vector>

using namespace inkling;

namespace {

constexpr double chance_tolerance = 1e-10;

}  // namespace

TEST_CASE("golden: levels drawn by their losses") {
    for (auto const& entry : golden::cases("lossaware_sampler")) {
        auto const file_name = entry.at("file").get<std::string>();
        auto const file = golden::tensors(file_name);
        objective::LossAwareLevels const levels{.parts = entry.at("num_timesteps").get<Index>(),
                                                .history = entry.at("history_per_term").get<Index>(),
                                                .even_share = entry.at("uniform_prob").get<double>()};
        levels.check();
        auto const steps = static_cast<std::size_t>(levels.parts);
        auto const drawn = file.get<Index>("ts");
        auto const losses = file.get<double>("losses"), weights = file.get<double>("weights_after_each_update");
        std::size_t const updates = weights.size() / steps, each = losses.size() / updates;
        golden::Row chances(file_name, "chances of steps after each update", chance_tolerance);
        objective::LossAwareLevels::State state;
        auto const place = [&](std::size_t step) {
            return (static_cast<double>(step) + 0.5) / static_cast<double>(steps);
        };
        auto const now = [&] {
            std::vector<double> result;
            for (std::size_t step = 0; step < steps; ++step)
                result.push_back(state.density.at(place(step)) / static_cast<double>(steps));
            return result;
        };
        for (std::size_t update = 0; update < updates; ++update) {
            std::vector<double> times;
            for (std::size_t i = 0; i < each; ++i)
                times.push_back(place(static_cast<std::size_t>(drawn[update * each + i])));
            levels.learn(state, times, std::span(losses).subspan(update * each, each));
            std::vector<double> want(weights.begin() + static_cast<std::ptrdiff_t>(update * steps),
                                     weights.begin() + static_cast<std::ptrdiff_t>((update + 1) * steps));
            double total = 0.0;  // ones as long as they are even
            for (double const weight : want) total += weight;
            for (double& weight : want) weight /= total;
            chances.add("update " + std::to_string(update + 1), golden::worst_relative_error_by_element(now(), want));
        }
        golden::Row final(file_name, "chances at the end, and what losses are multiplied by", chance_tolerance);
        final.add("final_probabilities",
                  golden::worst_relative_error_by_element(now(), file.get<double>("final_probabilities")));
        std::vector<double> multipliers;
        for (std::size_t step = 0; step < steps; ++step) multipliers.push_back(levels.weight(state, place(step)));
        final.add(
            "final_loss_weight_per_timestep",
            golden::worst_relative_error_by_element(multipliers, file.get<double>("final_loss_weight_per_timestep")));
    }
}
