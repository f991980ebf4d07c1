#pragma once

#include <inkling/backend/thrust/detail/map.hpp>

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

/// By columns: no two calls share a sum, and each is in the order of the rows.
template <class Real>
struct ScatterAdd {
    MatrixView<Real const> dout;
    TokenView tokens;
    Real factor;
    MatrixView<Real> dtable;
    Token skip;
    INKLING_HOST_DEVICE void operator()(Index, Index begin, Index end) const {
        for (Index row = 0; row < tokens.size; ++row) {
            if (tokens.data[row] == skip) continue;
            Real const* const from = dout.row(row);
            Real* const to = dtable.row(tokens.data[row]);
            for (Index col = begin; col < end; ++col) to[col] = to[col] + factor * from[col];
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
    kernels::for_each_piece(device, 1, dtable.cols, kernels::ScatterAdd<Real>{dout, tokens, factor, dtable, skip}, 64);
}

}  // namespace inkling::backend
