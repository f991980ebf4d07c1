#pragma once

#include <inkling/backend/detail/readouts.hpp>
#include <inkling/backend/thrust/detail/map.hpp>
#include <inkling/backend/thrust/normalization.hpp>
#include <inkling/backend/thrust/product.hpp>

#include <algorithm>
#include <cmath>

namespace inkling::backend {

namespace kernels {

/// Logits become the slopes of the loss; the loss of each row goes to nll [N] and smoothed [N].
template <class Real>
struct CrossEntropyRow {
    MatrixView<Real> logits;
    Token const* targets;
    double smoothing;
    double factor;
    Real const* weights;
    double* nll;
    double* smoothed;
    Real* row_losses;
    INKLING_HOST_DEVICE void operator()(Index row) const {
        Real* const values = logits.row(row);
        Index const vocabulary = logits.cols;
        Index const target = targets[row];
        Real top = values[0];
        for (Index v = 1; v < vocabulary; ++v) top = values[v] > top ? values[v] : top;
        double mean = 0.0;
        if (smoothing != 0.0)
            mean = static_cast<double>(sum_of<Real>(vocabulary, [=](Index v) { return values[v] - top; }))
                / static_cast<double>(vocabulary);
        double const chosen = static_cast<double>(values[target] - top);
        Real const total = sum_of<Real>(vocabulary, [=](Index v) { return values[v] = std::exp(values[v] - top); });
        detail::RowLoss const loss(std::log(static_cast<double>(total)), chosen, mean, smoothing);
        double const own = weights == nullptr ? 1.0 : static_cast<double>(weights[row]);
        nll[row] = own * loss.nll;
        smoothed[row] = own * loss.smoothed;
        if (row_losses != nullptr) row_losses[row] = static_cast<Real>(smoothed[row]);
        Real const uniform = static_cast<Real>(smoothing / static_cast<double>(vocabulary));
        Real const weight = static_cast<Real>(own * factor);
        for (Index v = 0; v < vocabulary; ++v) values[v] = (values[v] / total - uniform) * weight;
        values[target] -= static_cast<Real>((1.0 - smoothing) * own * factor);
    }
};

/// Logits of two sides become the slopes of the divergence of the first from the second.
template <class Real>
struct DivergenceRow {
    MatrixView<Real> of_x, of_y;
    double factor;
    Real const* weights;
    double* sums;
    Real* row_sums;
    bool slopes;
    INKLING_HOST_DEVICE void operator()(Index row) const {
        Real *const a = of_x.row(row), *const b = of_y.row(row);
        Index const vocabulary = of_x.cols;
        Real const top_a = top_of(a), top_b = top_of(b);
        Real const total_a = sum_of<Real>(vocabulary, [=](Index v) { return std::exp(a[v] - top_a); });
        Real const total_b = sum_of<Real>(vocabulary, [=](Index v) { return std::exp(b[v] - top_b); });
        Real const shift =
            static_cast<Real>(std::log(static_cast<double>(total_b)) - std::log(static_cast<double>(total_a)));
        auto const chance = [=](Index v) { return std::exp(a[v] - top_a) / total_a; };
        auto const apart = [=](Index v) { return (a[v] - top_a) - (b[v] - top_b) + shift; };  // log p - log q
        double const own =
            sum_of<double>(vocabulary, [=](Index v) { return static_cast<double>(chance(v) * apart(v)); });
        double const weight = weights == nullptr ? 1.0 : static_cast<double>(weights[row]);
        sums[row] = weight * own;
        if (row_sums != nullptr) row_sums[row] = static_cast<Real>(sums[row]);
        if (!slopes) return;
        Real const slope = static_cast<Real>(weight * factor), mean = static_cast<Real>(own);
        for (Index v = 0; v < vocabulary; ++v) {
            Real const p = chance(v), q = std::exp(b[v] - top_b) / total_b, difference = apart(v);
            a[v] = slope * p * (difference - mean);
            b[v] = slope * (q - p);
        }
    }

private:
    [[nodiscard]] INKLING_HOST_DEVICE Real top_of(Real const* logits) const {
        Real top = logits[0];
        for (Index v = 1; v < of_x.cols; ++v) top = logits[v] > top ? logits[v] : top;
        return top;
    }
};

template <class Real>
struct ArgmaxRow {
    MatrixView<Real const> logits;
    Token* tokens;
    Real* log_probabilities;
    INKLING_HOST_DEVICE void operator()(Index row) const {
        Real const* const values = logits.row(row);
        Index best = 0;
        for (Index v = 1; v < logits.cols; ++v)
            if (values[v] > values[best]) best = v;
        tokens[row] = static_cast<Token>(best);
        if (log_probabilities == nullptr) return;
        Real const top = values[best];
        Real const others = sum_of<Real>(  // its own 1 would swallow what the others add to it
            logits.cols, [=](Index v) { return v == best ? Real{0} : std::exp(values[v] - top); });
        log_probabilities[row] = static_cast<Real>(-std::log1p(static_cast<double>(others)));
    }
};

/// log sum_v exp(l_v - top).
template <class Real>
[[nodiscard]] INKLING_HOST_DEVICE double log_total(Index vocabulary, Real const* logits, Real top) {
    return std::log(static_cast<double>(sum_of<Real>(vocabulary, [=](Index v) { return std::exp(logits[v] - top); })));
}

template <class Real>
[[nodiscard]] INKLING_HOST_DEVICE Real greatest(Index count, Real const* values) {
    Real top = values[0];
    for (Index v = 1; v < count; ++v) top = values[v] > top ? values[v] : top;
    return top;
}

template <class Real>
struct LogProbabilityRow {
    MatrixView<Real const> logits;
    Token const* tokens;
    Real* log_probabilities;
    INKLING_HOST_DEVICE void operator()(Index row) const {
        Real const* const values = logits.row(row);
        Real const top = greatest(logits.cols, values);
        double const chosen = static_cast<double>(values[tokens[row]] - top);
        log_probabilities[row] = static_cast<Real>(chosen - log_total(logits.cols, values, top));
    }
};

template <class Real>
struct TopRow {
    MatrixView<Real const> logits;
    MatrixView<Token> tokens;
    MatrixView<Real> log_probabilities;
    INKLING_HOST_DEVICE void operator()(Index row) const {
        Real const* const values = logits.row(row);
        Token* const best = tokens.row(row);
        Real* const scores = log_probabilities.row(row);
        Index const count = tokens.cols;
        detail::keep_largest(logits.cols, values, count, best, scores);
        Real const top = greatest(logits.cols, values);
        double const total = log_total(logits.cols, values, top);
        for (Index i = 0; i < count; ++i) scores[i] = static_cast<Real>(static_cast<double>(scores[i] - top) - total);
    }
};

template <class Real>
struct SquaredLength {
    MatrixView<Real const> x;
    double* to;
    INKLING_HOST_DEVICE void operator()(Index row) const {
        Real const* const from = x.row(row);
        to[row] = sum_of<double>(x.cols,
                                 [=](Index i) { return static_cast<double>(from[i]) * static_cast<double>(from[i]); });
    }
};

/// The squared distance of rows first, first + 1 .. of a table to the nearest other row, from their products with all.
template <class Real>
struct NearestOther {
    MatrixView<Real const> products;
    Index first;
    double const* squares;
    double* nearest;
    INKLING_HOST_DEVICE void operator()(Index row) const {
        Index const own = first + row;
        double least = -1.0;
        for (Index other = 0; other < products.cols; ++other) {
            if (other == own) continue;
            double const distance = squares[own] + squares[other] - 2.0 * static_cast<double>(products.row(row)[other]);
            if (least < 0.0 || distance < least) least = distance > 0.0 ? distance : 0.0;
        }
        nearest[own] = least;
    }
};

}  // namespace kernels

/// Cross-entropy of tokens read out of z by logits = z table^T + bias, and its gradients, in one sweep.
///
/// With label smoothing e: loss = (1 - e) nll - e mean_v(log p_v), summed over rows.
/// Source: Szegedy et al. 2016, section 7, in the form of the official Difformer (mean over all V classes).
/// @param z [N, D], table [V, D], bias [V] or empty
/// @param factor       multiplies the gradients (not the sums), such as 1 / N for a mean
/// @param losses       [2] takes the sum of nll and the sum of the smoothed loss over rows, each row times its weight
/// @param dz, dtable, dbias  are added to, where not empty
/// @param row_weights  [N], multiplies each row's loss and gradient; empty: 1
/// @param row_losses   [N] takes what each row adds to the sum of the smoothed loss, or empty
template <class Real, class System>
void readout_cross_entropy(ThrustDevice<Real, System>& device, In<Real> z, In<Real> table, InVector<Real> bias,
                           TokenView targets, double smoothing, double factor, double* losses, Out<Real> dz = {},
                           Out<Real> dtable = {}, OutVector<Real> dbias = {}, InVector<Real> row_weights = {},
                           OutVector<Real> row_losses = {}) {
    double* const nll = device.sums(2 * z.rows + kernels::sum_scratch(z.rows));
    double* const smoothed = nll + z.rows;
    detail::for_each_logit_block(device, z, table, bias, [&](Index first, MatrixView<Real> logits) {
        Real const* const weights = row_weights.empty() ? nullptr : row_weights.data + first;
        Real* const rows = row_losses.empty() ? nullptr : row_losses.data + first;
        kernels::for_each(device, logits.rows,
                          kernels::CrossEntropyRow<Real>{logits, targets.data + first, smoothing, factor, weights,
                                                         nll + first, smoothed + first, rows});
        detail::read_logits_backward(device, z.row_range(first, logits.rows), table, logits,
                                     detail::rows_of(dz, first, logits.rows), dtable, dbias);
    });
    kernels::sum_terms(device, nll, z.rows, smoothed + z.rows, losses);
    kernels::sum_terms(device, smoothed, z.rows, smoothed + z.rows, losses + 1);
}

/// *sum = the sum of w_n KL(p_n || q_n), p and q what is read out of x and of y by logits = z table^T + bias, and its
/// gradients, in one sweep.
///
/// KL(p || q) = sum_v p_v (log p_v - log q_v), in nats. Both sides have a gradient.
/// @param x, y [N, D], table [V, D], bias [V] or empty
/// @param factor       multiplies the gradients (not the sum), such as 1 / N for a mean
/// @param dx, dy, dtable, dbias  are added to, where not empty
/// @param row_weights  [N], w_n; empty: 1
/// @param row_sums     [N] takes what each row adds to the sum, or empty
template <class Real, class System>
void readout_divergence(ThrustDevice<Real, System>& device, In<Real> x, In<Real> y, In<Real> table, InVector<Real> bias,
                        double factor, double* sum, Out<Real> dx = {}, Out<Real> dy = {}, Out<Real> dtable = {},
                        OutVector<Real> dbias = {}, InVector<Real> row_weights = {}, OutVector<Real> row_sums = {}) {
    Index const vocabulary = table.rows, block = std::min(detail::logit_block(vocabulary), x.rows);
    bool const slopes = !dx.empty() || !dy.empty() || !dtable.empty() || !dbias.empty();
    double* const sums = device.sums(x.rows + kernels::sum_scratch(x.rows));
    Real* const memory = device.outer_scratch(2 * block * vocabulary);
    for (Index first = 0; first < x.rows; first += block) {
        Index const rows = std::min(block, x.rows - first);
        MatrixView<Real> const of_x(memory, rows, vocabulary), of_y(of_x.row(rows), rows, vocabulary);
        detail::read_logits(device, x.row_range(first, rows), table, bias, of_x);
        detail::read_logits(device, y.row_range(first, rows), table, bias, of_y);
        Real const* const weights = row_weights.empty() ? nullptr : row_weights.data + first;
        Real* const own = row_sums.empty() ? nullptr : row_sums.data + first;
        kernels::for_each(device, rows,
                          kernels::DivergenceRow<Real>{of_x, of_y, factor, weights, sums + first, own, slopes});
        detail::read_logits_backward(device, x.row_range(first, rows), table, of_x, detail::rows_of(dx, first, rows),
                                     dtable, dbias);
        detail::read_logits_backward(device, y.row_range(first, rows), table, of_y, detail::rows_of(dy, first, rows),
                                     dtable, dbias);
    }
    kernels::sum_terms(device, sums, x.rows, sums + x.rows, sum);
}

/// The most probable token of each row under logits = z table^T + bias; ties go to the lowest token.
///
/// @param tokens             [N]
/// @param log_probabilities  [N] takes log p of that token, or empty
template <class Real, class System>
void readout_argmax(ThrustDevice<Real, System>& device, In<Real> z, In<Real> table, InVector<Real> bias,
                    VectorView<Token> tokens, OutVector<Real> log_probabilities = {}) {
    detail::for_each_logit_block(device, z, table, bias, [&](Index first, MatrixView<Real> logits) {
        Real* const to = log_probabilities.empty() ? nullptr : log_probabilities.data + first;
        kernels::for_each(device, logits.rows, kernels::ArgmaxRow<Real>{logits, tokens.data + first, to});
    });
}

/// log p [N] of one given token a row under logits = z table^T + bias.
///
/// @param tokens  [N]
template <class Real, class System>
void readout_log_probabilities(ThrustDevice<Real, System>& device, In<Real> z, In<Real> table, InVector<Real> bias,
                               TokenView tokens, OutVector<Real> log_probabilities) {
    detail::for_each_logit_block(device, z, table, bias, [&](Index first, MatrixView<Real> logits) {
        kernels::for_each(
            device, logits.rows,
            kernels::LogProbabilityRow<Real>{logits, tokens.data + first, log_probabilities.data + first});
    });
}

/// The K most probable tokens of each row under logits = z table^T + bias, best first; ties go to the lower token.
///
/// @param tokens             [N, K], K at most V
/// @param log_probabilities  [N, K], log p of each
/// @throws Error when the two have other widths, or more columns than the vocabulary has tokens
template <class Real, class System>
void readout_top(ThrustDevice<Real, System>& device, In<Real> z, In<Real> table, InVector<Real> bias,
                 MatrixView<Token> tokens, Out<Real> log_probabilities) {
    detail::require_top(tokens.cols, log_probabilities.cols, table.rows);
    detail::for_each_logit_block(device, z, table, bias, [&](Index first, MatrixView<Real> logits) {
        kernels::for_each(device, logits.rows,
                          kernels::TopRow<Real>{logits, tokens.row_range(first, logits.rows),
                                                log_probabilities.row_range(first, logits.rows)});
    });
}

/// *sum = the sum over the rows of table [V, D], V at least 2, of the squared distance to the nearest other row.
template <class Real, class System>
void nearest_other_distance(ThrustDevice<Real, System>& device, In<Real> table, double* sum) {
    Index const count = table.rows;
    double* const squares = device.sums(2 * count + kernels::sum_scratch(count));
    double* const nearest = squares + count;
    kernels::for_each(device, count, kernels::SquaredLength<Real>{table, squares});
    detail::for_each_logit_block(device, table, table, InVector<Real>{}, [&](Index first, MatrixView<Real> products) {
        kernels::for_each(device, products.rows, kernels::NearestOther<Real>{products, first, squares, nearest});
    });
    kernels::sum_terms(device, nearest, count, nearest + count, sum);
}

}  // namespace inkling::backend
