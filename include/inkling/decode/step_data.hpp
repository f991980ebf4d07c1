#pragma once

#include <inkling/core/index.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

namespace inkling::decode {

/// What one denoising step has come to, on the host, seen without any array library. It lives for the call only.
///
/// A listener that takes a `decode::StepView const&` (listener.hpp) gets the same as xtensor arrays.
template <class Scalar>
struct StepData {
    Index step = 0;                  ///< which step has just run, from 0
    Index steps = 0;                 ///< how many the plan has
    double time = 0.0;               ///< what the denoiser was told, in [0, 1]
    Index width = 0;                 ///< D
    std::span<Scalar const> z;       ///< [N · D], row by row: z after the step
    std::span<Scalar const> z0_hat;  ///< [N · D]: the denoiser's answer, from which the tokens are read
    std::span<Token const> tokens;   ///< [N]
    std::span<Index const> offsets;  ///< [S + 1]: candidate s is rows offsets[s] .. offsets[s + 1] - 1
    /// [S], which of the call's sources a candidate is for, from 0: batches are of sources of like length, not in their
    /// order. The candidates of a source stand together, in the order of Beams
    std::span<Index const> sources{};

    /// Number of candidates in the batch, S.
    [[nodiscard]] Index sentences() const { return offsets.empty() ? 0 : static_cast<Index>(offsets.size()) - 1; }

    /// The tokens of candidate s, in [0, S).
    [[nodiscard]] std::span<Token const> sentence(Index s) const {
        auto const begin = static_cast<std::size_t>(offsets[static_cast<std::size_t>(s)]);
        auto const end = static_cast<std::size_t>(offsets[static_cast<std::size_t>(s) + 1]);
        return tokens.subspan(begin, end - begin);
    }
};

/// Hears of no step, and costs nothing: the default of everything that takes a listener.
struct NoListener {
    template <class Scalar>
    constexpr void operator()(StepData<Scalar> const&) const {}
};

/// Whether a listener is there at all; where not, nothing is read out or copied for it.
template <class L>
inline constexpr bool listens = !std::same_as<std::remove_cvref_t<L>, NoListener>;

}  // namespace inkling::decode

namespace inkling {

// clang-format off
/// Is called after every step with what it has come to; returns whether to go on, or nothing.
/// Models: any function of `decode::StepView const&`, of `decode::StepData<float> const&`, or of `auto const&`.
template <class L, class Scalar = float>
concept Listener =
       requires(L& listener, decode::StepData<Scalar> const& step) { listener(step); }  // can be called with a step
    && (requires(L& listener, decode::StepData<Scalar> const& step) { { listener(step) } -> std::same_as<void>; }  // nothing
        || requires(L& listener, decode::StepData<Scalar> const& step) {
               { listener(step) } -> std::convertible_to<bool>;  // or bool
           });
// clang-format on

}  // namespace inkling

namespace inkling::decode {

/// Calls a listener. @return whether to go on: what it said, or true where it says nothing
template <class L, class Scalar>
    requires Listener<L, Scalar>
[[nodiscard]] bool notify(L& listener, StepData<Scalar> const& step) {
    if constexpr (std::same_as<decltype(listener(step)), void>) {
        listener(step);
        return true;
    } else {
        return static_cast<bool>(listener(step));
    }
}

}  // namespace inkling::decode
