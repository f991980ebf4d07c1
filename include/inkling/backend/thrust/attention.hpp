#pragma once

#include <inkling/backend/thrust/detail/map.hpp>
#include <inkling/backend/thrust/detail/team.hpp>
#include <inkling/backend/thrust/detail/tiles.hpp>

#include <cmath>
#include <limits>

/// \file
/// Attention in tiles: a team takes a block of rows past all rows that it has to do with, and what pairs of rows say of
/// each other is never held beyond a tile. Source: Dao et al. 2022, "FlashAttention", arXiv:2205.14135, algorithms 1
/// and 4; here over packed rows.

namespace inkling::backend {

namespace kernels {

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

/// One head of a block of queries.
template <class Real>
struct Attend {
    AttentionShape shape;
    MatrixView<Real const> q, k, v;
    ScoreOfPair<Real> score;
    MatrixView<Real> out;
    MatrixView<Real> saved;  ///< [Nq, 2 heads] takes of each head the greatest score and the sum of above, or empty

    struct Shared {
        RowsTile<Real> x, y;
        PairsTile<Real> pairs;
        Real top[tile_rows];    ///< the greatest score so far
        Real total[tile_rows];  ///< sum of above so far
        Real keep[tile_rows];   ///< what is left of sums when a greater score comes
    };

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& shared) const {
        BlockOfRows const block(shape.queries, shape.heads, team.index);
        if (block.rows < 1) return;
        Index const source = shape.key_sentence == nullptr ? block.sentence : shape.key_sentence[block.sentence];
        Index const first_key = shape.keys.offsets[source];
        Index const keys = shape.keys.offsets[source + 1] - first_key;
        Index const seen = shape.causal ? least(keys, block.place + block.rows) : keys;
        auto const queries = rows_of_head(q, shape.heads, block.head, block.first, block.rows);
        auto const to = rows_of_head(out, shape.heads, block.head, block.first, block.rows);
        if (seen == 0) clear_rows(team, to);
        team.each(tile_rows, [&](Index i) { shared.total[i] = Real{0}; });
        for (Index key = 0; key < seen; key += tile_rows) {
            PairOfBlocks const blocks{block.place, key, shape.causal, least(tile_rows, seen - key)};
            auto const of_keys = rows_of_head(k, shape.heads, block.head, first_key + key, blocks.keys);
            auto const of_values = rows_of_head(v, shape.heads, block.head, first_key + key, blocks.keys);
            multiply_rows(team, queries, of_keys, shared.x, shared.y, shared.pairs);
            team.each(tile_rows, [&](Index i) { take_up(blocks, block.head, i, shared); });
            add_weighted_rows(
                team, [&](Index i, Index j) { return shared.pairs[i][j]; }, of_values, shared.y, Real{1}, key == 0,
                [&](Index i) { return shared.keep[i]; }, to);
        }
        if (seen > 0)
            team.each(to.rows * to.cols,
                      [&](Index i) { to.row(i / to.cols)[i % to.cols] /= shared.total[i / to.cols]; });
        if (!saved.empty())
            team.each(block.rows, [&](Index i) {
                Real* const to_save = saved.row(block.first + i) + 2 * block.head;
                to_save[0] = seen > 0 ? shared.top[i] : Real{0};
                to_save[1] = seen > 0 ? shared.total[i] : Real{1};
            });
    }

private:
    /// pairs[i] = above(score, top) of these keys, and what row i has seen so far.
    INKLING_HOST_DEVICE void take_up(PairOfBlocks const& blocks, Index head, Index i, Shared& shared) const {
        Real* const own = shared.pairs[i];
        bool const fresh = blocks.key == 0 || shared.top[i] == -std::numeric_limits<Real>::infinity();
        bool any = !fresh;
        Real top = shared.top[i];
        for (Index j = 0; j < tile_rows; ++j) {
            if (!blocks.sees(i, j)) continue;
            own[j] = score(blocks, head, i, j, own[j]);
            if (!any || own[j] > top) top = own[j];
            any = true;
        }
        Real const keep = fresh ? Real{0} : score.above(shared.top[i], top);
        Real total{0};
        bool const nothing = top == -std::numeric_limits<Real>::infinity();  // yet: a later tile may have more
        for (Index j = 0; j < tile_rows; ++j) {
            own[j] = blocks.sees(i, j) && !nothing ? score.above(own[j], top) : Real{0};
            total += own[j];
        }
        shared.keep[i] = keep;
        shared.top[i] = top;
        shared.total[i] = fresh ? total : keep * shared.total[i] + total;
    }
};

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

}  // namespace kernels

/// Columns of what attention keeps for its backward pass: of each head the greatest score, and what its softmax divides
/// by.
template <class Real, class System>
[[nodiscard]] Index attention_saved_cols(ThrustDevice<Real, System> const&, AttentionShape const& shape) {
    return 2 * shape.heads;
}

/// out [Nq, D] = softmax(q k^T / sqrt(D / heads) + bias) v, head by head, within each sentence of the packed batch.
///
/// No more than 32 x 32 scores of a head are held at once, however long sentences are.
/// Source: Vaswani et al. 2017, "Attention Is All You Need", arXiv:1706.03762, equation 1; in tiles: Dao et al. 2022,
/// arXiv:2205.14135.
/// @param q [Nq, D], k and v [Nk, D]
/// @param saved  [Nq, attention_saved_cols] takes what the backward pass needs, or empty
/// @param bias  [heads, 2 K + 1], what the score of key j for query i is raised by, at j - i + K, distances clipped to
///              K to either side; or empty
template <class Real, class System>
void attention(ThrustDevice<Real, System>& device, AttentionShape const& shape, In<Real> q, In<Real> k, In<Real> v,
               Out<Real> out, Out<Real> saved = {}, In<Real> bias = {}) {
    Real const factor = 1 / std::sqrt(static_cast<Real>(q.cols / shape.heads));
    kernels::for_each_team(device, kernels::BlockOfRows::teams(shape.queries, shape.heads),
                           kernels::Attend<Real>{shape, q, k, v, {factor, bias}, out, saved});
}

/// Backward pass of attention: dq, dk and dv are overwritten. Each sentence of keys serves one sentence of queries.
/// @param out, saved, bias  as attention left and had them
/// @param dbias  [sentences, heads * (2 K + 1)] takes the bias's gradient sentence by sentence, or empty
/// @throws Error where key_sentence is set
template <class Real, class System>
void attention_backward(ThrustDevice<Real, System>& device, AttentionShape const& shape, In<Real> q, In<Real> k,
                        In<Real> v, In<Real> out, In<Real> saved, In<Real> dout, Out<Real> dq, Out<Real> dk,
                        Out<Real> dv, In<Real> bias = {}, Out<Real> dbias = {}) {
    detail::require_own_keys(shape);
    Index const rows = shape.queries.rows;
    MatrixView<Real> const along(device.scratch(rows * shape.heads), rows, shape.heads);
    kernels::for_each(device, rows * shape.heads, kernels::SlopeAlongOutput<Real>{shape.heads, out, dout, along});
    Real const factor = 1 / std::sqrt(static_cast<Real>(q.cols / shape.heads));
    kernels::AttentionSlopes<Real> const slopes{shape, q, k, v, dout, {factor, bias}, saved, along};
    kernels::for_each_team(device, kernels::BlockOfRows::teams(shape.queries, shape.heads),
                           kernels::AttendBackward<Real>{slopes, dq});
    kernels::for_each_team(device, kernels::BlockOfRows::teams(shape.keys, shape.heads),
                           kernels::AttendKeysBackward<Real>{slopes, dk, dv});
    if (!dbias.empty())
        kernels::for_each_team(device, shape.queries.count * shape.heads,
                               kernels::AttendBiasBackward<Real>{slopes, dbias});
}

}  // namespace inkling::backend
