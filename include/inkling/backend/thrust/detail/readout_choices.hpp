#pragma once

#include <inkling/backend/thrust/detail/exponential_sum.hpp>
#include <inkling/backend/thrust/detail/map.hpp>
#include <inkling/backend/thrust/detail/team.hpp>
#include <inkling/backend/thrust/detail/tiles.hpp>

#include <cmath>
#include <limits>

namespace inkling::backend::kernels {

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

}  // namespace inkling::backend::kernels
