#pragma once

#include <inkling/backend/thrust/detail/map.hpp>
#include <inkling/backend/thrust/detail/team.hpp>

#include <cmath>
#include <type_traits>

namespace inkling::backend {

namespace kernels {

/// One row; so are all of these.
template <class Real>
struct LayerNorm {
    MatrixView<Real const> x;
    VectorView<Real const> gain, bias;
    Real epsilon;
    MatrixView<Real> out, statistics;

    using Shared = FoldRoom<Real>;

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& room) const {
        Real const* const from = x.row(team.index);
        Real* const to = out.row(team.index);
        Real const count = static_cast<Real>(x.cols);
        Real const mean = sum_of(team, room, x.cols, [=](Index i) { return from[i]; }) / count;
        Real const variance =
            sum_of(team, room, x.cols, [=](Index i) { return (from[i] - mean) * (from[i] - mean); }) / count;
        Real const inverse = 1 / std::sqrt(variance + epsilon);
        team.each(x.cols, [&](Index i) {
            Real const normalized = (from[i] - mean) * inverse;
            to[i] = gain.empty() ? normalized : normalized * gain.data[i] + bias.data[i];
            if (i > 0 || statistics.empty()) return;
            statistics.row(team.index)[0] = mean;
            statistics.row(team.index)[1] = inverse;
        });
    }
};

template <class Real>
struct LayerNormBackward {
    MatrixView<Real const> dout, x, statistics;
    VectorView<Real const> gain;
    MatrixView<Real> dx;

    using Shared = FoldRoom<Real>;

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& room) const {
        Real const* const from = x.row(team.index);
        Real const* const slope = dout.row(team.index);
        Real const* const factor = gain.data;
        Real* const to = dx.row(team.index);
        Real const count = static_cast<Real>(x.cols);
        Real const centre = statistics.row(team.index)[0];
        Real const inverse = statistics.row(team.index)[1];
        auto const weighted = [=](Index i) { return factor == nullptr ? slope[i] : slope[i] * factor[i]; };
        auto const normalized = [=](Index i) { return (from[i] - centre) * inverse; };
        Real const mean = sum_of(team, room, x.cols, weighted) / count;
        Real const along = sum_of(team, room, x.cols, [=](Index i) { return weighted(i) * normalized(i); }) / count;
        team.each(x.cols, [&](Index i) { to[i] = inverse * (weighted(i) - mean - normalized(i) * along); });
    }
};

/// The length of a row of x, at least 1e-12.
template <class Real>
[[nodiscard]] INKLING_HOST_DEVICE Real row_length(Team const& team, FoldRoom<Real>& room, Index cols, Real const* x) {
    Real const length = std::sqrt(sum_of(team, room, cols, [=](Index i) { return x[i] * x[i]; }));
    return length > static_cast<Real>(1e-12) ? length : static_cast<Real>(1e-12);
}

template <class Real>
struct NormalizeRow {
    MatrixView<Real const> x;
    Real length;
    MatrixView<Real> out;

    using Shared = FoldRoom<Real>;

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& room) const {
        Real const* const from = x.row(team.index);
        Real* const to = out.row(team.index);
        Real const factor = length / row_length(team, room, x.cols, from);
        team.each(x.cols, [&](Index i) { to[i] = factor * from[i]; });
    }
};

template <class Real>
struct NormalizeRowBackward {
    MatrixView<Real const> dout, x;
    Real length;
    MatrixView<Real> dx;
    bool accumulate;

    using Shared = FoldRoom<Real>;

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& room) const {
        Real const* const from = x.row(team.index);
        Real const* const slope = dout.row(team.index);
        Real* const to = dx.row(team.index);
        Real const own = row_length(team, room, x.cols, from);
        Real const factor = length / own;
        Real const along = sum_of(team, room, x.cols, [=](Index i) { return slope[i] * (from[i] / own); }) / own;
        team.each(x.cols, [&](Index i) {
            Real const value = factor * (slope[i] - along * from[i]);
            to[i] = accumulate ? to[i] + value : value;
        });
    }
};

/// What sum_rows adds up.
template <class Real>
struct Elements {
    MatrixView<Real const> x;
    INKLING_HOST_DEVICE Real operator()(Index row, Index col) const { return x.row(row)[col]; }
};

/// What the gradient of a layer norm's gain adds up.
template <class Real>
struct GainSlopes {
    MatrixView<Real const> dout, x, statistics;
    INKLING_HOST_DEVICE Real operator()(Index row, Index col) const {
        return dout.row(row)[col] * ((x.row(row)[col] - statistics.row(row)[0]) * statistics.row(row)[1]);
    }
};

/// Rows of one partial sum of a column: fixed, so that sums do not depend on the threads.
inline constexpr Index block_of_rows = 64;

/// partial [blocks, D] = the sums of the values of a block of rows.
template <class Real, class Values>
struct SumBlockOfRows {
    Values values;
    Index rows;
    MatrixView<Real> partial;
    INKLING_HOST_DEVICE void operator()(Index block, Index begin, Index end) const {
        Real* const to = partial.row(block);
        Index const last = least(rows, (block + 1) * block_of_rows);
        for (Index col = begin; col < end; ++col) to[col] = Real{0};
        for (Index row = block * block_of_rows; row < last; ++row)
            for (Index col = begin; col < end; ++col) to[col] += values(row, col);
    }
};

/// out [D] += the sum of the rows of `partial`.
template <class Real>
struct AddRows {
    MatrixView<Real const> partial;
    Real* out;
    INKLING_HOST_DEVICE void operator()(Index, Index begin, Index end) const {
        for (Index row = 0; row < partial.rows; ++row)
            for (Index col = begin; col < end; ++col) out[col] += partial.row(row)[col];
    }
};

/// out [D] += the sum of values(row, col) over rows.
template <class Real, class System, class Values>
void add_column_sums(ThrustDevice<Real, System>& device, Values const& values, Index rows, Index cols, Real* out) {
    Index const blocks = (rows + block_of_rows - 1) / block_of_rows;
    MatrixView<Real> const partial(device.scratch(blocks * cols), blocks, cols);
    for_each_piece(device, blocks, cols, SumBlockOfRows<Real, Values>{values, rows, partial});
    for_each_piece(device, 1, cols, AddRows<Real>{partial, out}, 64);
}

}  // namespace kernels

/// out = gain * (x - mean) / sqrt(variance + epsilon) + bias, row by row over D columns.
///
/// Source: Ba et al. 2016, "Layer Normalization", arXiv:1607.06450.
/// @param gain, bias   [D], or both empty for 1 and 0
/// @param statistics   [N, 2] takes each row's mean and 1 / sqrt(variance + epsilon) for the backward pass, or empty
/// @throws Error when gain comes without bias, or bias without gain
template <class Real, class System>
void layer_norm(ThrustDevice<Real, System>& device, In<Real> x, InVector<Real> gain, InVector<Real> bias,
                double epsilon, Out<Real> out, Out<Real> statistics = {}) {
    detail::require_both_or_neither("layer_norm", "gain", gain, "bias", bias);
    kernels::for_each_team(device, x.rows,
                           kernels::LayerNorm<Real>{x, gain, bias, static_cast<Real>(epsilon), out, statistics});
}

/// Backward pass of layer_norm: dx is overwritten (it may be dout), dgain and dbias are added to, or both empty.
/// @throws Error when dgain comes without dbias, or dbias without dgain
template <class Real, class System>
void layer_norm_backward(ThrustDevice<Real, System>& device, In<Real> dout, In<Real> x, In<Real> statistics,
                         InVector<Real> gain, Out<Real> dx, OutVector<Real> dgain = {}, OutVector<Real> dbias = {}) {
    detail::require_both_or_neither("layer_norm_backward", "dgain", dgain, "dbias", dbias);
    if (!dgain.empty()) {  // before dx, which may be dout
        kernels::add_column_sums(device, kernels::GainSlopes<Real>{dout, x, statistics}, x.rows, x.cols, dgain.data);
        kernels::add_column_sums(device, kernels::Elements<Real>{dout}, x.rows, x.cols, dbias.data);
    }
    kernels::for_each_team(device, x.rows, kernels::LayerNormBackward<Real>{dout, x, statistics, gain, dx});
}

/// out = length * x / |x|, row by row over D columns; out may be x. A row shorter than 1e-12 is divided by that.
template <class Real, class System>
void normalize_rows(ThrustDevice<Real, System>& device, In<Real> x, std::type_identity_t<Real> length, Out<Real> out) {
    kernels::for_each_team(device, x.rows, kernels::NormalizeRow<Real>{x, length, out});
}

/// Backward pass of normalize_rows: dx = length / |x| (dout - x (x dout) / |x|^2) is overwritten, or added to with
/// `accumulate`; it may be dout where it is not.
template <class Real, class System>
void normalize_rows_backward(ThrustDevice<Real, System>& device, In<Real> dout, In<Real> x,
                             std::type_identity_t<Real> length, Out<Real> dx, bool accumulate = false) {
    kernels::for_each_team(device, x.rows, kernels::NormalizeRowBackward<Real>{dout, x, length, dx, accumulate});
}

/// out [D] += the sum of the rows of x [N, D]; the gradient of a bias.
template <class Real, class System>
void sum_rows(ThrustDevice<Real, System>& device, In<Real> x, OutVector<Real> out) {
    kernels::add_column_sums(device, kernels::Elements<Real>{x}, x.rows, x.cols, out.data);
}

}  // namespace inkling::backend
