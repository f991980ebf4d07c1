#pragma once

#include <inkling/backend/thrust/detail/map.hpp>

namespace inkling::backend {

namespace kernels {

template <class Real>
struct SquareBlock {
    Real const* x;
    Index size;
    double* to;
    INKLING_HOST_DEVICE void operator()(Index block) const {
        Real const* const first = x + block * block_of_terms;
        to[block] = sum_of<double>(least(block_of_terms, size - block * block_of_terms), [first](Index i) {
            double const value = static_cast<double>(first[i]);
            return value * value;
        });
    }
};

template <class Real>
struct SquaredErrorRow {
    MatrixView<Real const> x, y;
    double factor;
    double* sums;  ///< [N]
    MatrixView<Real> dx, dy;
    VectorView<Real const> weights;
    VectorView<Real> row_sums;
    INKLING_HOST_DEVICE void operator()(Index row) const {
        Real const* const a = x.row(row);
        Real const* const b = y.empty() ? nullptr : y.row(row);
        auto const difference = [=](Index i) { return b == nullptr ? a[i] : a[i] - b[i]; };
        double const own = sum_of<double>(x.cols, [=](Index i) {
            double const value = static_cast<double>(difference(i));
            return value * value;
        });
        double const weight = weights.empty() ? 1.0 : static_cast<double>(weights.data[row]);
        sums[row] = weight * own;
        if (!row_sums.empty()) row_sums.data[row] = static_cast<Real>(sums[row]);
        Real const slope = static_cast<Real>(2.0 * factor * weight);
        if (!dx.empty())
            for (Index i = 0; i < x.cols; ++i) dx.row(row)[i] += slope * difference(i);
        if (!dy.empty())
            for (Index i = 0; i < x.cols; ++i) dy.row(row)[i] -= slope * difference(i);
    }
};

template <class Real>
struct BentErrorRow {
    MatrixView<Real const> x, y;
    double bend;
    double factor;
    double* sums;  ///< [N]
    MatrixView<Real> dx, dy;
    VectorView<Real const> weights;
    VectorView<Real> row_sums;
    INKLING_HOST_DEVICE void operator()(Index row) const {
        Real const* const a = x.row(row);
        Real const* const b = y.row(row);
        double const knee = bend;
        double const weight = weights.empty() ? 1.0 : static_cast<double>(weights.data[row]);
        sums[row] = weight * sum_of<double>(x.cols, [=](Index i) {
                        double const difference = static_cast<double>(a[i] - b[i]);
                        double const size = difference < 0.0 ? -difference : difference;
                        return size < knee ? size * size / (2.0 * knee) : size - 0.5 * knee;
                    });
        if (!row_sums.empty()) row_sums.data[row] = static_cast<Real>(sums[row]);
        Real const slope = static_cast<Real>(factor * weight);
        for (Index i = 0; i < x.cols; ++i) {
            Real const difference = a[i] - b[i];
            Real const size = difference < 0 ? -difference : difference;
            Real const sign = difference > 0 ? Real{1} : difference < 0 ? Real{-1} : Real{0};
            Real const own = slope * (size < static_cast<Real>(bend) ? difference / static_cast<Real>(bend) : sign);
            if (!dx.empty()) dx.row(row)[i] += own;
            if (!dy.empty()) dy.row(row)[i] -= own;
        }
    }
};

template <class Real>
struct CosineRow {
    MatrixView<Real const> x, y;
    double factor;
    double* sums;  ///< [N]
    MatrixView<Real> dx, dy;
    VectorView<Real const> weights;
    VectorView<Real> row_sums;
    INKLING_HOST_DEVICE void operator()(Index row) const {
        Real const* const a = x.row(row);
        Real const* const b = y.row(row);
        double const aa = dot(a, a), bb = dot(b, b);
        detail::RowCosine const cosine(aa, bb, dot(a, b));
        double const weight = weights.empty() ? 1.0 : static_cast<double>(weights.data[row]);
        sums[row] = weight * cosine.cosine;
        if (!row_sums.empty()) row_sums.data[row] = static_cast<Real>(sums[row]);
        if (!dx.empty()) add_slope(cosine, weight, a, b, aa, dx.row(row));
        if (!dy.empty()) add_slope(cosine, weight, b, a, bb, dy.row(row));
    }

private:
    INKLING_HOST_DEVICE double dot(Real const* left, Real const* right) const {
        return sum_of<double>(x.cols,
                              [=](Index i) { return static_cast<double>(left[i]) * static_cast<double>(right[i]); });
    }
    INKLING_HOST_DEVICE void add_slope(detail::RowCosine const& cosine, double weight, Real const* own,
                                       Real const* other, double own_squared, Real* to) const {
        Real const towards = static_cast<Real>(cosine.towards(factor * weight));
        Real const back = static_cast<Real>(cosine.back(factor * weight, own_squared));
        for (Index i = 0; i < x.cols; ++i) to[i] = to[i] + towards * other[i] - back * own[i];
    }
};

}  // namespace kernels

/// *sum = the sum of squares of x.
template <class Real, class System>
void squared_norm(ThrustDevice<Real, System>& device, InVector<Real> x, double* sum) {
    Index const blocks = kernels::blocks_of(x.size);
    double* const terms = device.sums(blocks + kernels::sum_scratch(blocks));
    kernels::for_each(device, blocks, kernels::SquareBlock<Real>{x.data, x.size, terms});
    kernels::sum_terms(device, terms, blocks, terms + blocks, sum);
}

/// *sum = the sum of w_n (x - y)^2; with gradients dx += 2 factor w_n (x - y) and dy -= the same, where not empty.
///
/// @param x, y  [N, D]; an empty y is 0
/// @param row_weights  [N], w_n; empty: 1
/// @param row_sums     [N] takes what each row adds to the sum, or empty
template <class Real, class System>
void squared_error(ThrustDevice<Real, System>& device, In<Real> x, In<Real> y, double factor, double* sum,
                   Out<Real> dx = {}, Out<Real> dy = {}, InVector<Real> row_weights = {},
                   OutVector<Real> row_sums = {}) {
    double* const terms = device.sums(x.rows + kernels::sum_scratch(x.rows));
    kernels::for_each(device, x.rows,
                      kernels::SquaredErrorRow<Real>{x, y, factor, terms, dx, dy, row_weights, row_sums});
    kernels::sum_terms(device, terms, x.rows, terms + x.rows, sum);
}

/// *sum = the sum of w_n h(x - y), h(d) = d^2 / (2 bend) within the bend, |d| - bend / 2 beyond; with gradients dx +=
/// factor w_n h'(x - y) and dy -= the same, where not empty.
///
/// @param x, y         [N, D]
/// @param bend         0 or more
/// @param row_weights  [N], w_n; empty: 1
/// @param row_sums     [N] takes what each row adds to the sum, or empty
template <class Real, class System>
void bent_error(ThrustDevice<Real, System>& device, In<Real> x, In<Real> y, double bend, double factor, double* sum,
                Out<Real> dx = {}, Out<Real> dy = {}, InVector<Real> row_weights = {}, OutVector<Real> row_sums = {}) {
    double* const terms = device.sums(x.rows + kernels::sum_scratch(x.rows));
    kernels::for_each(device, x.rows,
                      kernels::BentErrorRow<Real>{x, y, bend, factor, terms, dx, dy, row_weights, row_sums});
    kernels::sum_terms(device, terms, x.rows, terms + x.rows, sum);
}

/// *sum = the sum of w_n cos(x_n, y_n) over rows; with gradients dx += factor w_n dcos/dx and dy likewise, where not
/// empty.
///
/// cos(x, y) = x y / max(|x| |y|, 1e-8), which is PyTorch's; a row that short has the gradient of a constant
/// denominator.
/// @param x, y         [N, D]
/// @param row_weights  [N], w_n; empty: 1
/// @param row_sums     [N] takes what each row adds to the sum, or empty
template <class Real, class System>
void cosine_similarity(ThrustDevice<Real, System>& device, In<Real> x, In<Real> y, double factor, double* sum,
                       Out<Real> dx = {}, Out<Real> dy = {}, InVector<Real> row_weights = {},
                       OutVector<Real> row_sums = {}) {
    double* const terms = device.sums(x.rows + kernels::sum_scratch(x.rows));
    kernels::for_each(device, x.rows, kernels::CosineRow<Real>{x, y, factor, terms, dx, dy, row_weights, row_sums});
    kernels::sum_terms(device, terms, x.rows, terms + x.rows, sum);
}

}  // namespace inkling::backend
