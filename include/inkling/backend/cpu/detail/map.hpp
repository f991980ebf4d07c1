#pragma once

#include <inkling/backend/cpu/device.hpp>
#include <inkling/backend/view.hpp>

#include <Eigen/Core>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <type_traits>

namespace inkling::backend::detail {

/// As many elements as arithmetic takes at once: a cache line of them, whatever the instruction set.
template <class Real>
inline constexpr Index lane_count = 64 / Index{sizeof(Real)};
template <class Real>
using Lanes = ::Eigen::Array<Real, static_cast<int>(lane_count<Real>), 1>;
/// Lanes in memory, at any address.
template <class Real>
using LanesAt =
    ::Eigen::Map<std::conditional_t<std::is_const_v<Real>, Lanes<std::remove_const_t<Real>> const, Lanes<Real>>>;

/// [lane_count] 0, 1, 2, ...: each lane's own number.
template <class Real>
alignas(64) inline constexpr auto lane_numbers = [] {
    std::array<Real, static_cast<std::size_t>(lane_count<Real>)> numbers{};
    for (std::size_t lane = 0; lane < numbers.size(); ++lane) numbers[lane] = static_cast<Real>(lane);
    return numbers;
}();

/// Lane by lane: `yes` where `sign` is positive, else `no`. A vector of the compiler's own chooses for all lanes at once;
/// Eigen's select takes one after the other, and what g++ 12 makes of it at -O3 for AVX-512 is wrong.
template <class Array>
[[nodiscard]] Array where_positive(Array const& sign, Array const& yes, Array const& no) {
    typedef typename Array::Scalar Vector __attribute__((vector_size(sizeof(Array))));
    Vector signs, taken, others;
    std::memcpy(&signs, sign.data(), sizeof signs);
    std::memcpy(&taken, yes.data(), sizeof taken);
    std::memcpy(&others, no.data(), sizeof others);
    Vector const chosen = signs > Vector{} ? taken : others;
    Array result;
    std::memcpy(result.data(), &chosen, sizeof chosen);
    return result;
}

/// A copy of fewer elements than there are lanes, with 0 in the lanes behind them.
template <class Real>
struct SomeLanes {
    SomeLanes(Real const* from, Index count) { std::copy_n(from, count, values); }
    [[nodiscard]] LanesAt<Real const> lanes() const { return LanesAt<Real const>(values); }
    alignas(64) Real values[static_cast<std::size_t>(lane_count<Real>)] = {};
};

/// to[i] = body(from[i]...) for i in [0, count); body maps lanes to lanes. `to` may be one of `from`.
///
/// An Eigen array of run-time size would compute the elements in front of an aligned address by other instructions than
/// the rest: its results depend on where a row lies. Here they depend on the elements alone.
template <class Real, class Body, class... From>
void transform(Index count, Real* to, Body const& body, From const*... from) {
    constexpr Index lanes = lane_count<Real>;
    Index i = 0;
    for (; i + lanes <= count; i += lanes) LanesAt<Real>(to + i) = body(LanesAt<Real const>(from + i)...);
    if (i == count) return;
    [&](auto const&... last) {
        Lanes<Real> const result = body(last.lanes()...);
        std::copy_n(result.data(), count - i, to + i);
    }(SomeLanes<Real>(from + i, count - i)...);
}

/// to[i] += from[i].
template <class Real>
void add_to(Index count, Real* to, Real const* from) {
    transform(
        count, to, [](auto const& a, auto const& b) { return a + b; }, to, from);
}

/// The sum of body(from[i]...) over i in [0, count), in an order that depends on count alone; body gives lanes of Sum.
template <class Sum, class Real, class Body, class... From>
[[nodiscard]] Sum sum_in(Index count, Body const& body, Real const* first, From const*... others) {
    constexpr Index lanes = lane_count<Real>;
    using Sums = ::Eigen::Array<Sum, static_cast<int>(lanes), 1>;
    Sums total = Sums::Zero();
    Index i = 0;
    for (; i + lanes <= count; i += lanes)
        total += body(LanesAt<Real const>(first + i), LanesAt<Real const>(others + i)...);
    if (i < count)
        [&](auto const&... last) {
            Sums result = body(last.lanes()...);
            std::fill(result.data() + (count - i), result.data() + lanes, Sum{0});
            total += result;
        }(SomeLanes<Real>(first + i, count - i), SomeLanes<Real>(others + i, count - i)...);
    return total.sum();
}
/// The same in the precision of the elements.
template <class Real, class Body, class... From>
[[nodiscard]] Real sum_of(Index count, Body const& body, Real const* first, From const*... others) {
    return sum_in<Real>(count, body, first, others...);
}
template <class Real>
[[nodiscard]] Real sum_of(Index count, Real const* from) {
    return sum_in<Real>(
        count, [](auto const& a) { return a; }, from);
}

/// The largest of from[0] .. from[count - 1]; count is at least 1.
template <class Real>
[[nodiscard]] Real max_of(Index count, Real const* from) {
    constexpr Index lanes = lane_count<Real>, together = 4;  // so many do not wait for each other
    Lanes<Real> top = Lanes<Real>::Constant(from[0]);
    Index i = 0;
    if (count >= together * lanes) {
        Lanes<Real> tops[together] = {top, top, top, top};
        for (; i + together * lanes <= count; i += together * lanes)
            for (Index j = 0; j < together; ++j) tops[j] = tops[j].max(LanesAt<Real const>(from + i + j * lanes));
        top = tops[0].max(tops[1]).max(tops[2].max(tops[3]));
    }
    for (; i + lanes <= count; i += lanes) top = top.max(LanesAt<Real const>(from + i));
    Real result = top.maxCoeff();
    for (; i < count; ++i) result = std::max(result, from[i]);
    return result;
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
