#pragma once

#include <inkling/backend/cpu/detail/map.hpp>
#include <inkling/backend/detail/formulas.hpp>

#include <algorithm>
#include <cmath>

namespace inkling::backend {

namespace detail {

/// to = the layer norm of `from`, which it may be.
/// @param gain, bias   [D], or both empty
/// @param statistics   [2], or null
template <class Real>
void normalize_row(Index cols, Real const* from, InVector<Real> gain, InVector<Real> bias, Real epsilon, Real* to,
                   Real* statistics) {
    Real const mean = sum_of(cols, from) / static_cast<Real>(cols);
    Real const variance = sum_of(
                              cols, [=](auto const& a) { return (a - mean).square(); }, from)
        / static_cast<Real>(cols);
    Real const inverse = 1 / std::sqrt(variance + epsilon);
    if (gain.empty())
        transform(
            cols, to, [=](auto const& a) { return (a - mean) * inverse; }, from);
    else
        transform(
            cols, to, [=](auto const& a, auto const& g, auto const& b) { return (a - mean) * inverse * g + b; }, from,
            gain.data, bias.data);
    if (statistics != nullptr) {
        statistics[0] = mean;
        statistics[1] = inverse;
    }
}

}  // namespace detail

/// out = gain * (x - mean) / sqrt(variance + epsilon) + bias, row by row over D columns.
///
/// Source: Ba et al. 2016, "Layer Normalization", arXiv:1607.06450.
/// @param gain, bias   [D], or both empty for 1 and 0
/// @param statistics   [N, 2] takes each row's mean and 1 / sqrt(variance + epsilon) for the backward pass, or empty
/// @throws Error when gain comes without bias, or bias without gain
template <class Real>
void layer_norm(Cpu<Real>& device, In<Real> x, InVector<Real> gain, InVector<Real> bias, double epsilon, Out<Real> out,
                Out<Real> statistics = {}) {
    detail::require_both_or_neither("layer_norm", "gain", gain, "bias", bias);
    detail::for_each_row(device, x.rows, x.cols, [&](Index row) {
        detail::normalize_row<Real>(x.cols, x.row(row), gain, bias, static_cast<Real>(epsilon), out.row(row),
                                    statistics.empty() ? nullptr : statistics.row(row));
    });
}

/// Backward pass of layer_norm: dx is overwritten (it may be dout), dgain and dbias are added to, or both empty.
/// @throws Error when dgain comes without dbias, or dbias without dgain
template <class Real>
void layer_norm_backward(Cpu<Real>& device, In<Real> dout, In<Real> x, In<Real> statistics, InVector<Real> gain,
                         Out<Real> dx, OutVector<Real> dgain = {}, OutVector<Real> dbias = {}) {
    detail::require_both_or_neither("layer_norm_backward", "dgain", dgain, "dbias", dbias);
    Index const cols = x.cols;
    constexpr Index block = 64;  // rows of one partial sum: fixed, so that sums do not depend on the threads
    Index const blocks = (x.rows + block - 1) / block;
    bool const affine = !dgain.empty();
    Real* const partial = affine ? device.shared_scratch(blocks * 2 * cols) : nullptr;
    device.reserve_scratch(cols);
    device.parallel(x.rows, block, [&](Index begin, Index end, int thread) {
        Real* const normalized = device.scratch(thread);
        if (affine) std::fill_n(partial + begin / block * 2 * cols, 2 * cols, Real{0});
        for (Index row = begin; row < end; ++row) {
            Real const centre = statistics.row(row)[0];
            Real const inverse = statistics.row(row)[1];
            Real const* const slope = dout.row(row);
            Real* const to = dx.row(row);
            auto const product = [](auto const& a, auto const& b) { return a * b; };
            detail::transform(
                cols, normalized, [=](auto const& a) { return (a - centre) * inverse; }, x.row(row));
            if (affine) {
                Real* const own = partial + begin / block * 2 * cols;
                detail::transform(
                    cols, own, [](auto const& a, auto const& b, auto const& c) { return a + b * c; }, own, slope,
                    normalized);
                detail::add_to(cols, own + cols, slope);
            }
            if (!gain.empty())
                detail::transform(cols, to, product, slope, gain.data);
            else if (to != slope)
                std::copy_n(slope, cols, to);
            Real const mean = detail::sum_of(cols, to) / static_cast<Real>(cols);
            Real const along = detail::sum_of(cols, product, to, normalized) / static_cast<Real>(cols);
            detail::transform(
                cols, to, [=](auto const& a, auto const& b) { return inverse * (a - mean - b * along); }, to,
                normalized);
        }
    });
    if (!affine) return;
    device.parallel(cols, 256, [&](Index begin, Index end, int) {
        for (Index index = 0; index < blocks; ++index) {
            detail::add_to(end - begin, dgain.data + begin, partial + index * 2 * cols + begin);
            detail::add_to(end - begin, dbias.data + begin, partial + (index * 2 + 1) * cols + begin);
        }
    });
}

namespace detail {

/// |x| of a row, but at least 1e-12, as PyTorch's `normalize` has it.
template <class Real>
[[nodiscard]] Real row_length(Index cols, Real const* x) {
    Real const squares = sum_of(
        cols, [](auto const& a) { return a.square(); }, x);
    return std::max(std::sqrt(squares), static_cast<Real>(1e-12));
}

}  // namespace detail

/// out = length * x / |x|, row by row over D columns; out may be x. A row shorter than 1e-12 is divided by that.
template <class Real>
void normalize_rows(Cpu<Real>& device, In<Real> x, std::type_identity_t<Real> length, Out<Real> out) {
    detail::for_each_row(device, x.rows, x.cols, [&](Index row) {
        Real const factor = length / detail::row_length(x.cols, x.row(row));
        detail::transform(
            x.cols, out.row(row), [=](auto const& a) { return factor * a; }, x.row(row));
    });
}

/// Backward pass of normalize_rows: dx = length / |x| (dout - x (x dout) / |x|^2) is overwritten, or added to with
/// `accumulate`; it may be dout where it is not.
template <class Real>
void normalize_rows_backward(Cpu<Real>& device, In<Real> dout, In<Real> x, std::type_identity_t<Real> length,
                             Out<Real> dx, bool accumulate = false) {
    detail::for_each_row(device, x.rows, x.cols, [&](Index row) {
        Real* const to = dx.row(row);
        Real const* const slope = dout.row(row);
        Real const own = detail::row_length(x.cols, x.row(row));
        Real const factor = length / own;
        Real const along = detail::sum_of(
                               x.cols, [=](auto const& a, auto const& b) { return a * (b / own); }, slope, x.row(row))
            / own;
        auto const own_slope = [=](auto const& a, auto const& b) { return factor * (a - along * b); };
        if (accumulate)
            detail::transform(
                x.cols, to, [=](auto const& d, auto const& a, auto const& b) { return d + own_slope(a, b); }, to, slope,
                x.row(row));
        else
            detail::transform(x.cols, to, own_slope, slope, x.row(row));
    });
}

/// out [D] += the sum of the rows of x [N, D]; the gradient of a bias.
template <class Real>
void sum_rows(Cpu<Real>& device, In<Real> x, OutVector<Real> out) {
    device.parallel(x.cols, 64, [&](Index begin, Index end, int) {
        for (Index row = 0; row < x.rows; ++row) detail::add_to(end - begin, out.data + begin, x.row(row) + begin);
    });
}

}  // namespace inkling::backend
