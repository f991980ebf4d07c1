#pragma once

#include <inkling/backend/cpu/detail/map.hpp>
#include <inkling/backend/cpu/product.hpp>
#include <inkling/backend/detail/formulas.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace inkling::backend {

namespace detail {

/// Rows of queries handled at once, so that a thread's scores stay in cache.
inline constexpr Index query_block = 64;

/// How many distances to either side have a number of their own in one head's row of a relative bias: K of 2 K + 1.
[[nodiscard]] inline Index reach_of(Index cols) { return (cols - 1) / 2; }

/// Calls use(bias index, first key, last key + 1) for the stretches of keys that share a number or, in the middle, have
/// one each: stretches (one of them per key in the middle) are in the order of keys.
template <class Use>
void each_distance(Index query, Index keys, Index reach, Use const& use) {
    Index const before = std::clamp<Index>(query - reach, 0, keys);
    Index const behind = std::clamp<Index>(query + reach + 1, before, keys);
    if (before > 0) use(Index{0}, Index{0}, before);
    for (Index key = before; key < behind; ++key) use(key - query + reach, key, key + 1);
    if (behind < keys) use(2 * reach, behind, keys);
}

/// row = softmax(factor * row), of `count` elements, 1 or more; the row goes on to a whole number of lanes, and is 0
/// there.
template <class Real>
void softmax_of_lanes(Index count, Real factor, Real* row) {
    constexpr Index lanes = lane_count<Real>;
    Index const whole = count / lanes * lanes, rest = count - whole;
    auto const at = [&](Index i) { return LanesAt<Real>(row + i); };
    Lanes<Real> const is_there = static_cast<Real>(rest) - LanesAt<Real const>(lane_numbers<Real>.data());
    Lanes<Real> last = Lanes<Real>::Constant(std::numeric_limits<Real>::lowest());
    if (rest > 0) last = where_positive<Lanes<Real>>(is_there, at(whole), last);
    Lanes<Real> tops = last;
    for (Index i = 0; i < whole; i += lanes) tops = tops.max(at(i));
    Real const top = tops.maxCoeff();
    Lanes<Real> sums = Lanes<Real>::Zero();
    for (Index i = 0; i < whole; i += lanes) {
        Lanes<Real> const exponentials = ((at(i) - top) * factor).exp();
        sums += exponentials;
        at(i) = exponentials;
    }
    if (rest > 0) {
        last = where_positive<Lanes<Real>>(is_there, ((last - top) * factor).exp(), Lanes<Real>::Zero());
        sums += last;
    }
    Real const share = 1 / sums.sum();
    for (Index i = 0; i < whole; i += lanes) at(i) *= share;
    if (rest > 0) at(whole) = last * share;
}

/// Columns of scores of so many keys: those behind the last fill its lanes, and are 0.
template <class Real>
[[nodiscard]] Index score_cols(Index keys) {
    return (keys + lane_count<Real> - 1) / lane_count<Real> * lane_count<Real>;
}

/// scores = softmax(factor * queries keys^T + bias), one row a query; 0 where a causal query does not look.
/// @param bias    [2 reach + 1], of each distance from -reach to reach, which farther keys share; or null
/// @param scores  [rows, score_cols(key_rows)]
template <class Real>
void attention_scores(Strided<Real> queries, Strided<Real> keys, Index first_query, Index rows, Index key_rows,
                      Index width, bool causal, Real const* bias, Index reach, Real* scores, Index stride,
                      Real* scratch) {
    multiply_serial(queries, Strided<Real>{keys.data, 1, keys.row}, rows, key_rows, width, false, scores, stride,
                    scratch, score_cols<Real>(key_rows));
    Real const factor = 1 / std::sqrt(static_cast<Real>(width));
    for (Index i = 0; i < rows; ++i) {
        Index const seen = causal ? std::min(key_rows, first_query + i + 1) : key_rows;
        Real* const row = scores + i * stride;
        if (seen < key_rows) std::fill(row + seen, row + score_cols<Real>(key_rows), Real{0});
        if (seen == 0) continue;
        if (bias)
            each_distance(first_query + i, seen, reach, [&](Index distance, Index begin, Index end) {
                Real const raised = bias[distance] / factor;
                for (Index key = begin; key < end; ++key) row[key] += raised;
            });
        softmax_of_lanes(seen, factor, row);
    }
}

/// Keys that any of a sentence's queries before number `end` looks at.
[[nodiscard]] inline Index keys_seen(AttentionShape const& shape, Index key_rows, Index end) {
    return shape.causal ? std::min(key_rows, end) : key_rows;
}

}  // namespace detail

/// Columns of what attention keeps for its backward pass: the softmax of each head.
template <class Real>
[[nodiscard]] Index attention_saved_cols(Cpu<Real> const&, AttentionShape const& shape) {
    return shape.heads * detail::score_cols<Real>(shape.keys.longest);
}

/// out [Nq, D] = softmax(q k^T / sqrt(D / heads) + bias) v, head by head, within each sentence of the packed batch.
///
/// Causal attention does no work beyond the last key that a block of 64 queries sees.
/// Source: Vaswani et al. 2017, "Attention Is All You Need", arXiv:1706.03762, equation 1; the bias by distance: Raffel
/// et al. 2020, arXiv:1910.10683, section 2.1, clipped as in Shaw et al. 2018, arXiv:1803.02155, section 3.2.
/// @param q [Nq, D], k and v [Nk, D]
/// @param saved  [Nq, attention_saved_cols] takes the softmax for the backward pass, or empty; keys that no query of
///               the block sees have none
/// @param bias  [heads, 2 K + 1], what the score of key j for query i is raised by, at j - i + K, distances clipped to
///              K to either side; or empty
template <class Real>
void attention(Cpu<Real>& device, AttentionShape const& shape, In<Real> q, In<Real> k, In<Real> v, Out<Real> out,
               Out<Real> saved = {}, In<Real> bias = {}) {
    Index const width = q.cols / shape.heads;
    Index const panel = detail::serial_scratch<Real>(std::max(width, shape.keys.longest));
    Index const tasks = shape.queries.count * shape.heads;
    Index const longest = detail::score_cols<Real>(shape.keys.longest);
    device.reserve_scratch(panel + detail::query_block * longest);
    device.parallel(tasks, std::max<Index>(1, tasks / 64), [&](Index begin, Index end, int thread) {
        Real* const scratch = device.scratch(thread);
        for (Index task = begin; task < end; ++task) {
            Index const sentence = task / shape.heads;
            Index const head = task % shape.heads;
            Index const source = shape.key_sentence ? shape.key_sentence[sentence] : sentence;
            Index const key_begin = shape.keys.offsets[source];
            Index const key_rows = shape.keys.offsets[source + 1] - key_begin;
            Index const query_end = shape.queries.offsets[sentence + 1];
            for (Index row = shape.queries.offsets[sentence]; row < query_end; row += detail::query_block) {
                Index const rows = std::min(detail::query_block, query_end - row);
                Index const first = row - shape.queries.offsets[sentence];
                Index const seen = detail::keys_seen(shape, key_rows, first + rows);
                bool const kept = !saved.empty();
                Real* const scores = kept ? saved.row(row) + head * longest : scratch + panel;
                Index const stride = kept ? saved.stride : longest;
                detail::attention_scores(detail::Strided<Real>{q.row(row) + head * width, q.stride, 1},
                                         detail::Strided<Real>{k.row(key_begin) + head * width, k.stride, 1}, first,
                                         rows, seen, width, shape.causal, bias.empty() ? nullptr : bias.row(head),
                                         detail::reach_of(bias.cols), scores, stride, scratch);
                detail::multiply_serial(detail::Strided<Real>{scores, stride, 1},
                                        detail::Strided<Real>{v.row(key_begin) + head * width, v.stride, 1}, rows,
                                        width, seen, false, out.row(row) + head * width, out.stride, scratch);
            }
        }
    });
}

/// Backward pass of attention: dq, dk and dv are overwritten. Each sentence of keys serves one sentence of queries.
/// @param out, saved, bias  as attention left and had them
/// @param dbias  [sentences, heads * (2 K + 1)] takes the bias's gradient sentence by sentence, as it is there once for
///               all of them: their sum is left to the caller, so that no two threads write to one place; or empty
template <class Real>
void attention_backward(Cpu<Real>& device, AttentionShape const& shape, In<Real> q, In<Real> k, In<Real> v,
                        In<Real> /*out*/, In<Real> saved, In<Real> dout, Out<Real> dq, Out<Real> dk, Out<Real> dv,
                        In<Real> /*bias*/ = {}, Out<Real> dbias = {}) {
    detail::require_own_keys(shape);
    Index const width = q.cols / shape.heads;
    Index const longest = detail::score_cols<Real>(shape.keys.longest);
    Index const panel = detail::serial_scratch<Real>(std::max({width, shape.queries.longest, shape.keys.longest}));
    Real const factor = 1 / std::sqrt(static_cast<Real>(width));
    Index const tasks = shape.queries.count * shape.heads;
    using Strided = detail::Strided<Real>;
    Index const most_rows = shape.causal ? std::min(detail::query_block, shape.queries.longest) : shape.queries.longest;
    device.reserve_scratch(panel + most_rows * longest);
    device.parallel(tasks, std::max<Index>(1, tasks / 64), [&](Index begin, Index end, int thread) {
        Real* const scratch = device.scratch(thread);
        Real* const dscores = scratch + panel;
        for (Index task = begin; task < end; ++task) {
            Index const sentence = task / shape.heads;
            Index const column = task % shape.heads * width;
            Index const first_row = shape.queries.offsets[sentence];
            Index const all_rows = shape.queries.offsets[sentence + 1] - first_row;
            Index const key_row = shape.keys.offsets[sentence];
            Index const key_rows = shape.keys.offsets[sentence + 1] - key_row;
            Index const block = shape.causal ? detail::query_block : std::max<Index>(1, all_rows);
            if (shape.causal || all_rows == 0)  // what no query sees has no slope; blocks add theirs
                for (Index j = key_row; j < key_row + key_rows; ++j) {
                    std::fill_n(dk.row(j) + column, width, Real{0});
                    std::fill_n(dv.row(j) + column, width, Real{0});
                }
            Index const distances = dbias.cols / shape.heads;
            Real* const slopes = dbias.empty() ? nullptr : dbias.row(sentence) + task % shape.heads * distances;
            if (slopes) std::fill_n(slopes, distances, Real{0});
            for (Index first = 0; first < all_rows; first += block) {
                Index const row = first_row + first;
                Index const rows = std::min(block, all_rows - first);
                Index const seen = detail::keys_seen(shape, key_rows, first + rows);
                Index const cols = detail::score_cols<Real>(seen);
                Real const* const scores = saved.row(row) + task % shape.heads * longest;
                Strided const slope{dout.row(row) + column, dout.stride, 1};
                detail::multiply_serial(Strided{scores, 1, saved.stride}, slope, seen, width, rows, shape.causal,
                                        dv.row(key_row) + column, dv.stride, scratch);
                detail::multiply_serial(slope, Strided{v.row(key_row) + column, 1, v.stride}, rows, seen, width, false,
                                        dscores, cols, scratch, cols);
                for (Index i = 0; i < rows; ++i) {
                    Real const* const probability = scores + i * saved.stride;
                    Real* const dscore = dscores + i * cols;
                    Real const along = detail::sum_of(
                        cols, [](auto const& d, auto const& p) { return d * p; }, dscore, probability);
                    detail::transform(
                        cols, dscore, [=](auto const& d, auto const& p) { return p * (d - along) * factor; }, dscore,
                        probability);
                }
                if (slopes)
                    for (Index i = 0; i < rows; ++i)
                        detail::each_distance(first + i, seen, detail::reach_of(distances),
                                              [&](Index distance, Index begin_key, Index end_key) {
                                                  for (Index key = begin_key; key < end_key; ++key)
                                                      slopes[distance] += dscores[i * cols + key] / factor;
                                              });
                detail::multiply_serial(Strided{dscores, cols, 1}, Strided{k.row(key_row) + column, k.stride, 1}, rows,
                                        width, seen, false, dq.row(row) + column, dq.stride, scratch);
                detail::multiply_serial(Strided{dscores, 1, cols}, Strided{q.row(row) + column, q.stride, 1}, seen,
                                        width, rows, shape.causal, dk.row(key_row) + column, dk.stride, scratch);
            }
        }
    });
}

}  // namespace inkling::backend
