#pragma once

#include <inkling/core/index.hpp>

#include <concepts>
#include <span>
#include <string>
#include <string_view>

namespace inkling::decode {

/// One of the texts generated for a source.
struct Candidate {
    std::string text;                   ///< as a reader sees it: no bos, eos or pad
    double mean_log_probability = 0.0;  ///< mean over its tokens of the read-out's best log-probability, at most 0
    Index group = 0;                    ///< which of the candidate lengths it has: Beams::group
    std::string_view source = {};       ///< what it is an answer to, as a reader sees it; lives for the call
};

}  // namespace inkling::decode

namespace inkling {

/// Chooses one of the candidates for a source.
/// Models: decode::MeanLogProbability, decode::MinimumBayesRisk, decode::TwoLevelMinimumBayesRisk, decode::MostAlike,
/// decode::LowestPerplexity.
// clang-format off
template <class S>
concept Selection = std::copyable<S>
    && requires(S const& s, std::span<decode::Candidate const> candidates) {
           s.select(candidates);  // has 'select(candidates) const'
       }
    && requires(S const& s, std::span<decode::Candidate const> candidates) {
           { s.select(candidates) } -> std::same_as<Index>;  // and it returns an Index
       };
// clang-format on

}  // namespace inkling
