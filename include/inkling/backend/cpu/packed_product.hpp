#pragma once

#include <inkling/backend/cpu/detail/bfloat16.hpp>
#include <inkling/backend/cpu/product.hpp>

#include <algorithm>
#include <concepts>
#include <type_traits>

/// \file
/// Products whose right factor was laid out beforehand, in single precision or in bfloat16.

namespace inkling::backend {

namespace detail {

/// Elements that a matrix [rows, cols] takes as pack lays it out: its last panel is filled up.
template <class Real>
[[nodiscard]] Index packed_size(Index rows, Index cols) {
    constexpr Index width = panel_width<Real>;
    return (rows + width - 1) / width * width * cols;
}

/// result [rows, cols] = left [rows, depth] times columns [first, first + cols) of the transpose of a matrix [N, depth]
/// that pack_panels laid out + bias [N], on the calling thread, with the bits of product.
/// @param left    at least one column
/// @param first   a multiple of the panels' width
/// @param bias    null: none
/// @param stride  elements from one row of the result to the next
template <class Real>
void multiply_packed_serial(MatrixView<Real const> left, Real const* packed, Index first, Index cols, Real const* bias,
                            Real* result, Index stride) {
    constexpr Index width = panel_width<Real>;
    Index const depth = left.cols;
    for (Index k = 0; k < depth; k += depth_block)
        for (Index j = 0; j < cols; j += width)
            multiply_panel(Tiles<Real>{{left.data + k, left.stride, 1}, left.rows},
                           packed + (first + j) * depth + k * width, std::min(depth_block, depth - k),
                           std::min(width, cols - j), bias == nullptr || k > 0 ? nullptr : bias + first + j, k > 0,
                           result + j, stride);
}

/// Lays a matrix [N, K] out in panels: packed_size elements.
template <class Real>
void pack_panels(Cpu<Real>& device, MatrixView<Real const> matrix, Real* packed) {
    constexpr Index width = panel_width<Real>;
    device.parallel((matrix.rows + width - 1) / width, 4, [&](Index begin, Index end, int) {
        for (Index panel = begin; panel < end; ++panel)
            pack_panel(strided<Real>(matrix, Orientation::transposed), panel * width,
                       std::min(width, matrix.rows - panel * width), matrix.cols, packed + panel * width * matrix.cols);
    });
}

/// result [M, N] = left [M, K] times the transpose of what pack_panels laid out + bias [N], which may be null.
/// @param depth  K, of pairs where Terms are such; at least 1
template <class Real, class Terms>
void multiply_packed(Cpu<Real>& device, Strided<Real, Terms> left, Index depth, Real const* packed,
                     MatrixView<Real> result, Real const* bias) {
    constexpr Index width = panel_width<Real>;
    for (Index k = 0; k < depth; k += depth_block) {
        auto const panel_at = [&](Index panel) { return packed + (panel * depth + k) * width; };
        multiply_panels(device, left, k, std::min(depth_block, depth - k), panel_at, result, false, bias);
    }
}

}  // namespace detail

/// Elements of a matrix that one Scalar of packed memory holds: 2 of bfloat16, otherwise 1.
template <class Real>
[[nodiscard]] Index packed_density(Cpu<Real> const& device) {
    return detail::multiplies_bfloat16(device) ? 2 : 1;
}

/// Whether pack can lay out a matrix [rows, cols]. Of Cpu alone: a backend derived from it may have another product.
template <class Device>
    requires std::same_as<Device, Cpu<typename Device::Scalar>>
[[nodiscard]] bool can_pack(Device const& device, Index rows, Index cols) {
    return rows % detail::panel_width<typename Device::Scalar> == 0 && cols > 0 && cols % packed_density(device) == 0;
}

/// Lays a matrix out for product_with_packed, in the precision of the device. Some of its rows, where the number of the
/// first and how many they are are such as can_pack takes, lie as they would alone.
/// @param matrix  [N, K], such as can_pack takes
/// @param packed  N * K / packed_density elements, overwritten
template <class Real>
void pack(Cpu<Real>& device, In<Real> matrix, Real* packed) {
    if constexpr (std::is_same_v<Real, float>)
        if (detail::multiplies_bfloat16(device)) {
            float* const pairs = device.shared_scratch(matrix.rows * matrix.cols / 2);
            detail::round_to_pairs(device, matrix, pairs, matrix.cols / 2);
            return detail::pack_panels(device, MatrixView<float const>(pairs, matrix.rows, matrix.cols / 2), packed);
        }
    detail::pack_panels(device, MatrixView<Real const>(matrix), packed);
}

/// result [M, N] = left [M, K] matrix^T + bias [N] for a matrix [N, K] that was packed: in single precision with the
/// bits of product; in bfloat16 both factors are rounded to 8 significant bits, and sums are single. A row depends on
/// no other.
/// @param packed  by pack, with a device of this precision
/// @param bias    [N], or empty
template <class Real>
void product_with_packed(Cpu<Real>& device, In<Real> left, Real const* packed, Out<Real> result,
                         InVector<Real> bias = {}) {
    if constexpr (std::is_same_v<Real, float>)
        if (detail::multiplies_bfloat16(device)) {
            Index const depth = left.cols / 2, stride = detail::stride_of_pairs(depth);
            float* const pairs = device.shared_scratch(left.rows * stride);
            detail::round_to_pairs(device, left, pairs, stride);
            return detail::multiply_packed(device, detail::Strided<float, detail::BfloatPairs>{pairs, stride, 1}, depth,
                                           packed, result, bias.data);
        }
    detail::multiply_packed(device, detail::strided<Real>(left, Orientation::plain), left.cols, packed,
                            MatrixView<Real>(result), bias.data);
}

}  // namespace inkling::backend
