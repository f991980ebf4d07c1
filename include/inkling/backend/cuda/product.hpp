#pragma once

#include <inkling/backend/cuda/device.hpp>
#include <inkling/backend/thrust/product.hpp>

namespace inkling::backend {

namespace kernels {

/// out += bias, row by row.
template <class Real>
struct AddBias {
    Real const* bias;
    MatrixView<Real> out;
    INKLING_HOST_DEVICE void operator()(Index row, Index begin, Index end) const {
        for (Index col = begin; col < end; ++col) out.row(row)[col] += bias[col];
    }
};

}  // namespace kernels

/// result [M, N] (+)= left [M, K] right [K, N] + bias [N], by cuBLAS in the device's precision.
///
/// cuBLAS chooses how it sums by the shape: other than elsewhere, a row's last bits may depend on how many rows there
/// are beside it.
template <class Real>
void product(ThrustDevice<Real, CudaSystem>& device, In<Real> left, Orientation left_orientation, In<Real> right,
             Orientation right_orientation, Out<Real> result, bool accumulate = false, InVector<Real> bias = {}) {
    Index const depth = left_orientation == Orientation::plain ? left.cols : left.rows;
    if (result.size() == 0) return;
    if (depth == 0) {
        kernels::tiled_product(device, left, left_orientation, right, right_orientation, result, accumulate, bias);
        return;
    }
    // cuBLAS goes by columns: our rows are its columns, so it is given result^T = right^T left^T.
    auto const operation = [](Orientation orientation) {
        return orientation == Orientation::plain ? CUBLAS_OP_N : CUBLAS_OP_T;
    };
    bool const with_bias =
        device.system().multiplier()(detail::ColumnProduct<Real>{.left_operation = operation(right_orientation),
                                                                 .right_operation = operation(left_orientation),
                                                                 .rows = result.cols,
                                                                 .cols = result.rows,
                                                                 .depth = depth,
                                                                 .left = right.data,
                                                                 .left_stride = right.stride,
                                                                 .right = left.data,
                                                                 .right_stride = left.stride,
                                                                 .result = result.data,
                                                                 .result_stride = result.stride,
                                                                 .accumulate = accumulate,
                                                                 .bias = bias.data});
    if (!with_bias)
        kernels::for_each_piece(device, result.rows, result.cols, kernels::AddBias<Real>{bias.data, result});
}

}  // namespace inkling::backend
