#pragma once

#include <inkling/backend/cuda/device.hpp>
#include <inkling/backend/thrust/product.hpp>

#include <concepts>

namespace inkling::backend {

namespace kernels {

/// What cuBLAS left to be done to a product.
template <class Real>
struct ApplyEpilogue {
    Epilogue<Real> epilogue;
    MatrixView<Real> out;
    INKLING_HOST_DEVICE void operator()(Index row, Index begin, Index end) const {
        for (Index col = begin; col < end; ++col) out.row(row)[col] = epilogue(col, out.row(row)[col]);
    }
};

}  // namespace kernels

namespace detail {

/// result [M, N] (+)= left [M, K] right [K, N], and its epilogue: by cuBLASLt where it can, else in a kernel.
template <class Real>
void multiply(ThrustDevice<Real, CudaSystem>& device, In<Real> left, Orientation left_orientation, In<Real> right,
              Orientation right_orientation, Out<Real> result, bool accumulate, kernels::Epilogue<Real> epilogue) {
    Index const depth = left_orientation == Orientation::plain ? left.cols : left.rows;
    if (result.size() == 0) return;
    if (depth == 0) {
        kernels::tiled_product<Real>(device, left, left_orientation, right, right_orientation, result, accumulate,
                                     epilogue);
        return;
    }
    // cuBLAS goes by columns: our rows are its columns, so it is given result^T = right^T left^T.
    auto const operation = [](Orientation orientation) {
        return orientation == Orientation::plain ? CUBLAS_OP_N : CUBLAS_OP_T;
    };
    auto const done = device.system().multiplier()(
        ColumnProduct<Real>{.left_operation = operation(right_orientation),
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
                            .bias = epilogue.bias,
                            .relu = epilogue.activates && epilogue.activation == Activation::relu});
    if (done.bias) epilogue.bias = nullptr;
    if (done.relu) epilogue.activates = false;
    if (epilogue.bias != nullptr || epilogue.activates)
        kernels::for_each_piece(device, result.rows, result.cols, kernels::ApplyEpilogue<Real>{epilogue, result});
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

/// result = activation(left right + bias): cuBLASLt does relu on the way, others are a kernel, as its GELU is not the
/// exact one.
template <OwnThrustDevice Device, class Real = typename Device::Scalar>
    requires std::same_as<typename Device::System, CudaSystem>
void activated_product(Device& device, Activation activation, In<Real> left, Orientation left_orientation,
                       In<Real> right, Orientation right_orientation, Out<Real> result, InVector<Real> bias = {}) {
    detail::multiply<Real>(device, left, left_orientation, right, right_orientation, result, false,
                           {bias.data, true, activation});
}

}  // namespace inkling::backend
