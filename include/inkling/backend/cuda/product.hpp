#pragma once

#include <inkling/backend/cuda/device.hpp>
#include <inkling/backend/thrust/product.hpp>

#include <concepts>

namespace inkling::backend {

namespace kernels {

/// What cuBLAS left to be done to a product.
template <class Real>
struct EndProduct {
    Ending<Real> ending;
    MatrixView<Real> out;
    INKLING_HOST_DEVICE void operator()(Index row, Index begin, Index end) const {
        for (Index col = begin; col < end; ++col) out.row(row)[col] = ending(col, out.row(row)[col]);
    }
};

}  // namespace kernels

namespace detail {

/// result [M, N] (+)= left [M, K] right [K, N], and what its ending says: by cuBLASLt where it can, else in a kernel.
template <class Real>
void multiply(ThrustDevice<Real, CudaSystem>& device, In<Real> left, Orientation left_orientation, In<Real> right,
              Orientation right_orientation, Out<Real> result, bool accumulate, kernels::Ending<Real> ending) {
    Index const depth = left_orientation == Orientation::plain ? left.cols : left.rows;
    if (result.size() == 0) return;
    if (depth == 0) {
        kernels::tiled_product<Real>(device, left, left_orientation, right, right_orientation, result, accumulate,
                                     ending);
        return;
    }
    // cuBLAS goes by columns: our rows are its columns, so it is given result^T = right^T left^T.
    auto const operation = [](Orientation orientation) {
        return orientation == Orientation::plain ? CUBLAS_OP_N : CUBLAS_OP_T;
    };
    bool const rectifies = ending.activates && ending.activation == Activation::relu;
    auto const done = device.system().multiplier()(ColumnProduct<Real>{.left_operation = operation(right_orientation),
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
                                                                       .bias = ending.bias,
                                                                       .rectifies = rectifies});
    if (done.bias) ending.bias = nullptr;
    if (done.rectified) ending.activates = false;
    if (ending.bias != nullptr || ending.activates)
        kernels::for_each_piece(device, result.rows, result.cols, kernels::EndProduct<Real>{ending, result});
}

}  // namespace detail

/// result [M, N] (+)= left [M, K] right [K, N] + bias [N], by cuBLAS in the device's precision.
///
/// cuBLAS chooses how it sums by the shape: other than elsewhere, a row's last bits may depend on how many rows there
/// are beside it.
template <class Real>
void product(ThrustDevice<Real, CudaSystem>& device, In<Real> left, Orientation left_orientation, In<Real> right,
             Orientation right_orientation, Out<Real> result, bool accumulate = false, InVector<Real> bias = {}) {
    detail::multiply<Real>(device, left, left_orientation, right, right_orientation, result, accumulate, {bias.data});
}

/// result = activation(left right + bias): cuBLASLt takes the largest of 0 and each element on the way (relu), others
/// are a kernel, as its GELU is not the exact one. Of Cuda alone: a backend derived from it may have another product.
template <class Device, class Real = typename Device::Scalar>
    requires std::same_as<Device, ThrustDevice<Real, CudaSystem>>
void activated_product(Device& device, Activation activation, In<Real> left, Orientation left_orientation,
                       In<Real> right, Orientation right_orientation, Out<Real> result, InVector<Real> bias = {}) {
    detail::multiply<Real>(device, left, left_orientation, right, right_orientation, result, false,
                           {bias.data, true, activation});
}

}  // namespace inkling::backend
