#pragma once

#include <inkling/backend/thrust/detail/map.hpp>
#include <inkling/backend/thrust/detail/team.hpp>

#include <type_traits>

namespace inkling::backend {

namespace kernels {

template <class Real>
struct Gather {
    MatrixView<Real const> table;
    TokenView tokens;
    Real factor;
    MatrixView<Real> out;
    bool accumulate;
    INKLING_HOST_DEVICE void operator()(Index row, Index begin, Index end) const {
        Real const* const from = table.row(tokens.data[row]);
        Real* const to = out.row(row);
        if (accumulate)
            for (Index col = begin; col < end; ++col) to[col] = to[col] + factor * from[col];
        else
            for (Index col = begin; col < end; ++col) to[col] = factor * from[col];
    }
};

/// What the rows of one token add up to, in their order: done by the team of the first of them, and by no other.
template <class Real>
struct ScatterAdd {
    MatrixView<Real const> dout;
    TokenView tokens;
    Real factor;
    MatrixView<Real> dtable;
    Token skip;

    struct Shared {
        FoldRoom<int> room;
        int same[Team::threads];    ///< which of the rows looked at have the token
        Index rows[Team::threads];  ///< these, one behind the other
        int count;                  ///< of them
    };

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& shared) const {
        Token const token = tokens.data[team.index];
        if (token == skip) return;
        auto const same = [&](Index row) { return tokens.data[row] == token ? 1 : 0; };
        if (fold(team, shared.room, team.index, 0, same, [](int a, int b) { return a | b; }) != 0) return;
        Real* const to = dtable.row(token);
        for (Index first = team.index; first < tokens.size; first += Team::threads) {
            Index const seen = least(Team::threads, tokens.size - first);
            team.each(seen, [&](Index i) { shared.same[i] = same(first + i); });
            team.each(seen, [&](Index i) {
                if (shared.same[i] == 0 && i + 1 < seen) return;
                int before = 0;
                for (Index other = 0; other < i; ++other) before += shared.same[other];
                if (shared.same[i] != 0) shared.rows[before] = first + i;
                if (i + 1 == seen) shared.count = before + shared.same[i];
            });
            team.each(dtable.cols, [&](Index col) {
                Real sum = to[col];
                for (int i = 0; i < shared.count; ++i) sum = sum + factor * dout.row(shared.rows[i])[col];
                to[col] = sum;
            });
        }
    }
};

}  // namespace kernels

/// out [N, D] = factor * table [V, D] at the rows that the tokens name; or out += with `accumulate`.
template <class Real, class System>
void gather(ThrustDevice<Real, System>& device, In<Real> table, TokenView tokens, std::type_identity_t<Real> factor,
            Out<Real> out, bool accumulate = false) {
    kernels::for_each_piece(device, tokens.size, out.cols,
                            kernels::Gather<Real>{table, tokens, factor, out, accumulate});
}

/// dtable [V, D] += factor * dout [N, D] at the rows that the tokens name; tokens equal to `skip` are passed over.
template <class Real, class System>
void scatter_add(ThrustDevice<Real, System>& device, In<Real> dout, TokenView tokens, std::type_identity_t<Real> factor,
                 Out<Real> dtable, Token skip = -1) {
    kernels::for_each_team(device, tokens.size, kernels::ScatterAdd<Real>{dout, tokens, factor, dtable, skip});
}

}  // namespace inkling::backend
