#pragma once

#include <inkling/backend/cpu/normalization.hpp>
#include <inkling/backend/cpu/random.hpp>

#include <concepts>

namespace inkling::backend {

/// sum = x + part after dropout, and out = its layer norm: what dropout, add and layer_norm do one after the other, to
/// the bit, while a row is in cache. Of Cpu alone: a backend derived from it may have another norm.
/// @param rate        in [0, 1); 0: nothing is dropped, and the stream is not read
/// @param gain, bias  [D], or both empty for 1 and 0
/// @param sum         [N, D], may be part
/// @param out         [N, D], may be part or x, or sum, which is not kept then
/// @param statistics  [N, 2] as of layer_norm, or empty
/// @throws Error when gain comes without bias, or bias without gain
template <class Device, class Real = typename Device::Scalar>
    requires std::same_as<Device, Cpu<Real>>
void dropout_add_layer_norm(Device& device, RandomStream stream, double rate, In<Real> part, In<Real> x,
                            InVector<Real> gain, InVector<Real> bias, double epsilon, Out<Real> sum, Out<Real> out,
                            Out<Real> statistics = {}) {
    detail::require_both_or_neither("dropout_add_layer_norm", "gain", gain, "bias", bias);
    detail::DropoutMask<Real> const mask(stream, rate, x.cols);
    detail::for_each_row(device, x.rows, x.cols, [&](Index row) {
        Real const* added = part.row(row);
        Real* const whole = sum.row(row);
        if (rate > 0.0) {
            detail::drop_row<Real>(mask, row, x.cols, added, whole);
            added = whole;
        }
        detail::transform(
            x.cols, whole, [](auto const& a, auto const& b) { return a + b; }, x.row(row), added);
        detail::normalize_row<Real>(x.cols, whole, gain, bias, static_cast<Real>(epsilon), out.row(row),
                                    statistics.empty() ? nullptr : statistics.row(row));
    });
}

}  // namespace inkling::backend
