#pragma once

#include <inkling/backend/thrust/detail/attention_backward.hpp>
#include <inkling/backend/thrust/detail/attention_blocks.hpp>
#include <inkling/backend/thrust/detail/map.hpp>
#include <inkling/backend/thrust/detail/team.hpp>
#include <inkling/backend/thrust/detail/tiles.hpp>

#include <cmath>
#include <limits>

namespace inkling::backend {

namespace kernels {

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
