#pragma once

#include <inkling/backend/detail/readouts.hpp>
#include <inkling/backend/thrust/detail/map.hpp>
#include <inkling/backend/thrust/detail/readout_choices.hpp>
#include <inkling/backend/thrust/detail/readout_losses.hpp>
#include <inkling/backend/thrust/detail/team.hpp>
#include <inkling/backend/thrust/detail/tiles.hpp>
#include <inkling/backend/thrust/product.hpp>
#include <inkling/backend/thrust/reduction.hpp>

#include <algorithm>
#include <limits>

namespace inkling::backend {

namespace kernels {

template <class Real>
struct SquaredLength {
    MatrixView<Real const> x;
    double* to;

    using Shared = FoldRoom<double>;

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& room) const {
        Real const* const from = x.row(team.index);
        double const sum = sum_of(team, room, x.cols,
                                  [=](Index i) { return static_cast<double>(from[i]) * static_cast<double>(from[i]); });
        team.each(1, [&](Index) { to[team.index] = sum; });
    }
};

/// The squared distance of a row of a table to the nearest other row, from its products with all.
template <class Real>
struct NearestOther {
    MatrixView<Real const> products;
    Index first;  ///< the table's row that is the first here
    double const* squares;
    double* nearest;

    using Shared = FoldRoom<double>;

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& room) const {
        Index const own = first + team.index;
        Real const* const products_of_row = products.row(team.index);
        constexpr double far = std::numeric_limits<double>::infinity();
        double const distance = fold(
            team, room, products.cols, far,
            [&](Index other) {
                if (other == own) return far;
                return squares[own] + squares[other] - 2.0 * static_cast<double>(products_of_row[other]);
            },
            [](double a, double b) { return b < a ? b : a; });
        team.each(1, [&](Index) { nearest[own] = distance > 0.0 ? distance : 0.0; });
    }
};

/// Runs body(first row, logits [rows, V]) over blocks of logits = z table^T + bias.
template <class Real, class System, class Body>
void for_each_logit_block(ThrustDevice<Real, System>& device, In<Real> z, In<Real> table, InVector<Real> bias,
                          Body const& body) {
    Real* const memory = device.outer_scratch(std::min(detail::logit_block(table.rows), z.rows) * table.rows);
    auto const read = [&](Index first, MatrixView<Real> logits) {
        detail::read_logits(device, z.row_range(first, logits.rows), table, bias, logits);
    };
    detail::for_each_logit_block(z.rows, table.rows, memory, read, body);
}

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
    kernels::for_each_logit_block(device, z, table, bias, [&](Index first, MatrixView<Real> logits) {
        kernels::RowSums<Real> const to{smoothed, row_weights, row_losses};
        kernels::for_each_team(device, logits.rows,
                               kernels::CrossEntropyRow<Real>{logits, targets.data + first, smoothing, factor,
                                                              nll + first, to.from(first)});
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
        kernels::RowSums<Real> const to{sums, row_weights, row_sums};
        kernels::for_each_team(device, rows, kernels::DivergenceRow<Real>{of_x, of_y, factor, to.from(first), slopes});
        detail::read_logits_backward(device, x.row_range(first, rows), table, of_x, detail::rows_of(dx, first, rows),
                                     dtable, dbias);
        detail::read_logits_backward(device, y.row_range(first, rows), table, of_y, detail::rows_of(dy, first, rows),
                                     dtable, dbias);
    }
    kernels::sum_terms(device, sums, x.rows, sums + x.rows, sum);
}

/// The most probable token of each row under logits = z table^T + bias; ties go to the lowest token. No more than
/// 32 x 32 logits are held at once.
///
/// @param tokens             [N]
/// @param log_probabilities  [N] takes log p of that token, or empty
template <class Real, class System>
void readout_argmax(ThrustDevice<Real, System>& device, In<Real> z, In<Real> table, InVector<Real> bias,
                    VectorView<Token> tokens, OutVector<Real> log_probabilities = {}) {
    using Best = kernels::BestOfTokens<Real>;
    Index const slices = (table.rows + kernels::tokens_of_slice - 1) / kernels::tokens_of_slice;
    Index const blocks = (z.rows + kernels::tile_rows - 1) / kernels::tile_rows;
    MatrixView<Best> const best(device.template scratch_of<Best>(z.rows * slices), z.rows, slices);
    kernels::for_each_team(device, blocks * slices, kernels::BestOfSlice<Real>{z, table, bias.data, best});
    kernels::for_each(device, z.rows, kernels::BestOfSlices<Real>{best, tokens.data, log_probabilities.data});
}

/// log p [N] of one given token a row under logits = z table^T + bias.
///
/// @param tokens  [N]
template <class Real, class System>
void readout_log_probabilities(ThrustDevice<Real, System>& device, In<Real> z, In<Real> table, InVector<Real> bias,
                               TokenView tokens, OutVector<Real> log_probabilities) {
    kernels::for_each_logit_block(device, z, table, bias, [&](Index first, MatrixView<Real> logits) {
        kernels::for_each_team(
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
    kernels::for_each_logit_block(device, z, table, bias, [&](Index first, MatrixView<Real> logits) {
        kernels::for_each_team(device, logits.rows,
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
    kernels::for_each_team(device, count, kernels::SquaredLength<Real>{table, squares});
    kernels::for_each_logit_block(device, table, table, InVector<Real>{}, [&](Index first, MatrixView<Real> products) {
        kernels::for_each_team(device, products.rows, kernels::NearestOther<Real>{products, first, squares, nearest});
    });
    kernels::sum_terms(device, nearest, count, nearest + count, sum);
}

}  // namespace inkling::backend
