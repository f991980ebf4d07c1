#pragma once

#include <inkling/nn/pass.hpp>

namespace inkling::embedding {

/// The row of the table [V, D] that is nearest to each row of z [N, D] in L2, as a token [N]; ties go to the lowest.
///
/// |z - E_v|^2 is least where z E_v - |E_v|^2 / 2 is greatest, so this is a read-out with a bias.
template <Backend B>
void nearest_rows(nn::Pass<B>& pass, MatrixView<typename B::Scalar const> table, MatrixView<typename B::Scalar const> z,
                  VectorView<Token> tokens) {
    using Scalar = typename B::Scalar;
    nn::Scope<B> const scope(pass.workspace);
    auto const penalties = pass.take(1, table.rows);
    VectorView<Scalar> const squares(penalties.data, table.rows);
    double* const sum = pass.workspace.template take<double>(1);
    squared_error(pass.device, table, {}, 0.0, sum, {}, {}, {}, squares);
    scale(pass.device, Scalar{-0.5}, penalties, penalties);
    readout_argmax(pass.device, z, table, squares, tokens);
}

}  // namespace inkling::embedding
