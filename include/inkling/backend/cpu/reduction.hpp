#pragma once

#include <inkling/backend/cpu/detail/map.hpp>
#include <inkling/backend/detail/formulas.hpp>

namespace inkling::backend {

namespace detail {

/// Sum over [0, count) of body(begin, end), in blocks that do not depend on the threads.
template <class Real, class Body>
[[nodiscard]] double blocked_sum(Cpu<Real>& device, Index count, Index block, Body const& body) {
    Index const blocks = (count + block - 1) / block;
    double* const partial = device.sums(std::max<Index>(1, blocks));
    device.parallel(count, block, [&](Index begin, Index end, int) { partial[begin / block] = body(begin, end); });
    double total = 0.0;
    for (Index index = 0; index < blocks; ++index) total += partial[index];
    return total;
}

}  // namespace detail

/// *sum = the sum of squares of x.
template <class Real>
void squared_norm(Cpu<Real>& device, InVector<Real> x, double* sum) {
    *sum = detail::blocked_sum(device, x.size, 16384, [&](Index begin, Index end) {
        return detail::sum_in<double>(
            end - begin, [](auto const& a) { return a.template cast<double>().square(); }, x.data + begin);
    });
}

/// *sum = the sum of w_n (x - y)^2; with gradients dx += 2 factor w_n (x - y) and dy -= the same, where not empty.
///
/// @param x, y  [N, D]; an empty y is 0
/// @param row_weights  [N], w_n; empty: 1
/// @param row_sums     [N] takes what each row adds to the sum, or empty
template <class Real>
void squared_error(Cpu<Real>& device, In<Real> x, In<Real> y, double factor, double* sum, Out<Real> dx = {},
                   Out<Real> dy = {}, InVector<Real> row_weights = {}, OutVector<Real> row_sums = {}) {
    *sum = detail::blocked_sum(device, x.rows, detail::row_block(x.cols), [&](Index begin, Index end) {
        double total = 0.0;
        for (Index row = begin; row < end; ++row) {
            Real const* const a = x.row(row);
            Real const* const b = y.empty() ? nullptr : y.row(row);
            double const own = b == nullptr
                ? detail::sum_in<double>(
                    x.cols, [](auto const& u) { return u.template cast<double>().square(); }, a)
                : detail::sum_in<double>(
                    x.cols, [](auto const& u, auto const& v) { return (u - v).template cast<double>().square(); }, a,
                    b);
            double const weight = row_weights.empty() ? 1.0 : static_cast<double>(row_weights.data[row]);
            total += weight * own;
            if (!row_sums.empty()) row_sums.data[row] = static_cast<Real>(weight * own);
            auto const add_slope = [&](Real* to, Real twice) {
                if (b == nullptr)
                    detail::transform(
                        x.cols, to, [=](auto const& d, auto const& u) { return d + twice * u; }, to, a);
                else
                    detail::transform(
                        x.cols, to, [=](auto const& d, auto const& u, auto const& v) { return d + twice * (u - v); },
                        to, a, b);
            };
            Real const slope = static_cast<Real>(2.0 * factor * weight);
            if (!dx.empty()) add_slope(dx.row(row), slope);
            if (!dy.empty()) add_slope(dy.row(row), -slope);
        }
        return total;
    });
}

/// *sum = the sum of w_n h(x - y), h(d) = d^2 / (2 bend) within the bend, |d| - bend / 2 beyond; with gradients dx +=
/// factor w_n h'(x - y) and dy -= the same, where not empty.
///
/// Unlike squared_error it lets a few large differences be. A bend of 0 is the absolute error, 1 Huber's, as PyTorch
/// has it.
/// @param x, y         [N, D]
/// @param bend         0 or more
/// @param row_weights  [N], w_n; empty: 1
/// @param row_sums     [N] takes what each row adds to the sum, or empty
template <class Real>
void bent_error(Cpu<Real>& device, In<Real> x, In<Real> y, double bend, double factor, double* sum, Out<Real> dx = {},
                Out<Real> dy = {}, InVector<Real> row_weights = {}, OutVector<Real> row_sums = {}) {
    *sum = detail::blocked_sum(device, x.rows, detail::row_block(x.cols), [&](Index begin, Index end) {
        Real const knee = static_cast<Real>(bend);
        double total = 0.0;
        for (Index row = begin; row < end; ++row) {
            Real const* const a = x.row(row);
            Real const* const b = y.row(row);
            double const own = detail::sum_in<double>(
                x.cols,
                [=](auto const& u, auto const& v) {
                    using Sizes = ::Eigen::Array<double, static_cast<int>(detail::lane_count<Real>), 1>;
                    Sizes const size = (u - v).template cast<double>().abs();
                    return detail::where_positive<Sizes>(bend - size, size.square() / (2.0 * std::max(bend, 1e-300)),
                                                         size - 0.5 * bend);
                },
                a, b);
            double const weight = row_weights.empty() ? 1.0 : static_cast<double>(row_weights.data[row]);
            total += weight * own;
            if (!row_sums.empty()) row_sums.data[row] = static_cast<Real>(weight * own);
            auto const add_slope = [&](Real* to, Real factor_of_row) {
                detail::transform(
                    x.cols, to,
                    [=](auto const& d, auto const& u, auto const& v) -> detail::Lanes<Real> {
                        detail::Lanes<Real> const difference = u - v;
                        return d
                            + factor_of_row
                            * detail::where_positive<detail::Lanes<Real>>(knee - difference.abs(), difference / knee,
                                                                          difference.sign());
                    },
                    to, a, b);
            };
            Real const slope = static_cast<Real>(factor * weight);
            if (!dx.empty()) add_slope(dx.row(row), slope);
            if (!dy.empty()) add_slope(dy.row(row), -slope);
        }
        return total;
    });
}

/// *sum = the sum of w_n cos(x_n, y_n) over rows; with gradients dx += factor w_n dcos/dx and dy likewise, where not
/// empty.
///
/// cos(x, y) = x y / max(|x| |y|, 1e-8), which is PyTorch's; a row that short has the gradient of a constant
/// denominator.
/// @param x, y         [N, D]
/// @param row_weights  [N], w_n; empty: 1
/// @param row_sums     [N] takes what each row adds to the sum, or empty
template <class Real>
void cosine_similarity(Cpu<Real>& device, In<Real> x, In<Real> y, double factor, double* sum, Out<Real> dx = {},
                       Out<Real> dy = {}, InVector<Real> row_weights = {}, OutVector<Real> row_sums = {}) {
    *sum = detail::blocked_sum(device, x.rows, detail::row_block(x.cols), [&](Index begin, Index end) {
        double total = 0.0;
        for (Index row = begin; row < end; ++row) {
            Real const* const a = x.row(row);
            Real const* const b = y.row(row);
            auto const dot = [&](Real const* left, Real const* right) {
                return detail::sum_in<double>(
                    x.cols,
                    [](auto const& u, auto const& v) { return u.template cast<double>() * v.template cast<double>(); },
                    left, right);
            };
            double const square_a = dot(a, a), square_b = dot(b, b);
            detail::RowCosine const cosine(square_a, square_b, dot(a, b));
            double const weight = row_weights.empty() ? 1.0 : static_cast<double>(row_weights.data[row]);
            total += weight * cosine.cosine;
            if (!row_sums.empty()) row_sums.data[row] = static_cast<Real>(weight * cosine.cosine);
            auto const add_slope = [&](Real* to, Real const* own, Real const* other, double square) {
                Real const towards = static_cast<Real>(cosine.towards(factor * weight));
                Real const back = static_cast<Real>(cosine.back(factor * weight, square));
                detail::transform(
                    x.cols, to, [=](auto const& d, auto const& u, auto const& v) { return d + towards * v - back * u; },
                    to, own, other);
            };
            if (!dx.empty()) add_slope(dx.row(row), a, b, square_a);
            if (!dy.empty()) add_slope(dy.row(row), b, a, square_b);
        }
        return total;
    });
}

}  // namespace inkling::backend
