#pragma once

#include <inkling/core/index.hpp>

#include <concepts>
#include <span>

namespace inkling {

/// Tells how good a hypothesis is in the light of one reference: more is better, and hypothesis and reference are not
/// alike. Models: metric::SentenceBleu, metric::Method4Bleu, metric::RougeL, metric::ExactMatch.
template <class M>
concept SentenceMetric =
    std::copyable<M>
    && requires(
        M const& metric,
        std::span<Token const> tokens) { metric(tokens, tokens); }  // has 'operator()(hypothesis, reference) const'
    && requires(M const& metric, std::span<Token const> tokens) {
           { metric(tokens, tokens) } -> std::same_as<double>;
       };  // and it returns double

}  // namespace inkling
