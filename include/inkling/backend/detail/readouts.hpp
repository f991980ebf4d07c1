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

/// Runs body(first row, logits [rows, V]) over blocks of logits = z table^T + bias.
template <class Device, class Body, class Real = typename Device::Scalar>
void for_each_logit_block(Device& device, In<Real> z, In<Real> table, InVector<Real> bias, Body const& body) {
    Index const block = logit_block(table.rows);
    Real* const memory = device.outer_scratch(std::min(block, z.rows) * table.rows);
    for (Index row = 0; row < z.rows; row += block) {
        Index const rows = std::min(block, z.rows - row);
        MatrixView<Real> const logits(memory, rows, table.rows);
        read_logits(device, z.row_range(row, rows), table, bias, logits);
        body(row, logits);
    }
}

}  // namespace inkling::backend::detail
