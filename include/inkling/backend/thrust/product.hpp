#pragma once

#include <inkling/backend/thrust/detail/map.hpp>
#include <inkling/backend/thrust/elementwise.hpp>

namespace inkling::backend {

namespace kernels {

/// What is done to an element of a product once it is summed.
template <class Real>
struct Epilogue {
    Real const* bias;  ///< [N], or null
    bool activates = false;
    Activation activation{};
    INKLING_HOST_DEVICE Real operator()(Index col, Real sum) const {
        if (bias != nullptr) sum += bias[col];
        return activates ? activated(activation, sum) : sum;
    }
};

/// One square of a product's result. Each element is the sum of sums of `side` terms, in the order of the terms.
template <class Real>
struct ProductTile {
    static constexpr Index side = 16;

    /// Element (i, k) of a factor lies at data[i * row + k * col].
    struct Factor {
        Real const* data;
        Index row;
        Index col;
    };
    Factor left, right;
    Index depth;
    MatrixView<Real> result;
    Epilogue<Real> epilogue;
    bool accumulate;
    Index across;  ///< tiles side by side

    [[nodiscard]] static Factor factor(MatrixView<Real const> matrix, Orientation orientation) {
        return orientation == Orientation::plain ? Factor{matrix.data, matrix.stride, 1}
                                                 : Factor{matrix.data, 1, matrix.stride};
    }
    INKLING_HOST_DEVICE void operator()(Index tile) const {
        Index const first_row = tile / across * side;
        Index const first_col = tile % across * side;
        Index const rows = least(side, result.rows - first_row);
        Index const cols = least(side, result.cols - first_col);
        Real totals[side][side] = {};
        for (Index first = 0; first < depth; first += side) {
            Index const terms = least(side, depth - first);
            Real panel[side][side] = {};
            for (Index k = 0; k < terms; ++k)
                for (Index j = 0; j < cols; ++j)
                    panel[k][j] = right.data[(first + k) * right.row + (first_col + j) * right.col];
            for (Index i = 0; i < rows; ++i) {
                Real const* const from = left.data + (first_row + i) * left.row + first * left.col;
                Real sums[side] = {};
                for (Index k = 0; k < terms; ++k) {
                    Real const value = from[k * left.col];
                    for (Index j = 0; j < side; ++j) sums[j] += value * panel[k][j];
                }
                for (Index j = 0; j < side; ++j) totals[i][j] += sums[j];
            }
        }
        for (Index i = 0; i < rows; ++i)
            for (Index j = 0; j < cols; ++j) {
                Real* const to = result.row(first_row + i) + first_col + j;
                *to = epilogue(first_col + j, accumulate ? *to + totals[i][j] : totals[i][j]);
            }
    }
};

/// result [M, N] (+)= left [M, K] right [K, N], and its epilogue, tile by tile.
template <class Real, class System>
void tiled_product(ThrustDevice<Real, System>& device, In<Real> left, Orientation left_orientation, In<Real> right,
                   Orientation right_orientation, Out<Real> result, bool accumulate, Epilogue<Real> const& epilogue) {
    using Tile = ProductTile<Real>;
    Index const depth = left_orientation == Orientation::plain ? left.cols : left.rows;
    Index const across = (result.cols + Tile::side - 1) / Tile::side;
    Index const down = (result.rows + Tile::side - 1) / Tile::side;
    for_each(device, down * across,
             Tile{Tile::factor(left, left_orientation), Tile::factor(right, right_orientation), depth, result, epilogue,
                  accumulate, across});
}

}  // namespace kernels

/// result [M, N] (+)= left [M, K] right [K, N] + bias [N]; each factor may be stored transposed.
///
/// Every element is summed in an order that depends on K alone, so that a row's result does not depend on the other
/// rows of the batch.
/// @param accumulate  add to what `result` holds, in place of overwriting it
/// @param bias        [N], or empty
template <class Real, class System>
void product(ThrustDevice<Real, System>& device, In<Real> left, Orientation left_orientation, In<Real> right,
             Orientation right_orientation, Out<Real> result, bool accumulate = false, InVector<Real> bias = {}) {
    kernels::tiled_product(device, left, left_orientation, right, right_orientation, result, accumulate, {bias.data});
}

/// A system that multiplies by a library of its own, for which there are other product verbs.
template <class System>
concept HasMultiplier = requires(System& system) { system.multiplier(); };  // has 'multiplier()'

/// result = activation(left right + bias), in one kernel.
template <OwnThrustDevice Device, class Real = typename Device::Scalar>
    requires(!HasMultiplier<typename Device::System>)
void activated_product(Device& device, Activation activation, In<Real> left, Orientation left_orientation,
                       In<Real> right, Orientation right_orientation, Out<Real> result, InVector<Real> bias = {}) {
    kernels::tiled_product<Real>(device, left, left_orientation, right, right_orientation, result, false,
                                 {bias.data, true, activation});
}

}  // namespace inkling::backend
