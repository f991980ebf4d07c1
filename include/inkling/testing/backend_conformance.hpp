#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/core/error.hpp>
#include <inkling/core/random.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <numbers>
#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace inkling::testing {

/// One promise of the backend's verbs: what it says, and a test that gives an empty text, or tells where it is broken.
template <Backend B>
struct BackendLaw {
    char const* name;
    std::string (*broken)(B& device);
};

namespace laws {

using backend::Activation;
using backend::AttentionShape;
using backend::Orientation;

template <Backend B>
using ScalarOf = typename B::Scalar;

/// Rounding unit of the backend's scalar.
template <Backend B>
[[nodiscard]] constexpr double unit() {
    return static_cast<double>(std::numeric_limits<ScalarOf<B>>::epsilon());
}

/// The values in double, in which all references are computed.
template <class Real>
[[nodiscard]] std::vector<double> exact(std::vector<Real> const& values) {
    return {values.begin(), values.end()};
}

/// Empty where every |got - want| is within its tolerance: one for all, or one each.
template <class Real>
[[nodiscard]] std::string far_apart(std::string const& what, std::vector<Real> const& got, std::vector<double> const& want,
                                    std::vector<double> const& tolerance) {
    if (got.size() != want.size()) return message(what, ": ", got.size(), " elements, expected ", want.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        double const allowed = tolerance.size() == 1 ? tolerance[0] : tolerance[i];
        if (!(std::abs(static_cast<double>(got[i]) - want[i]) <= allowed)) {
            std::ostringstream line;
            line.precision(17);
            line << what << ": element " << i << " is " << got[i] << ", expected " << want[i] << " within " << allowed;
            return line.str();
        }
    }
    return {};
}

/// Empty where the two hold the same bits.
template <class Real>
[[nodiscard]] std::string not_same(std::string const& what, std::span<Real const> got, std::span<Real const> want) {
    if (got.size() != want.size()) return message(what, ": ", got.size(), " elements, expected ", want.size());
    for (std::size_t i = 0; i < got.size(); ++i)
        if (std::memcmp(&got[i], &want[i], sizeof(Real)) != 0) {
            std::ostringstream line;
            line.precision(17);
            line << what << ": element " << i << " is " << got[i] << ", expected the very same bits as " << want[i];
            return line.str();
        }
    return {};
}

template <class Real>
[[nodiscard]] std::string not_same(std::string const& what, std::vector<Real> const& got, std::vector<Real> const& want) {
    return not_same(what, std::span<Real const>(got), std::span<Real const>(want));
}

/// The first of several findings.
[[nodiscard]] inline std::string first_of(std::initializer_list<std::string> findings) {
    for (std::string const& finding : findings)
        if (!finding.empty()) return finding;
    return {};
}

/// A matrix [rows, cols] on the device with `gap` unused elements behind every row; they hold 77 and must keep it.
template <Backend B>
class Padded {
public:
    using Real = ScalarOf<B>;
    static constexpr Real guard = Real{77};

    Padded(B& device, std::vector<Real> const& values, Index cols, Index gap = 0)
        : rows_(cols > 0 ? static_cast<Index>(values.size()) / cols : 0), cols_(cols), gap_(gap) {
        std::vector<Real> all(static_cast<std::size_t>(rows_ * (cols + gap) + 1), guard);
        for (Index i = 0; i < rows_; ++i)
            std::copy_n(values.begin() + i * cols, cols, all.begin() + i * (cols + gap));
        memory_ = {device, all};
    }
    [[nodiscard]] MatrixView<Real> view() { return {memory_.data(), rows_, cols_, cols_ + gap_}; }
    /// The values of the rows; fails where a guard was written over.
    [[nodiscard]] std::vector<Real> get(B& device) const {
        auto const all = memory_.get(device);
        std::vector<Real> values;
        for (Index i = 0; i < rows_; ++i) {
            auto const row = all.begin() + i * (cols_ + gap_);
            values.insert(values.end(), row, row + cols_);
            for (Index j = 0; j < gap_; ++j)
                require(row[cols_ + j] == guard, "an element between the rows was written over, behind row ", i);
        }
        require(all.back() == guard, "the element behind the last row was written over");
        return values;
    }

private:
    DeviceArray<B> memory_;
    Index rows_;
    Index cols_;
    Index gap_;
};

template <Backend B>
[[nodiscard]] std::vector<ScalarOf<B>> random(Index count, std::uint32_t sequence, double deviation = 1.0) {
    return random_values<ScalarOf<B>>(count, sequence, deviation);
}

// ---------------------------------------------------------------------------------------------------------- products

/// sum_k left[i][k] right[k][j] (+ before) (+ bias) in double, and the rounding that any order of summing may bring.
struct NaiveProduct {
    std::vector<double> values;
    std::vector<double> tolerance;
};

template <class Real>
[[nodiscard]] NaiveProduct naive_product(std::vector<Real> const& left, bool left_transposed, std::vector<Real> const& right,
                                         bool right_transposed, Index rows, Index cols, Index depth,
                                         std::vector<Real> const* before, std::vector<Real> const* bias) {
    NaiveProduct result;
    for (Index i = 0; i < rows; ++i)
        for (Index j = 0; j < cols; ++j) {
            double sum = 0.0;
            double size = 0.0;
            auto const take = [&](double term) { sum += term, size += std::abs(term); };
            for (Index k = 0; k < depth; ++k)
                take(static_cast<double>(left[static_cast<std::size_t>(left_transposed ? k * rows + i : i * depth + k)]) *
                     static_cast<double>(right[static_cast<std::size_t>(right_transposed ? j * depth + k : k * cols + j)]));
            if (before) take(static_cast<double>((*before)[static_cast<std::size_t>(i * cols + j)]));
            if (bias) take(static_cast<double>((*bias)[static_cast<std::size_t>(j)]));
            result.values.push_back(sum);
            result.tolerance.push_back(static_cast<double>(depth + 2) * size *
                                       static_cast<double>(std::numeric_limits<Real>::epsilon()));
        }
    return result;
}

template <Backend B>
[[nodiscard]] std::string product_case(B& device, Index rows, Index cols, Index depth, Orientation left_orientation,
                                       Orientation right_orientation, bool accumulate, bool with_bias, Index gap) {
    bool const lt = left_orientation == Orientation::transposed;
    bool const rt = right_orientation == Orientation::transposed;
    auto const left = random<B>(rows * depth, 1);
    auto const right = random<B>(depth * cols, 2);
    auto const before = random<B>(rows * cols, 3);
    auto const bias = random<B>(cols, 4);
    Padded<B> a(device, left, lt ? rows : depth, gap);
    Padded<B> b(device, right, rt ? depth : cols, gap);
    Padded<B> result(device, before, cols, gap);
    DeviceArray<B> const offset(device, bias);
    auto left_view = a.view();
    left_view.rows = lt ? depth : rows;  // also where it has no columns
    product(device, left_view, left_orientation, b.view(), right_orientation, result.view(), accumulate,
            with_bias ? offset.vector() : VectorView<ScalarOf<B> const>{});
    auto const want = naive_product(left, lt, right, rt, rows, cols, depth, accumulate ? &before : nullptr,
                                    with_bias ? &bias : nullptr);
    return far_apart(message("product [", rows, ", ", depth, "] [", depth, ", ", cols, "], left ", lt ? "transposed" : "plain",
                             ", right ", rt ? "transposed" : "plain", ", accumulate ", accumulate, ", bias ", with_bias,
                             ", gap ", gap),
                     result.get(device), want.values, want.tolerance);
}

template <Backend B>
[[nodiscard]] std::string product_is_the_naive_sum(B& device) {
    for (Orientation const l : {Orientation::plain, Orientation::transposed})
        for (Orientation const r : {Orientation::plain, Orientation::transposed}) {
            for (Index const rows : {1, 2, 5, 13, 14, 15, 28, 29, 40})
                for (Index const cols : {1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40})
                    for (Index const depth : {1, 2, 17}) {
                        bool const odd = (rows + cols + depth) % 2 == 1;
                        auto const found = product_case(device, rows, cols, depth, l, r, odd, rows % 3 == 0 || cols % 2 == 0,
                                                        odd ? 0 : 3);
                        if (!found.empty()) return found;
                    }
            struct Shape { Index rows, cols, depth, gap; };
            for (auto const [rows, cols, depth, gap] :  // terms, rows and columns beyond any block; rows 1 KiB apart
                 {Shape{3, 5, 1024, 0}, {3, 5, 1025, 1}, {130, 37, 2050, 0}, {300, 140, 70, 0}, {257, 65, 256, 0}, {5, 300, 512, 0}})
                for (bool const accumulate : {false, true}) {
                    auto const found = product_case(device, rows, cols, depth, l, r, accumulate, true, gap);
                    if (!found.empty()) return found;
                }
        }
    return {};
}

template <Backend B>
[[nodiscard]] std::string product_of_no_terms_is_the_bias(B& device) {
    for (bool const accumulate : {false, true}) {
        auto const found = product_case(device, 3, 5, 0, Orientation::plain, Orientation::plain, accumulate, true, 2);
        if (!found.empty()) return found;
    }
    return product_case(device, 3, 5, 0, Orientation::plain, Orientation::transposed, false, false, 0);
}

template <Backend B>
[[nodiscard]] std::string product_row_does_not_depend_on_the_others(B& device) {
    using Real = ScalarOf<B>;
    for (Index const depth : {7, 64, 256, 1500})
        for (Index const cols : {5, 32, 100}) {
            Index const rows = 131;
            DeviceArray<B> const left(device, random<B>(rows * depth, 1));
            DeviceArray<B> const right(device, random<B>(cols * depth, 2));
            DeviceArray<B> const bias(device, random<B>(cols, 3));
            DeviceArray<B> all(device, rows * cols);
            DeviceArray<B> part(device, rows * cols);
            product(device, left.matrix(depth), Orientation::plain, right.matrix(depth), Orientation::transposed,
                    all.matrix(cols), false, bias.vector());
            auto const want = all.get(device);
            for (Index const count : {1, 3, 14, 30, 113}) {
                Index const first = rows - count;
                product(device, left.matrix(depth).row_range(first, count), Orientation::plain, right.matrix(depth),
                        Orientation::transposed, part.matrix(cols).row_range(first, count), false, bias.vector());
                auto const got = part.get(device);
                auto const from = static_cast<std::size_t>(first * cols);
                auto const found = not_same(message("product: rows ", first, ".. of depth ", depth, " computed alone"),
                                            std::span<Real const>(got).subspan(from), std::span<Real const>(want).subspan(from));
                if (!found.empty()) return found;
            }
        }
    return {};
}

// ------------------------------------------------------------------------------------------------------- memory

template <Backend B>
[[nodiscard]] std::string copies_keep_every_bit(B& device) {
    auto const values = random<B>(1000, 1);
    DeviceArray<B> from(device, values);
    DeviceArray<B> to(device, random<B>(1000, 2));
    copy(device, static_cast<ScalarOf<B> const*>(from.data()), to.data(), 1000);
    auto found = not_same("copy", to.get(device), values);
    if (!found.empty()) return found;
    clear(device, to.data() + 1, 998);
    auto const cleared = to.get(device);
    std::vector<ScalarOf<B>> want(1000);
    want.front() = values.front();
    want.back() = values.back();
    clear(device, static_cast<ScalarOf<B>*>(nullptr), 0);  // nothing is a fine amount
    return not_same("clear", cleared, want);
}

// ---------------------------------------------------------------------------------------------------- element by element

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
                     not_same("add in place", b.get(device), got_sum), not_same("scale in place", a.get(device), got_scaled)});
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
            slope_tolerance.push_back(16 * unit<B>() * std::max(1.0, std::abs(static_cast<double>(dout[i]))) *
                                      std::max(1.0, std::min(40.0, std::abs(at))));
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
                double const angle = label * std::pow(10000.0, -static_cast<double>(j % half) / static_cast<double>(half));
                want.push_back(j >= 2 * half ? 0.0 : j < half ? std::cos(angle) : std::sin(angle));
                tolerance.push_back(16 * unit<B>() * (1.0 + angle));  // the angle itself is rounded
            }
        auto const found = far_apart(message("time_features, width ", width), out.get(device), want, tolerance);
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

// ------------------------------------------------------------------------------------------------------------ norms, sums

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
                    return static_cast<double>(dout[at(j)]) * (affine ? static_cast<double>(g[static_cast<std::size_t>(j)]) : 1.0);
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
                statistics_tolerance.push_back(unit<B>() * (n + 8) * 4 * (1 + std::abs(value)) * (cols == 1 ? 1e5 : 1.0));
            if (cols == 1) std::fill(dx_tolerance.begin(), dx_tolerance.end(), unit<B>() * 1e6);  // inverse is 1/sqrt(1e-5)
            auto const name = message("layer_norm of ", cols, " columns, affine ", affine);
            auto const sums = cols == 1 ? 1e-2 : unit<B>() * (n + 80) * 100;
            auto found = first_of({far_apart(name, got, want, tolerance),
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
    using Real = ScalarOf<B>;
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
                     far_apart("squared_error, dy", dy.get(device), want_dy, {unit<B>() * 64}),
                     far_apart<Real>("", {}, {}, {0.0})});
}

// ------------------------------------------------------------------------------------------------------- tables and read-out

template <Backend B>
[[nodiscard]] std::string gather_reads_rows_and_scatter_add_is_its_transpose(B& device) {
    using Real = ScalarOf<B>;
    Index const vocabulary = 6, cols = 70;
    std::vector<Token> const named{5, 0, 3, 3, 3, 0};  // 1, 2 and 4 stay untouched
    DeviceArray<B, Token> const tokens(device, named);
    auto const t = random<B>(vocabulary * cols, 1), x = random<B>(6 * cols, 2);
    Padded<B> table(device, t, cols, 3), rows(device, x, cols, 1), dtable(device, t, cols, 2), skipped(device, t, cols);
    std::vector<double> want, added, spread(exact(t)), without(exact(t));
    for (std::size_t i = 0; i < x.size(); ++i) {
        auto const token = static_cast<std::size_t>(named[i / static_cast<std::size_t>(cols)]);
        std::size_t const at = token * static_cast<std::size_t>(cols) + i % static_cast<std::size_t>(cols);
        want.push_back(static_cast<double>(Real{2.5} * t[at]));
        added.push_back(static_cast<double>(x[i]) + 2.5 * static_cast<double>(t[at]));
        spread[at] += 2.5 * static_cast<double>(x[i]);
        if (token != 3) without[at] += 2.5 * static_cast<double>(x[i]);
    }
    Padded<B> out(device, x, cols, 2);
    gather(device, table.view(), tokens.vector(), Real{2.5}, out.view());
    auto const got = out.get(device);
    scatter_add(device, rows.view(), tokens.vector(), Real{2.5}, dtable.view());
    scatter_add(device, rows.view(), tokens.vector(), Real{2.5}, skipped.view(), 3);
    gather(device, table.view(), tokens.vector(), Real{2.5}, rows.view(), true);
    double const rounding = 64 * unit<B>();
    return first_of({far_apart("gather", got, want, {0.0}), far_apart("gather, accumulate", rows.get(device), added, {rounding}),
                     far_apart("scatter_add", dtable.get(device), spread, {rounding}),
                     far_apart("scatter_add but one token", skipped.get(device), without, {rounding})});
}

template <Backend B>
[[nodiscard]] std::string readout_cross_entropy_is_its_formula(B& device) {
    using Real = ScalarOf<B>;
    struct Case { Index rows, vocabulary, width; double smoothing; bool bias; };
    for (auto const& [rows, vocabulary, width, smoothing, with_bias] :
         {Case{1, 2, 3, 0.0, false}, Case{5, 37, 8, 0.0, true}, Case{5, 37, 8, 0.1, true}, Case{500, 50, 16, 0.1, false}}) {
        auto const z = random<B>(rows * width, 1), t = random<B>(vocabulary * width, 2), b = random<B>(vocabulary, 3);
        auto const dz0 = random<B>(rows * width, 4), dt0 = random<B>(vocabulary * width, 5), db0 = random<B>(vocabulary, 6);
        std::vector<Token> targets;
        for (Index i = 0; i < rows; ++i) targets.push_back(static_cast<Token>(i * 7 % vocabulary));
        double const factor = 1.0 / static_cast<double>(rows);
        std::vector<double> dz(exact(dz0)), dt(exact(dt0)), db(exact(db0)), losses{0.0, 0.0};
        auto const logits = naive_product(z, false, t, true, rows, vocabulary, width, static_cast<std::vector<Real>*>(nullptr),
                                          with_bias ? &b : nullptr);
        for (Index i = 0; i < rows; ++i) {
            double const* const row = logits.values.data() + i * vocabulary;
            double const top = *std::max_element(row, row + vocabulary);
            double total = 0.0, mean = 0.0;
            for (Index v = 0; v < vocabulary; ++v) total += std::exp(row[v] - top);
            double const log_total = std::log(total) + top;
            for (Index v = 0; v < vocabulary; ++v) mean += (row[v] - log_total) / static_cast<double>(vocabulary);
            double const nll = log_total - row[targets[static_cast<std::size_t>(i)]];
            losses[0] += nll;
            losses[1] += (1.0 - smoothing) * nll - smoothing * mean;
            for (Index v = 0; v < vocabulary; ++v) {
                double const aim = (v == targets[static_cast<std::size_t>(i)] ? 1.0 - smoothing : 0.0) +
                                   smoothing / static_cast<double>(vocabulary);
                double const slope = factor * (std::exp(row[v] - log_total) - aim);
                db[static_cast<std::size_t>(v)] += slope;
                for (Index d = 0; d < width; ++d) {
                    auto const at_z = static_cast<std::size_t>(i * width + d), at_t = static_cast<std::size_t>(v * width + d);
                    dz[at_z] += slope * static_cast<double>(t[at_t]);
                    dt[at_t] += slope * static_cast<double>(z[at_z]);
                }
            }
        }
        DeviceArray<B> const table(device, t), bias(device, b);
        DeviceArray<B, Token> const tokens(device, targets);
        DeviceArray<B, double> sums(device, std::vector<double>{-1.0, -1.0});
        Padded<B> in(device, z, width, 1), dz_got(device, dz0, width, 2);
        DeviceArray<B> dt_got(device, dt0), db_got(device, db0);
        auto const offsets = with_bias ? bias.vector() : VectorView<Real const>{};
        readout_cross_entropy(device, in.view(), table.matrix(width), offsets, tokens.vector(), smoothing, factor, sums.data(),
                              dz_got.view(), dt_got.matrix(width), db_got.vector());
        auto const got = sums.get(device);
        readout_cross_entropy(device, in.view(), table.matrix(width), offsets, tokens.vector(), smoothing, factor, sums.data());
        double const rounding = unit<B>() * static_cast<double>(width + 16) * 64;
        auto const name = message("readout_cross_entropy [", rows, ", ", vocabulary, "], smoothing ", smoothing);
        auto const found = first_of({far_apart(name, got, losses, {rounding * losses[0]}),
                                     not_same(name + " without gradients", sums.get(device), got),
                                     far_apart(name + ", dz", dz_got.get(device), dz, {rounding}),
                                     far_apart(name + ", dtable", dt_got.get(device), dt, {rounding * 4}),
                                     far_apart(name + ", dbias", db_got.get(device), db, {rounding * 4})});
        if (!found.empty()) return found;
    }
    return {};
}

template <Backend B>
[[nodiscard]] std::string readout_argmax_names_the_most_probable_token(B& device) {
    using Real = ScalarOf<B>;
    Index const rows = 300, vocabulary = 50, width = 9;
    auto const z = random<B>(rows * width, 1), b = random<B>(vocabulary, 3);
    auto t = random<B>(vocabulary * width, 2);
    std::copy_n(t.begin(), width, t.begin() + 7 * width);  // token 7 is token 0: ties go to the lower number
    auto even = b;
    even[7] = even[0];
    DeviceArray<B> const table(device, t), bias(device, even);
    DeviceArray<B, Token> tokens(device, rows), again(device, rows);
    DeviceArray<B> log_probabilities(device, rows);
    Padded<B> in(device, z, width, 3);
    readout_argmax(device, in.view(), table.matrix(width), bias.vector(), tokens.vector(), log_probabilities.vector());
    readout_argmax(device, in.view(), table.matrix(width), bias.vector(), again.vector());
    auto const logits = naive_product(z, false, t, true, rows, vocabulary, width, static_cast<std::vector<Real>*>(nullptr), &even);
    auto const got = tokens.get(device);
    std::vector<double> log_p;
    for (Index i = 0; i < rows; ++i) {
        double const* const row = logits.values.data() + i * vocabulary;
        double const top = *std::max_element(row, row + vocabulary);
        Token const token = got[static_cast<std::size_t>(i)];
        double const slack = logits.tolerance[static_cast<std::size_t>(i * vocabulary + std::clamp<Index>(token, 0, vocabulary - 1))];
        if (token < 0 || token >= vocabulary || token == 7 || row[token] < top - 2 * slack)
            return message("readout_argmax: row ", i, " gives token ", token, ", which is not the most probable");
        double total = 0.0;
        for (Index v = 0; v < vocabulary; ++v) total += std::exp(row[v] - top);
        log_p.push_back(-std::log(total));
    }
    return first_of({not_same("readout_argmax without probabilities", again.get(device), got),
                     far_apart("readout_argmax, log probability", log_probabilities.get(device), log_p, {unit<B>() * 512})});
}

// ------------------------------------------------------------------------------------------------------------------ attention

/// Everything attention and its backward pass give, in double.
struct NaiveAttention {
    std::vector<double> out, dq, dk, dv;
};

template <class Real>
[[nodiscard]] NaiveAttention naive_attention(std::vector<Index> const& queries, std::vector<Index> const& keys,
                                             std::vector<Index> const& key_sentence, Index heads, bool causal, Index cols,
                                             std::vector<Real> const& q, std::vector<Real> const& k, std::vector<Real> const& v,
                                             std::vector<Real> const& dout) {
    NaiveAttention result{std::vector<double>(q.size()), std::vector<double>(q.size()), std::vector<double>(k.size()),
                          std::vector<double>(v.size())};
    Index const width = cols / heads;
    std::vector<Index> query_offsets{0}, key_offsets{0};
    for (Index const length : queries) query_offsets.push_back(query_offsets.back() + length);
    for (Index const length : keys) key_offsets.push_back(key_offsets.back() + length);
    for (std::size_t s = 0; s < queries.size(); ++s)
        for (Index h = 0; h < heads; ++h)
            for (Index i = 0; i < queries[s]; ++i) {
                auto const source = static_cast<std::size_t>(key_sentence[s]);
                Index const seen = causal ? std::min(keys[source], i + 1) : keys[source];
                if (seen == 0) continue;
                auto const at_q = [&](Index d) { return static_cast<std::size_t>((query_offsets[s] + i) * cols + h * width + d); };
                auto const at_k = [&](Index j, Index d) {
                    return static_cast<std::size_t>((key_offsets[source] + j) * cols + h * width + d);
                };
                std::vector<double> p(static_cast<std::size_t>(seen)), dp(p.size());
                double const factor = 1.0 / std::sqrt(static_cast<double>(width));
                for (Index j = 0; j < seen; ++j)
                    for (Index d = 0; d < width; ++d) {
                        p[static_cast<std::size_t>(j)] += factor * static_cast<double>(q[at_q(d)]) * static_cast<double>(k[at_k(j, d)]);
                        dp[static_cast<std::size_t>(j)] += static_cast<double>(dout[at_q(d)]) * static_cast<double>(v[at_k(j, d)]);
                    }
                double const top = *std::max_element(p.begin(), p.end());
                double total = 0.0, along = 0.0;
                for (double& value : p) total += value = std::exp(value - top);
                for (std::size_t j = 0; j < p.size(); ++j) along += (p[j] /= total) * dp[j];
                for (Index j = 0; j < seen; ++j)
                    for (Index d = 0; d < width; ++d) {
                        double const probability = p[static_cast<std::size_t>(j)];
                        double const slope = probability * (dp[static_cast<std::size_t>(j)] - along) * factor;
                        result.out[at_q(d)] += probability * static_cast<double>(v[at_k(j, d)]);
                        result.dq[at_q(d)] += slope * static_cast<double>(k[at_k(j, d)]);
                        result.dk[at_k(j, d)] += slope * static_cast<double>(q[at_q(d)]);
                        result.dv[at_k(j, d)] += probability * static_cast<double>(dout[at_q(d)]);
                    }
            }
    return result;
}

template <Backend B>
[[nodiscard]] std::string attention_is_its_formula_over_ragged_batches(B& device) {
    using Real = ScalarOf<B>;
    struct Case { std::vector<Index> queries, keys, key_sentence; Index heads; bool causal; Index width; };
    std::vector<Case> const cases{
        {{3, 1, 70, 2}, {3, 1, 70, 2}, {0, 1, 2, 3}, 2, false, 5},
        {{3, 1, 70, 2}, {3, 1, 70, 2}, {0, 1, 2, 3}, 3, true, 4},
        {{1, 130}, {40, 9}, {0, 1}, 1, false, 33},
        {{2, 3, 4}, {5, 6}, {1, 0, 1}, 2, false, 7},        // several targets of one source
        {{2, 0, 3}, {4, 2, 0}, {0, 1, 2}, 2, false, 3},     // nothing to ask, and nothing to see
    };
    for (Case const& c : cases) {
        RaggedBatch<B> const queries(device, c.queries), keys(device, c.keys);
        Index const cols = c.heads * c.width;
        auto const q = random<B>(queries.rows() * cols, 1), k = random<B>(keys.rows() * cols, 2);
        auto const v = random<B>(keys.rows() * cols, 3), dout = random<B>(queries.rows() * cols, 4);
        Padded<B> dq(device, q, cols, 3), dk(device, k, cols, 1), dv(device, v, cols, 5), dy(device, dout, cols, 0);
        Padded<B> out(device, dout, cols, 2), again(device, dout, cols, 0);
        Padded<B> probabilities(device, random<B>(queries.rows() * c.heads * keys.segments().longest, 5),
                                c.heads * keys.segments().longest, 1);
        DeviceArray<B, Index> const key_sentence(device, c.key_sentence);
        bool own = c.queries.size() == c.keys.size();
        for (std::size_t s = 0; s < c.key_sentence.size(); ++s) own = own && c.key_sentence[s] == static_cast<Index>(s);
        AttentionShape const shape{queries.segments(), keys.segments(), c.heads, own ? nullptr : key_sentence.data(), c.causal};
        attention(device, shape, dq.view(), dk.view(), dv.view(), out.view(), probabilities.view());
        attention(device, shape, dq.view(), dk.view(), dv.view(), again.view(), {});
        auto const want = naive_attention<Real>(c.queries, c.keys, c.key_sentence, c.heads, c.causal, cols, q, k, v, dout);
        double const rounding = unit<B>() * 256 * std::sqrt(static_cast<double>(c.width));
        auto const name = message("attention of ", c.queries.size(), " sentences, ", c.heads, " heads, causal ", c.causal);
        auto found = first_of({far_apart(name, out.get(device), want.out, {rounding}),
                               not_same(name + ", probabilities not kept", again.get(device), out.get(device))});
        if (found.empty() && own) {
            Padded<B> sq(device, q, cols, 1), sk(device, k, cols, 2), sv(device, v, cols, 0);
            attention_backward(device, shape, dq.view(), dk.view(), dv.view(), probabilities.view(), dy.view(), sq.view(),
                               sk.view(), sv.view());
            double const sums = rounding * 16;  // keys gather the slopes of many queries
            found = first_of({far_apart(name + ", dq", sq.get(device), want.dq, {sums}),
                              far_apart(name + ", dk", sk.get(device), want.dk, {sums}),
                              far_apart(name + ", dv", sv.get(device), want.dv, {sums})});
        }
        if (!found.empty()) return found;
    }
    return {};
}

// -------------------------------------------------------------------------------------------------- batches and randomness

/// Each verb that works on rows or sentences, run over a packed batch and over each sentence alone, must give the same bits.
template <Backend B>
[[nodiscard]] std::string a_batch_gives_the_bits_of_its_sentences_alone(B& device) {
    using Real = ScalarOf<B>;
    std::vector<Index> const lengths{3, 1, 7, 40, 2};
    Index const longest = 40;
    for (Index const cols : {6, 10, 32, 34}) {  // rows that start anywhere in a vector register
        RaggedBatch<B> const batch(device, lengths);
        Index const rows = batch.rows();
        auto const x = random<B>(rows * cols, 1, 2.0), y = random<B>(rows * cols, 2), z = random<B>(rows * cols, 3);
        DeviceArray<B> const gain(device, random<B>(cols, 4)), bias(device, random<B>(cols, 5));
        DeviceArray<B> const coefficients(device, std::vector<Real>{Real(0.3), Real(0.7), Real(1.1)});
        Index const vocabulary = 77;
        DeviceArray<B> const table(device, random<B>(vocabulary * cols, 6));
        std::vector<Index> const numbers{12, 5, 99, 3, 7};
        constexpr int verbs = 12;
        auto const run = [&](int verb, Index first, Index count, RaggedBatch<B> const& part, Index sentence) {
            auto const cut = [&](std::vector<Real> const& values) {
                return std::vector<Real>(values.begin() + first * cols, values.begin() + (first + count) * cols);
            };
            Padded<B> a(device, cut(x), cols), b(device, cut(y), cols), c(device, cut(z), cols);
            Padded<B> out(device, cut(z), cols);
            Index const seen = part.segments().longest;
            Padded<B> probabilities(device, std::vector<Real>(static_cast<std::size_t>(count * 2 * seen)), 2 * seen);
            Padded<B> statistics(device, std::vector<Real>(static_cast<std::size_t>(count * 2)), 2);
            AttentionShape const shape{part.segments(), part.segments(), 2, nullptr, verb == 7};
            DeviceArray<B, Index> const sequences(
                device, sentence < 0 ? numbers : std::vector<Index>{numbers[static_cast<std::size_t>(sentence)]});
            std::vector<Real> repeated;
            for (Index s = 0; s < part.sentences(); ++s) repeated.insert(repeated.end(), {Real(0.3), Real(0.7), Real(1.1)});
            DeviceArray<B> const weights(device, repeated);
            DeviceArray<B, Token> tokens(device, count);
            DeviceArray<B> log_probabilities(device, count);
            switch (verb) {
                case 0: activate(device, Activation::gelu, a.view(), out.view()); break;
                case 1: activate(device, Activation::silu, a.view(), out.view()); break;
                case 2: activate(device, Activation::tanh, a.view(), out.view()); break;
                case 3: layer_norm(device, a.view(), gain.vector(), bias.vector(), 1e-5, out.view()); break;
                case 4:
                    layer_norm(device, a.view(), {}, {}, 1e-5, out.view(), statistics.view());
                    layer_norm_backward(device, b.view(), a.view(), statistics.view(), gain.vector(), out.view());
                    break;
                case 5: combine(device, part.segments(), weights.matrix(3), a.view(), b.view(), c.view(), out.view()); break;
                case 6:
                case 7: attention(device, shape, a.view(), b.view(), c.view(), out.view(), {}); break;
                case 8:
                    attention(device, shape, a.view(), b.view(), c.view(), out.view(), probabilities.view());
                    attention_backward(device, shape, a.view(), b.view(), c.view(), probabilities.view(), c.view(), out.view(),
                                       a.view(), b.view());
                    add(device, out.view(), a.view(), out.view());
                    add(device, out.view(), b.view(), out.view());
                    break;
                case 9: fill_normal(device, RandomStream{}, part.segments(), sequences.vector(), out.view()); break;
                case 10:
                    readout_argmax(device, a.view(), table.matrix(cols), {}, tokens.vector(), log_probabilities.vector());
                    scale(device, Real{0}, a.view(), out.view());
                    copy(device, static_cast<Real const*>(log_probabilities.data()), out.view().data, count);
                    break;
                case 11: activate_backward(device, Activation::silu, a.view(), b.view(), out.view()); break;
                default: break;
            }
            return verb == 10 ? log_probabilities.get(device) : out.get(device);
        };
        for (int verb = 0; verb < verbs; ++verb) {
            auto const want = run(verb, 0, rows, batch, -1);
            std::vector<Real> alone;
            Index first = 0;
            for (std::size_t s = 0; s < lengths.size(); ++s) {
                auto const part = run(verb, first, lengths[s], RaggedBatch<B>(device, {lengths[s]}), static_cast<Index>(s));
                alone.insert(alone.end(), part.begin(), part.end());
                first += lengths[s];
            }
            constexpr char const* names[verbs] = {"gelu", "silu", "tanh", "layer_norm", "layer_norm_backward", "combine",
                                                  "attention", "causal attention", "attention_backward", "fill_normal",
                                                  "readout_argmax", "silu's slope"};
            auto const found = not_same(message(names[verb], " of ", cols, " columns, sentence by sentence"), alone, want);
            if (!found.empty()) return found;
        }
    }
    static_cast<void>(longest);
    return {};
}

template <Backend B>
[[nodiscard]] std::string fill_normal_draws_what_the_stream_says(B& device) {
    using Real = ScalarOf<B>;
    RaggedBatch<B> const batch(device, {3, 1, 0, 4});
    Index const cols = 5;
    std::vector<Index> const numbers{7, 1000, 2, 0};
    std::vector<std::size_t> const sentence_of{0, 0, 0, 1, 3, 3, 3, 3};
    std::vector<Index> const first{0, 3, 4, 4};
    DeviceArray<B, Index> const sequences(device, numbers);
    RandomStream const stream{5, Purpose::initial_noise, 0, 9};
    Padded<B> out(device, random<B>(8 * cols, 1), cols, 2);
    fill_normal(device, stream, batch.segments(), sequences.vector(), out.view());
    std::vector<double> want;
    for (Index row = 0; row < 8; ++row)
        for (Index j = 0; j < cols; ++j) {
            auto const sentence = sentence_of[static_cast<std::size_t>(row)];
            RandomStream own = stream;
            own.sequence = static_cast<std::uint32_t>(numbers[sentence]);
            auto const element = static_cast<std::uint32_t>((row - first[sentence]) * cols + j);
            want.push_back(normals<double>(own.bits(element / 4))[element % 4]);
        }
    return far_apart<Real>("fill_normal", out.get(device), want, {64 * unit<B>()});
}

template <Backend B>
[[nodiscard]] std::string dropout_keeps_its_share_and_draws_the_same_mask_again(B& device) {
    using Real = ScalarOf<B>;
    Index const rows = 300, cols = 100;
    auto const n = static_cast<double>(rows * cols);
    for (double const rate : {0.0, 0.1, 0.5, 0.9}) {
        std::vector<Real> const ones(static_cast<std::size_t>(rows * cols), Real{1});
        auto const other = random<B>(rows * cols, 1);
        RandomStream const stream{5, Purpose::dropout, 3, 9};
        RandomStream next = stream;
        ++next.sequence;
        Padded<B> a(device, ones, cols, 3), b(device, other, cols), c(device, ones, cols);
        dropout(device, stream, rate, a.view(), a.view());
        dropout(device, stream, rate, b.view(), b.view());
        dropout(device, next, rate, c.view(), c.view());
        auto const mask = a.get(device), again = b.get(device), different = c.get(device);
        double dropped = 0.0, both = 0.0;
        Real const keep = static_cast<Real>(1.0 / (1.0 - rate));
        for (std::size_t i = 0; i < mask.size(); ++i) {
            if (mask[i] != Real{0} && mask[i] != keep)
                return message("dropout: element ", i, " is ", mask[i], ", expected 0 or ", keep);
            if (again[i] != (mask[i] == Real{0} ? Real{0} : other[i] * keep))
                return message("dropout: element ", i, " is not dropped alike in a second call with the same stream");
            dropped += mask[i] == Real{0} ? 1.0 : 0.0;
            both += mask[i] == Real{0} && different[i] == Real{0} ? 1.0 : 0.0;
        }
        double const deviation = std::sqrt(n * rate * (1.0 - rate));
        double const pair = rate * rate;
        if (std::abs(dropped - n * rate) > 5 * deviation)
            return message("dropout: ", dropped, " of ", n, " elements dropped, expected a share of ", rate);
        if (std::abs(both - n * pair) > 5 * std::sqrt(n * pair * (1.0 - pair)))
            return message("dropout: ", both, " elements dropped under two streams, expected about ", n * pair);
    }
    return {};
}

// ------------------------------------------------------------------------------------------------------------------ updates

template <Backend B>
[[nodiscard]] std::string adam_step_and_average_are_their_formulas(B& device) {
    using Real = ScalarOf<B>;
    Index const size = 20'003;
    auto const start = random<B>(size, 1);
    std::vector<double> w(exact(start)), m(w.size()), v(w.size()), mean(exact(random<B>(size, 2)));
    DeviceArray<B> weights(device, start), first(device, size), second(device, size), running(device, random<B>(size, 2));
    backend::AdamStep settings;
    settings.learning_rate = 0.01;
    settings.weight_decay = 0.1;
    settings.gradient_factor = 0.5;
    for (Index step = 1; step <= 3; ++step) {
        settings.step = step;
        auto const g = random<B>(size, static_cast<std::uint32_t>(10 + step));
        DeviceArray<B> const gradients(device, g);
        adam_step(device, settings, gradients.vector(), weights.vector(), first.vector(), second.vector());
        average(device, 0.9, weights.vector(), running.vector());
        for (std::size_t i = 0; i < w.size(); ++i) {  // Loshchilov and Hutter 2019, algorithm 2
            double const gradient = 0.5 * static_cast<double>(g[i]);
            m[i] = settings.beta1 * m[i] + (1 - settings.beta1) * gradient;
            v[i] = settings.beta2 * v[i] + (1 - settings.beta2) * gradient * gradient;
            double const m_hat = m[i] / (1 - std::pow(settings.beta1, static_cast<double>(step)));
            double const v_hat = v[i] / (1 - std::pow(settings.beta2, static_cast<double>(step)));
            w[i] -= settings.learning_rate * (m_hat / (std::sqrt(v_hat) + settings.epsilon) + settings.weight_decay * w[i]);
            mean[i] = 0.9 * mean[i] + 0.1 * w[i];
        }
    }
    double const rounding = 64 * unit<B>();
    return first_of({far_apart<Real>("adam_step, weights", weights.get(device), w, {rounding}),
                     far_apart<Real>("adam_step, mean", first.get(device), m, {rounding}),
                     far_apart<Real>("adam_step, square", second.get(device), v, {rounding}),
                     far_apart<Real>("average", running.get(device), mean, {rounding})});
}

}  // namespace laws

/// What every backend promises, whatever it runs on: formulas within derived rounding errors, rows that do not depend on
/// their neighbours, strides respected. Run each, and expect an empty text:
///
///     for (auto const& law : testing::backend_laws<MyBackend>()) { CAPTURE(law.name); CHECK(law.broken(device) == ""); }
template <Backend B>
[[nodiscard]] std::vector<BackendLaw<B>> backend_laws() {
    return {
        {"copies keep every bit", laws::copies_keep_every_bit<B>},
        {"product is the naive sum", laws::product_is_the_naive_sum<B>},
        {"product of no terms is the bias", laws::product_of_no_terms_is_the_bias<B>},
        {"a row of a product does not depend on the others", laws::product_row_does_not_depend_on_the_others<B>},
        {"add and scale are element by element", laws::add_and_scale_are_element_by_element<B>},
        {"activations are their formulas", laws::activations_are_their_formulas<B>},
        {"combine weighs each sentence by its own coefficients",
         laws::combine_weighs_each_sentence_by_its_own_coefficients<B>},
        {"time features are cosines, then sines", laws::time_features_are_cosines_then_sines<B>},
        {"sentence verbs sum, spread and average over rows", laws::sentence_verbs_sum_spread_and_average_over_rows<B>},
        {"layer norm has mean 0 and variance 1", laws::layer_norm_has_mean_0_and_variance_1<B>},
        {"sums and errors are their formulas", laws::sums_and_errors_are_their_formulas<B>},
        {"gather reads rows, and scatter_add is its transpose", laws::gather_reads_rows_and_scatter_add_is_its_transpose<B>},
        {"read-out cross-entropy is its formula", laws::readout_cross_entropy_is_its_formula<B>},
        {"read-out argmax names the most probable token", laws::readout_argmax_names_the_most_probable_token<B>},
        {"attention is its formula over ragged batches", laws::attention_is_its_formula_over_ragged_batches<B>},
        {"a batch gives the bits of its sentences alone", laws::a_batch_gives_the_bits_of_its_sentences_alone<B>},
        {"fill_normal draws what the stream says", laws::fill_normal_draws_what_the_stream_says<B>},
        {"dropout keeps its share, and draws the same mask again",
         laws::dropout_keeps_its_share_and_draws_the_same_mask_again<B>},
        {"Adam's step and averages are their formulas", laws::adam_step_and_average_are_their_formulas<B>},
    };
}

}  // namespace inkling::testing
