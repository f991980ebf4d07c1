#pragma once

#include <inkling/testing/laws/support.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <string>
#include <vector>

namespace inkling::testing::laws {

template <Backend B>
[[nodiscard]] std::string add_and_scale_are_element_by_element(B& device) {
    using Real = ScalarOf<B>;
    auto const x = random<B>(7 * 37, 1);
    auto const y = random<B>(7 * 37, 2);
    Padded<B> a(device, x, 37, 3);
    Padded<B> b(device, y, 37, 1);
    Padded<B> out(device, y, 37, 2);
    std::vector<double> sum, scaled, added;
    for (std::size_t i = 0; i < x.size(); ++i) {
        sum.push_back(static_cast<double>(x[i] + y[i]));
        scaled.push_back(static_cast<double>(Real{-1.5} * x[i]));
        added.push_back(static_cast<double>(y[i]) - 1.5 * static_cast<double>(x[i]));
    }
    double const rounding = 16 * unit<B>();
    scale(device, Real{-1.5}, a.view(), out.view(), true);
    auto const got_added = out.get(device);
    add(device, a.view(), b.view(), out.view());
    auto const got_sum = out.get(device);
    scale(device, Real{-1.5}, a.view(), out.view());
    auto const got_scaled = out.get(device);
    add(device, a.view(), b.view(), b.view());  // in place
    scale(device, Real{-1.5}, a.view(), a.view());
    return first_of({far_apart("add", got_sum, sum, {0.0}), far_apart("scale", got_scaled, scaled, {0.0}),
                     far_apart("scale, accumulate", got_added, added, {rounding}),
                     not_same("add in place", b.get(device), got_sum),
                     not_same("scale in place", a.get(device), got_scaled)});
}

/// Value and slope of an activation in double.
[[nodiscard]] inline double activated(Activation activation, double x, bool slope) {
    double const share = 0.5 * std::erfc(-x / std::numbers::sqrt2);
    double const sigmoid = 1.0 / (1.0 + std::exp(-x));
    switch (activation) {
        case Activation::relu: return slope ? (x > 0 ? 1.0 : 0.0) : std::max(0.0, x);
        case Activation::gelu:
            return slope ? share + x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi) : x * share;
        case Activation::silu: return slope ? sigmoid * (1.0 + x * (1.0 - sigmoid)) : x * sigmoid;
        case Activation::tanh: return slope ? 1.0 - std::tanh(x) * std::tanh(x) : std::tanh(x);
    }
    return 0.0;
}

template <Backend B>
[[nodiscard]] std::string activations_are_their_formulas(B& device) {
    using Real = ScalarOf<B>;
    for (Activation const activation : {Activation::relu, Activation::gelu, Activation::silu, Activation::tanh}) {
        auto x = random<B>(5 * 41, 1, 2.0);
        x[0] = Real{0};
        x[1] = Real{40};
        x[2] = Real{-40};
        x[3] = Real{1000};
        x[4] = Real{-1000};
        auto const dout = random<B>(5 * 41, 2);
        Padded<B> in(device, x, 41, 3);
        Padded<B> slopes(device, dout, 41, 1);
        Padded<B> out(device, dout, 41);
        std::vector<double> values, slope, tolerance, slope_tolerance;
        for (std::size_t i = 0; i < x.size(); ++i) {
            double const at = static_cast<double>(x[i]);
            values.push_back(activated(activation, at, false));
            slope.push_back(static_cast<double>(dout[i]) * activated(activation, at, true));
            tolerance.push_back(16 * unit<B>() * std::max(1.0, std::abs(at)));
            slope_tolerance.push_back(16 * unit<B>() * std::max(1.0, std::abs(static_cast<double>(dout[i])))
                                      * std::max(1.0, std::min(40.0, std::abs(at))));
        }
        activate(device, activation, in.view(), out.view());
        auto const got = out.get(device);
        activate_backward(device, activation, in.view(), slopes.view(), out.view());
        auto const got_slope = out.get(device);
        activate_backward(device, activation, in.view(), slopes.view(), slopes.view());
        activate(device, activation, in.view(), in.view());
        auto const name = message("activation ", static_cast<int>(activation));
        auto const found = first_of({far_apart(name, got, values, tolerance),
                                     far_apart(name + ", slope", got_slope, slope, slope_tolerance),
                                     not_same(name + " in place", in.get(device), got),
                                     not_same(name + ", slope in place", slopes.get(device), got_slope)});
        if (!found.empty()) return found;
    }
    return {};
}

template <Backend B>
[[nodiscard]] std::string combine_weighs_each_sentence_by_its_own_coefficients(B& device) {
    RaggedBatch<B> const batch(device, {3, 0, 1, 5});
    Index const cols = 19;
    auto const x = random<B>(9 * cols, 1), y = random<B>(9 * cols, 2), e = random<B>(9 * cols, 3);
    auto const weights = random<B>(4 * 3, 4);
    DeviceArray<B> const coefficients(device, weights);
    Padded<B> dx(device, x, cols, 1), dy(device, y, cols, 2), de(device, e, cols, 0);
    std::vector<std::size_t> const sentence_of{0, 0, 0, 2, 3, 3, 3, 3, 3};
    for (int const used : {0, 1, 2, 3})
        for (bool const in_place : {false, true}) {
            bool const with_y = used % 2 == 1;
            bool const with_e = used >= 2;
            Padded<B> out(device, in_place && with_y ? y : in_place ? x : e, cols, 2);
            auto const in_y = !with_y ? MatrixView<ScalarOf<B>>{} : in_place ? out.view() : dy.view();
            auto const in_x = in_place && !with_y ? out.view() : dx.view();
            combine(device, batch.segments(), coefficients.matrix(3), in_x, in_y,
                    with_e ? de.view() : MatrixView<ScalarOf<B>>{}, out.view());
            std::vector<double> want, tolerance;
            for (std::size_t i = 0; i < x.size(); ++i) {
                std::size_t const row = 3 * sentence_of[i / static_cast<std::size_t>(cols)];
                double const a = static_cast<double>(weights[row]) * static_cast<double>(x[i]);
                double const b = with_y ? static_cast<double>(weights[row + 1]) * static_cast<double>(y[i]) : 0.0;
                double const c = with_e ? static_cast<double>(weights[row + 2]) * static_cast<double>(e[i]) : 0.0;
                want.push_back(a + b + c);
                tolerance.push_back(4 * unit<B>() * (std::abs(a) + std::abs(b) + std::abs(c)));
            }
            auto const found = far_apart(message("combine, y ", with_y, ", e ", with_e, ", in place ", in_place),
                                         out.get(device), want, tolerance);
            if (!found.empty()) return found;
        }
    return {};
}

template <Backend B>
[[nodiscard]] std::string time_features_are_cosines_then_sines(B& device) {
    std::vector<double> const labels{0.0, 0.5, 37.25, 1000.0};
    DeviceArray<B, double> const times(device, labels);
    for (Index const width : {6, 7, 64}) {
        Padded<B> out(device, random<B>(4 * width, 1), width, 2);
        time_features(device, times.vector(), out.view());
        std::vector<double> want, tolerance;
        Index const half = width / 2;
        for (double const label : labels)
            for (Index j = 0; j < width; ++j) {
                double const angle =
                    label * std::pow(10000.0, -static_cast<double>(j % half) / static_cast<double>(half));
                want.push_back(j >= 2 * half ? 0.0 : j < half ? std::cos(angle) : std::sin(angle));
                tolerance.push_back(16 * unit<B>() * (1.0 + angle));  // the angle itself is rounded
            }
        auto const found = far_apart(message("time_features, width ", width), out.get(device), want, tolerance);
        if (!found.empty()) return found;
    }
    return {};
}

template <Backend B>
[[nodiscard]] std::string fourier_features_are_sines_then_cosines(B& device) {
    std::vector<double> const labels{0.0, 0.25, 0.9375, 1.0};
    DeviceArray<B, double> const times(device, labels);
    for (Index const half : {1, 5, 32}) {
        auto const values = random<B>(half, 1, 16.0);
        DeviceArray<B> const frequencies(device, values);
        Padded<B> out(device, random<B>(4 * 2 * half, 2), 2 * half, 2);
        fourier_features(device, times.vector(), frequencies.vector(), out.view());
        std::vector<double> want, tolerance;
        for (double const label : labels)
            for (Index j = 0; j < 2 * half; ++j) {
                double const angle =
                    2.0 * std::numbers::pi * label * static_cast<double>(values[static_cast<std::size_t>(j % half)]);
                want.push_back(j < half ? std::sin(angle) : std::cos(angle));
                tolerance.push_back(8 * unit<B>() * (1.0 + std::abs(angle)));  // the angle itself is rounded
            }
        auto const found =
            far_apart(message("fourier_features, ", half, " frequencies"), out.get(device), want, tolerance);
        if (!found.empty()) return found;
    }
    return {};
}

template <Backend B>
[[nodiscard]] std::string sentence_verbs_sum_spread_and_average_over_rows(B& device) {
    RaggedBatch<B> const batch(device, {3, 0, 1, 5});
    std::vector<std::size_t> const sentence_of{0, 0, 0, 2, 3, 3, 3, 3, 3};
    std::vector<double> const lengths{3, 0, 1, 5};
    Index const cols = 21;
    auto const x = random<B>(9 * cols, 1), s = random<B>(4 * cols, 2);
    double const rounding = 32 * unit<B>();
    std::vector<double> sums(s.size()), means(s.size()), spread, shared, averaged;
    for (std::size_t i = 0; i < x.size(); ++i) {
        std::size_t const sentence = sentence_of[i / static_cast<std::size_t>(cols)];
        std::size_t const col = i % static_cast<std::size_t>(cols);
        double const vector = static_cast<double>(s[sentence * static_cast<std::size_t>(cols) + col]);
        double const value = static_cast<double>(x[i]);
        sums[sentence * static_cast<std::size_t>(cols) + col] += value;
        means[sentence * static_cast<std::size_t>(cols) + col] += value / lengths[sentence];
        spread.push_back(value + vector);
        shared.push_back(value + static_cast<double>(s[col]));
        averaged.push_back(value + vector / lengths[sentence]);
    }
    Padded<B> rows(device, x, cols, 3), out(device, s, cols, 1), per_sentence(device, s, cols, 2);
    sum_per_sentence(device, batch.segments(), rows.view(), out.view());
    auto const got_sums = out.get(device);
    sum_per_sentence(device, batch.segments(), rows.view(), out.view(), true);
    auto const got_means = out.get(device);
    Padded<B> a(device, x, cols, 3), b(device, x, cols), c(device, x, cols, 1);
    add_per_sentence(device, batch.segments(), per_sentence.view(), a.view());
    auto one_row = per_sentence.view();
    one_row.stride = 0;
    one_row.rows = 1;
    add_per_sentence(device, batch.segments(), one_row, b.view());
    mean_per_sentence_backward(device, batch.segments(), per_sentence.view(), c.view());
    return first_of({far_apart("sum_per_sentence", got_sums, sums, {rounding}),
                     far_apart("sum_per_sentence, mean", got_means, means, {rounding}),
                     far_apart("add_per_sentence", a.get(device), spread, {rounding}),
                     far_apart("add_per_sentence, one row for all", b.get(device), shared, {rounding}),
                     far_apart("mean_per_sentence_backward", c.get(device), averaged, {rounding})});
}

}  // namespace inkling::testing::laws
