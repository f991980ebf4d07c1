#pragma once

#include <inkling/testing/laws/elementwise.hpp>
#include <inkling/testing/laws/support.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace inkling::testing::laws {

/// sum_k left[i][k] right[k][j] (+ before) (+ bias) in double, and the rounding that any order of summing may bring.
struct NaiveProduct {
    std::vector<double> values;
    std::vector<double> tolerance;
};

template <class Real>
[[nodiscard]] NaiveProduct naive_product(std::vector<Real> const& left, bool left_transposed,
                                         std::vector<Real> const& right, bool right_transposed, Index rows, Index cols,
                                         Index depth, std::vector<Real> const* before, std::vector<Real> const* bias) {
    NaiveProduct result;
    for (Index i = 0; i < rows; ++i)
        for (Index j = 0; j < cols; ++j) {
            double sum = 0.0;
            double size = 0.0;
            auto const take = [&](double term) { sum += term, size += std::abs(term); };
            for (Index k = 0; k < depth; ++k)
                take(static_cast<double>(left[static_cast<std::size_t>(left_transposed ? k * rows + i : i * depth + k)])
                     * static_cast<double>(
                         right[static_cast<std::size_t>(right_transposed ? j * depth + k : k * cols + j)]));
            if (before) take(static_cast<double>((*before)[static_cast<std::size_t>(i * cols + j)]));
            if (bias) take(static_cast<double>((*bias)[static_cast<std::size_t>(j)]));
            result.values.push_back(sum);
            result.tolerance.push_back(static_cast<double>(depth + 2) * size
                                       * static_cast<double>(std::numeric_limits<Real>::epsilon()));
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
    return far_apart(message("product [", rows, ", ", depth, "] [", depth, ", ", cols, "], left ",
                             lt ? "transposed" : "plain", ", right ", rt ? "transposed" : "plain", ", accumulate ",
                             accumulate, ", bias ", with_bias, ", gap ", gap),
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
                        auto const found = product_case(device, rows, cols, depth, l, r, odd,
                                                        rows % 3 == 0 || cols % 2 == 0, odd ? 0 : 3);
                        if (!found.empty()) return found;
                    }
            struct Shape {
                Index rows, cols, depth, gap;
            };
            for (auto const [rows, cols, depth, gap] :  // terms, rows and columns beyond any block; rows 2 KiB apart
                 {Shape{3, 5, 1024, 0},
                  {3, 5, 1025, 1},
                  {130, 37, 2050, 0},
                  {300, 140, 70, 0},
                  {257, 65, 256, 0},
                  {45, 300, 512, 0},
                  {16, 256, 1021, 3}})
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

/// Of backends that have activated_product; of others there is nothing to say.
template <Backend B>
[[nodiscard]] std::string an_activated_product_is_its_parts(B& device) {
    using Real = ScalarOf<B>;
    if constexpr (backend::FusesActivations<B>) {
        struct Shape {
            Index rows, cols, depth, gap;
        };
        for (auto const [rows, cols, depth, gap] :
             {Shape{3, 5, 7, 2}, {40, 64, 0, 1}, {131, 96, 1100, 0}, {18, 70, 2100, 0}})
            for (Activation const activation : {Activation::relu, Activation::gelu, Activation::silu, Activation::tanh})
                for (bool const plain : {false, true})
                    for (bool const with_bias : {false, true}) {
                        auto const left = random<B>(rows * depth, 1, 0.2), right = random<B>(depth * cols, 2);
                        auto const bias = random<B>(cols, 3);
                        Padded<B> a(device, left, plain ? depth : rows, gap),
                            b(device, right, plain ? cols : depth, gap);
                        Padded<B> result(device, random<B>(rows * cols, 4), cols, gap);
                        std::vector<Real> behind_one(1);  // so that the bias lies at no address that 16 divides
                        behind_one.insert(behind_one.end(), bias.begin(), bias.end());
                        DeviceArray<B> const aligned(device, bias), not_aligned(device, behind_one);
                        auto const added = !with_bias ? VectorView<Real const>{}
                            : gap == 0                ? aligned.vector()
                                                      : VectorView<Real const>(not_aligned.data() + 1, cols);
                        auto const way = plain ? Orientation::plain : Orientation::transposed;
                        auto left_view = a.view(), right_view = b.view();
                        left_view.rows = plain ? rows : depth;  // also where it has no columns
                        right_view.rows = plain ? depth : cols;
                        activated_product(device, activation, left_view, way, right_view, way, result.view(), added);
                        auto want =
                            naive_product(left, !plain, right, !plain, rows, cols, depth,
                                          static_cast<std::vector<Real> const*>(nullptr), with_bias ? &bias : nullptr);
                        for (std::size_t i = 0; i < want.values.size(); ++i) {
                            double const sum = want.values[i];
                            want.values[i] = activated(activation, sum, false);
                            // no slope is above 1.13
                            want.tolerance[i] =
                                1.13 * want.tolerance[i] + 16 * unit<B>() * std::max(1.0, std::abs(sum));
                        }
                        auto const where = message("activated_product [", rows, ", ", depth, "] [", depth, ", ", cols,
                                                   "], activation ", static_cast<int>(activation), ", ",
                                                   plain ? "plain" : "transposed", ", bias ", with_bias);
                        auto const found = far_apart(where, result.get(device), want.values, want.tolerance);
                        if (!found.empty()) return found;
                    }
    }
    return {};
}

template <Backend B>
[[nodiscard]] std::string product_row_does_not_depend_on_the_others(B& device) {
    using Real = ScalarOf<B>;
    for (Index const depth : {7, 64, 512, 1500})
        for (Index const cols : {5, 32, 300}) {
            Index const rows = 131;
            DeviceArray<B> const left(device, random<B>(rows * depth, 1));
            DeviceArray<B> const right(device, random<B>(cols * depth, 2));
            DeviceArray<B> const bias(device, random<B>(cols, 3));
            DeviceArray<B> all(device, rows * cols);
            DeviceArray<B> part(device, rows * cols);
            product(device, left.matrix(depth), Orientation::plain, right.matrix(depth), Orientation::transposed,
                    all.matrix(cols), false, bias.vector());
            auto const want = all.get(device);
            for (Index const count : {1, 3, 14, 16, 30, 113}) {
                Index const first = rows - count;
                product(device, left.matrix(depth).row_range(first, count), Orientation::plain, right.matrix(depth),
                        Orientation::transposed, part.matrix(cols).row_range(first, count), false, bias.vector());
                auto const got = part.get(device);
                auto const from = static_cast<std::size_t>(first * cols);
                auto const found =
                    not_same(message("product: rows ", first, ".. of depth ", depth, " computed alone"),
                             std::span<Real const>(got).subspan(from), std::span<Real const>(want).subspan(from));
                if (!found.empty()) return found;
            }
        }
    return {};
}

}  // namespace inkling::testing::laws
