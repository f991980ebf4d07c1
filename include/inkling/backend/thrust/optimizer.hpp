#pragma once

#include <inkling/backend/thrust/detail/map.hpp>

namespace inkling::backend {

namespace kernels {

template <class Real>
struct Adam {
    detail::AdamUpdate<Real> update;
    Real const* gradients;
    Real* weights;
    Real* m;
    Real* v;
    INKLING_HOST_DEVICE void operator()(Index, Index begin, Index end) const {
        for (Index i = begin; i < end; ++i) {
            m[i] = update.mean(m[i], gradients[i]);
            v[i] = update.square(v[i], gradients[i]);
            weights[i] = update.weight(weights[i], m[i], v[i]);
        }
    }
};

template <class Real>
struct Average {
    Real keep;
    Real const* x;
    Real* average;
    INKLING_HOST_DEVICE void operator()(Index, Index begin, Index end) const {
        for (Index i = begin; i < end; ++i) average[i] = average[i] + (1 - keep) * (x[i] - average[i]);
    }
};

}  // namespace kernels

/// One AdamW update of all weights: m, v are the running means of the gradient and of its square.
///
/// Source: Loshchilov and Hutter 2019, "Decoupled Weight Decay Regularization", arXiv:1711.05101, algorithm 2.
template <class Real, class System>
void adam_step(ThrustDevice<Real, System>& device, AdamStep const& settings, InVector<Real> gradients,
               OutVector<Real> weights, OutVector<Real> m, OutVector<Real> v) {
    kernels::for_each_piece(
        device, 1, weights.size,
        kernels::Adam<Real>{detail::AdamUpdate<Real>(settings), gradients.data, weights.data, m.data, v.data}, 16384);
}

/// average = decay * average + (1 - decay) * x: exponential moving averages, and plain ones with decay = n / (n + 1).
template <class Real, class System>
void average(ThrustDevice<Real, System>& device, double decay, InVector<Real> x, OutVector<Real> average) {
    kernels::for_each_piece(device, 1, x.size, kernels::Average<Real>{static_cast<Real>(decay), x.data, average.data},
                            16384);
}

}  // namespace inkling::backend
