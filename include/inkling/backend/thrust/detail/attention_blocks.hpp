#pragma once

#include <inkling/backend/thrust/detail/map.hpp>
#include <inkling/backend/thrust/detail/team.hpp>
#include <inkling/backend/thrust/detail/tiles.hpp>

#include <cmath>

/// \file
/// Attention in tiles: a team takes a block of rows past all rows that it has to do with, and what pairs of rows say of
/// each other is never held beyond a tile. Source: Dao et al. 2022, "FlashAttention", arXiv:2205.14135, algorithms 1
/// and 4; here over packed rows.

namespace inkling::backend::kernels {

/// The block of rows that a team has: which of which sentence, of which head.
struct BlockOfRows {
    INKLING_HOST_DEVICE BlockOfRows(Segments const& segments, Index heads, Index team)
        : head(team % heads),
          sentence(team / heads % segments.count),
          place(team / heads / segments.count * tile_rows),
          first(segments.offsets[sentence] + place),
          rows(least(tile_rows, segments.offsets[sentence + 1] - first)) {}
    /// Teams that have one each; of short sentences some have none.
    [[nodiscard]] static Index teams(Segments const& segments, Index heads) {
        return (segments.longest + tile_rows - 1) / tile_rows * segments.count * heads;
    }
    Index head;
    Index sentence;
    Index place;  ///< of its first row in its sentence
    Index first;  ///< row
    Index rows;   ///< below 1 where the sentence is at its end
};

/// Rows first .. first + count - 1 of a matrix, of one head.
template <class Real>
[[nodiscard]] INKLING_HOST_DEVICE MatrixView<Real> rows_of_head(MatrixView<Real> const& matrix, Index heads, Index head,
                                                                Index first, Index count) {
    Index const width = matrix.cols / heads;
    return matrix.columns(head * width, width).row_range(first, count);
}

/// Row i of out = keep(i) times itself + factor * the sum over j of weight(i, j) times row j of x; where it is `fresh`
/// it is not read. x_part is lost.
template <class Real, class Weight, class Keep>
INKLING_HOST_DEVICE void add_weighted_rows(Team const& team, Weight const& weight, MatrixView<Real const> const& x,
                                           RowsTile<Real>& x_part, Real factor, bool fresh, Keep const& keep,
                                           MatrixView<Real> const& out) {
    constexpr Index down = 4, apart = 16, across = tile_cols<Real> / apart;  // elements of one call
    for (Index first_col = 0; first_col < out.cols; first_col += tile_cols<Real>) {
        load(team, x, first_col, x_part);
        team.each(tile_rows / down * apart, [&](Index call) {
            Index const i = call / apart * down, c = call % apart;
            Real sums[down][across] = {};
            for (Index first = 0; first < tile_rows; first += tile_terms) {
                Real part[down][across] = {};
                for (Index j = first; j < first + tile_terms; ++j)
                    for (Index r = 0; r < down; ++r)
                        for (Index s = 0; s < across; ++s) part[r][s] += weight(i + r, j) * x_part[j][c + s * apart];
                for (Index r = 0; r < down; ++r)
                    for (Index s = 0; s < across; ++s) sums[r][s] += part[r][s];
            }
            for (Index r = 0; r < down && i + r < out.rows; ++r)
                for (Index s = 0; s < across; ++s) {
                    Index const col = first_col + c + s * apart;
                    if (col >= out.cols) continue;
                    Real& to = out.row(i + r)[col];
                    to = fresh ? factor * sums[r][s] : keep(i + r) * to + factor * sums[r][s];
                }
        });
    }
}

/// keep of add_weighted_rows for plain sums.
template <class Real>
struct KeepAll {
    INKLING_HOST_DEVICE Real operator()(Index) const { return Real{1}; }
};

template <class Real>
INKLING_HOST_DEVICE void clear_rows(Team const& team, MatrixView<Real> const& out) {
    team.each(out.rows * out.cols, [&](Index i) { out.row(i / out.cols)[i % out.cols] = Real{0}; });
}

/// A block of queries beside a block of keys.
struct PairOfBlocks {
    Index query;  ///< place of the first query in its sentence
    Index key;    ///< place of the first key in its own
    bool causal;
    Index keys;  ///< in the block
    [[nodiscard]] INKLING_HOST_DEVICE bool sees(Index i, Index j) const {
        return j < keys && (!causal || key + j <= query + i);
    }
};

/// What the score of a pair is, but for a factor that is left to the end: a product of rows, and a bias by distance
/// where there is one.
template <class Real>
struct ScoreOfPair {
    Real factor;
    MatrixView<Real const> bias;  ///< [heads, 2 K + 1], or empty
    [[nodiscard]] INKLING_HOST_DEVICE Real operator()(PairOfBlocks const& blocks, Index head, Index i, Index j,
                                                      Real product) const {
        if (bias.empty()) return product;
        return product
            + bias.row(head)[detail::clipped_distance(blocks.key + j - blocks.query - i, bias.cols)] / factor;
    }
    /// exp of what a score is above the greatest of its row: of near ones the difference is exact.
    [[nodiscard]] INKLING_HOST_DEVICE Real above(Real score, Real top) const {
        return std::exp((score - top) * factor);
    }
};

}  // namespace inkling::backend::kernels
