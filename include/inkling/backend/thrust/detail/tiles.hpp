#pragma once

#include <inkling/backend/thrust/detail/team.hpp>
#include <inkling/backend/view.hpp>
#include <inkling/core/host_device.hpp>
#include <inkling/core/index.hpp>

/// \file
/// Products of two blocks of rows in the memory that a team shares.

namespace inkling::backend::kernels {

/// Rows of a block.
inline constexpr Index tile_rows = 32;
/// Columns that a team holds of a block at once.
template <class Real>
inline constexpr Index tile_cols = sizeof(Real) == sizeof(float) ? 64 : 32;

/// Terms that are summed on their own before they join the sum so far, which then loses less by rounding.
inline constexpr Index tile_terms = 16;

/// Some columns of a block of rows; the last one is there for no two rows to share a memory bank.
template <class Real>
using RowsTile = Real[tile_rows][tile_cols<Real> + 1];
/// Numbers of the pairs of two blocks' rows.
template <class Real>
using PairsTile = Real[tile_rows][tile_rows + 1];

/// to = columns first_col .. of the rows, and 0 where there are none.
template <class Real>
INKLING_HOST_DEVICE void load(Team const& team, MatrixView<Real const> const& from, Index first_col,
                              RowsTile<Real>& to) {
    constexpr Index cols = tile_cols<Real>;
    team.each(tile_rows * cols, [&](Index i) {
        Index const row = i / cols, col = i % cols;
        bool const there = row < from.rows && first_col + col < from.cols;
        to[row][col] = there ? from.row(row)[first_col + col] : Real{0};
    });
}

/// pairs[i][j] = row i of x times row j of y, of at most tile_rows each and at least one column; x_part and
/// y_part are lost.
template <class Real>
INKLING_HOST_DEVICE void multiply_rows(Team const& team, MatrixView<Real const> const& x,
                                       MatrixView<Real const> const& y, RowsTile<Real>& x_part, RowsTile<Real>& y_part,
                                       PairsTile<Real>& pairs) {
    constexpr Index down = 2, across = 4, apart = tile_rows / across;  // pairs of one call
    for (Index first_col = 0; first_col < x.cols; first_col += tile_cols<Real>) {
        load(team, x, first_col, x_part);
        load(team, y, first_col, y_part);
        team.each(tile_rows / down * apart, [&](Index call) {
            Index const i = call / apart * down, j = call % apart;
            Real sums[down][across] = {};
            for (Index first = 0; first < tile_cols<Real>; first += tile_terms) {
                Real part[down][across] = {};
                for (Index c = first; c < first + tile_terms; ++c)
                    for (Index r = 0; r < down; ++r)
                        for (Index s = 0; s < across; ++s) part[r][s] += x_part[i + r][c] * y_part[j + s * apart][c];
                for (Index r = 0; r < down; ++r)
                    for (Index s = 0; s < across; ++s) sums[r][s] += part[r][s];
            }
            for (Index r = 0; r < down; ++r)
                for (Index s = 0; s < across; ++s) {
                    Real& to = pairs[i + r][j + s * apart];
                    to = first_col == 0 ? sums[r][s] : to + sums[r][s];
                }
        });
    }
}

}  // namespace inkling::backend::kernels
