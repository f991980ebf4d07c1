#pragma once

#include <inkling/backend/thrust/detail/attention_blocks.hpp>
#include <inkling/backend/thrust/detail/team.hpp>
#include <inkling/backend/thrust/detail/tiles.hpp>

namespace inkling::backend::kernels {

/// to[row, head] = what a row's output says of its slope: dout times out, of one head.
template <class Real>
struct SlopeAlongOutput {
    Index heads;
    MatrixView<Real const> out, dout;
    MatrixView<Real> to;
    INKLING_HOST_DEVICE void operator()(Index task) const {
        Index const row = task / heads, head = task % heads, width = out.cols / heads;
        Real const* const x = out.row(row) + head * width;
        Real const* const y = dout.row(row) + head * width;
        to.row(row)[head] = sum_of<Real>(width, [=](Index i) { return x[i] * y[i]; });
    }
};

/// What all of the backward pass reads, and how it tells a tile's probabilities and slopes again.
template <class Real>
struct AttentionSlopes {
    AttentionShape shape;
    MatrixView<Real const> q, k, v, dout;
    ScoreOfPair<Real> score;
    MatrixView<Real const> saved;  ///< [Nq, 2 heads], of Attend
    MatrixView<Real const> along;  ///< [Nq, heads], of SlopeAlongOutput

    struct Shared {
        RowsTile<Real> x, y;
        PairsTile<Real> probabilities, slopes;  ///< of the scores
    };

    /// Fills in what the queries from row first_query on and the keys from row first_key on say of each other.
    INKLING_HOST_DEVICE void operator()(Team const& team, PairOfBlocks const& blocks, Index head, Index first_query,
                                        Index queries, Index first_key, Shared& shared) const {
        auto const part = [&](MatrixView<Real const> const& of, Index first, Index count) {
            return rows_of_head(of, shape.heads, head, first, count);
        };
        multiply_rows(team, part(q, first_query, queries), part(k, first_key, blocks.keys), shared.x, shared.y,
                      shared.probabilities);
        multiply_rows(team, part(dout, first_query, queries), part(v, first_key, blocks.keys), shared.x, shared.y,
                      shared.slopes);
        team.each(tile_rows * tile_rows, [&](Index pair) {
            Index const i = pair / tile_rows, j = pair % tile_rows;
            Real& probability = shared.probabilities[i][j];
            Real& slope = shared.slopes[i][j];
            if (i < queries && blocks.sees(i, j)) {
                Index const row = first_query + i;
                Real const* const kept = saved.row(row) + 2 * head;
                probability = score.above(score(blocks, head, i, j, probability), kept[0]) / kept[1];
                slope = probability * (slope - along.row(row)[head]);
            } else {
                probability = slope = Real{0};
            }
        });
    }
};

/// The slopes of one head of a block of queries.
template <class Real>
struct AttendBackward {
    AttentionSlopes<Real> slopes;
    MatrixView<Real> dq;

    using Shared = typename AttentionSlopes<Real>::Shared;

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& shared) const {
        AttentionShape const& shape = slopes.shape;
        BlockOfRows const block(shape.queries, shape.heads, team.index);
        if (block.rows < 1) return;
        Index const first_key = shape.keys.offsets[block.sentence];
        Index const keys = shape.keys.offsets[block.sentence + 1] - first_key;
        Index const seen = shape.causal ? least(keys, block.place + block.rows) : keys;
        auto const to = rows_of_head(dq, shape.heads, block.head, block.first, block.rows);
        if (seen == 0) clear_rows(team, to);
        for (Index key = 0; key < seen; key += tile_rows) {
            PairOfBlocks const blocks{block.place, key, shape.causal, least(tile_rows, seen - key)};
            slopes(team, blocks, block.head, block.first, block.rows, first_key + key, shared);
            add_weighted_rows(
                team, [&](Index i, Index j) { return shared.slopes[i][j]; },
                rows_of_head(slopes.k, shape.heads, block.head, first_key + key, blocks.keys), shared.y,
                slopes.score.factor, key == 0, KeepAll<Real>{}, to);
        }
    }
};

/// The slopes of one head of a block of keys and values.
template <class Real>
struct AttendKeysBackward {
    AttentionSlopes<Real> slopes;
    MatrixView<Real> dk, dv;

    using Shared = typename AttentionSlopes<Real>::Shared;

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& shared) const {
        AttentionShape const& shape = slopes.shape;
        BlockOfRows const block(shape.keys, shape.heads, team.index);
        if (block.rows < 1) return;
        Index const first_query = shape.queries.offsets[block.sentence];
        Index const queries = shape.queries.offsets[block.sentence + 1] - first_query;
        Index const blind = shape.causal ? block.place : 0;  // queries that see nothing of the block; whole blocks
        auto const to_keys = rows_of_head(dk, shape.heads, block.head, block.first, block.rows);
        auto const to_values = rows_of_head(dv, shape.heads, block.head, block.first, block.rows);
        if (blind >= queries) {
            clear_rows(team, to_keys);
            clear_rows(team, to_values);
        }
        for (Index query = blind; query < queries; query += tile_rows) {
            PairOfBlocks const blocks{query, block.place, shape.causal, block.rows};
            Index const rows = least(tile_rows, queries - query);
            slopes(team, blocks, block.head, first_query + query, rows, block.first, shared);
            add_weighted_rows(
                team, [&](Index j, Index i) { return shared.probabilities[i][j]; },
                rows_of_head(slopes.dout, shape.heads, block.head, first_query + query, rows), shared.x, Real{1},
                query == blind, KeepAll<Real>{}, to_values);
            add_weighted_rows(
                team, [&](Index j, Index i) { return shared.slopes[i][j]; },
                rows_of_head(slopes.q, shape.heads, block.head, first_query + query, rows), shared.x,
                slopes.score.factor, query == blind, KeepAll<Real>{}, to_keys);
        }
    }
};

/// The slopes of one head's bias by distance that one sentence has.
template <class Real>
struct AttendBiasBackward {
    AttentionSlopes<Real> slopes;
    MatrixView<Real> dbias;  ///< [sentences, heads * (2 K + 1)]

    struct Shared {
        typename AttentionSlopes<Real>::Shared tile;
        Real diagonals[2 * tile_rows];
    };

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& shared) const {
        AttentionShape const& shape = slopes.shape;
        Index const sentence = team.index / shape.heads, head = team.index % shape.heads;
        Index const distances = dbias.cols / shape.heads;
        Real* const to = dbias.row(sentence) + head * distances;
        Index const first_query = shape.queries.offsets[sentence], first_key = shape.keys.offsets[sentence];
        Index const queries = shape.queries.offsets[sentence + 1] - first_query;
        Index const keys = shape.keys.offsets[sentence + 1] - first_key;
        team.each(distances, [&](Index i) { to[i] = Real{0}; });
        for (Index query = 0; query < queries; query += tile_rows) {
            Index const rows = least(tile_rows, queries - query);
            Index const seen = shape.causal ? least(keys, query + rows) : keys;
            for (Index key = 0; key < seen; key += tile_rows) {
                PairOfBlocks const blocks{query, key, shape.causal, least(tile_rows, seen - key)};
                slopes(team, blocks, head, first_query + query, rows, first_key + key, shared.tile);
                team.each(2 * tile_rows - 1, [&](Index diagonal) {
                    Index const behind = diagonal - (tile_rows - 1);  // key less query, within the tile
                    Index const begin = behind < 0 ? -behind : 0;
                    Index const end = least(tile_rows, tile_rows - behind);
                    Real sum{0};
                    for (Index i = begin; i < end; ++i) sum += shared.tile.slopes[i][i + behind];
                    shared.diagonals[diagonal] = sum;
                });
                team.each(1, [&](Index) {  // far diagonals share the outermost number
                    for (Index diagonal = 0; diagonal < 2 * tile_rows - 1; ++diagonal)
                        to[detail::clipped_distance(key - query + diagonal - (tile_rows - 1), distances)] +=
                            shared.diagonals[diagonal];
                });
            }
        }
    }
};

}  // namespace inkling::backend::kernels
