#pragma once

#include <inkling/backend/cpu/detail/map.hpp>
#include <inkling/backend/cpu/product.hpp>

#include <cmath>

namespace inkling::backend {

namespace detail {

/// Rows of queries handled at once, so that a thread's scores stay in cache.
inline constexpr Index query_block = 64;

/// scores = softmax(factor * queries keys^T), one row a query; 0 where a causal query does not look.
template <class Real>
void attention_scores(Strided<Real> queries, Strided<Real> keys, Index first_query, Index rows, Index key_rows,
                      Index width, bool causal, Real* scores, Index stride, Real* scratch) {
    multiply_serial(queries, Strided<Real>{keys.data, 1, keys.row}, rows, key_rows, width, false, scores, stride,
                    scratch);
    Real const factor = 1 / std::sqrt(static_cast<Real>(width));
    for (Index i = 0; i < rows; ++i) {
        Index const seen = causal ? std::min(key_rows, first_query + i + 1) : key_rows;
        Real* const row = scores + i * stride;
        std::fill_n(row + seen, key_rows - seen, Real{0});
        if (seen == 0) continue;
        Real const top = max_of(seen, row);
        transform(
            seen, row, [=](auto const& x) { return ((x - top) * factor).exp(); }, row);
        Real const share = 1 / sum_of(seen, row);
        transform(
            seen, row, [=](auto const& x) { return x * share; }, row);
    }
}

/// Keys that any of a sentence's queries before number `end` looks at.
[[nodiscard]] inline Index keys_seen(AttentionShape const& shape, Index key_rows, Index end) {
    return shape.causal ? std::min(key_rows, end) : key_rows;
}

}  // namespace detail

/// out [Nq, D] = softmax(q k^T / sqrt(D / heads)) v, head by head, within each sentence of the packed batch.
///
/// Causal attention does no work beyond the last key that a block of 64 queries sees.
/// Source: Vaswani et al. 2017, "Attention Is All You Need", arXiv:1706.03762, equation 1.
/// @param q [Nq, D], k and v [Nk, D]
/// @param probabilities  [Nq, heads * keys.longest] takes the softmax for the backward pass, or empty; keys that no
///                       query of the block sees have none
template <class Real>
void attention(Cpu<Real>& device, AttentionShape const& shape, In<Real> q, In<Real> k, In<Real> v, Out<Real> out,
               Out<Real> probabilities = {}) {
    Index const width = q.cols / shape.heads;
    Index const panel = detail::serial_scratch<Real>(std::max(width, shape.keys.longest));
    Index const tasks = shape.queries.count * shape.heads;
    device.reserve_scratch(panel + detail::query_block * shape.keys.longest);
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
                bool const kept = !probabilities.empty();
                Real* const scores = kept ? probabilities.row(row) + head * shape.keys.longest : scratch + panel;
                Index const stride = kept ? probabilities.stride : shape.keys.longest;
                detail::attention_scores(detail::Strided<Real>{q.row(row) + head * width, q.stride, 1},
                                         detail::Strided<Real>{k.row(key_begin) + head * width, k.stride, 1}, first,
                                         rows, seen, width, shape.causal, scores, stride, scratch);
                detail::multiply_serial(detail::Strided<Real>{scores, stride, 1},
                                        detail::Strided<Real>{v.row(key_begin) + head * width, v.stride, 1}, rows,
                                        width, seen, false, out.row(row) + head * width, out.stride, scratch);
            }
        }
    });
}

/// Backward pass of attention: dq, dk and dv are overwritten. Each sentence of keys serves one sentence of queries.
template <class Real>
void attention_backward(Cpu<Real>& device, AttentionShape const& shape, In<Real> q, In<Real> k, In<Real> v,
                        In<Real> probabilities, In<Real> dout, Out<Real> dq, Out<Real> dk, Out<Real> dv) {
    require(shape.key_sentence == nullptr,
            "inkling::backend::attention_backward: key_sentence is set, expected each sentence to have its own keys");
    Index const width = q.cols / shape.heads;
    Index const longest = std::max(shape.queries.longest, shape.keys.longest);
    Index const panel = detail::serial_scratch<Real>(std::max(width, longest));
    Real const factor = 1 / std::sqrt(static_cast<Real>(width));
    Index const tasks = shape.queries.count * shape.heads;
    using Strided = detail::Strided<Real>;
    Index const most_rows = shape.causal ? std::min(detail::query_block, shape.queries.longest) : shape.queries.longest;
    device.reserve_scratch(panel + most_rows * shape.keys.longest);
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
            for (Index first = 0; first < all_rows; first += block) {
                Index const row = first_row + first;
                Index const rows = std::min(block, all_rows - first);
                Index const seen = detail::keys_seen(shape, key_rows, first + rows);
                Real const* const scores = probabilities.row(row) + task % shape.heads * shape.keys.longest;
                Strided const slope{dout.row(row) + column, dout.stride, 1};
                detail::multiply_serial(Strided{scores, 1, probabilities.stride}, slope, seen, width, rows,
                                        shape.causal, dv.row(key_row) + column, dv.stride, scratch);
                detail::multiply_serial(slope, Strided{v.row(key_row) + column, 1, v.stride}, rows, seen, width, false,
                                        dscores, seen, scratch);
                for (Index i = 0; i < rows; ++i) {
                    Real const* const probability = scores + i * probabilities.stride;
                    Real* const dscore = dscores + i * seen;
                    Real const along = detail::sum_of(
                        seen, [](auto const& d, auto const& p) { return d * p; }, dscore, probability);
                    detail::transform(
                        seen, dscore, [=](auto const& d, auto const& p) { return p * (d - along) * factor; }, dscore,
                        probability);
                }
                detail::multiply_serial(Strided{dscores, seen, 1}, Strided{k.row(key_row) + column, k.stride, 1}, rows,
                                        width, seen, false, dq.row(row) + column, dq.stride, scratch);
                detail::multiply_serial(Strided{dscores, 1, seen}, Strided{q.row(row) + column, q.stride, 1}, seen,
                                        width, rows, shape.causal, dk.row(key_row) + column, dk.stride, scratch);
            }
        }
    });
}

}  // namespace inkling::backend
