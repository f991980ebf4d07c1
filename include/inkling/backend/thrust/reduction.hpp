#pragma once

#include <inkling/backend/thrust/detail/map.hpp>
#include <inkling/backend/thrust/detail/team.hpp>

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

/// What a row adds to a sum, with its weight; and where the sum of it goes.
template <class Real>
struct RowSums {
    double* sums;  ///< [N]
    VectorView<Real const> weights;
    VectorView<Real> row_sums;

    /// The same of rows first, first + 1 ..
    [[nodiscard]] RowSums from(Index first) const {
        auto const behind = [first](auto all) {
            return all.empty() ? all : decltype(all){all.data + first, all.size - first};
        };
        return {sums + first, behind(weights), behind(row_sums)};
    }
    [[nodiscard]] INKLING_HOST_DEVICE double weight(Index row) const {
        return weights.empty() ? 1.0 : static_cast<double>(weights.data[row]);
    }
    INKLING_HOST_DEVICE void put(Team const& team, double own) const {
        team.each(1, [&](Index) {
            Index const row = team.index;
            sums[row] = weight(row) * own;
            if (!row_sums.empty()) row_sums.data[row] = static_cast<Real>(sums[row]);
        });
    }
};

template <class Real>
struct SquaredErrorRow {
    MatrixView<Real const> x, y;
    double factor;
    RowSums<Real> to;
    MatrixView<Real> dx, dy;

    using Shared = FoldRoom<double>;

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& room) const {
        Index const row = team.index;
        Real const* const a = x.row(row);
        Real const* const b = y.empty() ? nullptr : y.row(row);
        auto const difference = [=](Index i) { return b == nullptr ? a[i] : a[i] - b[i]; };
        to.put(team, sum_of(team, room, x.cols, [=](Index i) {
                   double const value = static_cast<double>(difference(i));
                   return value * value;
               }));
        Real const slope = static_cast<Real>(2.0 * factor * to.weight(row));
        if (dx.empty() && dy.empty()) return;
        team.each(x.cols, [&](Index i) {
            Real const own = slope * difference(i);
            if (!dx.empty()) dx.row(row)[i] += own;
            if (!dy.empty()) dy.row(row)[i] -= own;
        });
    }
};

template <class Real>
struct BentErrorRow {
    MatrixView<Real const> x, y;
    double bend;
    double factor;
    RowSums<Real> to;
    MatrixView<Real> dx, dy;

    using Shared = FoldRoom<double>;

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& room) const {
        Index const row = team.index;
        Real const* const a = x.row(row);
        Real const* const b = y.row(row);
        double const knee = bend;
        to.put(team, sum_of(team, room, x.cols, [=](Index i) {
                   double const difference = static_cast<double>(a[i] - b[i]);
                   double const size = difference < 0.0 ? -difference : difference;
                   return size < knee ? size * size / (2.0 * knee) : size - 0.5 * knee;
               }));
        Real const slope = static_cast<Real>(factor * to.weight(row));
        if (dx.empty() && dy.empty()) return;
        team.each(x.cols, [&](Index i) {
            Real const difference = a[i] - b[i];
            Real const size = difference < 0 ? -difference : difference;
            Real const sign = difference > 0 ? Real{1} : difference < 0 ? Real{-1} : Real{0};
            Real const own = slope * (size < static_cast<Real>(bend) ? difference / static_cast<Real>(bend) : sign);
            if (!dx.empty()) dx.row(row)[i] += own;
            if (!dy.empty()) dy.row(row)[i] -= own;
        });
    }
};

template <class Real>
struct CosineRow {
    MatrixView<Real const> x, y;
    double factor;
    RowSums<Real> to;
    MatrixView<Real> dx, dy;

    using Shared = FoldRoom<double>;

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& room) const {
        Index const row = team.index;
        Real const* const a = x.row(row);
        Real const* const b = y.row(row);
        auto const product = [&](Real const* left, Real const* right) {
            return sum_of(team, room, x.cols,
                          [=](Index i) { return static_cast<double>(left[i]) * static_cast<double>(right[i]); });
        };
        double const aa = product(a, a), bb = product(b, b);
        detail::RowCosine const cosine(aa, bb, product(a, b));
        to.put(team, cosine.cosine);
        double const weight = to.weight(row);
        if (!dx.empty()) add_slope(team, cosine, weight, a, b, aa, dx.row(row));
        if (!dy.empty()) add_slope(team, cosine, weight, b, a, bb, dy.row(row));
    }

private:
    INKLING_HOST_DEVICE void add_slope(Team const& team, detail::RowCosine const& cosine, double weight,
                                       Real const* own, Real const* other, double own_squared, Real* slopes) const {
        Real const towards = static_cast<Real>(cosine.towards(factor * weight));
        Real const back = static_cast<Real>(cosine.back(factor * weight, own_squared));
        team.each(x.cols, [&](Index i) { slopes[i] = slopes[i] + towards * other[i] - back * own[i]; });
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
    kernels::for_each_team(device, x.rows,
                           kernels::SquaredErrorRow<Real>{x, y, factor, {terms, row_weights, row_sums}, dx, dy});
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
    kernels::for_each_team(device, x.rows,
                           kernels::BentErrorRow<Real>{x, y, bend, factor, {terms, row_weights, row_sums}, dx, dy});
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
    kernels::for_each_team(device, x.rows,
                           kernels::CosineRow<Real>{x, y, factor, {terms, row_weights, row_sums}, dx, dy});
    kernels::sum_terms(device, terms, x.rows, terms + x.rows, sum);
}

}  // namespace inkling::backend
