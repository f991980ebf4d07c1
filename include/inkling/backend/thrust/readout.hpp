#pragma once

#include <inkling/backend/detail/readouts.hpp>
#include <inkling/backend/thrust/detail/map.hpp>
#include <inkling/backend/thrust/detail/team.hpp>
#include <inkling/backend/thrust/detail/tiles.hpp>
#include <inkling/backend/thrust/normalization.hpp>
#include <inkling/backend/thrust/product.hpp>
#include <inkling/backend/thrust/reduction.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace inkling::backend {

namespace kernels {

/// sum_v exp(l_v - top) over logits [vocabulary], in double: the 1 of the greatest would swallow what the others add to
/// it, which is all of a small loss. put(v, e) sees each exponential, and may write to l_v.
template <class Real, class Put>
[[nodiscard]] INKLING_HOST_DEVICE double exponential_sum(Team const& team, FoldRoom<double>& room, Index vocabulary,
                                                         Real const* logits, Real top, Put const& put) {
    return sum_of(team, room, vocabulary, [=](Index v) {
        Real const exponential = std::exp(logits[v] - top);
        put(v, exponential);
        return static_cast<double>(exponential);
    });
}
template <class Real>
[[nodiscard]] INKLING_HOST_DEVICE double exponential_sum(Team const& team, FoldRoom<double>& room, Index vocabulary,
                                                         Real const* logits, Real top) {
    return exponential_sum(team, room, vocabulary, logits, top, [](Index, Real) {});
}

/// Logits of a row become the slopes of the loss, which goes to nll [N] and smoothed [N].
template <class Real>
struct CrossEntropyRow {
    MatrixView<Real> logits;
    Token const* targets;
    double smoothing;
    double factor;
    double* nll;
    RowSums<Real> smoothed;

    struct Shared {
        FoldRoom<Real> room;
        FoldRoom<double> sums;
        Real chosen;  ///< the target's logit
    };

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& shared) const {
        Index const row = team.index, vocabulary = logits.cols, target = targets[row];
        Real* const values = logits.row(row);
        team.each(1, [&](Index) { shared.chosen = values[target]; });  // which is lost below
        Real const top = greatest(team, shared.room, vocabulary, values);
        double mean = 0.0;
        if (smoothing != 0.0)
            mean = sum_of(team, shared.sums, vocabulary, [=](Index v) { return static_cast<double>(values[v] - top); })
                / static_cast<double>(vocabulary);
        double const sum =
            exponential_sum(team, shared.sums, vocabulary, values, top, [=](Index v, Real e) { values[v] = e; });
        Real const total = static_cast<Real>(sum);
        double const own = smoothed.weight(row);
        Real const uniform = static_cast<Real>(smoothing / static_cast<double>(vocabulary));
        Real const weight = static_cast<Real>(own * factor);
        team.each(vocabulary, [&](Index v) {
            Real const slope = (values[v] / total - uniform) * weight;
            values[v] = v == target ? slope - static_cast<Real>((1.0 - smoothing) * own * factor) : slope;
        });
        detail::RowLoss const loss(std::log(sum), static_cast<double>(shared.chosen - top), mean, smoothing);
        team.each(1, [&](Index) { nll[row] = own * loss.nll; });
        smoothed.put(team, loss.smoothed);
    }
};

/// Logits of a row of two sides become the slopes of the divergence of the first from the second.
template <class Real>
struct DivergenceRow {
    MatrixView<Real> of_x, of_y;
    double factor;
    RowSums<Real> to;
    bool slopes;

    struct Shared {
        FoldRoom<Real> room;
        FoldRoom<double> sums;
    };

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& shared) const {
        Index const row = team.index, vocabulary = of_x.cols;
        Real *const a = of_x.row(row), *const b = of_y.row(row);
        Real const top_a = greatest(team, shared.room, vocabulary, a),
                   top_b = greatest(team, shared.room, vocabulary, b);
        double const sum_a = exponential_sum(team, shared.sums, vocabulary, a, top_a),
                     sum_b = exponential_sum(team, shared.sums, vocabulary, b, top_b);
        Real const total_a = static_cast<Real>(sum_a), total_b = static_cast<Real>(sum_b),
                   shift = static_cast<Real>(std::log(sum_b) - std::log(sum_a));
        auto const chance = [=](Index v) { return std::exp(a[v] - top_a) / total_a; };
        auto const apart = [=](Index v) { return (a[v] - top_a) - (b[v] - top_b) + shift; };  // log p - log q
        double const own =
            sum_of(team, shared.sums, vocabulary, [=](Index v) { return static_cast<double>(chance(v) * apart(v)); });
        to.put(team, own);
        if (!slopes) return;
        Real const slope = static_cast<Real>(to.weight(row) * factor), mean = static_cast<Real>(own);
        team.each(vocabulary, [&](Index v) {
            Real const p = chance(v), q = std::exp(b[v] - top_b) / total_b, difference = apart(v);
            a[v] = slope * p * (difference - mean);
            b[v] = slope * (q - p);
        });
    }
};

/// A token and its logit.
template <class Real>
struct Scored {
    Real logit;
    Index token;
};

/// Of two tokens the more probable, of equals the lower.
struct MoreProbable {
    template <class Real>
    INKLING_HOST_DEVICE Scored<Real> operator()(Scored<Real> const& a, Scored<Real> const& b) const {
        return b.logit > a.logit || (b.logit == a.logit && b.token < a.token) ? b : a;
    }
};

/// The most probable of some tokens, and the sum of exp(logit - its own) over the others.
template <class Real>
struct BestOfTokens {
    Real logit;
    Index token;  ///< below 0: of none yet
    Real others;  ///< in Real: no more than tokens_of_slice numbers are added one by one, all of them smaller than 1

    INKLING_HOST_DEVICE void take_up(BestOfTokens const& more) {
        if (more.token < 0) return;
        if (token < 0) {
            *this = more;
        } else if (more.logit > logit) {
            others = more.others + (1 + others) * std::exp(logit - more.logit);
            logit = more.logit;
            token = more.token;
        } else {
            Real const share = more.logit == logit ? Real{1} : std::exp(more.logit - logit);  // both may be -inf
            others += (1 + more.others) * share;
        }
    }
};

/// Tokens that one team reads out of a block of rows.
inline constexpr Index tokens_of_slice = 32 * tile_rows;

/// The best of one slice of the vocabulary, of a block of rows, by logits that are nowhere kept.
template <class Real>
struct BestOfSlice {
    MatrixView<Real const> z, table;
    Real const* bias;
    MatrixView<BestOfTokens<Real>> best;  ///< [N, slices]

    struct Shared {
        RowsTile<Real> x, y;
        PairsTile<Real> logits;
        BestOfTokens<Real> best[tile_rows];
    };

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& shared) const {
        Index const slice = team.index % best.cols, first = team.index / best.cols * tile_rows;
        auto const rows = z.row_range(first, least(tile_rows, z.rows - first));
        Index const end = least(table.rows, (slice + 1) * tokens_of_slice);
        team.each(rows.rows, [&](Index i) { shared.best[i] = {Real{0}, -1, Real{0}}; });
        for (Index token = slice * tokens_of_slice; token < end; token += tile_rows) {
            Index const tokens = least(tile_rows, end - token);
            multiply_rows(team, rows, table.row_range(token, tokens), shared.x, shared.y, shared.logits);
            team.each(rows.rows, [&](Index i) {
                BestOfTokens<Real> own = shared.best[i];
                for (Index j = 0; j < tokens; ++j) {
                    Real const logit = bias == nullptr ? shared.logits[i][j] : shared.logits[i][j] + bias[token + j];
                    own.take_up({logit, token + j, Real{0}});
                }
                shared.best[i] = own;
            });
        }
        team.each(rows.rows, [&](Index i) { best.row(first + i)[slice] = shared.best[i]; });
    }
};

/// The best of all slices of a row.
template <class Real>
struct BestOfSlices {
    MatrixView<BestOfTokens<Real> const> best;
    Token* tokens;
    Real* log_probabilities;
    INKLING_HOST_DEVICE void operator()(Index row) const {
        BestOfTokens<Real> own = best.row(row)[0];
        for (Index slice = 1; slice < best.cols; ++slice) own.take_up(best.row(row)[slice]);
        tokens[row] = static_cast<Token>(own.token);
        if (log_probabilities != nullptr)  // log1p: its own 1 would swallow what the others add to it
            log_probabilities[row] = static_cast<Real>(-std::log1p(static_cast<double>(own.others)));
    }
};

template <class Real>
struct LogProbabilityRow {
    MatrixView<Real const> logits;
    Token const* tokens;
    Real* log_probabilities;

    struct Shared {
        FoldRoom<Real> room;
        FoldRoom<double> sums;
    };

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& shared) const {
        Index const row = team.index;
        Real const* const values = logits.row(row);
        Real const top = greatest(team, shared.room, logits.cols, values);
        double const total = std::log(exponential_sum(team, shared.sums, logits.cols, values, top));
        team.each(1, [&](Index) {
            log_probabilities[row] = static_cast<Real>(static_cast<double>(values[tokens[row]] - top) - total);
        });
    }
};

/// Token by token: each time the most probable of those that are less so than the one before.
template <class Real>
struct TopRow {
    MatrixView<Real const> logits;
    MatrixView<Token> tokens;
    MatrixView<Real> log_probabilities;

    struct Shared {
        FoldRoom<Scored<Real>> best;
        FoldRoom<Real> room;
        FoldRoom<double> sums;
    };

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& shared) const {
        Index const row = team.index;
        Real const* const values = logits.row(row);
        Real const top = greatest(team, shared.room, logits.cols, values);
        double const total = std::log(exponential_sum(team, shared.sums, logits.cols, values, top));
        constexpr Index none = std::numeric_limits<Index>::max();
        Scored<Real> last{std::numeric_limits<Real>::infinity(), -1};
        for (Index place = 0; place < tokens.cols; ++place) {
            auto const left = [=](Index v) {
                bool const behind = values[v] < last.logit || (values[v] == last.logit && v > last.token);
                return behind ? Scored<Real>{values[v], v} : Scored<Real>{-std::numeric_limits<Real>::infinity(), none};
            };
            last = fold(team, shared.best, logits.cols, left(0), left, MoreProbable{});
            team.each(1, [&](Index) {  // of what is no number there is no greatest
                tokens.row(row)[place] = static_cast<Token>(last.token == none ? 0 : last.token);
                log_probabilities.row(row)[place] = static_cast<Real>(static_cast<double>(last.logit - top) - total);
            });
        }
    }
};

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
