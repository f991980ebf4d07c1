#pragma once

#include <inkling/backend/cpu/detail/map.hpp>
#include <inkling/backend/cpu/product.hpp>
#include <inkling/backend/detail/formulas.hpp>
#include <inkling/core/random.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace inkling::backend {

/// out [N, D] = standard normal numbers; row i of sentence s takes elements i * D .. of the stream whose sequence is
/// sequences[s]: what a sentence draws does not depend on the batch it is in.
template <class Real>
void fill_normal(Cpu<Real>& device, RandomStream stream, Segments const& segments, VectorView<Index const> sequences,
                 Out<Real> out) {
    Index const block = std::max<Index>(1, segments.count / 16);
    device.parallel(segments.count, block, [&](Index begin, Index end, int) {
        for (Index sentence = begin; sentence < end; ++sentence) {
            RandomStream own = stream;
            own.sequence = static_cast<std::uint32_t>(sequences.data[sentence]);
            Index const first = segments.offsets[sentence];
            Index const count = (segments.offsets[sentence + 1] - first) * out.cols;
            for (Index element = 0; element < count; element += 4) {
                auto const values = normals<Real>(own.bits(static_cast<std::uint32_t>(element / 4)));
                for (Index lane = 0; lane < std::min<Index>(4, count - element); ++lane)
                    out.row(first + (element + lane) / out.cols)[(element + lane) % out.cols] =
                        values[static_cast<std::size_t>(lane)];
            }
        }
    });
}

namespace detail {

/// As many 32-bit and 64-bit words as one register holds.
typedef std::uint32_t Words __attribute__((vector_size(vector_bytes)));
typedef std::uint64_t WideWords __attribute__((vector_size(vector_bytes)));

/// Products of the lower halves: 64 bits from 32 by 32, which compilers do not find by themselves.
inline void multiply_halves(WideWords const& a, WideWords const& b, WideWords& result) {
#if defined(__AVX512F__)
    result = reinterpret_cast<WideWords>(_mm512_mul_epu32(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX2__)
    result = reinterpret_cast<WideWords>(_mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__SSE2__) && !defined(__AVX__)
    result = reinterpret_cast<WideWords>(_mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
    for (std::size_t i = 0; i < sizeof(WideWords) / 8; ++i) result[i] = (a[i] & 0xffffffffu) * (b[i] & 0xffffffffu);
#endif
}

/// Sixteen Philox calls side by side: word w of call c is result[w][c].
inline void philox_lanes(RandomStream const& stream, std::uint32_t first_block, std::uint32_t (&result)[4][16]) {
    constexpr std::uint32_t lanes = sizeof(Words) / 4;
    WideWords const lower = WideWords{} + 0xffffffffu;
    WideWords const factor0 = WideWords{} + 0xD2511F53u;
    WideWords const factor1 = WideWords{} + 0xCD9E8D57u;
    for (std::uint32_t part = 0; part < 16; part += lanes) {
        Words x0 = {};
        for (std::uint32_t c = 0; c < lanes; ++c) x0[c] = first_block + part + c;
        Words x1 = Words{} + stream.step;
        Words x2 = Words{} + stream.sequence;
        Words x3 = Words{} + static_cast<std::uint32_t>(stream.purpose);
        std::uint32_t key0 = static_cast<std::uint32_t>(stream.seed);
        std::uint32_t key1 = static_cast<std::uint32_t>(stream.seed >> 32);
        for (int round = 0; round < 10; ++round) {
            auto const a = reinterpret_cast<WideWords>(x0);
            auto const b = reinterpret_cast<WideWords>(x2);
            WideWords a_even, a_odd, b_even, b_odd;
            multiply_halves(a, factor0, a_even);
            multiply_halves(a >> 32, factor0, a_odd);
            multiply_halves(b, factor1, b_even);
            multiply_halves(b >> 32, factor1, b_odd);
            x0 = reinterpret_cast<Words>((b_even >> 32) | (b_odd & ~lower)) ^ x1 ^ key0;
            x2 = reinterpret_cast<Words>((a_even >> 32) | (a_odd & ~lower)) ^ x3 ^ key1;
            x1 = reinterpret_cast<Words>((b_even & lower) | (b_odd << 32));
            x3 = reinterpret_cast<Words>((a_even & lower) | (a_odd << 32));
            key0 += 0x9E3779B9u;
            key1 += 0xBB67AE85u;
        }
        std::memcpy(result[0] + part, &x0, sizeof x0);
        std::memcpy(result[1] + part, &x1, sizeof x1);
        std::memcpy(result[2] + part, &x2, sizeof x2);
        std::memcpy(result[3] + part, &x3, sizeof x3);
    }
}

/// Row `row` of dropout; the mask by value, so that it can stay in registers.
template <class Real>
void drop_row(DropoutMask<Real> const mask, Index row, Index cols, Real const* from, Real* to) {
    constexpr Index group = DropoutMask<Real>::group;
    std::uint32_t words[4][16];
    Real factors[group];
    for (Index g = 0; g < mask.groups; ++g) {
        philox_lanes(mask.stream, mask.first_call(row, g), words);
        Index const first = g * group;
        Index const count = std::min(group, cols - first);
        for (int word = 0; word < 4; ++word)
            for (int c = 0; c < 16; ++c) factors[word * 16 + c] = mask.factor(words[word][c]);
        transform(
            count, to + first, [](auto const& a, auto const& b) { return a * b; }, from + first,
            static_cast<Real const*>(factors));
    }
}

}  // namespace detail

/// out = x with each element dropped with probability `rate`, the others divided by 1 - rate; out may be x.
///
/// Which elements are dropped depends on the stream and on the element's place alone: the backward pass is the same
/// call on the gradient. @param rate in [0, 1)
template <class Real>
void dropout(Cpu<Real>& device, RandomStream stream, double rate, In<Real> x, Out<Real> out) {
    detail::DropoutMask<Real> const mask(stream, rate, out.cols);
    detail::for_each_row(device, out.rows, out.cols,
                         [&](Index row) { detail::drop_row<Real>(mask, row, out.cols, x.row(row), out.row(row)); });
}

}  // namespace inkling::backend
