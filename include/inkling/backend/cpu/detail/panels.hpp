#pragma once

#include <inkling/backend/cpu/device.hpp>
#include <inkling/backend/view.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

/// \file
/// Products in tiles of registers, of a right factor that lies in panels.

namespace inkling::backend::detail {

#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64;
inline constexpr int tile_rows = 14;
#elif defined(__AVX__)
inline constexpr int vector_bytes = 32;
inline constexpr int tile_rows = 6;
#else
inline constexpr int vector_bytes = 16;
inline constexpr int tile_rows = 6;
#endif

/// The widest vector of Real that the instruction set holds in one register, readable from any address.
template <class Real>
struct VectorOf {
    typedef Real Type __attribute__((vector_size(vector_bytes), aligned(alignof(Real)), may_alias));
    static constexpr Index lanes = vector_bytes / Index{sizeof(Real)};
};

/// A panel is `panel_width` columns of the right factor, stored row after row.
template <class Real>
inline constexpr Index panel_width = 2 * VectorOf<Real>::lanes;

/// Terms summed before a partial result is added to memory: bounds what must stay in cache.
inline constexpr Index depth_block = 1024;

/// How far ahead of its terms a panel is asked of memory, where weights of large models come from; also beyond its end,
/// as the next panel lies there. Found by timing: few rows at weights that no cache holds take half the time.
inline constexpr Index terms_ahead = 32;

/// Terms that are summed on their own before they join the sum so far; 0: all at once. Without a fused multiply-add
/// each term is rounded twice, and sums in one go lose a digit that a few layers make two.
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
inline constexpr Index sum_block = 0;
#else
inline constexpr Index sum_block = 16;
#endif

/// How a term of each factor adds to sums: a number of the left one, as many of the right one as a vector holds.
struct OneTerm {
    static constexpr int most_rows = tile_rows;               ///< of a tile, such that its sums stay in registers
    static constexpr Index row_block = 8 * Index{tile_rows};  ///< rows that a panel is multiplied with at once

    template <class Vector, class Real>
    [[gnu::always_inline]] static Vector added(Vector sums, Real left, Vector right) {
        return sums + left * right;
    }
};

/// A matrix read through two strides: element (i, k) lies at data[i * row + k * col]. Terms tells how it is multiplied.
template <class Real, class Terms = OneTerm>
struct Strided {
    Real const* data;
    Index row;
    Index col;
};

template <class Real>
[[nodiscard]] Strided<Real> strided(MatrixView<Real const> matrix, Orientation orientation) {
    return orientation == Orientation::plain ? Strided<Real>{matrix.data, matrix.stride, 1}
                                             : Strided<Real>{matrix.data, 1, matrix.stride};
}

/// Two vectors as one whose numbers are theirs by turns, from number `Half` of each on.
///
/// They are taken by value: a deduced type is without its attributes, and references to it would promise clang that
/// vectors lie at multiples of their size.
template <Index Half, class Vector, std::size_t... I>
[[nodiscard]] Vector by_turns(Vector a, Vector b, std::index_sequence<I...>) {
#ifdef __clang__
    return __builtin_shufflevector(a, b, static_cast<int>(Half + I / 2 + (I % 2) * sizeof...(I))...);
#else  // nvcc cannot read the line above, and clang has not what follows
    using Number = std::conditional_t<sizeof(a[0]) == 4, std::int32_t, std::int64_t>;
    typedef Number Numbers __attribute__((vector_size(vector_bytes)));
    return __builtin_shuffle(a, b, Numbers{static_cast<Number>(Half + I / 2 + (I % 2) * sizeof...(I))...});
#endif
}

/// to = the transpose of a square of as many rows as a vector has lanes; rows from `there` on are 0, and not read.
///
/// Rows i and i + n / 2 by turns, log2(n) times over, are the columns.
template <class Real>
void transpose_square(Real const* from, Index stride, Real* to, Index to_stride, Index there = VectorOf<Real>::lanes) {
    using Vector = typename VectorOf<Real>::Type;
    constexpr Index lanes = VectorOf<Real>::lanes;
    constexpr auto all = std::make_index_sequence<static_cast<std::size_t>(lanes)>{};
    Vector rows[lanes], mixed[lanes];
    for (Index i = 0; i < lanes; ++i)
        rows[i] = i < there ? *reinterpret_cast<Vector const*>(from + i * stride) : Vector{};
    for (Index step = 1; step < lanes; step *= 2) {
        for (Index i = 0; i < lanes / 2; ++i) {
            mixed[2 * i] = by_turns<0>(rows[i], rows[i + lanes / 2], all);
            mixed[2 * i + 1] = by_turns<lanes / 2>(rows[i], rows[i + lanes / 2], all);
        }
        for (Index i = 0; i < lanes; ++i) rows[i] = mixed[i];
    }
    for (Index i = 0; i < lanes; ++i) *reinterpret_cast<Vector*>(to + i * to_stride) = rows[i];
}

/// Copies columns [first, first + width) of the right factor, terms [0, depth), into one panel; missing columns are 0.
template <class Real>
void pack_panel(Strided<Real> right, Index first, Index width, Index depth, Real* panel) {
    constexpr Index full = panel_width<Real>;
    if (right.col == 1) {
        for (Index k = 0; k < depth; ++k) {
            Real const* from = right.data + k * right.row + first;
            if (width == full)
                std::memcpy(panel + k * full, from, static_cast<std::size_t>(full) * sizeof(Real));
            else
                for (Index j = 0; j < full; ++j) panel[k * full + j] = j < width ? from[j] : Real{0};
        }
        return;
    }
    constexpr Index lanes = VectorOf<Real>::lanes;
    for (Index j = 0; j < full; j += lanes) {
        Index const there = std::clamp<Index>(width - j, 0, lanes);
        Index const whole = right.row == 1 ? depth / lanes * lanes : 0;
        Real const* const from = right.data + (first + j) * right.col;
        for (Index k = 0; k < whole; k += lanes)
            transpose_square(from + k, right.col, panel + k * full + j, full, there);
        for (Index i = 0; i < lanes; ++i)
            for (Index k = whole; k < depth; ++k)
                panel[k * full + j + i] = j + i < width ? from[i * right.col + k * right.row] : Real{0};
    }
}

/// One tile: result[Rows, width] = (or +=) left[Rows, depth] panel[depth, width] (+ bias), each sum in an order that
/// depends on depth alone.
template <int Rows, int Vectors, class Real, class Terms>
void multiply_tile(Strided<Real, Terms> left, Real const* panel, Index depth, Real const* bias, bool accumulate,
                   Real* result, Index stride, Index width) {
    using Vector = typename VectorOf<Real>::Type;
    constexpr Index lanes = VectorOf<Real>::lanes;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        Vector low[Rows] = {};
        [[maybe_unused]] Vector high[Rows] = {};
        [[maybe_unused]] Vector low_total[Rows] = {};
        [[maybe_unused]] Vector high_total[Rows] = {};
        for (Index k = 0; k < depth; ++k) {
            Real const* terms = panel + k * panel_width<Real>;
            for (Index i = 0; i < panel_width<Real>; i += 64 / Index{sizeof(Real)})
                __builtin_prefetch(terms + terms_ahead * panel_width<Real> + i);
            Vector const right_low = *reinterpret_cast<Vector const*>(terms);
            Real const* column = left.data + k * left.col;
            if constexpr (Vectors == 2) {
                Vector const right_high = *reinterpret_cast<Vector const*>(terms + lanes);
                ((low[I] = Terms::added(low[I], column[Index{I} * left.row], right_low),
                  high[I] = Terms::added(high[I], column[Index{I} * left.row], right_high)),
                 ...);
            } else {
                ((low[I] = Terms::added(low[I], column[Index{I} * left.row], right_low)), ...);
            }
            if constexpr (sum_block > 0)
                if ((k + 1) % std::max<Index>(1, sum_block) == 0)
                    ((low_total[I] += low[I], low[I] = Vector{}, high_total[I] += high[I], high[I] = Vector{}), ...);
        }
        if constexpr (sum_block > 0) ((low[I] += low_total[I], high[I] += high_total[I]), ...);
        std::array<Real, static_cast<std::size_t>(panel_width<Real>)> edge{};
        auto const store = [&](Real* row, Vector low_sum, [[maybe_unused]] Vector high_sum) {
            bool const whole = width == Vectors * lanes;
            Real* const to = whole ? row : edge.data();
            if (!whole)
                for (Index j = 0; j < width; ++j) edge[static_cast<std::size_t>(j)] = accumulate ? row[j] : Real{0};
            auto const store_vector = [&](Index first, Vector sum) {
                if (accumulate) sum += *reinterpret_cast<Vector const*>(to + first);
                *reinterpret_cast<Vector*>(to + first) = sum;
            };
            store_vector(0, low_sum);
            if constexpr (Vectors == 2) store_vector(lanes, high_sum);
            if (bias != nullptr)
                for (Index j = 0; j < width; ++j) to[j] += bias[j];
            if (!whole) std::copy_n(edge.data(), width, row);
        };
        (store(result + Index{I} * stride, low[I], high[I]), ...);
    }(std::make_index_sequence<Rows>{});
}

/// Chooses the tile with `rows` rows, 1 to Rows.
template <int Vectors, int Rows, class Real, class Terms, class... Arguments>
void multiply_tile_of(Index rows, Strided<Real, Terms> left, Arguments... arguments) {
    if constexpr (Rows >= 1) {
        if (rows == Rows) return multiply_tile<Rows, Vectors>(left, arguments...);
        multiply_tile_of<Vectors, Rows - 1>(rows, left, arguments...);
    }
}

/// Rows of a left factor, cut into tiles. The last two share their rows where the last would have so few that the units
/// were idle.
template <class Real, class Terms = OneTerm>
struct Tiles {
    static constexpr int most_rows = Terms::most_rows;
    /// Rows from one packed tile to the next: its squares are of as many rows as a vector has lanes.
    static constexpr Index packed_rows =
        (most_rows + VectorOf<Real>::lanes - 1) / VectorOf<Real>::lanes * VectorOf<Real>::lanes;

    Strided<Real, Terms> left;
    Index rows;
    bool packed = false;  ///< whether `left` is what pack_rows wrote
    Index depth = 0;      ///< terms of each row, where it is

    [[nodiscard]] Index count() const { return (rows + most_rows - 1) / most_rows; }
    /// The first row of a tile; of number count(): the end.
    [[nodiscard]] Index first(Index tile) const {
        Index const even = std::min(rows, tile * most_rows), left_over = rows - even;
        bool const last_is_low = tile > 0 && left_over > 0 && left_over <= most_rows / 3;
        return last_is_low ? even - (most_rows - left_over) / 2 : even;
    }
    [[nodiscard]] Strided<Real, Terms> operator[](Index tile) const {
        return {left.data + (packed ? tile * packed_rows * depth : first(tile) * left.row), left.row, left.col};
    }
};

/// result[rows, width] for one packed panel.
template <class Real, class Terms>
void multiply_panel(Tiles<Real, Terms> const& left, Real const* panel, Index depth, Index width, Real const* bias,
                    bool accumulate, Real* result, Index stride) {
    for (Index tile = 0, row = 0, end = 0; tile < left.count(); ++tile, row = end) {
        end = left.first(tile + 1);
        if (width <= VectorOf<Real>::lanes)
            multiply_tile_of<1, Terms::most_rows>(end - row, left[tile], panel, depth, bias, accumulate,
                                                  result + row * stride, stride, width);
        else
            multiply_tile_of<2, Terms::most_rows>(end - row, left[tile], panel, depth, bias, accumulate,
                                                  result + row * stride, stride, width);
    }
}

/// Copies rows, each tile term after term: Tiles<Real>::packed_rows * depth elements a tile. One stride of the rows is
/// 1; worth_copying tells when it pays.
template <class Real, class Terms>
[[nodiscard]] Tiles<Real, Terms> pack_rows(Tiles<Real, Terms> const& rows, Index depth, Real* packed) {
    using Vector = typename VectorOf<Real>::Type;
    constexpr Index lanes = VectorOf<Real>::lanes, apart = Tiles<Real, Terms>::packed_rows;
    bool const turned = rows.left.col != 1;
    Index const whole = turned ? 0 : depth / lanes * lanes;
    for (Index tile = 0; tile < rows.count(); ++tile) {
        Index const first = rows.first(tile), count = rows.first(tile + 1) - first;
        auto const from = rows[tile];
        Real* const to = packed + tile * apart * depth;
        for (Index i = 0; i < count; i += lanes) {
            for (Index k = 0; k < whole; k += lanes)
                transpose_square(from.data + i * from.row + k, from.row, to + k * apart + i, apart, count - i);
            bool const vectors = turned && first + i + lanes <= rows.rows;
            for (Index k = whole; k < depth; ++k) {
                Real const* const term = from.data + i * from.row + k * from.col;
                if (vectors)
                    *reinterpret_cast<Vector*>(to + k * apart + i) = *reinterpret_cast<Vector const*>(term);
                else
                    for (Index j = 0; j < std::min(lanes, count - i); ++j) to[k * apart + i + j] = term[j * from.row];
            }
        }
    }
    return {{packed, 1, apart}, rows.rows, true, depth};
}

/// Elements of scratch that multiply_serial wants.
template <class Real>
[[nodiscard]] constexpr Index serial_scratch(Index depth) {
    return std::min(depth, depth_block) * panel_width<Real>;
}

/// result (+)= left right, on the calling thread; for the small products inside attention.
/// @param room  columns that there is room for in rows of the result: those behind the product's become 0, and where
///              they are whole vectors none is stored in parts; 0: its own alone
template <class Real>
void multiply_serial(Strided<Real> left, Strided<Real> right, Index rows, Index cols, Index depth, bool accumulate,
                     Real* result, Index stride, Real* scratch, Index room = 0) {
    room = std::max(room, cols);
    if (depth == 0 && !accumulate)
        for (Index i = 0; i < rows; ++i) std::fill_n(result + i * stride, room, Real{0});
    for (Index k = 0; k < depth; k += depth_block) {
        Index const terms = std::min(depth_block, depth - k);
        for (Index j = 0; j < room; j += panel_width<Real>) {
            pack_panel(Strided<Real>{right.data + k * right.row, right.row, right.col}, j,
                       std::clamp<Index>(cols - j, 0, panel_width<Real>), terms, scratch);
            multiply_panel(Tiles<Real>{{left.data + k * left.col, left.row, left.col}, rows}, scratch, terms,
                           std::min(panel_width<Real>, room - j), static_cast<Real const*>(nullptr),
                           accumulate || k > 0, result + j, stride);
        }
    }
}

/// Whether rows are to be copied for a run of panels. Where terms of a row lie one behind the other, rows of a multiple
/// of 2 KiB share a few sets of the first cache, those of 4 KiB fewer; where they do not, each term is on a cache line of
/// its own, in wide matrices on another page. The copy pays when enough panels read it. Found by timing.
template <class Real>
[[nodiscard]] bool worth_copying(Strided<Real> left, Index panels) {
    if (left.col != 1) return left.row == 1 && panels >= 4;
    Index const bytes_apart = left.row * Index{sizeof(Real)};
    return bytes_apart % 4096 == 0 ? panels >= 8 : bytes_apart % 2048 == 0 && panels > 8;
}

/// Whether a product is so small that a second thread would cost more than it brings; found by timing one sentence.
[[nodiscard]] inline bool is_small_product(Index rows, Index cols, Index depth) {
    return rows * cols * depth < 1'000'000;
}

/// result [M, N] (+)= terms k .. k + terms - 1 of each sum, from panels of the right factor at panel_at(number).
///
/// Inlined, as g++ makes its tiles a tenth slower where it is not.
template <class Real, class Terms, class Panels>
[[gnu::always_inline]] inline void multiply_panels(Cpu<Real>& device, Strided<Real, Terms> left, Index k, Index terms,
                                                   Panels const& panel_at, MatrixView<Real> result, bool accumulate,
                                                   Real const* bias) {
    constexpr Index width = panel_width<Real>, row_block = Terms::row_block;
    Index const rows = result.rows, cols = result.cols;
    Index const panels = (cols + width - 1) / width;
    Index const row_blocks = (rows + row_block - 1) / row_block;
    bool const small = is_small_product(rows, cols, terms);
    // Each task is one block of rows and a run of panels; threads share few rows out by panels.
    Index const runs = small || device.threads() == 1 ? 1 : std::clamp<Index>(8 / row_blocks, 1, panels);
    Index const run = (panels + runs - 1) / runs;
    constexpr bool may_be_copied = std::is_same_v<Terms, OneTerm>;  // pairs were laid out for this product
    bool copied = false;
    if constexpr (may_be_copied) copied = worth_copying(left, run);
    using Part = Tiles<Real, Terms>;
    if (copied) device.reserve_scratch((row_block + Part::most_rows - 1) / Part::most_rows * Part::packed_rows * terms);
    device.parallel(row_blocks * runs, small ? row_blocks * runs : 1,
                    [&](Index begin, Index end, [[maybe_unused]] int thread) {
                        for (Index task = begin; task < end; ++task) {
                            Index const i = (task / runs) * row_block;
                            Index const count = std::min(row_block, rows - i);
                            Index const last = std::min(panels, (task % runs + 1) * run);
                            Part part{{left.data + i * left.row + k * left.col, left.row, left.col}, count};
                            if constexpr (may_be_copied)
                                if (copied) part = pack_rows(part, terms, device.scratch(thread));
                            for (Index panel = (task % runs) * run; panel < last; ++panel) {
                                Index const j = panel * width;
                                multiply_panel(part, panel_at(panel), terms, std::min(width, cols - j),
                                               bias == nullptr || k > 0 ? nullptr : bias + j, accumulate || k > 0,
                                               result.row(i) + j, result.stride);
                            }
                        }
                    });
}

}  // namespace inkling::backend::detail
