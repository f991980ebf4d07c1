#pragma once

#include <inkling/backend/cpu/detail/bfloat16.hpp>
#include <inkling/backend/cpu/detail/panels.hpp>
#include <inkling/backend/cpu/device.hpp>
#include <inkling/backend/view.hpp>

#include <algorithm>
#include <type_traits>

namespace inkling::backend {

namespace detail {

/// result [M, N] (+)= left [M, K] right [K, N] + bias [N], which may be null, in the precision of the numbers.
template <class Real>
void multiply(Cpu<Real>& device, Strided<Real> left, Strided<Real> right, Index depth, MatrixView<Real> result,
              bool accumulate, Real const* bias) {
    constexpr Index width = panel_width<Real>;
    Index const panels = (result.cols + width - 1) / width;
    for (Index k = 0; k < depth; k += depth_block) {
        Index const terms = std::min(depth_block, depth - k);
        Real* const packed = device.shared_scratch(panels * width * terms);
        bool const small = is_small_product(result.rows, result.cols, terms);
        device.parallel(panels, small ? panels : 2, [&](Index begin, Index end, int) {
            for (Index panel = begin; panel < end; ++panel)
                pack_panel(Strided<Real>{right.data + k * right.row, right.row, right.col}, panel * width,
                           std::min(width, result.cols - panel * width), terms, packed + panel * width * terms);
        });
        auto const panel_at = [&](Index panel) -> Real const* { return packed + panel * width * terms; };
        multiply_panels(device, left, k, terms, panel_at, result, accumulate, bias);
    }
}

}  // namespace detail

/// result [M, N] (+)= left [M, K] right [K, N] + bias [N]; each factor may be stored transposed.
///
/// Every element is summed in an order that depends on K alone, so that a row's result does not depend on the other
/// rows of the batch. In bfloat16 both factors are rounded to 8 significant bits, and sums are single.
/// @param accumulate  add to what `result` holds, in place of overwriting it
/// @param bias        [N], or empty
template <class Real>
void product(Cpu<Real>& device, In<Real> left, Orientation left_orientation, In<Real> right,
             Orientation right_orientation, Out<Real> result, bool accumulate = false, InVector<Real> bias = {}) {
    auto const a = detail::strided<Real>(left, left_orientation);
    auto const b = detail::strided<Real>(right, right_orientation);
    Index const depth = left_orientation == Orientation::plain ? left.cols : left.rows;
    if (depth == 0)
        for (Index i = 0; i < result.rows; ++i) {
            if (!accumulate) std::fill_n(result.row(i), result.cols, Real{0});
            if (!bias.empty())
                for (Index j = 0; j < result.cols; ++j) result.row(i)[j] += bias.data[j];
        }
    if constexpr (std::is_same_v<Real, float>)
        if (detail::multiplies_bfloat16(device))
            return detail::multiply_rounded(device, a, b, depth, MatrixView<float>(result), accumulate, bias.data);
    detail::multiply(device, a, b, depth, MatrixView<Real>(result), accumulate, bias.data);
}

}  // namespace inkling::backend
