#pragma once

#include <inkling/backend/thrust/detail/map.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <type_traits>

namespace inkling::backend {

namespace kernels {

template <class Real>
struct Add {
    MatrixView<Real const> x, y;
    MatrixView<Real> out;
    INKLING_HOST_DEVICE void operator()(Index row, Index begin, Index end) const {
        Real const* const a = x.row(row);
        Real const* const b = y.row(row);
        Real* const to = out.row(row);
        for (Index col = begin; col < end; ++col) to[col] = a[col] + b[col];
    }
};

template <class Real>
struct Scale {
    Real factor;
    MatrixView<Real const> x;
    MatrixView<Real> out;
    bool accumulate;
    INKLING_HOST_DEVICE void operator()(Index row, Index begin, Index end) const {
        Real const* const from = x.row(row);
        Real* const to = out.row(row);
        if (accumulate)
            for (Index col = begin; col < end; ++col) to[col] = to[col] + factor * from[col];
        else
            for (Index col = begin; col < end; ++col) to[col] = factor * from[col];
    }
};

/// Of the standard normal distribution: the share below x, and exp(-x^2 / 2).
template <class Real>
struct Normal {
    INKLING_HOST_DEVICE explicit Normal(Real x) : bell(std::exp(Real{-0.5} * (x * x))) {
        if constexpr (std::is_same_v<Real, float>) {
            Real const above = detail::share_above<Real>(std::abs(x), bell);
            below = x > 0 ? 1 - above : above;
        } else {
            below = Real{0.5} * std::erfc(-x * std::numbers::sqrt2_v<Real> / 2);
        }
    }
    Real bell;
    Real below{};
};

template <class Real>
[[nodiscard]] INKLING_HOST_DEVICE Real activated(Activation activation, Real x) {
    switch (activation) {
        case Activation::relu: return x > 0 ? x : Real{0};
        case Activation::gelu: return x * Normal<Real>(x).below;
        case Activation::silu: return x * detail::sigmoid(x);
        case Activation::tanh: return std::tanh(x);
    }
    return x;
}

template <class Real>
[[nodiscard]] INKLING_HOST_DEVICE Real activated_backward(Activation activation, Real x, Real slope) {
    switch (activation) {
        case Activation::relu: return x > 0 ? slope : Real{0};
        case Activation::gelu: {
            Normal<Real> const normal(x);
            return detail::gelu_backward<Real>(x, slope, normal.below, normal.bell);
        }
        case Activation::silu: return detail::silu_backward(x, slope, detail::sigmoid(x));
        case Activation::tanh: {
            Real const value = std::tanh(x);
            return slope * (1 - value * value);
        }
    }
    return slope;
}

template <class Real>
struct Activate {
    Activation activation;
    MatrixView<Real const> x;
    MatrixView<Real> out;
    INKLING_HOST_DEVICE void operator()(Index row, Index begin, Index end) const {
        for (Index col = begin; col < end; ++col) out.row(row)[col] = activated(activation, x.row(row)[col]);
    }
};

template <class Real>
struct ActivateBackward {
    Activation activation;
    MatrixView<Real const> x, dout;
    MatrixView<Real> dx;
    INKLING_HOST_DEVICE void operator()(Index row, Index begin, Index end) const {
        for (Index col = begin; col < end; ++col)
            dx.row(row)[col] = activated_backward(activation, x.row(row)[col], dout.row(row)[col]);
    }
};

template <class Real>
struct Combine {
    Segments segments;
    MatrixView<Real const> coefficients, x, y, e;
    MatrixView<Real> out;
    INKLING_HOST_DEVICE void operator()(Index row, Index begin, Index end) const {
        Real const* const c = coefficients.row(sentence_of(segments, row));
        for (Index col = begin; col < end; ++col) {
            Real value = c[0] * x.row(row)[col];
            if (!y.empty()) value = value + c[1] * y.row(row)[col];
            if (!e.empty()) value = value + c[2] * e.row(row)[col];
            out.row(row)[col] = value;
        }
    }
};

template <class Real>
struct TimeFeatures {
    VectorView<double const> labels;
    MatrixView<Real> out;
    INKLING_HOST_DEVICE void operator()(Index row, Index begin, Index end) const {
        Index const half = out.cols / 2;
        Real const label = static_cast<Real>(labels.data[row]);
        for (Index col = begin; col < end; ++col) {
            Real value{0};
            if (col < half)
                value = std::cos(label * detail::time_frequency<Real>(col, half));
            else if (col < 2 * half)
                value = std::sin(label * detail::time_frequency<Real>(col - half, half));
            out.row(row)[col] = value;
        }
    }
};

template <class Real>
struct FourierFeatures {
    VectorView<double const> labels;
    VectorView<Real const> frequencies;
    MatrixView<Real> out;
    INKLING_HOST_DEVICE void operator()(Index row, Index begin, Index end) const {
        Index const half = frequencies.size;
        Real const label = static_cast<Real>(labels.data[row]);
        for (Index col = begin; col < end; ++col) {
            Real const frequency = frequencies.data[col < half ? col : col - half];
            Real const angle = label * frequency * Real{2} * std::numbers::pi_v<Real>;
            out.row(row)[col] = col < half ? std::sin(angle) : std::cos(angle);
        }
    }
};

template <class Real>
struct AddPerSentence {
    Segments segments;
    MatrixView<Real const> x;
    MatrixView<Real> out;
    bool divide;  ///< by the sentence's length
    INKLING_HOST_DEVICE void operator()(Index row, Index begin, Index end) const {
        Index const sentence = sentence_of(segments, row);
        Real const* const from = x.row(sentence);
        Real const length = static_cast<Real>(segments.offsets[sentence + 1] - segments.offsets[sentence]);
        for (Index col = begin; col < end; ++col) out.row(row)[col] += divide ? from[col] / length : from[col];
    }
};

template <class Real>
struct SumPerSentence {
    Segments segments;
    MatrixView<Real const> x;
    MatrixView<Real> out;
    bool mean;
    INKLING_HOST_DEVICE void operator()(Index sentence, Index begin, Index end) const {
        Index const first = segments.offsets[sentence];
        Index const rows = segments.offsets[sentence + 1] - first;
        Real* const to = out.row(sentence);
        for (Index col = begin; col < end; ++col) to[col] = Real{0};
        for (Index row = first; row < first + rows; ++row)
            for (Index col = begin; col < end; ++col) to[col] += x.row(row)[col];
        if (mean && rows > 0)
            for (Index col = begin; col < end; ++col) to[col] = to[col] / static_cast<Real>(rows);
    }
};

}  // namespace kernels

/// out = x + y; out may be x or y.
template <class Real, class System>
void add(ThrustDevice<Real, System>& device, In<Real> x, In<Real> y, Out<Real> out) {
    kernels::for_each_piece(device, out.rows, out.cols, kernels::Add<Real>{x, y, out});
}

/// out = factor * x, or out += factor * x; out may be x.
template <class Real, class System>
void scale(ThrustDevice<Real, System>& device, std::type_identity_t<Real> factor, In<Real> x, Out<Real> out,
           bool accumulate = false) {
    kernels::for_each_piece(device, out.rows, out.cols, kernels::Scale<Real>{factor, x, out, accumulate});
}

/// out = activation(x), element by element; out may be x. GELU is the exact form x Phi(x).
template <class Real, class System>
void activate(ThrustDevice<Real, System>& device, Activation activation, In<Real> x, Out<Real> out) {
    kernels::for_each_piece(device, out.rows, out.cols, kernels::Activate<Real>{activation, x, out});
}

/// dx = activation'(x) * dout, element by element; dx may be dout.
template <class Real, class System>
void activate_backward(ThrustDevice<Real, System>& device, Activation activation, In<Real> x, In<Real> dout,
                       Out<Real> dx) {
    kernels::for_each_piece(device, dx.rows, dx.cols, kernels::ActivateBackward<Real>{activation, x, dout, dx});
}

/// out = a x + b y + c e, with one row of coefficients [S, 3] = (a, b, c) a sentence; out may be any of them.
///
/// Every step of a diffusion, forward or back, is this verb. @param y, e may be empty: their coefficient is not read
template <class Real, class System>
void combine(ThrustDevice<Real, System>& device, Segments const& segments, In<Real> coefficients, In<Real> x,
             In<Real> y, In<Real> e, Out<Real> out) {
    kernels::for_each_piece(device, segments.rows, out.cols,
                            kernels::Combine<Real>{segments, coefficients, x, y, e, out});
}

/// out [K, W] = [cos(t f_i) | sin(t f_i)] with f_i = 10000^(-i / (W / 2)): the features of a time label; an odd last
/// column is 0.
///
/// Source: Vaswani et al. 2017, section 3.5, in the order of the official Difformer and DiffuSeq (cosines first).
/// @param labels [K], in the denoiser's own unit
template <class Real, class System>
void time_features(ThrustDevice<Real, System>& device, VectorView<double const> labels, Out<Real> out) {
    kernels::for_each_piece(device, labels.size, out.cols, kernels::TimeFeatures<Real>{labels, out});
}

/// out [K, 2 F] = [sin(2 pi t f_i) | cos(2 pi t f_i)]: Fourier features of a time label, of given frequencies f [F].
///
/// Source: Tancik et al. 2020, arXiv:2006.10739, in the order of the official DINOISER (sines first).
/// @param labels [K], in the denoiser's own unit
template <class Real, class System>
void fourier_features(ThrustDevice<Real, System>& device, VectorView<double const> labels, InVector<Real> frequencies,
                      Out<Real> out) {
    kernels::for_each_piece(device, labels.size, 2 * frequencies.size,
                            kernels::FourierFeatures<Real>{labels, frequencies, out});
}

/// out [N, D] += x [S, D]: each sentence's vector is added to each of its rows. One row with stride 0 serves all
/// sentences.
template <class Real, class System>
void add_per_sentence(ThrustDevice<Real, System>& device, Segments const& segments, In<Real> x, Out<Real> out) {
    kernels::for_each_piece(device, segments.rows, out.cols, kernels::AddPerSentence<Real>{segments, x, out, false});
}

/// out [S, D] = the sum, or the mean, of each sentence's rows of x [N, D]; 0 for an empty sentence.
template <class Real, class System>
void sum_per_sentence(ThrustDevice<Real, System>& device, Segments const& segments, In<Real> x, Out<Real> out,
                      bool mean = false) {
    kernels::for_each_piece(device, segments.count, out.cols, kernels::SumPerSentence<Real>{segments, x, out, mean});
}

/// dx [N, D] += dmean [S, D] / length of the sentence: the backward pass of the mean in sum_per_sentence.
template <class Real, class System>
void mean_per_sentence_backward(ThrustDevice<Real, System>& device, Segments const& segments, In<Real> dmean,
                                Out<Real> dx) {
    kernels::for_each_piece(device, segments.rows, dx.cols, kernels::AddPerSentence<Real>{segments, dmean, dx, true});
}

}  // namespace inkling::backend
