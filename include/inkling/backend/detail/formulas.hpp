#pragma once

#include <inkling/backend/view.hpp>
#include <inkling/core/error.hpp>
#include <inkling/core/host_device.hpp>
#include <inkling/core/index.hpp>
#include <inkling/core/random.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

/// \file
/// What verbs of every backend compute, said once: of one number, or of lanes of them that have arithmetic and
/// functions of their own.

namespace inkling::backend::detail {

INKLING_OF_ANY_TYPE
template <class Value>
[[nodiscard]] INKLING_HOST_DEVICE auto sigmoid(Value const& x) {
    using std::exp;
    return 1 / (1 + exp(-x));
}

/// Share of the standard normal distribution above `magnitude`, which is not negative, with bell = exp(-magnitude^2 /
/// 2); up to 8e-8.
///
/// Source: Abramowitz and Stegun 1964, formula 7.1.26.
INKLING_OF_ANY_TYPE
template <class Value>
[[nodiscard]] INKLING_HOST_DEVICE Value share_above(Value const& magnitude, Value const& bell) {
    Value const t = 1 / (1 + 0.3275911F / std::numbers::sqrt2_v<float> * magnitude);
    return 0.5F * bell * t
        * (0.254829592F + t * (-0.284496736F + t * (1.421413741F + t * (-1.453152027F + t * 1.061405429F))));
}

/// slope times the derivative of x Phi(x), with below = Phi(x) and bell = exp(-x^2 / 2).
INKLING_OF_ANY_TYPE
template <class Real, class Value, class Slope, class Share>
[[nodiscard]] INKLING_HOST_DEVICE auto gelu_backward(Value const& x, Slope const& slope, Share const& below,
                                                     Share const& bell) {
    Real const height = std::numbers::inv_sqrtpi_v<Real> / std::numbers::sqrt2_v<Real>;
    return slope * (below + x * height * bell);
}

/// slope times the derivative of x sigmoid(x), with share = sigmoid(x).
INKLING_OF_ANY_TYPE
template <class Value, class Slope, class Share>
[[nodiscard]] INKLING_HOST_DEVICE auto silu_backward(Value const& x, Slope const& slope, Share const& share) {
    return slope * share * (1 + x * (1 - share));
}

/// 10000^(-i / half): the i-th of the frequencies of a time label.
template <class Real>
[[nodiscard]] INKLING_HOST_DEVICE Real time_frequency(Index i, Index half) {
    return std::exp(-std::log(Real{10000}) * static_cast<Real>(i) / static_cast<Real>(half));
}

/// One AdamW update of one weight, from the settings of a step.
template <class Real>
struct AdamUpdate {
    explicit AdamUpdate(AdamStep const& settings)
        : step_size(static_cast<Real>(settings.learning_rate
                                      / (1.0 - std::pow(settings.beta1, static_cast<double>(settings.step))))),
          correction(
              static_cast<Real>(1.0 / std::sqrt(1.0 - std::pow(settings.beta2, static_cast<double>(settings.step))))),
          decay(static_cast<Real>(1.0 - settings.learning_rate * settings.weight_decay)),
          beta1(static_cast<Real>(settings.beta1)),
          beta2(static_cast<Real>(settings.beta2)),
          factor(static_cast<Real>(settings.gradient_factor)),
          epsilon(static_cast<Real>(settings.epsilon)) {}

    /// The running mean of the gradient.
    INKLING_OF_ANY_TYPE
    template <class Value>
    [[nodiscard]] INKLING_HOST_DEVICE auto mean(Value const& m, Value const& gradient) const {
        return beta1 * m + (1 - beta1) * (factor * gradient);
    }
    /// The running mean of its square.
    INKLING_OF_ANY_TYPE
    template <class Value>
    [[nodiscard]] INKLING_HOST_DEVICE auto square(Value const& v, Value const& gradient) const {
        return beta2 * v + (1 - beta2) * ((factor * gradient) * (factor * gradient));
    }
    INKLING_OF_ANY_TYPE
    template <class Value>
    [[nodiscard]] INKLING_HOST_DEVICE auto weight(Value const& w, Value const& m, Value const& v) const {
        using std::sqrt;
        return w * decay - step_size * m / (sqrt(v) * correction + epsilon);
    }

    Real step_size, correction, decay, beta1, beta2, factor, epsilon;
};

/// Which elements of a matrix a dropout drops: each a function of the stream and of its place alone.
///
/// One Philox call is four words, of columns 16 apart: word w of call c, of 16, of group g of 64 columns tells of
/// column 64 g + 16 w + c.
template <class Real>
struct DropoutMask {
    static constexpr Index group = 64;  ///< columns of one group
    static constexpr Index calls = 16;  ///< Philox calls of one group

    DropoutMask(RandomStream const& stream_, double rate, Index cols)
        : stream(stream_),
          threshold(static_cast<std::uint32_t>(rate * 0x1p32)),
          keep(static_cast<Real>(1.0 / (1.0 - rate))),
          groups((cols + group - 1) / group) {}

    /// The number of a group's first call.
    [[nodiscard]] INKLING_HOST_DEVICE std::uint32_t first_call(Index row, Index g) const {
        return static_cast<std::uint32_t>((row * groups + g) * calls);
    }
    /// What an element is multiplied with; without a branch, which would be mispredicted as often as it drops.
    [[nodiscard]] INKLING_HOST_DEVICE Real factor(std::uint32_t word) const {
        return keep * static_cast<Real>(static_cast<int>(word >= threshold));
    }

    RandomStream stream;
    std::uint32_t threshold;
    Real keep;
    Index groups;  ///< of one row
};

/// Rows of logits held at once, of a vocabulary of V: as many as 2^20 logits fill, but 112 to 448. Never [N, V].
[[nodiscard]] inline Index logit_block(Index vocabulary) {
    return std::clamp<Index>((Index{1} << 20) / std::max<Index>(1, vocabulary), 112, 448);
}

/// The loss of one row with logits l: of its target, and smoothed.
struct RowLoss {
    /// @param log_total  log sum_v exp(l_v - max l)
    /// @param chosen     l_target - max l
    /// @param mean       the mean of l - max l; read where there is smoothing
    INKLING_HOST_DEVICE RowLoss(double log_total, double chosen, double mean, double smoothing)
        : nll(log_total - chosen), smoothed((1.0 - smoothing) * nll + smoothing * (log_total - mean)) {}
    double nll;
    double smoothed;
};

/// The cosine of two rows x and y, and its slope: factor dcos/dx = towards(factor) y - back(factor, |x|^2) x.
struct RowCosine {
    INKLING_HOST_DEVICE RowCosine(double x_squared, double y_squared, double dot)
        : product(std::sqrt(x_squared * y_squared)), tiny(product < 1e-8), cosine(dot / (tiny ? 1e-8 : product)) {}
    [[nodiscard]] INKLING_HOST_DEVICE double towards(double factor) const { return factor / (tiny ? 1e-8 : product); }
    [[nodiscard]] INKLING_HOST_DEVICE double back(double factor, double own_squared) const {
        return tiny ? 0.0 : factor * cosine / own_squared;
    }
    double product;
    bool tiny;
    double cosine;
};

/// @throws Error when one of the two is empty and the other is not
template <class T>
void require_both_or_neither(char const* where, char const* first_name, VectorView<T> first, char const* second_name,
                             VectorView<T> second) {
    require(first.empty() == second.empty(), "inkling::backend::", where, ": ",
            first.empty() ? second_name : first_name, " alone, expected ", first_name, " and ", second_name,
            " or neither");
}

/// @throws Error when sentences share their keys, whose gradients would then be shared as well
inline void require_own_keys(AttentionShape const& shape) {
    require(shape.key_sentence == nullptr,
            "inkling::backend::attention_backward: key_sentence is set, expected each sentence to have its own keys");
}

/// Where a bias by distance has its number for keys `distance` behind their query: K of 2 K + 1 is the query's own
/// place.
[[nodiscard]] INKLING_HOST_DEVICE constexpr Index clipped_distance(Index distance, Index cols) {
    Index const reach = (cols - 1) / 2;
    return (distance < -reach ? -reach : distance > reach ? reach : distance) + reach;
}

/// What readout_top asks of what it writes to.
inline void require_top(Index tokens, Index probabilities, Index vocabulary) {
    require(tokens <= vocabulary && probabilities == tokens, "inkling::backend::readout_top: ", tokens, " tokens and ",
            probabilities, " probabilities a row, expected as many, at most ", vocabulary, ", the vocabulary");
}

}  // namespace inkling::backend::detail
