#pragma once

#include <inkling/backend/thrust/normalization.hpp>
#include <inkling/backend/thrust/random.hpp>

namespace inkling::backend {

namespace kernels {

/// One row.
template <class Real>
struct DropoutAddLayerNorm {
    Dropout<Real> dropout;  ///< of `part`, into `sum`
    bool drops;
    MatrixView<Real const> part, x;
    MatrixView<Real> sum;
    LayerNorm<Real> norm;  ///< of `sum`

    using Shared = FoldRoom<Real>;

    INKLING_HOST_DEVICE void operator()(Team const& team, Shared& room) const {
        Index const calls = dropout.mask.groups * detail::DropoutMask<Real>::calls;
        if (drops) team.each(calls, [&](Index call) { dropout(team.index * calls + call); });
        Real* const whole = sum.row(team.index);
        Real const* const added = drops ? whole : part.row(team.index);
        Real const* const from = x.row(team.index);
        team.each(x.cols, [&](Index i) { whole[i] = from[i] + added[i]; });
        norm(team, room);
    }
};

}  // namespace kernels

/// sum = x + part after dropout, and out = its layer norm: what dropout, add and layer_norm do one after the other, to
/// the bit, in one kernel.
/// @param rate        in [0, 1); 0: nothing is dropped, and the stream is not read
/// @param gain, bias  [D], or both empty for 1 and 0
/// @param sum         [N, D], may be part
/// @param out         [N, D], may be part or x, or sum, which is not kept then
/// @param statistics  [N, 2] as of layer_norm, or empty
/// @throws Error when gain comes without bias, or bias without gain
template <OwnThrustDevice Device, class Real = typename Device::Scalar>
void dropout_add_layer_norm(Device& device, RandomStream stream, double rate, In<Real> part, In<Real> x,
                            InVector<Real> gain, InVector<Real> bias, double epsilon, Out<Real> sum, Out<Real> out,
                            Out<Real> statistics = {}) {
    detail::require_both_or_neither("dropout_add_layer_norm", "gain", gain, "bias", bias);
    kernels::for_each_team(
        device, x.rows,
        kernels::DropoutAddLayerNorm<Real>{{detail::DropoutMask<Real>(stream, rate, x.cols), part, sum},
                                           rate > 0.0,
                                           part,
                                           x,
                                           sum,
                                           {sum, gain, bias, static_cast<Real>(epsilon), out, statistics}});
}

}  // namespace inkling::backend
