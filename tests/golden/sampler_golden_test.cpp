#include <inkling/decode/decode.hpp>
#include <inkling/metric/method4_bleu.hpp>
#include <inkling/recipe/diffuseq_settings.hpp>
#include <inkling/recipe/dinoiser_settings.hpp>
#include <inkling/sampler/sampler.hpp>
#include <inkling/schedule/schedule.hpp>

#include "dinoiser_plan.hpp"
#include "golden.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace inkling;
using nlohmann::json;

namespace {

constexpr double label_tolerance = 1e-10;  // of float64 labels
constexpr double step_tolerance = 1e-4;    // steps of trajectories in float32

/// Calls `use` with Difformer's schedule of that name.
template <class Use>
auto with_schedule(std::string const& name, double vp_factor, Use const& use) {
    auto const rescaled = [&]<class Schedule>(Schedule const& schedule) {
        return use(schedule::Rescaled<Schedule>{.schedule = schedule, .variance_preserving = vp_factor});
    };
    if (name == "linear") return rescaled(schedule::LinearBeta{});
    if (name == "cosine") return rescaled(schedule::Cosine{});
    if (name == "sqrt") return rescaled(schedule::Sqrt{});
    if (name == "edm") return rescaled(schedule::Edm{});
    if (name == "cdcd") return rescaled(schedule::Cdcd{});
    fail("golden: there is no schedule '", name, "'");
}

/// The official programs' text for a choice of steps: "adp_10", "ddim20", "x2_7", "20", "3,4,5".
std::vector<Index> steps_of(Index table_steps, std::string const& text) {
    auto const rest = [&](std::string_view prefix) { return Index{std::stoll(text.substr(prefix.size()))}; };
    if (text.starts_with("adp_"))
        return sampler::kept_steps(sampler::AdaptiveDecay{.published = true}, table_steps, rest("adp_"));
    if (text.starts_with("x2_")) return sampler::kept_steps(sampler::QuadraticSteps{}, table_steps, rest("x2_"));
    if (text.starts_with("ddim")) return sampler::kept_steps(sampler::StridedSteps{}, table_steps, rest("ddim"));
    sampler::SectionedSteps sections;
    for (std::size_t from = 0; from < text.size();) {
        std::size_t const end = std::min(text.find(',', from), text.size());
        sections.counts.push_back(std::stoll(text.substr(from, end - from)));
        from = end + 1;
    }
    return sampler::kept_steps(sections, table_steps, 1);
}

/// [steps, rows, width] numbers of one kind, of which one step is looked at.
struct Trajectory {
    std::vector<float> all;
    std::size_t size;  ///< of one step

    Trajectory(io::Safetensors const& file, std::string const& name, std::size_t steps)
        : all(file.contains(name) ? file.get<float>(name) : std::vector<float>{}), size(all.size() / steps) {}
    [[nodiscard]] std::span<float const> at(std::size_t step) const {
        return std::span<float const>(all).subspan(step * size, size);
    }
};

/// What a plan's step makes of the numbers that the official program had before it.
std::vector<double> replay(sampler::Step const& step, std::span<float const> z0_hat, std::span<float const> z,
                           std::span<float const> noise) {
    std::vector<double> next;
    for (std::size_t i = 0; i < z.size(); ++i)
        next.push_back(step.z0 * static_cast<double>(z0_hat[i]) + step.z_t * static_cast<double>(z[i])
                       + (noise.empty() ? 0.0 : step.noise * static_cast<double>(noise[i])));
    return next;
}

std::vector<bool> truth(std::vector<Index> const& numbers, bool turned = false) {
    std::vector<bool> result;
    for (Index const number : numbers) result.push_back((number != 0) != turned);
    return result;
}

/// The rows of a [candidates, length] array at which `mask` holds, one candidate after the other.
std::vector<std::vector<Index>> valid_tokens(std::vector<Index> const& tokens, std::vector<bool> const& mask,
                                             std::size_t length) {
    std::vector<std::vector<Index>> result(tokens.size() / length);
    for (std::size_t i = 0; i < tokens.size(); ++i)
        if (mask[i]) result[i / length].push_back(tokens[i]);
    return result;
}

/// Candidates of all sentences with their texts, and the beams they come from.
std::vector<decode::Candidate> candidates_of(std::vector<std::string> const& texts,
                                             std::vector<double> const& log_probabilities, decode::Beams const& beams) {
    std::vector<decode::Candidate> result;
    for (std::size_t i = 0; i < texts.size(); ++i)
        result.push_back(
            {texts[i], log_probabilities.empty() ? 0.0 : log_probabilities[i], beams.group(static_cast<Index>(i))});
    return result;
}

/// What a policy chooses for each sentence: the number of the candidate among those of all sentences.
template <Selection Policy>
std::vector<std::size_t> choose(Policy const& policy, std::vector<decode::Candidate> const& candidates, Index each) {
    std::vector<std::size_t> chosen;
    auto const size = static_cast<std::size_t>(each);
    for (std::size_t from = 0; from < candidates.size(); from += size)
        chosen.push_back(from
                         + static_cast<std::size_t>(
                             policy.select(std::span<decode::Candidate const>(candidates).subspan(from, size))));
    return chosen;
}

/// Whether the chosen candidates are the rows of `selected`, but for what pads them.
bool selects(std::vector<std::vector<Index>> const& candidates, std::vector<std::size_t> const& chosen,
             std::vector<Index> const& selected) {
    std::size_t const length = selected.size() / chosen.size();
    for (std::size_t s = 0; s < chosen.size(); ++s) {
        auto const& tokens = candidates.at(chosen[s]);
        if (tokens.size() > length) return false;
        if (!std::equal(tokens.begin(), tokens.end(), selected.begin() + static_cast<std::ptrdiff_t>(s * length)))
            return false;
        for (std::size_t i = tokens.size(); i < length; ++i)
            if (selected[s * length + i] != -1) return false;
    }
    return true;
}

}  // namespace

TEST_CASE("golden: step plans keep the steps of Bridge's program") {
    for (auto const& entry : golden::cases("bridgegap_steps")) {
        std::string const name = entry.at("file");
        json const all = golden::json(name);
        golden::Row row(name, "adaptive decay, quadratic, strides, sections", 0.0);
        auto const compare = [&](Index table_steps, std::string const& text, json const& steps) {
            row.add_exact(text, steps_of(table_steps, text) == steps.get<std::vector<Index>>());
        };
        for (auto const& [count, steps] : all.at("adp").items()) compare(all.at("T"), "adp_" + count, steps);
        for (auto const& [table_steps, plans] : all.at("adp_other_T").items())
            for (auto const& [count, steps] : plans.items()) compare(std::stoll(table_steps), "adp_" + count, steps);
        for (auto const& [text, steps] : all.at("other").items()) compare(all.at("T"), text, steps);
        for (auto const& list : all.at("lists")) {
            std::string text;
            for (Index const count : list.at("section_counts"))
                text += (text.empty() ? "" : ",") + std::to_string(count);
            compare(all.at("T"), text, list.at("steps"));
        }
    }
}

TEST_CASE("golden: DINOISER's grids of times") {
    for (auto const& entry : golden::cases("dinoiser_denoise_schedulers")) {
        std::string const name = entry.at("file");
        auto const file = golden::tensors(name);
        golden::Row even(name, "uniform_time, cedi_current_times", golden::even_grid_tolerance),
            others(name, "even in noise or log-SNR", golden::inverse_grid_tolerance);
        for (auto const& one : entry.at("entries")) {
            std::string const key = one.at("key"), spacing = one.value("denoise_scheduler", "");
            if (!one.value("finite", true) || spacing == "cedi_current_times") continue;
            std::string const scheduler = one.at("noise_scheduler");
            auto const official = file.get<double>(key);
            auto const schedule = recipe::dinoiser_schedule(scheduler);
            bool const by_noise = spacing == "uniform_noise" || spacing == "quadratic_noise";
            bool const linear = scheduler == "linear", by_log_snr = spacing == "uniform_half_log_snr";
            if (linear && by_log_snr) {  // the official times go beyond 1, where there is none: each is looked at alone
                std::vector<double> times, held;
                double const from = schedule.log_snr(one.at("start")), to = schedule.log_snr(one.at("end"));
                for (std::size_t i = 0; i < official.size(); ++i) {
                    double const share = static_cast<double>(i) / static_cast<double>(official.size() - 1);
                    times.push_back(schedule.time_at_log_snr(from + share * (to - from)));
                    held.push_back(std::clamp(official[i], 0.0, 1.0));
                }
                others.add(key, golden::worst_relative_error(times, held));
                continue;
            }
            auto const decoding = recipe::DinoiserDecoding::read({{"solver", "ddim"},
                                                                  {"denoise_steps", one.at("steps")},
                                                                  {"denoise_start", one.at("start")},
                                                                  {"denoise_end", one.at("end")},
                                                                  {"denoise_scheduler", spacing}},
                                                                 {.schedule = schedule}, "golden");
            auto right = official;
            if (linear && by_noise)  // the official inverse lacks a square root
                for (double& time : right)
                    time = std::clamp((-0.1 + std::sqrt(2.0 * 0.1 * 0.1 - (time * 19.9 + 0.1))) / 19.9, 0.0, 1.0);
            (spacing == "uniform_time" ? even : others)
                .add(key,
                     golden::worst_relative_error(decoding.sampler.direct.times.times(schedule, one.at("steps")),
                                                  right));
        }
        for (Index const steps : {5, 10, 20, 50}) {
            std::string const key = "cedi_current_times/steps" + std::to_string(steps);
            if (!file.contains(key)) continue;
            auto const times = sampler::Cedi{}.levels.times(schedule::SigmaLinear{}, steps);
            even.add(key, golden::worst_relative_error(times, file.get<float>(key)));
        }
    }
}

TEST_CASE("golden: Difformer's decoding is Ddpm's plan, step for step") {
    for (auto const& entry : golden::cases("difformer_sampling")) {
        std::string const name = entry.at("file");
        auto const file = golden::tensors(name);
        auto const& decoding = entry.at("decoding");
        Index const table_steps = entry.at("settings").at("diffusion_steps");
        sampler::Ddpm policy{.steps = decoding.at("steps"),
                             .early_stopping = decoding.at("early_stopping"),
                             .discrete_steps = table_steps,
                             .noise_factor = decoding.at("noise_factor"),
                             .clamp = decoding.at("clamping")};
        for (char const* const said : {"fixed_t", "decoding_fixed_t"})
            if (decoding.contains(said) && !decoding.at(said).is_null())
                policy.fixed_time = decoding.at(said).get<double>();
        sampler::Plan const plan = with_schedule(decoding.at("noise_schedule"), decoding.at("schedule_vp_factor"),
                                                 [&](auto const& schedule) { return policy.plan(schedule); });
        REQUIRE(plan.steps.size() == file.get<Index>("out/step_index").size());

        std::vector<double> labels;
        std::vector<Index> numbers;
        for (std::size_t i = 0; i < plan.steps.size(); ++i) {
            labels.push_back(plan.steps[i].time * static_cast<double>(table_steps)
                             * decoding.at("timestep_scale").get<double>());
            numbers.push_back(policy.steps - 1 - static_cast<Index>(i));
        }
        golden::check(name, "model_t", golden::worst_relative_error(labels, file.get<double>("out/model_t")),
                      label_tolerance);
        golden::check(name, "step_index", golden::worst_absolute_error(numbers, file.get<Index>("out/step_index")),
                      0.0);
        CHECK(plan.clamp == decoding.at("clamping").get<bool>());

        auto const mask = truth(file.get<Index>("out/mask"));
        Trajectory const z0_hat(file, "out/z0_hat", plan.steps.size()),
            after(file, "out/z_after_step", plan.steps.size()), noise(file, "in/step_noise", plan.steps.size());
        auto const initial = file.get<float>("out/z_initial");
        std::vector<double> first;
        for (float const number : file.get<float>("in/initial_noise"))
            first.push_back(plan.initial_noise * static_cast<double>(number));
        golden::Row row(name, "steps replayed", step_tolerance);
        row.add("initial", golden::worst_relative_error(first, initial, mask));
        for (std::size_t i = 0; i < plan.steps.size(); ++i) {
            auto const z = i == 0 ? std::span<float const>(initial) : after.at(i - 1);
            row.add(
                std::to_string(i),
                golden::worst_relative_error(replay(plan.steps[i], z0_hat.at(i), z, noise.at(i)), after.at(i), mask));
        }
    }
}

TEST_CASE("golden: DiffuSeq's and Bridge's decoding are plans of Ddpm and Ddim, step for step") {
    for (auto const& entry : golden::cases("diffuseq_sampling")) {
        std::string const name = entry.at("file"), respacing = entry.at("respacing");
        auto const file = golden::tensors(name);
        Index const table_steps = entry.at("settings").at("T"), gap = entry.at("gap");
        sampler::StepPlan step_plan = sampler::StridedSteps{.from_noisiest = true, .stride = gap};
        Index steps = (table_steps + gap - 1) / gap;
        if (respacing != "none") {
            sampler::ListedSteps const kept{steps_of(table_steps, respacing)};
            steps = static_cast<Index>(kept.steps.size());
            step_plan = kept;
        }
        bool const rounding = entry.at("rounding");
        auto const table =
            recipe::diffuseq_table(entry.at("settings").at("noise_schedule").get<std::string>(), table_steps);
        sampler::Plan const plan = entry.at("sampler") == "ddpm"
            ? sampler::Ddpm{.steps = steps,
                            .step_plan = step_plan,
                            .variance = schedule::StepVariance::beta,
                            .last_noise = false,
                            .clamp = rounding}
                  .plan(table)
            : sampler::Ddim{.steps = steps,
                            .eta = entry.at("eta"),
                            .step_plan = step_plan,
                            .neighbour_levels = gap > 1,
                            .clamp = rounding}
                  .plan(table);
        auto const official_labels = file.get<double>("out/model_t");
        REQUIRE(plan.steps.size() == official_labels.size());
        double const scale =
            entry.at("settings").value("rescale_timesteps", true) ? 1000.0 : static_cast<double>(table_steps);
        std::vector<double> labels;
        for (auto const& step : plan.steps) labels.push_back(step.time * scale);
        golden::check(name, "model_t", golden::worst_relative_error(labels, official_labels), label_tolerance);

        auto const noised = truth(file.get<Index>("in/input_mask"));
        Trajectory const z0_hat(file, "out/pred_xstart", plan.steps.size()),
            after(file, "out/x_after_step", plan.steps.size()), noise(file, "in/step_noise", plan.steps.size());
        auto const initial = file.get<float>("out/x_initial");
        golden::Row row(name, "steps replayed", step_tolerance);
        for (std::size_t i = 0; i < plan.steps.size(); ++i) {
            auto const z = i == 0 ? std::span<float const>(initial) : after.at(i - 1);
            auto const drawn = noise.all.empty() ? std::span<float const>{} : noise.at(i);
            row.add(std::to_string(i),
                    golden::worst_relative_error(replay(plan.steps[i], z0_hat.at(i), z, drawn), after.at(i), noised));
        }
    }
}

TEST_CASE("golden: DINOISER's decoding is a plan of Cedi or ContinuousDdim, step for step") {
    for (auto const& entry : golden::cases("dinoiser_sampling")) {
        std::string const name = entry.at("file");
        auto const file = golden::tensors(name);
        auto const& decoding = entry.at("decoding");
        auto said = decoding;
        said["oracle_length"] = false;
        recipe::DinoiserSettings const settings{
            .schedule = recipe::dinoiser_schedule(entry.at("settings").at("scheduler").get<std::string>())};
        auto const plan = golden::dinoiser_plan(recipe::DinoiserDecoding::read(said, settings, "golden"),
                                                settings.schedule, said, name, file);

        auto const mask = truth(file.get<Index>("out/padding_mask"), true);
        std::size_t const count = plan.steps.size();
        Trajectory const z0_hat(file, "out/x_start", count), after(file, "out/x_after_step", count),
            before(file, "out/x_before_step", count), noise(file, "in/step_noise", count);
        auto const initial = file.get<float>("in/init_noise");
        if (after.all.empty() && count == 1) continue;  // only what each step starts from is stored
        golden::Row row(name, "steps replayed", step_tolerance);
        for (std::size_t i = 0; i < count; ++i) {
            if (after.all.empty() && i + 1 == count) break;
            auto const z = !before.all.empty() ? before.at(i)
                : i == 0                       ? std::span<float const>(initial)
                                               : after.at(i - 1);
            auto const official = after.all.empty() ? before.at(i + 1) : after.at(i);
            auto const drawn = noise.all.empty() ? std::span<float const>{} : noise.at(i);
            row.add(std::to_string(i),
                    golden::worst_relative_error(replay(plan.steps[i], z0_hat.at(i), z, drawn), official, mask));
        }
    }
}

TEST_CASE("golden: Difformer's beams have these lengths, and the same candidates are chosen") {
    for (auto const& entry : golden::cases("difformer_sampling")) {
        std::string const name = entry.at("file");
        auto const file = golden::tensors(name);
        auto const& decoding = entry.at("decoding");
        decode::Beams const beams{.length_beam = decoding.at("length_beam_size"),
                                  .noise_beam = decoding.at("noise_beam_size")};
        if (beams.candidates() == 1) continue;
        auto const lengths = file.get<Index>("out/lengths");
        std::vector<Index> predicted;  // the lengths in the middle of each beam
        for (std::size_t i = 0; i < lengths.size(); ++i)
            if (static_cast<Index>(i) % beams.candidates() == beams.length_beam / 2 * beams.noise_beam)
                predicted.push_back(lengths[i]);
        golden::check(name, "lengths",
                      golden::worst_absolute_error(decode::candidate_lengths(predicted, beams), lengths), 0.0);

        auto const mask = truth(file.get<Index>("out/mask"));
        std::size_t const length = mask.size() / lengths.size();
        auto const tokens = valid_tokens(file.get<Index>("out/final_tokens"), mask, length);
        auto const log_probabilities = file.get<double>("out/candidate_mean_log_prob");
        std::vector<std::string> texts(tokens.size());
        if (decoding.at("bleu_mbr").get<bool>()) texts = entry.at("candidate_strings").get<std::vector<std::string>>();
        auto const candidates = candidates_of(texts, log_probabilities, beams);
        auto const selected = file.get<Index>("out/selected_tokens");
        if (!decoding.at("bleu_mbr").get<bool>()) {
            golden::Row row(name, "chosen by mean log-probability", 0.0);
            row.add_exact(
                "", selects(tokens, choose(decode::MeanLogProbability{}, candidates, beams.candidates()), selected));
            continue;
        }
        golden::Row row(name, "chosen by minimum Bayes risk", 0.0);
        row.add_exact("",
                      selects(tokens, choose(decode::MinimumBayesRisk{}, candidates, beams.candidates()), selected));
        std::vector<double> scores;
        auto const each = static_cast<std::size_t>(beams.candidates());
        for (std::size_t from = 0; from < candidates.size(); from += each)
            for (double const score :
                 decode::MinimumBayesRisk{}.scores(std::span<decode::Candidate const>(candidates).subspan(from, each)))
                scores.push_back(score);
        golden::check(name, "candidate_bleu_mbr_score",
                      golden::worst_relative_error(scores, file.get<double>("out/candidate_bleu_mbr_score")), 1e-6);
    }
}

TEST_CASE("golden: DINOISER's choice inside each length and then among lengths") {
    for (auto const& entry : golden::cases("dinoiser_sampling")) {
        std::string const name = entry.at("file");
        auto const file = golden::tensors(name);
        auto const& decoding = entry.at("decoding");
        decode::Beams const beams{.length_beam = decoding.at("beam"), .noise_beam = decoding.at("mbr")};
        if (beams.candidates() == 1) continue;
        auto const lengths = file.get<Index>("out/lengths");
        std::vector<Index> each_length;
        for (std::size_t i = 0; i < lengths.size(); i += static_cast<std::size_t>(beams.noise_beam))
            each_length.push_back(lengths[i]);
        golden::check(name, "lengths",
                      golden::worst_absolute_error(decode::candidate_lengths_of(each_length, beams), lengths), 0.0);

        auto const mask = truth(file.get<Index>("out/padding_mask"), true);
        auto const tokens = valid_tokens(file.get<Index>("out/final_tokens"), mask, mask.size() / lengths.size());
        auto const candidates = candidates_of(entry.at("candidate_strings").get<std::vector<std::string>>(), {}, beams);
        decode::TwoLevelMinimumBayesRisk policy;
        if (decoding.at("target_lang") == "de") policy.bleu.tokenizer = metric::BleuTokenizer::international;
        golden::Row row(name, "chosen by two-level minimum Bayes risk", 0.0);
        row.add_exact(
            "",
            selects(tokens, choose(policy, candidates, beams.candidates()), file.get<Index>("out/selected_tokens")));
    }
}

TEST_CASE("golden: the three programs' choices among five candidates") {
    for (auto const& entry : golden::cases("mbr")) {
        std::string const name = entry.at("file");
        golden::Row chosen(name, "chosen candidates", 0.0), scores(name, "Difformer's scores", 1e-9);
        json const all = golden::json(name);
        for (auto const& set : all.at("sets")) {
            auto const candidates = candidates_of(set.at("candidates").get<std::vector<std::string>>(), {},
                                                  {.noise_beam = static_cast<Index>(set.at("candidates").size())});
            auto const compare = [&](std::string const& key, auto const& policy) {
                chosen.add_exact(key, policy.select(candidates) == set.at(key).template get<Index>());
            };
            compare("difformer_rule_index", decode::MinimumBayesRisk{});
            compare("dinoiser_index_13a", decode::TwoLevelMinimumBayesRisk{});
            compare("dinoiser_index_intl",
                    decode::TwoLevelMinimumBayesRisk{{.tokenizer = metric::BleuTokenizer::international}});
            compare("diffuseq_selectBest_index", decode::MostAlike<metric::Method4Bleu>{});
            scores.add("",
                       golden::worst_relative_error(decode::MinimumBayesRisk{}.scores(candidates),
                                                    set.at("difformer_rule_scores").get<std::vector<double>>()));
        }
    }
}
