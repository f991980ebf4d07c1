#pragma once

#include <inkling/objective/concept.hpp>

#include <concepts>
#include <type_traits>

namespace inkling::objective {

/// Nothing but the length loss, which every training adds: for a denoiser whose length head is trained by itself, after
/// all the rest. No text is noised and no estimate made.
///
/// Weights that lengths do not reach have no gradient then, and stay to the bit where weight decay is 0.
/// Source: Ye et al. 2023, "DINOISER", arXiv:2302.10025, code (its second stage).
struct LengthOnly {
    static constexpr bool reads_estimates = false;

    /// Adds nothing.
    template <Backend B, EmbeddingSpace Space>
    void evaluate(nn::Pass<B>&, Space const&, Prediction<B> const&, Losses<B>&) const {}
};

/// There are no settings.
template <class Objective, class Visit>
    requires std::same_as<std::remove_const_t<Objective>, LengthOnly>
void describe(Objective&, Visit const&) {}

}  // namespace inkling::objective
