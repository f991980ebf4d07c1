#pragma once

#include <inkling/backend/cpu/detail/map.hpp>

namespace inkling::backend {

/// out [N, D] = factor * table [V, D] at the rows that the tokens name; or out += with `accumulate`.
template <class Real>
void gather(Cpu<Real>& device, In<Real> table, TokenView tokens, std::type_identity_t<Real> factor, Out<Real> out,
            bool accumulate = false) {
    detail::for_each_row(device, tokens.size, out.cols, [&](Index row) {
        Real* const to = out.row(row);
        Real const* const from = table.row(tokens.data[row]);
        if (accumulate)
            detail::transform(
                out.cols, to, [=](auto const& a, auto const& b) { return a + factor * b; }, to, from);
        else
            detail::transform(
                out.cols, to, [=](auto const& a) { return factor * a; }, from);
    });
}

/// dtable [V, D] += factor * dout [N, D] at the rows that the tokens name; tokens equal to `skip` are passed over.
template <class Real>
void scatter_add(Cpu<Real>& device, In<Real> dout, TokenView tokens, std::type_identity_t<Real> factor,
                 Out<Real> dtable, Token skip = -1) {
    device.parallel(dtable.cols, 64, [&](Index begin, Index end, int) {  // by columns: no two threads share a sum
        for (Index row = 0; row < tokens.size; ++row)
            if (tokens.data[row] != skip) {
                Real* const to = dtable.row(tokens.data[row]) + begin;
                detail::transform(
                    end - begin, to, [=](auto const& a, auto const& b) { return a + factor * b; }, to,
                    dout.row(row) + begin);
            }
    });
}

}  // namespace inkling::backend
