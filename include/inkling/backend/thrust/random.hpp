#pragma once

#include <inkling/backend/thrust/detail/map.hpp>
#include <inkling/core/random.hpp>

#include <cstddef>
#include <cstdint>

namespace inkling::backend {

namespace kernels {

template <class Real>
struct FillNormal {
    RandomStream stream;
    Segments segments;
    VectorView<Index const> sequences;
    MatrixView<Real> out;
    INKLING_HOST_DEVICE void operator()(Index row, Index begin, Index end) const {
        Index const sentence = sentence_of(segments, row);
        RandomStream own = stream;
        own.sequence = static_cast<std::uint32_t>(sequences.data[sentence]);
        Index const first = (row - segments.offsets[sentence]) * out.cols;
        for (Index col = begin; col < end;) {
            Index const element = first + col;
            auto const values = normals<Real>(own.bits(static_cast<std::uint32_t>(element / 4)));
            for (Index lane = element % 4; lane < 4 && col < end; ++lane)
                out.row(row)[col++] = values[static_cast<std::size_t>(lane)];
        }
    }
};

/// What one Philox call tells of: four elements, 16 columns apart.
template <class Real>
struct Dropout {
    detail::DropoutMask<Real> mask;
    MatrixView<Real const> x;
    MatrixView<Real> out;
    INKLING_HOST_DEVICE void operator()(Index index) const {
        using Mask = detail::DropoutMask<Real>;
        Index const row = index / (mask.groups * Mask::calls);
        Index const group = index / Mask::calls % mask.groups;
        Index const call = index % Mask::calls;
        PhiloxBlock const words = mask.stream.bits(mask.first_call(row, group) + static_cast<std::uint32_t>(call));
        for (std::size_t word = 0; word < 4; ++word) {
            Index const col = group * Mask::group + static_cast<Index>(word) * Mask::calls + call;
            if (col < out.cols) out.row(row)[col] = x.row(row)[col] * mask.factor(words[word]);
        }
    }
};

}  // namespace kernels

/// out [N, D] = standard normal numbers; row i of sentence s takes elements i * D .. of the stream whose sequence is
/// sequences[s]: what a sentence draws does not depend on the batch it is in.
template <class Real, class System>
void fill_normal(ThrustDevice<Real, System>& device, RandomStream stream, Segments const& segments,
                 VectorView<Index const> sequences, Out<Real> out) {
    kernels::for_each_piece(device, segments.rows, out.cols,
                            kernels::FillNormal<Real>{stream, segments, sequences, out}, 1024, 4);
}

/// out = x with each element dropped with probability `rate`, the others divided by 1 - rate; out may be x.
///
/// Which elements are dropped depends on the stream and on the element's place alone: the backward pass is the same
/// call on the gradient. @param rate in [0, 1)
template <class Real, class System>
void dropout(ThrustDevice<Real, System>& device, RandomStream stream, double rate, In<Real> x, Out<Real> out) {
    detail::DropoutMask<Real> const mask(stream, rate, out.cols);
    kernels::for_each(device, out.rows * mask.groups * mask.calls, kernels::Dropout<Real>{mask, x, out});
}

}  // namespace inkling::backend
