#pragma once

#include <inkling/core/index.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#if defined(__AMX_BF16__) && defined(__x86_64__) && defined(__linux__)
#define INKLING_HAS_AMX 1
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/// \file
/// Products of bfloat16 by AMX, the matrix unit of some x86 processors: tiles of 16 rows of 64 bytes, of which one
/// instruction multiplies two, 16 x 32 by 32 x 16.

namespace inkling::backend::detail::amx {

inline constexpr Index tile = 16;  ///< rows of a tile, and words of each: floats, or pairs of bfloat16

#ifdef INKLING_HAS_AMX

/// Whether there is such a unit and the system lends it to this process, which is asked once.
[[nodiscard]] inline bool is_here() {
    constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    static bool const lent = ::syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
    return lent;
}

/// The shapes of tiles 0 to 7, as the unit reads them.
struct alignas(64) Shapes {
    std::uint8_t palette = 1;
    std::uint8_t start_row = 0;
    std::uint8_t reserved[14] = {};
    std::uint16_t row_bytes[16] = {};
    std::uint8_t rows[16] = {};
};

/// The unit while it multiplies blocks of up to 32 rows; the calling thread's state is clean afterwards.
class Unit {
public:
    /// @param rows  1 to 32
    explicit Unit(Index rows) : two_(rows > tile) {
        Shapes shapes;
        for (int number = 0; number < 8; ++number) shapes.row_bytes[number] = 64;
        for (int const number : {0, 1, 4}) shapes.rows[number] = static_cast<std::uint8_t>(std::min(rows, tile));
        for (int const number : {2, 3, 5})
            shapes.rows[number] = static_cast<std::uint8_t>(std::clamp<Index>(rows - tile, 1, tile));
        for (int const number : {6, 7}) shapes.rows[number] = tile;
        touch(&shapes);
        _tile_loadconfig(&shapes);
    }
    Unit(Unit const&) = delete;
    Unit& operator=(Unit const&) = delete;
    ~Unit() { _tile_release(); }

    /// result [rows, 32] = start [rows, 32] + left [rows, depth] panel [depth, 32], of pairs.
    /// @param depth  a multiple of 16
    /// @param start  null: 0
    void multiply(float const* left, Index left_stride, float const* panel, Index depth, float const* start,
                  Index start_stride, float* result, Index stride) const {
        auto const bytes = [](Index words) { return words * Index{sizeof(float)}; };
        for (float const* const memory : {left, panel, start, static_cast<float const*>(result)}) touch(memory);
        if (start == nullptr) {
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
        } else {
            _tile_loadd(0, start, bytes(start_stride));
            _tile_loadd(1, start + tile, bytes(start_stride));
            if (two_) {
                _tile_loadd(2, start + tile * start_stride, bytes(start_stride));
                _tile_loadd(3, start + tile * start_stride + tile, bytes(start_stride));
            }
        }
        if (two_) {
            for (Index k = 0; k < depth; k += tile) {
                _tile_loadd(4, left + k, bytes(left_stride));
                _tile_loadd(6, panel + k * 2 * tile, bytes(2 * tile));
                _tile_loadd(7, panel + k * 2 * tile + tile, bytes(2 * tile));
                _tile_loadd(5, left + tile * left_stride + k, bytes(left_stride));
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
            _tile_stored(2, result + tile * stride, bytes(stride));
            _tile_stored(3, result + tile * stride + tile, bytes(stride));
        } else {
            for (Index k = 0; k < depth; k += tile) {
                _tile_loadd(4, left + k, bytes(left_stride));
                _tile_loadd(6, panel + k * 2 * tile, bytes(2 * tile));
                _tile_loadd(7, panel + k * 2 * tile + tile, bytes(2 * tile));
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
            }
        }
        _tile_stored(0, result, bytes(stride));
        _tile_stored(1, result + tile, bytes(stride));
        touch(result);
    }

private:
    /// Tells the compiler, which does not see what the unit's instructions read and write, that memory is used here.
    static void touch(void const* memory) { asm volatile("" : : "r"(memory) : "memory"); }

    bool two_;  // tiles of rows, not one
};

/// result [rows, width] (+)= left [rows, depth] panel [depth, 32] + bias, which may be null, of pairs.
/// @param depth  a multiple of 16
inline void multiply_panel(float const* left, Index left_stride, Index rows, float const* panel, Index depth,
                           Index width, float const* bias, bool accumulate, float* result, Index stride) {
    constexpr Index most_rows = 2 * tile, columns = 2 * tile;
    alignas(64) float edge[static_cast<std::size_t>(most_rows * columns)];  // for a panel that is not full
    alignas(64) float added[static_cast<std::size_t>(columns)] = {};
    if (accumulate && width < columns) std::fill_n(edge, most_rows * columns, 0.0F);
    if (bias != nullptr) std::copy_n(bias, width, added);
    auto const multiply = [&](Index begin, Index end, Index count) {
        Unit const unit(count);
        for (Index row = begin; row < end; row += most_rows) {
            float* const to = result + row * stride;
            float* const out = width == columns ? to : edge;
            Index const out_stride = width == columns ? stride : columns;
            if (accumulate && width < columns)
                for (Index i = 0; i < count; ++i) std::copy_n(to + i * stride, width, edge + i * columns);
            float const* const start = accumulate ? out : bias != nullptr ? added : nullptr;
            unit.multiply(left + row * left_stride, left_stride, panel, depth, start, accumulate ? out_stride : 0, out,
                          out_stride);
            if (accumulate && bias != nullptr)
                for (Index i = 0; i < count; ++i)
                    for (Index j = 0; j < width; ++j) out[i * out_stride + j] += added[j];
            if (width < columns)
                for (Index i = 0; i < count; ++i) std::copy_n(edge + i * columns, width, to + i * stride);
        }
    };
    Index const whole = rows / most_rows * most_rows;
    if (whole > 0) multiply(0, whole, most_rows);
    if (whole < rows) multiply(whole, rows, rows - whole);
}

#else

[[nodiscard]] inline bool is_here() { return false; }

#endif

}  // namespace inkling::backend::detail::amx
