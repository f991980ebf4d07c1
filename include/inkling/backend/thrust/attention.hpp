#pragma once

#include <inkling/backend/thrust/detail/map.hpp>

#include <algorithm>
#include <cmath>

namespace inkling::backend {

namespace kernels {

/// Which keys one row of queries sees, of one head.
struct KeysOfQuery {
    INKLING_HOST_DEVICE KeysOfQuery(AttentionShape const& shape, Index row) {
        Index const sentence = sentence_of(shape.queries, row);
        Index const source = shape.key_sentence == nullptr ? sentence : shape.key_sentence[sentence];
        place = row - shape.queries.offsets[sentence];
        first = shape.keys.offsets[source];
        count = shape.keys.offsets[source + 1] - first;
        seen = shape.causal ? least(count, place + 1) : count;
    }
    Index place;  ///< of the query in its sentence
    Index first;  ///< row of the keys' sentence
    Index count;  ///< rows of it
    Index seen;   ///< those that the query sees, from the first
};

template <class Real>
[[nodiscard]] INKLING_HOST_DEVICE Real dot(Index count, Real const* x, Real const* y) {
    return sum_of<Real>(count, [=](Index i) { return x[i] * y[i]; });
}

/// to[0 .. width) = the sum of weights[j] times row first + j of x, j in [0, rows).
template <class Real>
INKLING_HOST_DEVICE void weighted_rows(Real const* weights, Index weight_step, Index rows, Real const* x, Index stride,
                                       Index width, Real* to) {
    for (Index d = 0; d < width; ++d) to[d] = Real{0};
    for (Index j = 0; j < rows; ++j)
        for (Index d = 0; d < width; ++d) to[d] += weights[j * weight_step] * x[j * stride + d];
}

/// One head of one row of queries, from row `first_row` on.
template <class Real>
struct Attend {
    AttentionShape shape;
    Index first_row;
    MatrixView<Real const> q, k, v;
    MatrixView<Real const> bias;  ///< [heads, 2 K + 1] by distance, or empty
    MatrixView<Real> out;
    MatrixView<Real> weights;  ///< [rows, heads * keys.longest], of the rows from first_row on; takes the softmax
    INKLING_HOST_DEVICE void operator()(Index task) const {
        Index const row = first_row + task / shape.heads;
        Index const head = task % shape.heads;
        Index const width = q.cols / shape.heads;
        KeysOfQuery const keys(shape, row);
        Real const* const query = q.row(row) + head * width;
        Real const* const key = k.row(keys.first) + head * width;
        Real* const own = weights.row(row - first_row) + head * shape.keys.longest;
        Real const factor = 1 / std::sqrt(static_cast<Real>(width));
        Real top{0};
        for (Index j = 0; j < keys.seen; ++j) {
            own[j] = dot(width, query, key + j * k.stride);
            if (!bias.empty()) own[j] += bias.row(head)[detail::clipped_distance(j - keys.place, bias.cols)] / factor;
            top = j == 0 || own[j] > top ? own[j] : top;
        }
        for (Index j = keys.seen; j < keys.count; ++j) own[j] = Real{0};
        Real const total = sum_of<Real>(keys.seen, [=](Index j) { return own[j] = std::exp((own[j] - top) * factor); });
        for (Index j = 0; j < keys.seen; ++j) own[j] = own[j] * (1 / total);
        weighted_rows(own, 1, keys.seen, v.row(keys.first) + head * width, v.stride, width,
                      out.row(row) + head * width);
    }
};

/// The slopes of one head of one row of queries, and of its scores.
template <class Real>
struct AttendBackward {
    AttentionShape shape;
    MatrixView<Real const> k, v, probabilities, dout;
    MatrixView<Real> dq;
    MatrixView<Real> dscores;  ///< [Nq, heads * keys.longest]
    INKLING_HOST_DEVICE void operator()(Index task) const {
        Index const row = task / shape.heads;
        Index const head = task % shape.heads;
        Index const width = dq.cols / shape.heads;
        KeysOfQuery const keys(shape, row);
        Real const* const slope = dout.row(row) + head * width;
        Real const* const value = v.row(keys.first) + head * width;
        Real const* const probability = probabilities.row(row) + head * shape.keys.longest;
        Real* const dscore = dscores.row(row) + head * shape.keys.longest;
        Real const factor = 1 / std::sqrt(static_cast<Real>(width));
        Index const stride = v.stride;
        for (Index j = 0; j < keys.count; ++j) dscore[j] = dot(width, slope, value + j * stride);
        Real const along = dot<Real>(keys.count, dscore, probability);
        for (Index j = 0; j < keys.count; ++j) dscore[j] = probability[j] * (dscore[j] - along) * factor;
        weighted_rows(dscore, 1, keys.count, k.row(keys.first) + head * width, k.stride, width,
                      dq.row(row) + head * width);
    }
};

/// The slopes of one head of one row of keys and values.
template <class Real>
struct AttendKeysBackward {
    AttentionShape shape;
    MatrixView<Real const> q, probabilities, dout, dscores;
    MatrixView<Real> dk, dv;
    INKLING_HOST_DEVICE void operator()(Index task) const {
        Index const row = task / shape.heads;
        Index const head = task % shape.heads;
        Index const width = q.cols / shape.heads;
        Index const sentence = sentence_of(shape.keys, row);
        Index const place = row - shape.keys.offsets[sentence] + head * shape.keys.longest;
        Index const first = shape.queries.offsets[sentence];
        Index const count = shape.queries.offsets[sentence + 1] - first;
        weighted_rows(probabilities.row(first) + place, probabilities.stride, count, dout.row(first) + head * width,
                      dout.stride, width, dv.row(row) + head * width);
        weighted_rows(dscores.row(first) + place, dscores.stride, count, q.row(first) + head * width, q.stride, width,
                      dk.row(row) + head * width);
    }
};

/// The slopes of one head's bias by distance that one sentence has.
template <class Real>
struct AttendBiasBackward {
    AttentionShape shape;
    Index width;
    MatrixView<Real const> dscores;
    MatrixView<Real> dbias;  ///< [sentences, heads * (2 K + 1)]
    INKLING_HOST_DEVICE void operator()(Index task) const {
        Index const sentence = task / shape.heads;
        Index const head = task % shape.heads;
        Index const distances = dbias.cols / shape.heads;
        Real* const to = dbias.row(sentence) + head * distances;
        for (Index i = 0; i < distances; ++i) to[i] = Real{0};
        Real const factor = 1 / std::sqrt(static_cast<Real>(width));
        for (Index row = shape.queries.offsets[sentence]; row < shape.queries.offsets[sentence + 1]; ++row) {
            KeysOfQuery const keys(shape, row);
            Real const* const own = dscores.row(row) + head * shape.keys.longest;
            for (Index j = 0; j < keys.seen; ++j)
                to[detail::clipped_distance(j - keys.place, distances)] += own[j] / factor;
        }
    }
};

/// Softmax weights held at once where nobody keeps them; never those of all pairs of rows.
inline constexpr Index most_weights = Index{1} << 22;

}  // namespace kernels

/// out [Nq, D] = softmax(q k^T / sqrt(D / heads) + bias) v, head by head, within each sentence of the packed batch.
///
/// Source: Vaswani et al. 2017, "Attention Is All You Need", arXiv:1706.03762, equation 1.
/// @param q [Nq, D], k and v [Nk, D]
/// @param probabilities  [Nq, heads * keys.longest] takes the softmax for the backward pass, or empty
/// @param bias  [heads, 2 K + 1], what the score of key j for query i is raised by, at j - i + K, distances clipped to
///              K to either side; or empty
template <class Real, class System>
void attention(ThrustDevice<Real, System>& device, AttentionShape const& shape, In<Real> q, In<Real> k, In<Real> v,
               Out<Real> out, Out<Real> probabilities = {}, In<Real> bias = {}) {
    Index const rows = shape.queries.rows;
    Index const cols = shape.heads * shape.keys.longest;
    bool const kept = !probabilities.empty();
    Index const most = std::max<Index>(1, kernels::most_weights / std::max<Index>(1, cols));
    Index const block = kept ? rows : std::min(rows, most);
    Real* const memory = kept ? nullptr : device.scratch(block * cols);
    for (Index row = 0; row < rows; row += block) {
        Index const count = std::min(block, rows - row);
        MatrixView<Real> const weights = kept ? probabilities : MatrixView<Real>(memory, count, cols);
        kernels::for_each(device, count * shape.heads, kernels::Attend<Real>{shape, row, q, k, v, bias, out, weights});
    }
}

/// Backward pass of attention: dq, dk and dv are overwritten. Each sentence of keys serves one sentence of queries.
/// @param dbias  [sentences, heads * (2 K + 1)] takes the bias's gradient sentence by sentence, or empty
/// @throws Error where key_sentence is set
template <class Real, class System>
void attention_backward(ThrustDevice<Real, System>& device, AttentionShape const& shape, In<Real> q, In<Real> k,
                        In<Real> v, In<Real> probabilities, In<Real> dout, Out<Real> dq, Out<Real> dk, Out<Real> dv,
                        Out<Real> dbias = {}) {
    detail::require_own_keys(shape);
    Index const cols = shape.heads * shape.keys.longest;
    MatrixView<Real> const dscores(device.scratch(shape.queries.rows * cols), shape.queries.rows, cols);
    kernels::for_each(device, shape.queries.rows * shape.heads,
                      kernels::AttendBackward<Real>{shape, k, v, probabilities, dout, dq, dscores});
    kernels::for_each(device, shape.keys.rows * shape.heads,
                      kernels::AttendKeysBackward<Real>{shape, q, probabilities, dout, dscores, dk, dv});
    if (!dbias.empty())
        kernels::for_each(device, shape.queries.count * shape.heads,
                          kernels::AttendBiasBackward<Real>{shape, q.cols / shape.heads, dscores, dbias});
}

}  // namespace inkling::backend
