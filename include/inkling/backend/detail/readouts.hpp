#pragma once

#include <inkling/backend/detail/formulas.hpp>
#include <inkling/backend/view.hpp>
#include <inkling/core/index.hpp>

#include <algorithm>

/// \file
/// How verbs read tokens out of vectors where they need all logits of a row: in blocks of rows, by the backend's own
/// products.

namespace inkling::backend::detail {

/// logits [rows, V] = z table^T + bias, for z [rows, D].
template <class Device, class Real = typename Device::Scalar>
void read_logits(Device& device, In<Real> z, In<Real> table, InVector<Real> bias, Out<Real> logits) {
    product(device, z, Orientation::plain, table, Orientation::transposed, logits, false, bias);
}

/// Adds what dlogits [rows, V] mean for z, table and bias to their gradients, where these are not empty.
template <class Device, class Real = typename Device::Scalar>
void read_logits_backward(Device& device, In<Real> z, In<Real> table, In<Real> dlogits, Out<Real> dz, Out<Real> dtable,
                          OutVector<Real> dbias) {
    if (!dz.empty()) product(device, dlogits, Orientation::plain, table, Orientation::plain, dz, true);
    if (!dtable.empty()) product(device, dlogits, Orientation::transposed, z, Orientation::plain, dtable, true);
    if (!dbias.empty()) sum_rows(device, dlogits, dbias);
}

/// Rows first, first + 1 .. of a gradient, or nothing where there is none.
template <class Real>
[[nodiscard]] MatrixView<Real> rows_of(MatrixView<Real> gradient, Index first, Index rows) {
    return gradient.empty() ? gradient : gradient.row_range(first, rows);
}

/// Runs read(first row, logits [rows, V]) and then body(first row, logits) over blocks of so many rows.
/// @param memory  of as many logits as a block has: the smaller of logit_block(vocabulary) and rows, times V
template <class Real, class Read, class Body>
void for_each_logit_block(Index rows, Index vocabulary, Real* memory, Read const& read, Body const& body) {
    Index const block = logit_block(vocabulary);
    for (Index first = 0; first < rows; first += block) {
        MatrixView<Real> const logits(memory, std::min(block, rows - first), vocabulary);
        read(first, logits);
        body(first, logits);
    }
}

}  // namespace inkling::backend::detail
