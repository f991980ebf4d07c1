#pragma once

#include <inkling/core/index.hpp>

#include <type_traits>

namespace inkling {

/// A dense row-major matrix somewhere in a backend's memory, [rows, cols]; it does not own what it shows.
///
/// Rows may lie apart (`stride` elements from one row to the next), columns never do.
template <class T>
struct MatrixView {
    T* data = nullptr;
    Index rows = 0;
    Index cols = 0;
    Index stride = 0;  ///< elements between the starts of neighbouring rows; at least cols

    constexpr MatrixView() = default;
    constexpr MatrixView(T* data_, Index rows_, Index cols_) : MatrixView(data_, rows_, cols_, cols_) {}
    constexpr MatrixView(T* data_, Index rows_, Index cols_, Index stride_)
        : data(data_), rows(rows_), cols(cols_), stride(stride_) {}
    constexpr operator MatrixView<T const>() const
        requires(!std::is_const_v<T>)
    {
        return {data, rows, cols, stride};
    }

    [[nodiscard]] constexpr bool empty() const { return data == nullptr; }
    [[nodiscard]] constexpr Index size() const { return rows * cols; }
    [[nodiscard]] constexpr bool contiguous() const { return stride == cols || rows <= 1; }
    [[nodiscard]] constexpr T* row(Index index) const { return data + index * stride; }

    /// Columns first .. first + count - 1 of every row.
    [[nodiscard]] constexpr MatrixView columns(Index first, Index count) const {
        return {data + first, rows, count, stride};
    }
    /// Rows first .. first + count - 1.
    [[nodiscard]] constexpr MatrixView row_range(Index first, Index count) const {
        return {data + first * stride, count, cols, stride};
    }
};

/// Consecutive elements somewhere in a backend's memory; it does not own what it shows.
template <class T>
struct VectorView {
    T* data = nullptr;
    Index size = 0;

    constexpr VectorView() = default;
    constexpr VectorView(T* data_, Index size_) : data(data_), size(size_) {}
    constexpr operator VectorView<T const>() const
        requires(!std::is_const_v<T>)
    {
        return {data, size};
    }

    [[nodiscard]] constexpr bool empty() const { return data == nullptr; }
};

/// Where each sentence of a packed batch lies: sentence s is rows offsets[s] .. offsets[s + 1] - 1.
///
/// The offsets are in the backend's memory; the counts are known to the host.
struct Segments {
    Index const* offsets = nullptr;  ///< [count + 1], from 0 to rows, never falling
    Index count = 0;                 ///< sentences, S
    Index rows = 0;                  ///< tokens of all sentences, N
    Index longest = 0;               ///< tokens of the longest sentence
};

/// Token numbers in a backend's memory, [N].
using TokenView = VectorView<Token const>;

namespace backend {

/// What a verb reads and writes, for a scalar deduced from its backend alone.
template <class Real>
using In = MatrixView<std::type_identity_t<Real> const>;
template <class Real>
using Out = MatrixView<std::type_identity_t<Real>>;
template <class Real>
using InVector = VectorView<std::type_identity_t<Real> const>;
template <class Real>
using OutVector = VectorView<std::type_identity_t<Real>>;

/// Nonlinearities of feed-forward and time networks.
enum class Activation { relu, gelu, silu, tanh };

/// How a product reads a factor.
enum class Orientation { plain, transposed };

/// Which rows attend to which: sentence s of the queries sees all rows of one sentence of the keys.
struct AttentionShape {
    Segments queries;
    Segments keys;
    Index heads = 1;                      ///< the width is cut into this many equal parts
    Index const* key_sentence = nullptr;  ///< [queries.count], which sentence of the keys; null: the same number
    bool causal = false;                  ///< row i of a sentence sees keys 0..i alone
};

/// The numbers of one AdamW update.
struct AdamStep {
    double learning_rate = 0.0;
    double beta1 = 0.9;
    double beta2 = 0.98;
    double epsilon = 1e-8;
    double weight_decay = 0.0;
    double gradient_factor = 1.0;  ///< multiplies the gradient first: clipping, or a mean over workers
    Index step = 1;                ///< number of this update, from 1
};

}  // namespace backend
}  // namespace inkling
