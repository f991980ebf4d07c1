#pragma once

#include <inkling/backend/cpu/detail/map.hpp>

#include <cmath>

namespace inkling::backend {

/// out = gain * (x - mean) / sqrt(variance + epsilon) + bias, row by row over D columns.
///
/// Source: Ba et al. 2016, "Layer Normalization", arXiv:1607.06450.
/// @param gain, bias   [D], or empty for 1 and 0
/// @param statistics   [N, 2] takes each row's mean and 1 / sqrt(variance + epsilon) for the backward pass, or empty
template <class Real>
void layer_norm(Cpu<Real>& device, In<Real> x, InVector<Real> gain, InVector<Real> bias, double epsilon, Out<Real> out,
                Out<Real> statistics = {}) {
    Index const cols = x.cols;
    detail::for_each_row(device, x.rows, cols, [&](Index row) {
        auto const from = detail::array(x.row(row), cols);
        auto to = detail::array(out.row(row), cols);
        Real const mean = from.mean();
        Real const variance = (from - mean).square().mean();
        Real const inverse = 1 / std::sqrt(variance + static_cast<Real>(epsilon));
        to = (from - mean) * inverse;
        if (!gain.empty()) to = to * detail::array(gain.data, cols) + detail::array(bias.data, cols);
        if (!statistics.empty()) {
            statistics.row(row)[0] = mean;
            statistics.row(row)[1] = inverse;
        }
    });
}

/// Backward pass of layer_norm: dx is overwritten (it may be dout), dgain and dbias are added to.
template <class Real>
void layer_norm_backward(Cpu<Real>& device, In<Real> dout, In<Real> x, In<Real> statistics, InVector<Real> gain,
                         Out<Real> dx, OutVector<Real> dgain = {}, OutVector<Real> dbias = {}) {
    Index const cols = x.cols;
    constexpr Index block = 64;  // rows of one partial sum: fixed, so that sums do not depend on the threads
    Index const blocks = (x.rows + block - 1) / block;
    bool const affine = !dgain.empty();
    Real* const partial = affine ? device.shared_scratch(blocks * 2 * cols) : nullptr;
    device.parallel(x.rows, block, [&](Index begin, Index end, int thread) {
        auto normalized = detail::array(device.scratch(thread, cols), cols);
        if (affine) std::fill_n(partial + begin / block * 2 * cols, 2 * cols, Real{0});
        for (Index row = begin; row < end; ++row) {
            Real const inverse = statistics.row(row)[1];
            auto const slope = detail::array(dout.row(row), cols);
            auto to = detail::array(dx.row(row), cols);
            normalized = (detail::array(x.row(row), cols) - statistics.row(row)[0]) * inverse;
            if (affine) {
                detail::array(partial + begin / block * 2 * cols, cols) += slope * normalized;
                detail::array(partial + (begin / block * 2 + 1) * cols, cols) += slope;
            }
            if (gain.empty())
                to = slope;
            else
                to = slope * detail::array(gain.data, cols);
            Real const mean = to.mean();
            Real const along = (to * normalized).mean();
            to = inverse * (to - mean - normalized * along);
        }
    });
    if (!affine) return;
    for (Index index = 0; index < blocks; ++index) {
        detail::array(dgain.data, cols) += detail::array(partial + index * 2 * cols, cols);
        detail::array(dbias.data, cols) += detail::array(partial + (index * 2 + 1) * cols, cols);
    }
}

/// out [D] += the sum of the rows of x [N, D]; the gradient of a bias.
template <class Real>
void sum_rows(Cpu<Real>& device, In<Real> x, OutVector<Real> out) {
    device.parallel(x.cols, 64, [&](Index begin, Index end, int) {
        auto to = detail::array(out.data + begin, end - begin);
        for (Index row = 0; row < x.rows; ++row) to += detail::array(x.row(row) + begin, end - begin);
    });
}

}  // namespace inkling::backend
