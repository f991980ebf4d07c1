#include <inkling/schedule/schedule.hpp>

#include "golden.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace inkling;
using namespace inkling::schedule;

namespace {

// Tolerances of the golden figures' README.
constexpr double table_tolerance = 1e-10, edm_tolerance = 1e-8, cumprod_tolerance = 1e-12;
constexpr double step_tolerance = 1e-5, step_f64_tolerance = 1e-9, conversion_tolerance = 2e-5;
constexpr double ancestral_tolerance = 3e-4;  // differences of levels cancel in the official float32
constexpr double scheduler_tolerance = 1e-10, inverse_tolerance = 1e-9;

template <NoiseSchedule Schedule>
Discrete rescaled_table(Index steps, double factor) {
    return Discrete::sampled(Rescaled<Schedule>{.variance_preserving = factor}, steps);
}

/// Difformer's schedules by their names in its code.
Discrete difformer_table(std::string const& name, Index steps, double factor) {
    if (name == "linear") return rescaled_table<LinearBeta>(steps, factor);
    if (name == "cosine") return rescaled_table<Cosine>(steps, factor);
    if (name == "sqrt") return rescaled_table<Sqrt>(steps, factor);
    if (name == "edm") return rescaled_table<Edm>(steps, factor);
    if (name == "cdcd") return rescaled_table<Cdcd>(steps, factor);
    fail("golden: there is no schedule '", name, "'");
}

/// DiffuSeq's by theirs.
Discrete diffuseq_table(std::string const& name, Index steps) {
    if (name == "cosine") return Discrete::sampled(Cosine{}, steps);
    if (name == "sqrt") return Discrete::sampled(Sqrt{}, steps);
    if (name == "linear") return Discrete::from_betas(diffuseq::linear_betas(steps));
    if (name == "trunc_lin") return Discrete::from_betas(diffuseq::truncated_linear_betas(steps));
    if (name == "pw_lin") return Discrete::from_betas(diffuseq::piecewise_linear_betas(steps));
    if (name == "trunc_cos") return Discrete::from_betas(diffuseq::truncated_cosine_betas(steps));
    fail("golden: there is no schedule '", name, "'");
}

/// The official programs' text for a choice of steps: "ddim20", "20", "10,15,20".
std::vector<Index> steps_of(Index steps, std::string const& text) {
    if (text.starts_with("ddim")) return strided_steps(steps, std::stoll(text.substr(4)));
    std::vector<Index> counts;
    for (std::size_t from = 0; from < text.size();) {
        std::size_t const end = std::min(text.find(',', from), text.size());
        counts.push_back(std::stoll(text.substr(from, end - from)));
        from = end + 1;
    }
    return spaced_steps(steps, counts);
}

/// Compares every array of a table, element by element.
void compare_table(io::Safetensors const& file, std::string const& key, Discrete const& table, golden::Row& tables,
                   golden::Row& levels) {
    auto const one = [&](golden::Row& row, char const* name, std::vector<double> const& got) {
        row.add(key + "/" + name,
                golden::worst_relative_error_by_element(got, file.get<double>(key + "/" + name, {table.steps()})));
    };
    one(levels, "alphas_cumprod", table.alphas_cumprod());
    one(tables, "betas", table.betas());
    one(tables, "posterior_variance", table.posterior_variance());
    one(tables, "posterior_log_variance_clipped", table.posterior_log_variance_clipped());
    one(tables, "posterior_mean_coef1", table.posterior_mean_z0());
    one(tables, "posterior_mean_coef2", table.posterior_mean_z_t());
}

/// One row of numbers from others: z0 · first + z_t · second + noise · third.
struct Rows {
    std::size_t width;

    template <class Z0, class ZT>
    void step(std::vector<double>& out, std::size_t row, StepCoefficients c, Z0 const& z0, ZT const& z_t,
              std::vector<float> const& noise) const {
        for (std::size_t i = row * width; i < (row + 1) * width; ++i)
            out[i] = c.z0 * static_cast<double>(z0[i]) + c.z_t * static_cast<double>(z_t[i])
                + c.noise * static_cast<double>(noise[i]);
    }
};

}  // namespace

TEST_CASE("golden: Difformer's schedule tables") {
    for (auto const& entry : golden::cases("difformer_schedules")) {
        auto const name = entry.at("file").get<std::string>();
        auto const file = golden::tensors(name);
        golden::Row tables(name, "betas, posterior", table_tolerance),
            edm(name, "betas, posterior, edm", edm_tolerance);
        golden::Row levels(name, "alphas_cumprod", cumprod_tolerance);
        for (auto const& one : entry.at("entries")) {
            auto const schedule = one.at("schedule").get<std::string>();
            compare_table(file, one.at("key"), difformer_table(schedule, entry.at("T"), one.at("vp_factor")),
                          schedule == "edm" ? edm : tables, levels);
        }
    }
}

TEST_CASE("golden: Difformer's respaced tables") {
    for (auto const& entry : golden::cases("difformer_respaced")) {
        auto const name = entry.at("file").get<std::string>();
        auto const file = golden::tensors(name);
        golden::Row tables(name, "betas, posterior", table_tolerance),
            edm(name, "betas, posterior, edm", edm_tolerance);
        golden::Row levels(name, "alphas_cumprod", cumprod_tolerance), maps(name, "timestep_map", 0.0);
        for (auto const& one : entry.at("entries")) {
            auto const schedule = one.at("schedule").get<std::string>();
            auto const key = one.at("key").get<std::string>();
            Index const steps = one.at("T");
            Discrete const table =
                difformer_table(schedule, steps, one.at("vp_factor"))
                    .respaced(spaced_steps(steps, one.at("section_counts").get<std::vector<Index>>()));
            maps.add_exact(key, table.timestep_map() == file.get<Index>(key + "/timestep_map"));
            compare_table(file, key, table, schedule == "edm" ? edm : tables, levels);
        }
    }
}

TEST_CASE("golden: DiffuSeq's schedule tables") {
    for (auto const& entry : golden::cases("diffuseq_schedules")) {
        auto const name = entry.at("file").get<std::string>();
        auto const file = golden::tensors(name);
        golden::Row tables(name, "betas, posterior", table_tolerance),
            levels(name, "alphas_cumprod", cumprod_tolerance);
        for (auto const& one : entry.at("entries")) {
            auto const key = one.at("key").get<std::string>();
            Discrete const table = diffuseq_table(one.at("schedule"), entry.at("T"));
            compare_table(file, key, table, tables, levels);
            std::string const large = key + "/p_sample_log_variance_fixed_large";
            if (!file.contains(large)) continue;
            std::vector<double> log_variances;
            for (Index i = 0; i < table.steps(); ++i)
                log_variances.push_back(table.log_variance(i, StepVariance::beta));
            tables.add(large, golden::worst_relative_error_by_element(log_variances, file.get<double>(large)));
        }
    }
}

TEST_CASE("golden: Bridge's respaced tables") {
    for (auto const& entry : golden::cases("bridgegap_respaced")) {
        auto const name = entry.at("file").get<std::string>();
        auto const file = golden::tensors(name);
        golden::Row tables(name, "betas, posterior", table_tolerance),
            levels(name, "alphas_cumprod", cumprod_tolerance);
        golden::Row maps(name, "timestep_map of 'ddimN'", 0.0);
        Index const steps = entry.at("T");
        Discrete const full = diffuseq_table(entry.at("schedule"), steps);
        for (auto const& one : entry.at("entries")) {
            auto const key = one.at("key").get<std::string>();
            auto const spec = one.at("spec").get<std::string>();
            auto const kept = file.get<Index>(key + "/timestep_map");
            Discrete const table = full.respaced(kept);
            compare_table(file, key, table, tables, levels);
            if (spec.starts_with("ddim")) maps.add_exact(spec, steps_of(steps, spec) == kept);
        }
    }
}

TEST_CASE("golden: even and whole-stride choices of steps") {
    for (auto const& entry : golden::cases("bridgegap_steps")) {
        auto const name = entry.at("file").get<std::string>();
        auto const all = golden::json(name);
        Index const steps = all.at("T");
        golden::Row row(name, "ddimN and single sections", 0.0);
        for (auto const& [spec, kept] : all.at("other").items())
            if (spec.starts_with("ddim")) row.add_exact(spec, steps_of(steps, spec) == kept.get<std::vector<Index>>());
        for (auto const& list : all.at("lists")) {
            auto const counts = list.at("section_counts").get<std::vector<Index>>();
            if (counts.size() == 1)
                row.add_exact(list.dump(), spaced_steps(steps, counts) == list.at("steps").get<std::vector<Index>>());
        }
    }
}

TEST_CASE("golden: one step of improved diffusion and of Difformer") {
    for (auto const& entry : golden::cases("gaussian_steps")) {
        auto const name = entry.at("file").get<std::string>();
        auto const file = golden::tensors(name);
        golden::Row f32(name, "one-step maths, f32", step_tolerance), f64(name, "ddim, f64", step_f64_tolerance);
        auto const x0 = file.get<float>("x0"), noise = file.get<float>("noise"), x_t = file.get<float>("x_t");
        auto const x0_hat = file.get<float>("x0_hat"), eps_hat = file.get<float>("eps_hat");
        auto const step_noise = file.get<float>("step_noise");
        for (auto const& one : entry.at("cases")) {
            Index const steps = one.at("T");
            Discrete table = difformer_table(one.at("schedule"), steps, one.at("vp_factor"));
            if (!one.at("respacing").is_null())
                table = table.respaced(steps_of(steps, one.at("respacing").get<std::string>()));
            REQUIRE(table.steps() == one.at("num_timesteps").get<Index>());
            double const multiplier = one.at("noise_multiplier");
            auto t = one.at("t").get<std::vector<Index>>();
            Rows const rows{x0.size() / t.size()};
            std::string const prefix = "case" + std::to_string(one.at("case").get<int>()) + "/";

            auto const fill = [&](auto const& row_function) {  // one call for each row, each with its own t
                std::vector<double> out(x0.size());
                for (std::size_t row = 0; row < t.size(); ++row) row_function(out, row, t[row]);
                return out;
            };
            auto const converted = [&](Quantity known, Quantity wanted, std::vector<float> const& from) {
                return fill([&](auto& out, std::size_t row, Index step) {
                    auto const form = conversion(known, wanted, table.level(step));
                    rows.step(out, row, {form.known, form.z_t, 0.0}, from, x_t, noise);
                });
            };
            auto const constant = [&](auto const& value) {
                return fill([&](auto& out, std::size_t row, Index step) {
                    std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(row * rows.width), rows.width, value(step));
                });
            };
            auto const stepped = [&](auto const& z0, auto const& coefficients) {
                return fill([&](auto& out, std::size_t row, Index step) {
                    rows.step(out, row, coefficients(step), z0, x_t, step_noise);
                });
            };
            auto const posterior_mean = [&](Index step) {
                Posterior const p = table.posterior(step);
                return StepCoefficients{p.z0, p.z_t, 0.0};
            };

            for (auto const& tensor : file.tensors()) {
                std::string const& full = tensor.name();
                if (!full.starts_with(prefix)) continue;
                std::string const what = full.substr(prefix.size());
                if (what == "t" || what.ends_with("/t")) continue;
                // which step each row is at: the case's, unless the array has its own
                std::string const own_t = prefix + what.substr(0, what.find('/')) + "/t";
                t = file.get<Index>(file.contains(own_t) ? own_t : prefix + "t");
                // what the network's output makes of z0_hat, and in which variant
                bool const epsilon = what.find("epsilon") != std::string::npos;
                std::vector<double> z0_hat(x0_hat.begin(), x0_hat.end());
                if (epsilon) z0_hat = converted(Quantity::noise, Quantity::z0, eps_hat);
                if (what.find("_clip/") != std::string::npos)
                    for (double& z0 : z0_hat) z0 = std::clamp(z0, -1.0, 1.0);
                auto const variance =
                    what.find("fixed_large") != std::string::npos ? StepVariance::beta : StepVariance::posterior;

                std::vector<double> got;
                if (what == "q_sample")
                    got = fill([&](auto& out, std::size_t row, Index step) {
                        rows.step(out, row, noising(table.level(step), multiplier), x0, x_t, noise);
                    });
                else if (what == "q_mean_variance/mean")
                    got = fill([&](auto& out, std::size_t row, Index step) {
                        rows.step(out, row, {noising(table.level(step)).z0, 0.0, 0.0}, x0, x_t, noise);
                    });
                else if (what == "q_mean_variance/variance")
                    got = constant([&](Index step) { return 1.0 - table.level(step); });
                else if (what == "q_mean_variance/log_variance")
                    got = constant([&](Index step) { return std::log1p(-table.level(step)); });
                else if (what == "q_posterior/mean")
                    got = stepped(x0_hat, posterior_mean);
                else if (what == "q_posterior/variance")
                    got = constant([&](Index step) { return table.posterior(step).variance; });
                else if (what == "q_posterior/log_variance_clipped")
                    got = constant([&](Index step) { return table.posterior(step).log_variance; });
                else if (what == "eps_from_xstart")
                    got = converted(Quantity::z0, Quantity::noise, x0_hat);
                else if (what == "xstart_from_eps")
                    got = converted(Quantity::noise, Quantity::z0, eps_hat);
                else if (what.starts_with("p_") && what.ends_with("/mean"))
                    got = stepped(z0_hat, posterior_mean);
                else if (what.starts_with("p_") && what.ends_with("/log_variance"))
                    got = constant([&](Index step) { return table.log_variance(step, variance); });
                else if (what.starts_with("p_") && what.ends_with("/pred_xstart"))
                    got = z0_hat;
                else if (what.starts_with("p_") && what.ends_with("/sample"))
                    got = stepped(z0_hat, [&](Index step) {
                        StepCoefficients c = table.ddpm(step, variance);
                        if (step == 0) c.noise = 0.0;  // improved diffusion's last step draws none
                        return c;
                    });
                else if (what.starts_with("ddim_reverse_"))
                    got = stepped(z0_hat, [&](Index step) { return table.ddim_reverse(step); });
                else if (what.starts_with("ddim_") && what.find("_eta") != std::string::npos) {
                    double const eta = std::stod(what.substr(what.find("_eta") + 4));
                    got = stepped(z0_hat, [&](Index step) { return table.ddim(step, eta); });
                } else if (what.starts_with("difformer_step")) {  // one t for all rows, and noise at every step
                    Index const step = std::stoll(what.substr(std::string_view("difformer_step").size()));
                    StepCoefficients c = table.ddpm(step);
                    c.noise *= multiplier;
                    got = stepped(x0_hat, [&](Index) { return c; });
                } else {
                    FAIL("golden: what is '" << full << "'?");
                }

                if (what.ends_with("_f64"))
                    f64.add(full, golden::worst_relative_error(got, file.get<double>(full)));
                else if (what.starts_with("ddim_") && file.contains(full + "_f64"))
                    continue;  // cancels in float32: compared in f64
                else
                    f32.add(full, golden::worst_relative_error(got, file.get<float>(full)));
            }
        }
    }
}

TEST_CASE("golden: one step of DiffuSeq") {
    for (auto const& entry : golden::cases("diffuseq_steps")) {
        auto const name = entry.at("file").get<std::string>();
        auto const file = golden::tensors(name);
        golden::Row f32(name, "one-step maths, f32", step_tolerance), f64(name, "ddim, f64", step_f64_tolerance);
        auto const x0 = file.get<float>("x0"), noise = file.get<float>("noise"), x_t = file.get<float>("x_t");
        auto const x0_hat = file.get<float>("x0_hat"), rounded = file.get<float>("knn/denoised_fn_round");
        auto const step_noise = file.get<float>("step_noise");
        auto const mask = file.get<Index>("mask");
        std::size_t const width = x0.size() / mask.size();
        for (auto const& one : entry.at("cases")) {
            Index const steps = one.at("T");
            Discrete table = diffuseq_table(one.at("schedule"), steps);
            if (!one.at("respacing").is_null())
                table = table.respaced(steps_of(steps, one.at("respacing").get<std::string>()));
            REQUIRE(table.steps() == one.at("num_timesteps").get<Index>());
            auto const t = one.at("t").get<std::vector<Index>>();
            Rows const rows{x0.size() / t.size()};
            std::string const prefix = "case" + std::to_string(one.at("case").get<int>()) + "/";
            // how noisy DiffuSeq makes z0 itself
            double const first_noise = noising(table.level(0)).noise;
            f64.add(prefix + "sqrt_one_minus_alphas_cumprod_0",
                    golden::worst_relative_error(std::vector<double>{first_noise},
                                                 std::vector<double>{one.at("sqrt_one_minus_alphas_cumprod_0")}));

            auto const stepped = [&](std::vector<float> const& z0, std::vector<float> const& drawn,
                                     auto const& coefficients) {
                std::vector<double> out(x0.size());
                for (std::size_t row = 0; row < t.size(); ++row)
                    rows.step(out, row, coefficients(t[row]), z0, x_t, drawn);
                return out;
            };
            auto const keep_source = [&](std::vector<double> out) {  // where the mask is 0 the source stays as it is
                for (std::size_t i = 0; i < out.size(); ++i)
                    if (mask[i / width] == 0) out[i] = static_cast<double>(x0[i]);
                return out;
            };
            auto const ancestral = [&](Index step) {
                StepCoefficients c = table.ddpm(step, StepVariance::beta);
                if (step == 0) c.noise = 0.0;
                return c;
            };

            for (auto const& tensor : file.tensors()) {
                std::string const& full = tensor.name();
                if (!full.starts_with(prefix)) continue;
                std::string const what = full.substr(prefix.size());
                auto const& z0_hat = what.find("_round") != std::string::npos ? rounded : x0_hat;
                std::vector<double> got;
                if (what == "t") {
                    CHECK(file.get<Index>(full) == t);
                    continue;
                } else if (what == "model_timesteps") {
                    for (Index const step : t) got.push_back(1000.0 * table.label_time(step));
                } else if (what == "q_sample" || what == "q_sample_masked") {
                    got = stepped(x0, noise, [&](Index step) { return noising(table.level(step)); });
                    if (what == "q_sample_masked") got = keep_source(std::move(got));
                } else if (what == "get_x_start") {
                    got = stepped(x0, step_noise, [&](Index) { return StepCoefficients{1.0, 0.0, first_noise}; });
                } else if (what == "p_mean_variance/mean") {
                    got = stepped(x0_hat, noise, [&](Index step) {
                        return StepCoefficients{table.posterior(step).z0, table.posterior(step).z_t, 0.0};
                    });
                } else if (what == "p_mean_variance/variance" || what == "p_mean_variance/log_variance") {
                    for (std::size_t i = 0; i < x0.size(); ++i) {
                        double const log_variance = table.log_variance(t[i / rows.width], StepVariance::beta);
                        got.push_back(what.ends_with("/variance") ? std::exp(log_variance) : log_variance);
                    }
                } else if (what.starts_with("p_sample")) {
                    got = keep_source(stepped(z0_hat, step_noise, ancestral));
                } else if (what.starts_with("ddim_")) {
                    double const eta = std::stod(what.substr(what.find("eta") + 3));
                    got = keep_source(stepped(z0_hat, step_noise, [&](Index step) { return table.ddim(step, eta); }));
                } else {
                    FAIL("golden: what is '" << full << "'?");
                }

                if (what.ends_with("_f64"))
                    f64.add(full, golden::worst_relative_error(got, file.get<double>(full)));
                else if (what.starts_with("ddim_") && file.contains(full + "_f64"))
                    continue;  // cancels in float32: compared in f64
                else
                    f32.add(full, golden::worst_relative_error(got, file.get<float>(full)));
            }
        }
    }
}

namespace {

/// DINOISER's schedules by their names in its code.
template <class Function>
void with_dinoiser_schedule(std::string const& name, Function const& function) {
    if (name == "linear") return function(LinearBeta{});
    if (name == "quadratic") return function(QuadraticBeta{});
    if (name == "geometric") return function(Geometric{});
    if (name == "sqrt") return function(SigmaSqrt{});
    if (name == "interchangable") return function(SigmaLinear{});
    fail("golden: there is no schedule '", name, "'");
}

std::vector<double> mapped(std::vector<double> const& from, std::function<double(double)> const& function) {
    std::vector<double> to;
    for (double const number : from) to.push_back(function(number));
    return to;
}

double held(double t) { return std::clamp(t, 0.0, 1.0); }

/// The logarithm of the signal-to-noise ratio: ours, but with the 1e-5 that the official one adds where it does.
template <NoiseSchedule Schedule>
double official_log_snr(std::string const& name, Schedule const& schedule, double t) {
    double const a = signal(schedule, t), s = noise(schedule, t);
    if (name == "geometric") return std::log(a * a + 1e-5) - 2.0 * std::log(s);
    if (name == "sqrt") return std::log(a * a + 1e-5) - 0.5 * std::log(s * s * s * s + 1e-5);
    if (name == "interchangable") return std::log(a * a + 1e-5) - 2.0 * std::log(s + 1e-5);
    return log_snr(schedule, t);
}

/// The official rev_std of 'linear' is (-b + D) / c, where (-b + √(2 b² - D)) / c would be the time (b = 0.1, c =
/// 19.9); the others are right.
double time_from_official(std::string const& name, double value) {
    if (name != "linear") return held(value);
    double const b = 0.1, c = 19.9, d = value * c + b;
    return held((-b + std::sqrt(2.0 * b * b - d)) / c);
}

}  // namespace

TEST_CASE("golden: DINOISER's noise schedulers") {
    for (auto const& entry : golden::cases("dinoiser_noise_schedulers")) {
        auto const file_name = entry.at("file").get<std::string>();
        auto const file = golden::tensors(file_name);
        golden::Row forward(file_name, "scale, std, derivatives, f64", scheduler_tolerance);
        golden::Row logarithms(file_name, "log_snr and inverses, f64", inverse_tolerance);
        auto const t = file.get<double>("t/f64"), levels = file.get<double>("log_snr_in/f64");
        for (auto const& scheduler : entry.at("schedulers")) {
            auto const name = scheduler.get<std::string>();
            with_dinoiser_schedule(name, [&](auto const& schedule) {
                auto const forward_one = [&](char const* function, std::function<double(double)> const& ours) {
                    std::string const key = name + "/" + function + "/f64";
                    if (file.contains(key))
                        forward.add(key, golden::worst_relative_error(mapped(t, ours), file.get<double>(key)));
                };
                forward_one("scale", [&](double at) { return signal(schedule, at); });
                forward_one("std", [&](double at) { return noise(schedule, at); });
                // d(s² / a²) / ds
                forward_one("noise_derivative",
                            [&](double at) { return 2.0 * noise(schedule, at) / std::pow(schedule.alpha_bar(at), 2); });
                if constexpr (requires { schedule.beta(0.5); })
                    forward_one("diffusion_coeff", [&](double at) { return std::sqrt(schedule.beta(at)); });
                else
                    CHECK_FALSE(file.contains(name + "/diffusion_coeff/f64"));

                logarithms.add(name + "/log_snr",
                               golden::worst_absolute_error(
                                   mapped(t, [&](double at) { return official_log_snr(name, schedule, at); }),
                                   file.get<double>(name + "/log_snr/f64")));
                if (file.contains(name + "/rev_std/f64")) {
                    auto const official = mapped(file.get<double>(name + "/rev_std/f64"),
                                                 [&](double value) { return time_from_official(name, value); });
                    auto const ours = mapped(t, [&](double std) { return time_at_noise(schedule, std); });
                    logarithms.add(name + "/rev_std", golden::worst_absolute_error(ours, official));
                }
                if (file.contains(name + "/rev_log_snr/f64")) {
                    auto const official = mapped(file.get<double>(name + "/rev_log_snr/f64"), held);
                    double const half = name == "linear" ? 1.0 : 0.5;  // it reads its argument as half of the ratio
                    auto const ours =
                        mapped(levels, [&](double level) { return time_at_half_log_snr(schedule, half * level); });
                    logarithms.add(name + "/rev_log_snr", golden::worst_absolute_error(ours, official));
                }
            });
        }
    }
}

namespace {

/// The largest error of any example, each relative to its own largest number.
double worst_by_example(std::vector<double> const& got, std::vector<float> const& want, std::size_t examples) {
    if (got.size() != want.size()) return std::numeric_limits<double>::infinity();
    double worst = 0.0;
    std::size_t const size = want.size() / examples;
    for (std::size_t i = 0; i < examples; ++i) {
        std::vector<double> const one(got.begin() + static_cast<std::ptrdiff_t>(i * size),
                                      got.begin() + static_cast<std::ptrdiff_t>((i + 1) * size));
        std::vector<float> const other(want.begin() + static_cast<std::ptrdiff_t>(i * size),
                                       want.begin() + static_cast<std::ptrdiff_t>((i + 1) * size));
        worst = std::max(worst, golden::worst_relative_error(one, other));
    }
    return worst;
}

Quantity quantity_of(std::string const& name) {
    if (name == "x0" || name == "x_start") return Quantity::z0;
    if (name == "noise") return Quantity::noise;
    if (name == "score") return Quantity::score;
    if (name == "velocity") return Quantity::velocity;
    fail("golden: there is no quantity '", name, "'");
}

}  // namespace

TEST_CASE("golden: DINOISER's conversions between z0, noise, score and velocity") {
    for (auto const& entry : golden::cases("dinoiser_conversions")) {
        auto const file_name = entry.at("file").get<std::string>();
        auto const file = golden::tensors(file_name);
        golden::Row row(file_name, "conversions, f32", conversion_tolerance);
        auto const t = file.get<float>("t"), x0 = file.get<float>("x0"), noise = file.get<float>("noise");
        auto const x_t = file.get<float>("x_t"), model_out = file.get<float>("model_out");
        auto const mixed = file.get<float>("model_out_mix_x0_eps");
        Rows const rows{x0.size() / t.size()};
        auto const width = static_cast<std::size_t>(file.at("x0").shape().back());
        std::vector<float> mixed_x0, mixed_noise;  // the halves of every row
        for (std::size_t i = 0; i < mixed.size(); ++i)
            (i / width % 2 == 0 ? mixed_x0 : mixed_noise).push_back(mixed[i]);

        for (auto const& scheduler : entry.at("schedulers")) {
            auto const prefix = scheduler.get<std::string>() + "/";
            with_dinoiser_schedule(scheduler, [&](auto const& schedule) {
                for (auto const& tensor : file.tensors()) {
                    std::string const& full = tensor.name();
                    if (!full.starts_with(prefix)) continue;
                    std::string const what = full.substr(prefix.size());
                    std::vector<double> got(x0.size());
                    for (std::size_t i = 0; i < t.size(); ++i) {
                        double const level = schedule.alpha_bar(static_cast<double>(t[i]));
                        if (what == "sample_x_t") {
                            rows.step(got, i, noising(level), x0, x_t, noise);
                            continue;
                        }
                        std::string const known = what.substr(what.find("/from_") + 6);
                        Quantity const wanted = quantity_of(what.substr(8, what.find('/') - 8));  // "predict_"...
                        if (known != "mix_x0_eps") {
                            Conversion const form = conversion(quantity_of(known), wanted, level);
                            rows.step(got, i, {form.known, form.z_t, 0.0}, model_out, x_t, noise);
                            continue;
                        }
                        // both guesses, each weighted by how well z_t determines it: s² (from z0) + a² (from noise)
                        Conversion const one = conversion(Quantity::z0, wanted, level);
                        Conversion const other = conversion(Quantity::noise, wanted, level);
                        double const sign = wanted == Quantity::score ? -1.0 : 1.0;  // official: the wrong sign
                        double const s2 = 1.0 - level;
                        rows.step(got, i,
                                  {s2 * one.known, s2 * one.z_t + level * other.z_t, sign * level * other.known},
                                  mixed_x0, x_t, mixed_noise);
                    }
                    row.add(full, worst_by_example(got, file.get<float>(full), t.size()));
                }
            });
        }
    }
}

TEST_CASE("golden: one step of DINOISER's samplers") {
    for (auto const& entry : golden::cases("dinoiser_steps")) {
        auto const file_name = entry.at("file").get<std::string>();
        auto const file = golden::tensors(file_name);
        golden::Row row(file_name, "z0, noise, DDIM and CeDi steps, f32", step_tolerance);
        golden::Row ancestral(file_name, "DDPM steps, f32", ancestral_tolerance);
        auto const times = file.get<float>("cur_nxt");
        auto const x_t = file.get<float>("x_t"), model_out = file.get<float>("model_out");
        auto const drawn = file.get<float>("ddpm_noise");
        for (auto const& one : entry.at("entries")) {
            auto const key = one.at("key").get<std::string>();
            auto const pair = one.at("pair").get<std::size_t>();
            Quantity const known = quantity_of(one.at("model_output_type"));
            with_dinoiser_schedule(one.at("scheduler"), [&](auto const& schedule) {
                double const level = schedule.alpha_bar(static_cast<double>(times[2 * pair]));
                double const next = schedule.alpha_bar(static_cast<double>(times[2 * pair + 1]));
                Rows const all{x_t.size()};
                std::vector<double> z0(x_t.size()), eps(x_t.size()), stepped(x_t.size());
                auto const to_z0 = conversion(known, Quantity::z0, level),
                           to_noise = conversion(known, Quantity::noise, level);
                all.step(z0, 0, {to_z0.known, to_z0.z_t, 0.0}, model_out, x_t, x_t);
                all.step(eps, 0, {to_noise.known, to_noise.z_t, 0.0}, model_out, x_t, x_t);
                all.step(stepped, 0, ddim(level, next), z0, x_t, x_t);
                row.add(key + "/pred_x_start",
                        golden::worst_relative_error(z0, file.get<float>(key + "/pred_x_start")));
                row.add(key + "/pred_noise", golden::worst_relative_error(eps, file.get<float>(key + "/pred_noise")));
                row.add(key + "/x_next_ddim_cedi",
                        golden::worst_relative_error(stepped, file.get<float>(key + "/x_next_ddim_cedi")));
                StepCoefficients stale = ddim(level, next, 1.0);  // z0_hat at the signal of the level that is left
                stale.z0 += std::sqrt(level) - std::sqrt(next);
                all.step(stepped, 0, stale, z0, x_t, drawn);
                ancestral.add(key + "/x_next_ddpm",
                              golden::worst_relative_error(stepped, file.get<float>(key + "/x_next_ddpm")));
            });
        }
    }
}
