#pragma once

#include <inkling/backend/cpu/detail/map.hpp>
#include <inkling/backend/detail/formulas.hpp>

#include <cmath>
#include <numbers>
#include <type_traits>

namespace inkling::backend {

/// out = x + y; out may be x or y.
template <class Real>
void add(Cpu<Real>& device, In<Real> x, In<Real> y, Out<Real> out) {
    detail::for_each_row(device, out.rows, out.cols, [&](Index row) {
        detail::transform(
            out.cols, out.row(row), [](auto const& a, auto const& b) { return a + b; }, x.row(row), y.row(row));
    });
}

/// out = factor * x, or out += factor * x; out may be x.
template <class Real>
void scale(Cpu<Real>& device, std::type_identity_t<Real> factor, In<Real> x, Out<Real> out, bool accumulate = false) {
    detail::for_each_row(device, out.rows, out.cols, [&](Index row) {
        Real* const to = out.row(row);
        if (accumulate)
            detail::transform(
                out.cols, to, [=](auto const& a, auto const& b) { return a + factor * b; }, to, x.row(row));
        else
            detail::transform(
                out.cols, to, [=](auto const& a) { return factor * a; }, x.row(row));
    });
}

namespace detail {

/// Of the standard normal distribution: the share below x, and exp(-x^2 / 2). The weight of GELU, and its slope's.
///
/// In double to the last bits; in float up to 8e-8.
template <class Real>
struct NormalDistribution {
    explicit NormalDistribution(LanesAt<Real const> const& x) : bell((Real{-0.5} * x.square()).exp()) {
        if constexpr (std::is_same_v<Real, float>) {
            Lanes<Real> const above = share_above<Lanes<Real>>(x.abs(), bell);
            below = where_positive<Lanes<Real>>(x, 1 - above, above);
        } else {
            for (Index i = 0; i < lane_count<Real>; ++i)
                below[i] = Real{0.5} * std::erfc(-x[i] * std::numbers::sqrt2_v<Real> / 2);
        }
    }
    Lanes<Real> bell;
    Lanes<Real> below;
};

}  // namespace detail

/// out = activation(x), element by element; out may be x. GELU is the exact form x Phi(x).
template <class Real>
void activate(Cpu<Real>& device, Activation activation, In<Real> x, Out<Real> out) {
    detail::for_each_row(device, out.rows, out.cols, [&](Index row) {
        Real* const to = out.row(row);
        Real const* const from = x.row(row);
        switch (activation) {
            case Activation::relu:
                detail::transform(
                    out.cols, to, [](auto const& a) { return a.max(Real{0}); }, from);
                break;
            case Activation::gelu:
                detail::transform(
                    out.cols, to,
                    [](auto const& a) -> detail::Lanes<Real> { return a * detail::NormalDistribution<Real>(a).below; },
                    from);
                break;
            case Activation::silu:
                detail::transform(
                    out.cols, to, [](auto const& a) { return a * detail::sigmoid(a); }, from);
                break;
            case Activation::tanh:
                detail::transform(
                    out.cols, to, [](auto const& a) { return a.tanh(); }, from);
                break;
        }
    });
}

/// dx = activation'(x) * dout, element by element; dx may be dout.
template <class Real>
void activate_backward(Cpu<Real>& device, Activation activation, In<Real> x, In<Real> dout, Out<Real> dx) {
    detail::for_each_row(device, dx.rows, dx.cols, [&](Index row) {
        Real* const to = dx.row(row);
        Real const* const from = x.row(row);
        Real const* const slope = dout.row(row);
        auto const each = [&](auto const& body) { detail::transform(dx.cols, to, body, from, slope); };
        switch (activation) {
            case Activation::relu:
                each([](auto const& a, auto const& d) {
                    return detail::where_positive<detail::Lanes<Real>>(a, d, detail::Lanes<Real>::Zero());
                });
                break;
            case Activation::gelu:
                each([](auto const& a, auto const& d) -> detail::Lanes<Real> {
                    detail::NormalDistribution<Real> const normal(a);
                    return detail::gelu_backward<Real>(a, d, normal.below, normal.bell);
                });
                break;
            case Activation::silu:
                each([](auto const& a, auto const& d) -> detail::Lanes<Real> {
                    detail::Lanes<Real> const share = detail::sigmoid(a);
                    return detail::silu_backward(a, d, share);
                });
                break;
            case Activation::tanh:
                each([](auto const& a, auto const& d) { return d * (1 - a.tanh().square()); });
                break;
        }
    });
}

/// out = a x + b y + c e, with one row of coefficients [S, 3] = (a, b, c) a sentence; out may be any of them.
///
/// Every step of a diffusion, forward or back, is this verb. @param y, e may be empty: their coefficient is not read
template <class Real>
void combine(Cpu<Real>& device, Segments const& segments, In<Real> coefficients, In<Real> x, In<Real> y, In<Real> e,
             Out<Real> out) {
    detail::for_each_segment_row(device, segments, [&](Index sentence, Index row) {
        Real const* const c = coefficients.row(sentence);
        Real* const to = out.row(row);
        auto const pair = [&](Real factor, Real const* second) {
            detail::transform(
                out.cols, to, [&](auto const& u, auto const& v) { return c[0] * u + factor * v; }, x.row(row), second);
        };
        if (y.empty() && e.empty())
            detail::transform(
                out.cols, to, [&](auto const& u) { return c[0] * u; }, x.row(row));
        else if (e.empty())
            pair(c[1], y.row(row));
        else if (y.empty())
            pair(c[2], e.row(row));
        else
            detail::transform(
                out.cols, to,
                [&](auto const& u, auto const& v, auto const& w) { return c[0] * u + c[1] * v + c[2] * w; }, x.row(row),
                y.row(row), e.row(row));
    });
}

/// out [K, W] = [cos(t f_i) | sin(t f_i)] with f_i = 10000^(-i / (W / 2)): the features of a time label; an odd last
/// column is 0.
///
/// Source: Vaswani et al. 2017, section 3.5, in the order of the official Difformer and DiffuSeq (cosines first).
/// @param labels [K], in the denoiser's own unit
template <class Real>
void time_features(Cpu<Real>& device, VectorView<double const> labels, Out<Real> out) {
    Index const half = out.cols / 2;
    detail::for_each_row(device, labels.size, out.cols, [&](Index row) {
        Real const label = static_cast<Real>(labels.data[row]);
        for (Index i = 0; i < half; ++i) {
            Real const frequency = detail::time_frequency<Real>(i, half);
            out.row(row)[i] = std::cos(label * frequency);
            out.row(row)[half + i] = std::sin(label * frequency);
        }
        if (out.cols % 2 == 1) out.row(row)[out.cols - 1] = Real{0};
    });
}

/// out [K, 2 F] = [sin(2 pi t f_i) | cos(2 pi t f_i)]: Fourier features of a time label, of given frequencies f [F].
///
/// Source: Tancik et al. 2020, arXiv:2006.10739, in the order of the official DINOISER (sines first).
/// @param labels [K], in the denoiser's own unit
template <class Real>
void fourier_features(Cpu<Real>& device, VectorView<double const> labels, InVector<Real> frequencies, Out<Real> out) {
    Index const half = frequencies.size;
    detail::for_each_row(device, labels.size, out.cols, [&](Index row) {
        Real const label = static_cast<Real>(labels.data[row]);
        for (Index i = 0; i < half; ++i) {
            Real const angle = label * frequencies.data[i] * Real{2} * std::numbers::pi_v<Real>;
            out.row(row)[i] = std::sin(angle);
            out.row(row)[half + i] = std::cos(angle);
        }
    });
}

/// out [N, D] += x [S, D]: each sentence's vector is added to each of its rows. One row with stride 0 serves all
/// sentences.
template <class Real>
void add_per_sentence(Cpu<Real>& device, Segments const& segments, In<Real> x, Out<Real> out) {
    detail::for_each_segment_row(
        device, segments, [&](Index sentence, Index row) { detail::add_to(out.cols, out.row(row), x.row(sentence)); });
}

/// out [S, D] = the sum, or the mean, of each sentence's rows of x [N, D]; 0 for an empty sentence.
template <class Real>
void sum_per_sentence(Cpu<Real>& device, Segments const& segments, In<Real> x, Out<Real> out, bool mean = false) {
    detail::for_each_row(device, segments.count, out.cols, [&](Index sentence) {
        Index const begin = segments.offsets[sentence];
        Index const end = segments.offsets[sentence + 1];
        Real* const to = out.row(sentence);
        std::fill_n(to, out.cols, Real{0});
        for (Index row = begin; row < end; ++row) detail::add_to(out.cols, to, x.row(row));
        if (!mean || end == begin) return;
        Real const length = static_cast<Real>(end - begin);
        detail::transform(
            out.cols, to, [=](auto const& a) { return a / length; }, to);
    });
}

/// dx [N, D] += dmean [S, D] / length of the sentence: the backward pass of the mean in sum_per_sentence.
template <class Real>
void mean_per_sentence_backward(Cpu<Real>& device, Segments const& segments, In<Real> dmean, Out<Real> dx) {
    detail::for_each_segment_row(device, segments, [&](Index sentence, Index row) {
        Real const length = static_cast<Real>(segments.offsets[sentence + 1] - segments.offsets[sentence]);
        detail::transform(
            dx.cols, dx.row(row), [=](auto const& a, auto const& b) { return a + b / length; }, dx.row(row),
            dmean.row(sentence));
    });
}

}  // namespace inkling::backend
