#pragma once

#include <inkling/backend/cpu/detail/bfloat16.hpp>
#include <inkling/backend/cpu/detail/panels.hpp>
#include <inkling/backend/cpu/device.hpp>
#include <inkling/backend/view.hpp>

#include <algorithm>
#include <type_traits>

namespace inkling::backend {

/// result [M, N] (+)= left [M, K] right [K, N] + bias [N]; each factor may be stored transposed.
///
/// Every element is summed in an order that depends on K alone, so that a row's result does not depend on the other
/// rows of the batch. In bfloat16 both factors are rounded to 8 significant bits, and sums are single.
/// @param accumulate  add to what `result` holds, in place of overwriting it
/// @param bias        [N], or empty
template <class Real>
void product(Cpu<Real>& device, In<Real> left, Orientation left_orientation, In<Real> right,
             Orientation right_orientation, Out<Real> result, bool accumulate = false, InVector<Real> bias = {}) {
    constexpr Index width = detail::panel_width<Real>;
    auto const a = detail::strided<Real>(left, left_orientation);
    auto const b = detail::strided<Real>(right, right_orientation);
    Index const rows = result.rows, cols = result.cols;
    Index const depth = left_orientation == Orientation::plain ? left.cols : left.rows;
    Index const panels = (cols + width - 1) / width;
    if (depth == 0)
        for (Index i = 0; i < rows; ++i) {
            if (!accumulate) std::fill_n(result.row(i), cols, Real{0});
            if (!bias.empty())
                for (Index j = 0; j < cols; ++j) result.row(i)[j] += bias.data[j];
        }
    if constexpr (std::is_same_v<Real, float>)
        if (detail::multiplies_bfloat16(device))
            return detail::multiply_rounded(device, a, b, depth, MatrixView<float>(result), accumulate, bias.data);
    for (Index k = 0; k < depth; k += detail::depth_block) {
        Index const terms = std::min(detail::depth_block, depth - k);
        Real* const packed = device.shared_scratch(panels * width * terms);
        bool const small = detail::is_small_product(rows, cols, terms);
        device.parallel(panels, small ? panels : 2, [&](Index begin, Index end, int) {
            for (Index panel = begin; panel < end; ++panel)
                detail::pack_panel(detail::Strided<Real>{b.data + k * b.row, b.row, b.col}, panel * width,
                                   std::min(width, cols - panel * width), terms, packed + panel * width * terms);
        });
        auto const panel_at = [&](Index panel) -> Real const* { return packed + panel * width * terms; };
        detail::multiply_panels(device, a, k, terms, panel_at, MatrixView<Real>(result), accumulate, bias.data);
    }
}

}  // namespace inkling::backend
