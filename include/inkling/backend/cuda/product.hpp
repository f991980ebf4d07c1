#pragma once

#include <inkling/backend/cuda/device.hpp>
#include <inkling/backend/thrust/product.hpp>

#include <type_traits>

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

/// result [M, N] (+)= left [M, K] right [K, N] + bias [N], by cuBLAS in the precision of the elements.
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
    auto const multiply = [&](auto const& call, char const* name) {
        Real const one{1};
        Real const kept{accumulate ? Real{1} : Real{0}};
        detail::check_cublas(call(device.system().products(), operation(right_orientation), operation(left_orientation),
                                  result.cols, result.rows, depth, &one, right.data, right.stride, left.data,
                                  left.stride, &kept, result.data, result.stride),
                             name);
    };
    if constexpr (std::is_same_v<Real, float>)
        multiply(cublasSgemm_64, "cublasSgemm_64");
    else
        multiply(cublasDgemm_64, "cublasDgemm_64");
    if (!bias.empty())
        kernels::for_each_piece(device, result.rows, result.cols, kernels::AddBias<Real>{bias.data, result});
}

}  // namespace inkling::backend
