#pragma once

#include <inkling/backend/cpu/detail/map.hpp>
#include <inkling/backend/cpu/normalization.hpp>
#include <inkling/backend/cpu/packed_product.hpp>
#include <inkling/backend/detail/formulas.hpp>
#include <inkling/backend/detail/readouts.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace inkling::backend {

namespace detail {

/// The `count` largest of `size` numbers and their places, largest first; of equal ones the first comes first.
template <class Real>
void keep_largest(Index size, Real const* numbers, Index count, Token* places, Real* largest) {
    Index found = 0;
    for (Index i = 0; i < size; ++i) {
        if (found == count && !(numbers[i] > largest[count - 1])) continue;
        Index place = found < count ? found++ : count - 1;
        for (; place > 0 && numbers[i] > largest[place - 1]; --place) {
            largest[place] = largest[place - 1];
            places[place] = places[place - 1];
        }
        largest[place] = numbers[i];
        places[place] = static_cast<Token>(i);
    }
}

/// The sum of exp(logit - top) over a row of logits; in double, as a vocabulary is long.
template <class Real>
[[nodiscard]] double total_of(Index vocabulary, Real const* logits, Real top) {
    return sum_in<double>(
        vocabulary, [=](auto const& a) { return (a - top).exp().template cast<double>(); }, logits);
}

/// Runs body(first row, logits [rows, V]) over blocks of logits = z table^T + bias; lays the table out once for all.
template <class Real, class Body>
void for_each_packed_logit_block(Cpu<Real>& device, In<Real> z, In<Real> table, InVector<Real> bias, Body const& body) {
    Index const vocabulary = table.rows, block = std::min(logit_block(vocabulary), z.rows);
    Real* const memory = device.outer_scratch(block * vocabulary + packed_size<Real>(vocabulary, table.cols));
    Real* const packed = memory + block * vocabulary;
    pack_panels(device, MatrixView<Real const>(table), packed);
    for_each_logit_block(
        z.rows, vocabulary, memory,
        [&](Index first, MatrixView<Real> logits) {
            multiply_packed(device, strided<Real>(z.row_range(first, logits.rows), Orientation::plain), z.cols,
                            static_cast<Real const*>(packed), logits, bias.data);
        },
        body);
}

/// The best of some tokens of a row, and what the others weigh beside it; before there is any: token `token`.
template <class Real>
struct BestToken {
    Index token;
    double top = -std::numeric_limits<double>::infinity();
    double others = 0.0;  ///< the sum of exp(logit - top) over all tokens but the best, where it is asked for

    /// Takes up tokens first .. first + count - 1, which come behind those so far; overwrites their logits.
    void take(Index first, Index count, Real* logits, bool weigh) {
        Real const most = max_of(count, logits);
        if (static_cast<double>(most) > top) {
            Real* const place = std::find(logits, logits + count, most);
            *place = -std::numeric_limits<Real>::infinity();  // its 1 would swallow what the others add to it
            if (weigh) others = (1.0 + others) * std::exp(top - static_cast<double>(most));
            top = static_cast<double>(most);
            token = first + (place - logits);
        }
        if (weigh && token_is_possible()) others += total_of(count, logits, static_cast<Real>(top));
    }
    [[nodiscard]] bool token_is_possible() const { return top != -std::numeric_limits<double>::infinity(); }
    /// Of equal ones the first wins.
    [[nodiscard]] static BestToken merged(BestToken const& first, BestToken const& second) {
        bool const later = second.top > first.top;
        BestToken const &more = later ? second : first, &less = later ? first : second;
        if (!less.token_is_possible()) return more;
        return {more.token, more.top, more.others + (1.0 + less.others) * std::exp(less.top - more.top)};
    }
};

}  // namespace detail

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
template <class Real>
void readout_cross_entropy(Cpu<Real>& device, In<Real> z, In<Real> table, InVector<Real> bias, TokenView targets,
                           double smoothing, double factor, double* losses, Out<Real> dz = {}, Out<Real> dtable = {},
                           OutVector<Real> dbias = {}, InVector<Real> row_weights = {},
                           OutVector<Real> row_losses = {}) {
    Index const vocabulary = table.rows;
    double* const sums = device.sums(2 * z.rows);
    detail::for_each_packed_logit_block(device, z, table, bias, [&](Index first, MatrixView<Real> logits) {
        detail::for_each_row(device, logits.rows, vocabulary, [&](Index row) {
            Real* const values = logits.row(row);
            Index const target = targets.data[first + row];
            Real const top = detail::max_of(vocabulary, values);
            double mean = 0.0;
            if (smoothing != 0.0)
                mean = detail::sum_in<double>(
                           vocabulary, [=](auto const& a) { return (a - top).template cast<double>(); }, values)
                    / static_cast<double>(vocabulary);
            double const chosen = static_cast<double>(values[target] - top);
            detail::transform(
                vocabulary, values, [=](auto const& a) { return (a - top).exp(); }, values);
            double const sum = detail::sum_in<double>(
                vocabulary, [](auto const& a) { return a.template cast<double>(); }, values);
            detail::RowLoss const loss(std::log(sum), chosen, mean, smoothing);
            double const own = row_weights.empty() ? 1.0 : static_cast<double>(row_weights.data[first + row]);
            sums[2 * (first + row)] = own * loss.nll;
            sums[2 * (first + row) + 1] = own * loss.smoothed;
            if (!row_losses.empty()) row_losses.data[first + row] = static_cast<Real>(own * loss.smoothed);
            Real const share = static_cast<Real>(own * factor / sum);
            Real const even = static_cast<Real>(own * factor * smoothing / static_cast<double>(vocabulary));
            detail::transform(
                vocabulary, values, [=](auto const& a) { return a * share - even; }, values);
            values[target] -= static_cast<Real>((1.0 - smoothing) * own * factor);
        });
        detail::read_logits_backward(device, z.row_range(first, logits.rows), table, logits,
                                     detail::rows_of(dz, first, logits.rows), dtable, dbias);
    });
    losses[0] = losses[1] = 0.0;
    for (Index row = 0; row < z.rows; ++row) {
        losses[0] += sums[2 * row];
        losses[1] += sums[2 * row + 1];
    }
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
template <class Real>
void readout_divergence(Cpu<Real>& device, In<Real> x, In<Real> y, In<Real> table, InVector<Real> bias, double factor,
                        double* sum, Out<Real> dx = {}, Out<Real> dy = {}, Out<Real> dtable = {},
                        OutVector<Real> dbias = {}, InVector<Real> row_weights = {}, OutVector<Real> row_sums = {}) {
    Index const vocabulary = table.rows, block = std::min(detail::logit_block(vocabulary), x.rows);
    bool const slopes = !dx.empty() || !dy.empty() || !dtable.empty() || !dbias.empty();
    double* const sums = device.sums(x.rows);
    Real* const memory = device.outer_scratch(3 * block * vocabulary);
    for (Index first = 0; first < x.rows; first += block) {
        Index const rows = std::min(block, x.rows - first);
        MatrixView<Real> const of_x(memory, rows, vocabulary), of_y(of_x.row(rows), rows, vocabulary);
        MatrixView<Real> const chances(of_y.row(rows), rows, vocabulary);
        for (auto const& [z, logits] : {std::pair(x, of_x), std::pair(y, of_y)})  // in full precision
            detail::multiply(device, detail::strided<Real>(z.row_range(first, rows), Orientation::plain),
                             detail::strided<Real>(table, Orientation::transposed), z.cols, logits, false, bias.data);
        detail::for_each_row(device, rows, vocabulary, [&](Index row) {
            Real *const a = of_x.row(row), *const b = of_y.row(row), *const p = chances.row(row);
            Real const top_a = detail::max_of(vocabulary, a), top_b = detail::max_of(vocabulary, b);
            double const sum_a = detail::total_of(vocabulary, a, top_a), sum_b = detail::total_of(vocabulary, b, top_b);
            Real const total_a = static_cast<Real>(sum_a), total_b = static_cast<Real>(sum_b);
            detail::transform(
                vocabulary, p, [=](auto const& u) { return (u - top_a).exp() / total_a; }, a);
            // log p - log q = (a - top_a) - (b - top_b) + shift
            Real const shift = static_cast<Real>(std::log(sum_b) - std::log(sum_a));
            double const own = detail::sum_in<double>(
                vocabulary,
                [=](auto const& s, auto const& u, auto const& v) {
                    return (s * ((u - top_a) - (v - top_b) + shift)).template cast<double>();
                },
                p, a, b);
            double const weight = row_weights.empty() ? 1.0 : static_cast<double>(row_weights.data[first + row]);
            sums[first + row] = weight * own;
            if (!row_sums.empty()) row_sums.data[first + row] = static_cast<Real>(weight * own);
            if (!slopes) return;
            Real const slope = static_cast<Real>(weight * factor), mean = static_cast<Real>(own);
            detail::transform(
                vocabulary, a,
                [=](auto const& s, auto const& u, auto const& v) {
                    return slope * s * ((u - top_a) - (v - top_b) + shift - mean);
                },
                p, a, b);
            detail::transform(
                vocabulary, b, [=](auto const& s, auto const& v) { return slope * ((v - top_b).exp() / total_b - s); },
                p, b);
        });
        detail::read_logits_backward(device, x.row_range(first, rows), table, of_x, detail::rows_of(dx, first, rows),
                                     dtable, dbias);
        detail::read_logits_backward(device, y.row_range(first, rows), table, of_y, detail::rows_of(dy, first, rows),
                                     dtable, dbias);
    }
    *sum = 0.0;
    for (Index row = 0; row < x.rows; ++row) *sum += sums[row];
}

/// The most probable token of each row under logits = z table^T + bias; ties go to the lowest token. A row of logits
/// that are not all numbers has some token of the vocabulary.
///
/// @param tokens             [N]
/// @param log_probabilities  [N] takes log p of that token, or empty
template <class Real>
void readout_argmax(Cpu<Real>& device, In<Real> z, In<Real> table, InVector<Real> bias, VectorView<Token> tokens,
                    OutVector<Real> log_probabilities = {}) {
    using Best = detail::BestToken<Real>;
    constexpr Index rows_of_task = 8 * detail::tile_rows, tokens_at_once = 32 * detail::panel_width<Real>,
                    tokens_of_task = 4 * tokens_at_once;
    Index const vocabulary = table.rows, slices = (vocabulary + tokens_of_task - 1) / tokens_of_task;
    Real* const packed = device.shared_scratch(detail::packed_size<Real>(vocabulary, table.cols));
    detail::pack_panels(device, MatrixView<Real const>(table), packed);
    device.reserve_scratch(rows_of_task * tokens_at_once);
    static_assert(sizeof(Best) % sizeof(double) == 0 && alignof(Best) <= alignof(double));
    auto* const best = reinterpret_cast<Best*>(device.sums(z.rows * slices * Index{sizeof(Best) / sizeof(double)}));
    device.parallel((z.rows + rows_of_task - 1) / rows_of_task * slices, 1, [&](Index begin, Index end, int thread) {
        Real* const logits = device.scratch(thread);
        for (Index task = begin; task < end; ++task) {
            Index const slice = task % slices, row = task / slices * rows_of_task;
            Index const rows = std::min(rows_of_task, z.rows - row);
            Index const last = std::min(vocabulary, (slice + 1) * tokens_of_task);
            for (Index i = row; i < row + rows; ++i) best[i * slices + slice] = {slice * tokens_of_task};
            for (Index token = slice * tokens_of_task; token < last; token += tokens_at_once) {
                Index const count = std::min(tokens_at_once, last - token);
                detail::multiply_packed_serial(z.row_range(row, rows), static_cast<Real const*>(packed), token, count,
                                               bias.data, logits, tokens_at_once);
                for (Index i = 0; i < rows; ++i)
                    best[(row + i) * slices + slice].take(token, count, logits + i * tokens_at_once,
                                                          !log_probabilities.empty());
            }
        }
    });
    for (Index row = 0; row < z.rows; ++row) {
        Best own = best[row * slices];
        for (Index slice = 1; slice < slices; ++slice) own = Best::merged(own, best[row * slices + slice]);
        tokens.data[row] = static_cast<Token>(own.token);
        if (!log_probabilities.empty()) log_probabilities.data[row] = static_cast<Real>(-std::log1p(own.others));
    }
}

/// log p [N] of one given token a row under logits = z table^T + bias.
///
/// @param tokens  [N]
template <class Real>
void readout_log_probabilities(Cpu<Real>& device, In<Real> z, In<Real> table, InVector<Real> bias, TokenView tokens,
                               OutVector<Real> log_probabilities) {
    detail::for_each_packed_logit_block(device, z, table, bias, [&](Index first, MatrixView<Real> logits) {
        detail::for_each_row(device, logits.rows, table.rows, [&](Index row) {
            Real const* const values = logits.row(row);
            Real const top = detail::max_of(table.rows, values);
            double const chosen = static_cast<double>(values[tokens.data[first + row]] - top);
            log_probabilities.data[first + row] =
                static_cast<Real>(chosen - std::log(detail::total_of(table.rows, values, top)));
        });
    });
}

/// The K most probable tokens of each row under logits = z table^T + bias, best first; ties go to the lower token.
///
/// @param tokens             [N, K], K at most V
/// @param log_probabilities  [N, K], log p of each
template <class Real>
void readout_top(Cpu<Real>& device, In<Real> z, In<Real> table, InVector<Real> bias, MatrixView<Token> tokens,
                 Out<Real> log_probabilities) {
    Index const count = tokens.cols;
    detail::require_top(count, log_probabilities.cols, table.rows);
    detail::for_each_packed_logit_block(device, z, table, bias, [&](Index first, MatrixView<Real> logits) {
        detail::for_each_row(device, logits.rows, table.rows, [&](Index row) {
            Real const* const values = logits.row(row);
            Token* const best = tokens.row(first + row);
            Real* const scores = log_probabilities.row(first + row);
            detail::keep_largest(table.rows, values, count, best, scores);
            Real const top = detail::max_of(table.rows, values);
            double const log_total = std::log(detail::total_of(table.rows, values, top));
            for (Index i = 0; i < count; ++i)
                scores[i] = static_cast<Real>(static_cast<double>(scores[i] - top) - log_total);
        });
    });
}

/// *sum = the sum over the rows of table [V, D], V at least 2, of the squared distance to the nearest other row.
template <class Real>
void nearest_other_distance(Cpu<Real>& device, In<Real> table, double* sum) {
    Index const count = table.rows;
    double* const squares = device.sums(2 * count);
    double* const nearest = squares + count;
    detail::for_each_row(device, count, table.cols, [&](Index row) {
        squares[row] = detail::sum_in<double>(
            table.cols, [](auto const& a) { return a.template cast<double>().square(); }, table.row(row));
    });
    detail::for_each_packed_logit_block(device, table, table, {}, [&](Index first, MatrixView<Real> products) {
        detail::for_each_row(device, products.rows, count, [&](Index row) {
            Index const own = first + row;
            Real const* const values = products.row(row);
            double least = std::numeric_limits<double>::infinity();
            for (Index other = 0; other < count; ++other) {
                double const distance = squares[own] + squares[other] - 2.0 * static_cast<double>(values[other]);
                if (other != own && distance < least) least = distance;
            }
            nearest[own] = std::max(0.0, least);
        });
    });
    *sum = 0.0;
    for (Index row = 0; row < count; ++row) *sum += nearest[row];
}

}  // namespace inkling::backend
