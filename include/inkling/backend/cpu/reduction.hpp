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
        return detail::array(x.data + begin, end - begin).template cast<double>().square().sum();
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
            auto const difference = detail::array(x.row(row), x.cols) - detail::array(y.row(row), x.cols);
            total += difference.template cast<double>().square().sum();
            if (!dx.empty()) detail::array(dx.row(row), x.cols) += slope * difference;
            if (!dy.empty()) detail::array(dy.row(row), x.cols) -= slope * difference;
        }
        return total;
    });
}

}  // namespace inkling::backend
