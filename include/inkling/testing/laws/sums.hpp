#pragma once

#include <inkling/testing/laws/support.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace inkling::testing::laws {

template <Backend B>
[[nodiscard]] std::string layer_norm_has_mean_0_and_variance_1(B& device) {
    using Real = ScalarOf<B>;
    for (Index const cols : {1, 5, 16, 37, 300}) {
        Index const rows = 70;  // beyond a block of rows
        auto x = random<B>(rows * cols, 1);
        for (Real& value : x) value = value * Real{3} + Real{2};
        auto const g = random<B>(cols, 2), b = random<B>(cols, 3), dout = random<B>(rows * cols, 4);
        auto const dg = random<B>(cols, 5), db = random<B>(cols, 6);
        DeviceArray<B> const gain(device, g), bias(device, b);
        auto const n = static_cast<double>(cols);
        for (bool const affine : {false, true}) {
            Padded<B> in(device, x, cols, 3), slope(device, dout, cols, 1), out(device, dout, cols, 2);
            Padded<B> statistics(device, random<B>(rows * 2, 7), 2, 1);
            DeviceArray<B> dgain(device, dg), dbias(device, db);
            using Vector = VectorView<Real const>;
            layer_norm(device, in.view(), affine ? gain.vector() : Vector{}, affine ? bias.vector() : Vector{}, 1e-5,
                       out.view(), statistics.view());
            auto const got = out.get(device);
            auto const got_statistics = statistics.get(device);
            layer_norm_backward(device, slope.view(), in.view(), statistics.view(), affine ? gain.vector() : Vector{},
                                slope.view(), affine ? dgain.vector() : VectorView<Real>{},
                                affine ? dbias.vector() : VectorView<Real>{});
            layer_norm(device, in.view(), affine ? gain.vector() : Vector{}, affine ? bias.vector() : Vector{}, 1e-5,
                       in.view());
            std::vector<double> want, want_statistics, tolerance, dx, dgain_want(exact(dg)), dbias_want(exact(db));
            std::vector<double> dx_tolerance;
            for (Index i = 0; i < rows; ++i) {
                auto const at = [&](Index j) { return static_cast<std::size_t>(i * cols + j); };
                double mean = 0.0, variance = 0.0, mean_slope = 0.0, along = 0.0;
                for (Index j = 0; j < cols; ++j) mean += static_cast<double>(x[at(j)]) / n;
                for (Index j = 0; j < cols; ++j) variance += std::pow(static_cast<double>(x[at(j)]) - mean, 2) / n;
                double const inverse = 1.0 / std::sqrt(variance + 1e-5);
                auto const normalized = [&](Index j) { return (static_cast<double>(x[at(j)]) - mean) * inverse; };
                auto const weighted = [&](Index j) {
                    return static_cast<double>(dout[at(j)])
                        * (affine ? static_cast<double>(g[static_cast<std::size_t>(j)]) : 1.0);
                };
                for (Index j = 0; j < cols; ++j) {
                    mean_slope += weighted(j) / n;
                    along += weighted(j) * normalized(j) / n;
                }
                for (Index j = 0; j < cols; ++j) {
                    auto const col = static_cast<std::size_t>(j);
                    double const factor = affine ? static_cast<double>(g[col]) : 1.0;
                    want.push_back(normalized(j) * factor + (affine ? static_cast<double>(b[col]) : 0.0));
                    // errors of mean and variance, in units of the row's own spread
                    tolerance.push_back(unit<B>() * (n + 8) * (8 * inverse + 4) * (1 + std::abs(factor)));
                    dx.push_back(inverse * (weighted(j) - mean_slope - normalized(j) * along));
                    dx_tolerance.push_back(unit<B>() * (n + 8) * 16 * inverse * (8 * inverse + 4));
                    dgain_want[col] += static_cast<double>(dout[at(j)]) * normalized(j);
                    dbias_want[col] += static_cast<double>(dout[at(j)]);
                }
                want_statistics.push_back(mean);
                want_statistics.push_back(inverse);
            }
            std::vector<double> statistics_tolerance;
            for (double const value : want_statistics)
                statistics_tolerance.push_back(unit<B>() * (n + 8) * 4 * (1 + std::abs(value))
                                               * (cols == 1 ? 1e5 : 1.0));
            if (cols == 1)
                std::fill(dx_tolerance.begin(), dx_tolerance.end(), unit<B>() * 1e6);  // inverse is 1/sqrt(1e-5)
            auto const name = message("layer_norm of ", cols, " columns, affine ", affine);
            auto const sums = cols == 1 ? 1e-2 : unit<B>() * (n + 80) * 100;
            auto found =
                first_of({far_apart(name, got, want, tolerance),
                          far_apart(name + ", statistics", got_statistics, want_statistics, statistics_tolerance),
                          far_apart(name + ", dx", slope.get(device), dx, dx_tolerance),
                          not_same(name + ", in place and without statistics", in.get(device), got)});
            if (found.empty() && affine)
                found = first_of({far_apart(name + ", dgain", dgain.get(device), dgain_want, {sums}),
                                  far_apart(name + ", dbias", dbias.get(device), dbias_want, {sums})});
            if (!found.empty()) return found;
        }
    }
    return {};
}

template <Backend B>
[[nodiscard]] std::string sums_and_errors_are_their_formulas(B& device) {
    Index const rows = 67, cols = 333;  // beyond one block of a blocked sum
    auto const x = random<B>(rows * cols, 1), y = random<B>(rows * cols, 2), before = random<B>(cols, 3);
    Padded<B> in(device, x, cols, 3), other(device, y, cols, 1), dx(device, y, cols, 2), dy(device, x, cols);
    DeviceArray<B> total(device, before), flat(device, x);
    DeviceArray<B, double> sum(device, std::vector<double>{-1.0, -1.0});
    std::vector<double> want_total(exact(before)), want_dx, want_dy;
    double squares = 0.0, errors = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        double const difference = static_cast<double>(x[i] - y[i]);
        squares += std::pow(static_cast<double>(x[i]), 2);
        errors += difference * difference;
        want_total[i % static_cast<std::size_t>(cols)] += static_cast<double>(x[i]);
        want_dx.push_back(static_cast<double>(y[i]) + 0.5 * difference);
        want_dy.push_back(static_cast<double>(x[i]) - 0.5 * difference);
    }
    sum_rows(device, in.view(), total.vector());
    squared_norm(device, flat.vector(), sum.data());
    squared_error(device, in.view(), other.view(), 0.25, sum.data() + 1, dx.view(), dy.view());
    auto const got = sum.get(device);
    squared_error(device, in.view(), other.view(), 0.25, sum.data());
    double const again = sum.get(device)[0];
    auto const n = static_cast<double>(x.size());
    return first_of({far_apart("sum_rows", total.get(device), want_total, {unit<B>() * rows * 4 * rows}),
                     // sums are kept in double whatever the scalar
                     far_apart<double>("squared_norm", {got[0]}, {squares}, {1e-16 * n * squares}),
                     far_apart<double>("squared_error", {got[1]}, {errors}, {1e-16 * n * errors}),
                     not_same<double>("squared_error without gradients", {again}, {got[1]}),
                     far_apart("squared_error, dx", dx.get(device), want_dx, {unit<B>() * 64}),
                     far_apart("squared_error, dy", dy.get(device), want_dy, {unit<B>() * 64})});
}

template <Backend B>
[[nodiscard]] std::string weighted_rows_and_cosines_are_their_formulas(B& device) {
    using Real = ScalarOf<B>;
    Index const rows = 67, cols = 333;
    auto const x = random<B>(rows * cols, 1), y = random<B>(rows * cols, 2), weights = random<B>(rows, 3);
    Padded<B> in(device, x, cols, 3), other(device, y, cols, 1), dx(device, y, cols, 2), dy(device, x, cols);
    Padded<B> cosine_dx(device, y, cols, 2), cosine_dy(device, x, cols);
    DeviceArray<B> const row_weights(device, weights);
    DeviceArray<B> row_sums(device, rows), squares(device, rows), row_cosines(device, rows);
    DeviceArray<B, double> sum(device, std::vector<double>{-1.0, -1.0, -1.0});
    std::vector<double> want_dx, want_dy, want_cosine_dx, want_cosine_dy, want_rows, want_squares, want_cosines;
    double errors = 0.0, cosines = 0.0, all_squares = 0.0;
    for (Index row = 0; row < rows; ++row) {
        auto const weight = static_cast<double>(weights[static_cast<std::size_t>(row)]);
        double xx = 0.0, yy = 0.0, xy = 0.0, error = 0.0;
        auto const at = [&](std::vector<Real> const& values, Index col) {
            return static_cast<double>(values[static_cast<std::size_t>(row * cols + col)]);
        };
        for (Index col = 0; col < cols; ++col) {
            double const a = at(x, col), b = at(y, col);
            xx += a * a, yy += b * b, xy += a * b, error += (a - b) * (a - b);
        }
        double const cosine = xy / std::sqrt(xx * yy);
        errors += weight * error, cosines += weight * cosine, all_squares += xx;
        want_rows.push_back(weight * error), want_squares.push_back(xx), want_cosines.push_back(weight * cosine);
        for (Index col = 0; col < cols; ++col) {
            double const a = at(x, col), b = at(y, col);
            want_dx.push_back(b + 0.5 * weight * (a - b));
            want_dy.push_back(a - 0.5 * weight * (a - b));
            want_cosine_dx.push_back(b + 3.0 * weight * (b / std::sqrt(xx * yy) - cosine * a / xx));
            want_cosine_dy.push_back(a + 3.0 * weight * (a / std::sqrt(xx * yy) - cosine * b / yy));
        }
    }
    squared_error(device, in.view(), other.view(), 0.25, sum.data(), dx.view(), dy.view(), row_weights.vector(),
                  row_sums.vector());
    squared_error(device, in.view(), MatrixView<Real const>{}, 0.0, sum.data() + 1, MatrixView<Real>{},
                  MatrixView<Real>{}, VectorView<Real const>{}, squares.vector());
    cosine_similarity(device, in.view(), other.view(), 3.0, sum.data() + 2, cosine_dx.view(), cosine_dy.view(),
                      row_weights.vector(), row_cosines.vector());
    auto const got = sum.get(device);
    auto const n = static_cast<double>(x.size());
    auto const of_rows = [&](std::vector<double> const& sums) {  // kept in double, and rounded once
        std::vector<double> tolerances;
        for (double const one : sums)
            tolerances.push_back((2 * unit<B>() + 1e-16 * static_cast<double>(cols)) * std::abs(one));
        return tolerances;
    };
    return first_of(
        {far_apart<double>("squared_error, weighted", {got[0]}, {errors}, {unit<B>() * n}),
         far_apart<double>("squared_error of nothing beside x", {got[1]}, {all_squares}, {1e-16 * n * all_squares}),
         far_apart<double>("cosine_similarity", {got[2]}, {cosines}, {unit<B>() * n}),
         far_apart("squared_error, sums of rows", row_sums.get(device), want_rows, of_rows(want_rows)),
         far_apart("cosine_similarity of rows", row_cosines.get(device), want_cosines, {unit<B>() * n}),
         far_apart("squared_error, squares of rows", squares.get(device), want_squares, of_rows(want_squares)),
         far_apart("squared_error, weighted, dx", dx.get(device), want_dx, {unit<B>() * 64}),
         far_apart("squared_error, weighted, dy", dy.get(device), want_dy, {unit<B>() * 64}),
         far_apart("cosine_similarity, dx", cosine_dx.get(device), want_cosine_dx, {unit<B>() * 64}),
         far_apart("cosine_similarity, dy", cosine_dy.get(device), want_cosine_dy, {unit<B>() * 64})});
}

template <Backend B>
[[nodiscard]] std::string normalized_rows_have_one_length_and_the_gradient_across_it(B& device) {
    using Real = ScalarOf<B>;
    for (Index const cols : {1, 5, 16, 300}) {
        Index const rows = 70;
        auto x = random<B>(rows * cols, 1);
        for (std::size_t i = 0; i < x.size(); ++i)  // rows of any size
            x[i] *=
                static_cast<Real>(std::pow(10.0, static_cast<double>(i / static_cast<std::size_t>(cols) % 7) - 3.0));
        auto const dout = random<B>(rows * cols, 2), before = random<B>(rows * cols, 3);
        double const length = 4.0;
        Padded<B> in(device, x, cols, 3), slope(device, dout, cols, 1), out(device, dout, cols, 2);
        Padded<B> added(device, before, cols, 2);
        normalize_rows(device, in.view(), Real{4}, out.view());
        normalize_rows_backward(device, slope.view(), in.view(), Real{4}, added.view(), true);
        normalize_rows_backward(device, slope.view(), in.view(), Real{4}, slope.view());
        normalize_rows(device, in.view(), Real{4}, in.view());
        std::vector<double> want, dx, sums, dx_tolerance, sum_tolerance;
        for (Index row = 0; row < rows; ++row) {
            auto const at = [&](Index col) { return static_cast<std::size_t>(row * cols + col); };
            double squares = 0.0, along = 0.0;
            for (Index col = 0; col < cols; ++col) {
                squares += std::pow(static_cast<double>(x[at(col)]), 2);
                along += static_cast<double>(x[at(col)]) * static_cast<double>(dout[at(col)]);
            }
            double const norm = std::sqrt(squares);
            double const rounding = unit<B>() * static_cast<double>(cols + 16) * 8 * length / norm;
            for (Index col = 0; col < cols; ++col) {
                want.push_back(length * static_cast<double>(x[at(col)]) / norm);
                dx.push_back(
                    length / norm
                    * (static_cast<double>(dout[at(col)]) - static_cast<double>(x[at(col)]) * along / squares));
                sums.push_back(static_cast<double>(before[at(col)]) + dx.back());
                dx_tolerance.push_back(rounding);
                sum_tolerance.push_back(rounding + 4 * unit<B>() * (1.0 + std::abs(sums.back())));
            }
        }
        auto const name = message("normalize_rows of ", cols, " columns");
        auto const got = out.get(device);
        auto const found = first_of({far_apart(name, got, want, {unit<B>() * static_cast<double>(cols + 16) * length}),
                                     far_apart(name + ", dx in place", slope.get(device), dx, dx_tolerance),
                                     far_apart(name + ", dx added", added.get(device), sums, sum_tolerance),
                                     not_same(name + ", in place", in.get(device), got)});
        if (!found.empty()) return found;
    }
    return {};
}

template <Backend B>
[[nodiscard]] std::string bent_errors_are_squares_near_0_and_lines_beyond(B& device) {
    using Real = ScalarOf<B>;
    Index const rows = 67, cols = 333;
    auto const x = random<B>(rows * cols, 1), y = random<B>(rows * cols, 2), weights = random<B>(rows, 3);
    DeviceArray<B> const row_weights(device, weights);
    for (double const bend : {0.0, 0.5, 1.0})
        for (bool const weighted : {false, true}) {
            Padded<B> in(device, x, cols, 3), other(device, y, cols, 1), dx(device, y, cols, 2), dy(device, x, cols);
            DeviceArray<B, double> sum(device, std::vector<double>{-1.0, -1.0});
            auto const own = weighted ? row_weights.vector() : VectorView<Real const>{};
            DeviceArray<B> row_sums(device, rows);
            bent_error(device, in.view(), other.view(), bend, 0.25, sum.data(), dx.view(), dy.view(), own,
                       row_sums.vector());
            bent_error(device, in.view(), other.view(), bend, 0.25, sum.data() + 1, MatrixView<Real>{},
                       MatrixView<Real>{}, own);
            std::vector<double> want_dx, want_dy, want_rows(static_cast<std::size_t>(rows));
            double total = 0.0;
            for (std::size_t i = 0; i < x.size(); ++i) {
                double const weight = weighted ? static_cast<double>(weights[i / static_cast<std::size_t>(cols)]) : 1.0;
                double const difference = static_cast<double>(x[i] - y[i]), size = std::abs(difference);
                double const part = weight * (size < bend ? 0.5 * size * size / bend : size - 0.5 * bend);
                total += part;
                want_rows[i / static_cast<std::size_t>(cols)] += part;
                double const slope = size < bend ? difference / bend
                    : difference > 0.0           ? 1.0
                    : difference < 0.0           ? -1.0
                                                 : 0.0;
                want_dx.push_back(static_cast<double>(y[i]) + 0.25 * weight * slope);
                want_dy.push_back(static_cast<double>(x[i]) - 0.25 * weight * slope);
            }
            auto const got = sum.get(device);
            auto const name = message("bent_error, bend ", bend, ", weighted ", weighted);
            std::vector<double> of_rows;  // kept in double, and rounded once
            for (double const one : want_rows)
                of_rows.push_back((2 * unit<B>() + 1e-16 * static_cast<double>(cols)) * std::abs(one));
            auto const n = static_cast<double>(x.size());
            auto const found = first_of({far_apart<double>(name, {got[0]}, {total}, {1e-15 * n * n}),
                                         not_same<double>(name + " without gradients", {got[1]}, {got[0]}),
                                         far_apart(name + ", sums of rows", row_sums.get(device), want_rows, of_rows),
                                         far_apart(name + ", dx", dx.get(device), want_dx, {unit<B>() * 64}),
                                         far_apart(name + ", dy", dy.get(device), want_dy, {unit<B>() * 64})});
            if (!found.empty()) return found;
        }
    return {};
}

}  // namespace inkling::testing::laws
