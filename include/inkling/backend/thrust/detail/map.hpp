#pragma once

#include <inkling/backend/detail/formulas.hpp>
#include <inkling/backend/thrust/device.hpp>
#include <inkling/backend/view.hpp>
#include <inkling/core/host_device.hpp>

#include <algorithm>
#include <cstddef>

/// \file
/// What verbs are made of: functors that a system calls with a number, and sums in an order that depends on their
/// length alone. They are named types, as CUDA compilers want a flag for lambdas.

namespace inkling::backend::kernels {

/// The smaller of the two, by value: std::min takes references, and device code has none to a constant.
[[nodiscard]] INKLING_HOST_DEVICE constexpr Index least(Index a, Index b) { return b < a ? b : a; }

/// Calls body(row, begin, end) for the piece of a row that a number stands for.
template <class Body>
struct Pieces {
    Body body;
    Index cols;
    Index width;  ///< columns of a piece
    Index count;  ///< pieces of a row
    INKLING_HOST_DEVICE void operator()(Index index) const {
        Index const begin = index % count * width;
        body(index / count, begin, least(cols, begin + width));
    }
};

/// Runs body(row, begin, end) over pieces of rows that together are [rows, cols]: on a fine-grained system of `fewest`
/// columns each, elsewhere of `most`.
template <class Real, class System, class Body>
void for_each_piece(ThrustDevice<Real, System>& device, Index rows, Index cols, Body const& body, Index most = 1024,
                    Index fewest = 1) {
    Index const width = System::fine ? fewest : most;
    Index const count = (cols + width - 1) / width;
    if (rows * count > 0) device.system().for_each(rows * count, Pieces<Body>{body, cols, width, count});
}

/// Runs body(index) for index in [0, count).
template <class Real, class System, class Body>
void for_each(ThrustDevice<Real, System>& device, Index count, Body const& body) {
    if (count > 0) device.system().for_each(count, body);
}

/// The sentence in which a row of a packed batch lies.
[[nodiscard]] INKLING_HOST_DEVICE inline Index sentence_of(Segments const& segments, Index row) {
    Index first = 0;
    Index last = segments.count;  // offsets[first] <= row < offsets[last]
    while (last - first > 1) {
        Index const middle = (first + last) / 2;
        (segments.offsets[middle] <= row ? first : last) = middle;
    }
    return first;
}

/// The sum of term(i) over i in [0, count), in eight sums side by side.
template <class Sum, class Term>
[[nodiscard]] INKLING_HOST_DEVICE Sum sum_of(Index count, Term const& term) {
    constexpr int lanes = 8;
    Sum sums[lanes] = {};
    Index i = 0;
    for (; i + lanes <= count; i += lanes)
        for (int lane = 0; lane < lanes; ++lane) sums[lane] += term(i + lane);
    for (int lane = 0; lane < lanes; ++lane)
        if (i + lane < count) sums[lane] += term(i + lane);
    for (int half = lanes / 2; half > 0; half /= 2)
        for (int lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
    return sums[0];
}

/// Terms that one call sums; fixed, so that sums do not depend on the system or its threads.
inline constexpr Index block_of_terms = 256;

[[nodiscard]] constexpr Index blocks_of(Index count) { return (count + block_of_terms - 1) / block_of_terms; }

/// to[block] = the sum of a block of terms.
struct SumBlock {
    double const* terms;
    Index count;
    double* to;
    INKLING_HOST_DEVICE void operator()(Index block) const {
        double const* const first = terms + block * block_of_terms;
        to[block] = sum_of<double>(least(block_of_terms, count - block * block_of_terms),
                                   [first](Index i) { return first[i]; });
    }
};

/// Doubles behind `count` terms that sum_terms writes to.
[[nodiscard]] constexpr Index sum_scratch(Index count) { return blocks_of(count) + count / (block_of_terms * 64) + 8; }

/// *sum = the sum of terms[0] .. terms[count - 1]: of blocks, of blocks of blocks, and so on.
template <class Real, class System>
void sum_terms(ThrustDevice<Real, System>& device, double const* terms, Index count, double* partial, double* sum) {
    Index blocks = 0;
    do {
        blocks = std::max<Index>(1, blocks_of(count));
        double* const to = blocks == 1 ? sum : partial;
        for_each(device, blocks, SumBlock{terms, count, to});
        terms = to;
        partial += blocks;
        count = blocks;
    } while (blocks > 1);
}

}  // namespace inkling::backend::kernels
