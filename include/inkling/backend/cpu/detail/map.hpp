#pragma once

#include <inkling/backend/cpu/device.hpp>
#include <inkling/backend/view.hpp>

#include <Eigen/Core>

namespace inkling::backend::detail {

/// `count` elements as an Eigen array, so that arithmetic on them is vectorised.
template <class T>
[[nodiscard]] auto array(T* data, Index count) {
    using Array = ::Eigen::Array<std::remove_const_t<T>, ::Eigen::Dynamic, 1>;
    return ::Eigen::Map<std::conditional_t<std::is_const_v<T>, Array const, Array>>(data, count);
}

/// Rows that one thread takes at a time: about 16 k elements.
[[nodiscard]] inline Index row_block(Index cols) { return std::max<Index>(1, 16384 / std::max<Index>(1, cols)); }

/// Runs body(row) for every row, in parallel.
template <class Real, class Body>
void for_each_row(Cpu<Real>& device, Index rows, Index cols, Body const& body) {
    device.parallel(rows, row_block(cols), [&](Index begin, Index end, int) {
        for (Index row = begin; row < end; ++row) body(row);
    });
}

/// Runs body(sentence, row) for every row of every sentence, in parallel over sentences.
template <class Real, class Body>
void for_each_segment_row(Cpu<Real>& device, Segments const& segments, Body const& body) {
    Index const block = std::max<Index>(1, segments.count / 16);
    device.parallel(segments.count, block, [&](Index begin, Index end, int) {
        for (Index sentence = begin; sentence < end; ++sentence)
            for (Index row = segments.offsets[sentence]; row < segments.offsets[sentence + 1]; ++row)
                body(sentence, row);
    });
}

}  // namespace inkling::backend::detail
