#pragma once

#include <inkling/backend/cpu/detail/map.hpp>

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

/// *sum = the sum of (x - y)^2; with gradients dx += 2 factor (x - y) and dy -= the same, where not empty.
template <class Real>
void squared_error(Cpu<Real>& device, In<Real> x, In<Real> y, double factor, double* sum, Out<Real> dx = {},
                   Out<Real> dy = {}) {
    Real const slope = static_cast<Real>(2.0 * factor);
    *sum = detail::blocked_sum(device, x.rows, detail::row_block(x.cols), [&](Index begin, Index end) {
        double total = 0.0;
        for (Index row = begin; row < end; ++row) {
            Real const* const a = x.row(row);
            Real const* const b = y.row(row);
            total += detail::sum_in<double>(
                x.cols, [](auto const& u, auto const& v) { return (u - v).template cast<double>().square(); }, a, b);
            auto const add_slope = [&](Real* to, Real twice) {
                detail::transform(
                    x.cols, to, [=](auto const& d, auto const& u, auto const& v) { return d + twice * (u - v); }, to, a, b);
            };
            if (!dx.empty()) add_slope(dx.row(row), slope);
            if (!dy.empty()) add_slope(dy.row(row), -slope);
        }
        return total;
    });
}

}  // namespace inkling::backend
