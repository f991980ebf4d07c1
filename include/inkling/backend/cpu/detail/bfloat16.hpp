#pragma once

#include <inkling/backend/cpu/detail/amx.hpp>
#include <inkling/backend/cpu/detail/map.hpp>
#include <inkling/backend/cpu/detail/panels.hpp>
#include <inkling/backend/cpu/device.hpp>
#include <inkling/backend/view.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

/// \file
/// bfloat16, the upper half of a float with 8 significant bits: two side by side in the place of one float, the even
/// term in its lower half.

namespace inkling::backend::detail {

/// Whether products of the device round their factors to bfloat16.
template <class Real>
[[nodiscard]] bool multiplies_bfloat16(Cpu<Real> const& device) {
    return std::is_same_v<Real, float> && device.options().precision == CpuPrecision::bf16;
}

/// The nearest bfloat16, of two the even one; what is not a number stays so.
[[nodiscard]] inline std::uint16_t round_to_bfloat16(float value) {
    auto const bits = std::bit_cast<std::uint32_t>(value);
    if (std::isnan(value)) return static_cast<std::uint16_t>(bits >> 16 | 0x40U);
    return static_cast<std::uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);
}

/// pairs [N, K / 2] = the numbers of a matrix [N, K] rounded, K even; not on top of the matrix.
/// @param stride  from one row of pairs to the next
inline void round_to_pairs(Cpu<float>& device, MatrixView<float const> matrix, float* pairs, Index stride) {
    for_each_row(device, matrix.rows, matrix.cols, [&](Index row) {
        float const* const from = matrix.row(row);
        auto* const to = reinterpret_cast<char*>(pairs + row * stride);
        Index i = 0;
#ifdef __AVX512BF16__
        for (; i + 32 <= matrix.cols; i += 32) {
            auto const rounded = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + i + 16), _mm512_loadu_ps(from + i));
            std::memcpy(to + 2 * i, &rounded, sizeof(rounded));
        }
#endif
        for (; i < matrix.cols; ++i) {
            std::uint16_t const rounded = round_to_bfloat16(from[i]);
            std::memcpy(to + 2 * i, &rounded, sizeof(rounded));
        }
    });
}

/// Adds the products of both terms of pairs to sums, the odd ones first.
struct BfloatPairs {
    static constexpr int most_rows = tile_rows * 4 / 7;  ///< of a tile: broadcast pairs take registers as well
    static constexpr Index row_block = 128;              ///< see OneTerm; whole blocks of AMX

    template <class Vector>
    [[gnu::always_inline]] static Vector added(Vector sums, float left, Vector right) {
#ifdef __AVX512BF16__
        auto const lefts = _mm512_maskz_broadcastss_ps(0xFFFF, _mm_set_ss(left));  // clang 16 crashes on _mm512_set1_ps
        return (Vector)_mm512_dpbf16_ps((__m512)sums, (__m512bh)lefts, (__m512bh)right);
#else
        typedef std::uint32_t Bits __attribute__((vector_size(vector_bytes)));
        auto const bits = std::bit_cast<std::uint32_t>(left);
        auto const both = (Bits)right;
        sums += std::bit_cast<float>(bits & 0xFFFF0000U) * (Vector)(both & 0xFFFF0000U);
        return sums + std::bit_cast<float>(bits << 16) * (Vector)(both << 16);
#endif
    }
};

/// Words from one row of pairs to the next: such that rows do not share a few sets of the caches.
[[nodiscard]] inline Index stride_of_pairs(Index depth) { return depth % 512 == 0 ? depth + 16 : depth; }

/// As many pairs as a vector has lanes of two rows of numbers: lane i is (even[i], odd[i]), rounded.
inline void pairs_of_rows(float const* even, float const* odd, float* pairs) {
#ifdef __AVX512BF16__
    constexpr __mmask16 all = 0xFFFF;  // g++ 12 warns of what _mm512_slli_epi32 leaves undefined
    auto const words = [](float const* from) {
        auto const rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(from));
        return _mm512_maskz_cvtepu16_epi32(all, std::bit_cast<__m256i>(rounded));
    };
    _mm512_storeu_si512(pairs, _mm512_or_si512(words(even), _mm512_maskz_slli_epi32(all, words(odd), 16)));
#else
    constexpr Index lanes = VectorOf<float>::lanes;
    for (Index i = 0; i < lanes; ++i)
        pairs[i] = std::bit_cast<float>(std::uint32_t{round_to_bfloat16(odd[i])} << 16 | round_to_bfloat16(even[i]));
#endif
}

/// As many pairs as a vector has lanes of twice as many numbers that lie one behind the other.
inline void pairs_along(float const* from, float* pairs) {
    constexpr Index lanes = VectorOf<float>::lanes;
#ifdef __AVX512BF16__
    auto const rounded = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + lanes), _mm512_loadu_ps(from));
    std::memcpy(pairs, &rounded, sizeof(rounded));
#else
    for (Index i = 0; i < lanes; ++i)
        pairs[i] = std::bit_cast<float>(std::uint32_t{round_to_bfloat16(from[2 * i + 1])} << 16
                                        | round_to_bfloat16(from[2 * i]));
#endif
}

/// to(i, k) = the pair (from(i, 2 k), from(i, 2 k + 1)), rounded, for i and k below the lanes of a vector; numbers beyond
/// `rows` and `terms` are 0.
/// @param from  one of its strides is 1
/// @param to    one of its strides is 1
inline void pair_square(Strided<float> from, Index rows, Index terms, float* to, Index to_row, Index to_col) {
    constexpr Index lanes = VectorOf<float>::lanes;
    alignas(64) float square[static_cast<std::size_t>(lanes * lanes)];
    alignas(64) float some[static_cast<std::size_t>(2 * lanes)];
    bool const along = from.col == 1, same = along == (to_col == 1);
    Index const line_stride = along ? to_row : to_col;
    if (rows >= lanes && terms >= 2 * lanes) {  // all of it is there
        float* const pairs = same ? to : square;
        Index const stride = same ? line_stride : lanes;
        if (along)
            for (Index line = 0; line < lanes; ++line) pairs_along(from.data + line * from.row, pairs + line * stride);
        else
            for (Index line = 0; line < lanes; ++line)
                pairs_of_rows(from.data + 2 * line * from.col, from.data + (2 * line + 1) * from.col,
                              pairs + line * stride);
        if (!same) transpose_square(square, lanes, to, along ? to_col : to_row);
        return;
    }
    for (Index line = 0; line < lanes; ++line) {
        float* const pairs = same ? to + line * line_stride : square + line * lanes;
        if (along) {
            Index const there = line < rows ? std::clamp<Index>(terms, 0, 2 * lanes) : 0;
            float const* numbers = from.data + line * from.row;
            if (there < 2 * lanes) {
                std::fill(std::copy_n(numbers, there, some), some + 2 * lanes, 0.0F);
                numbers = some;
            }
            pairs_along(numbers, pairs);
        } else {
            auto const numbers = [&](Index term, float* room) -> float const* {
                float const* const row = from.data + term * from.col;
                if (term < terms && rows >= lanes) return row;
                std::fill(std::copy_n(row, term < terms ? std::clamp<Index>(rows, 0, lanes) : 0, room), room + lanes,
                          0.0F);
                return room;
            };
            pairs_of_rows(numbers(2 * line, some), numbers(2 * line + 1, some + lanes), pairs);
        }
    }
    if (!same) transpose_square(square, lanes, to, along ? to_col : to_row);
}

/// result[rows, width] for one packed panel of pairs, whose rows lie one behind the other: by AMX where the unit is and
/// the depth fills its tiles.
inline void multiply_panel(Tiles<float, BfloatPairs> const& left, float const* panel, Index depth, Index width,
                           float const* bias, bool accumulate, float* result, Index stride) {
#ifdef INKLING_HAS_AMX
    if (amx::is_here() && depth % amx::tile == 0 && panel_width<float> == 2 * amx::tile)
        return amx::multiply_panel(left.left.data, left.left.row, left.rows, panel, depth, width, bias, accumulate,
                                   result, stride);
#endif
    multiply_panel<float, BfloatPairs>(left, panel, depth, width, bias, accumulate, result, stride);
}

/// result [M, N] (+)= left [M, K] right [K, N] + bias [N], which may be null, of factors that are rounded.
/// @param left, right  one stride of each is 1
inline void multiply_rounded(Cpu<float>& device, Strided<float> left, Strided<float> right, Index depth,
                             MatrixView<float> result, bool accumulate, float const* bias) {
    constexpr Index lanes = VectorOf<float>::lanes, width = panel_width<float>;
    Index const rows = result.rows, cols = result.cols;
    Index const row_squares = (rows + lanes - 1) / lanes, panels = (cols + width - 1) / width;
    for (Index k = 0; k < depth; k += 2 * depth_block) {
        Index const terms = std::min(2 * depth_block, depth - k);
        Index const squares = (terms + 2 * lanes - 1) / (2 * lanes), pairs = squares * lanes;
        Index const stride = stride_of_pairs(pairs);
        float* const lefts = device.shared_scratch(row_squares * lanes * stride + panels * width * pairs);
        float* const rights = lefts + row_squares * lanes * stride;
        bool const small = is_small_product(rows, cols, terms);
        device.parallel(row_squares, small ? row_squares : 2, [&](Index begin, Index end, int) {
            for (Index square = begin; square < end; ++square)
                for (Index block = 0; block < squares; ++block) {
                    Index const i = square * lanes, term = 2 * block * lanes;
                    pair_square({left.data + i * left.row + (k + term) * left.col, left.row, left.col}, rows - i,
                                terms - term, lefts + i * stride + block * lanes, stride, 1);
                }
        });
        device.parallel(panels, small ? panels : 2, [&](Index begin, Index end, int) {
            for (Index panel = begin; panel < end; ++panel)
                for (Index block = 0; block < squares; ++block)
                    for (Index j = panel * width; j < (panel + 1) * width; j += lanes) {
                        Index const term = 2 * block * lanes, column = j - panel * width;
                        pair_square({right.data + j * right.col + (k + term) * right.row, right.col, right.row},
                                    cols - j, terms - term, rights + (panel * pairs + block * lanes) * width + column,
                                    1, width);
                    }
        });
        auto const panel_at = [&](Index panel) -> float const* { return rights + panel * width * pairs; };
        multiply_panels(device, Strided<float, BfloatPairs>{lefts, stride, 1}, 0, pairs, panel_at, result,
                        accumulate || k > 0, k > 0 ? nullptr : bias);
    }
}

}  // namespace inkling::backend::detail
