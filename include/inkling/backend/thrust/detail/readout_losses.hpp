#pragma once

#include <inkling/backend/detail/readouts.hpp>
#include <inkling/backend/thrust/detail/exponential_sum.hpp>
#include <inkling/backend/thrust/detail/map.hpp>
#include <inkling/backend/thrust/detail/team.hpp>
#include <inkling/backend/thrust/reduction.hpp>

#include <cmath>

namespace inkling::backend::kernels {

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

}  // namespace inkling::backend::kernels
