#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/metric/bleu.hpp>
#include <inkling/metric/concept.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace inkling::metric {

/// BLEU of one sentence as NLTK computes it with its smoothing method 4, which DiffuSeq reports and selects by.
///
/// The k-th order without a match counts as log(length) / (5 · 2^k) of one, so short hypotheses are given less; a
/// hypothesis without a common token scores 0. Orders that the hypothesis is too short for count as one n-gram without
/// a match.
/// Source: Chen and Cherry 2014, "A Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU"; NLTK 3.8
/// `SmoothingFunction.method4`, whose form of the formula this is.
struct Method4Bleu {
    std::size_t order = bleu_order;  ///< orders 1 to this one, in [1, 4], weigh the same

    /// @return in [0, 1]; unlike sacreBLEU's, which are percents
    /// @throws Error when `order` is outside [1, 4]
    [[nodiscard]] double operator()(std::span<Token const> hypothesis, std::span<Token const> reference) const {
        require(order >= 1 && order <= bleu_order, "inkling::metric::Method4Bleu: order is ", order, ", expected 1 to ",
                bleu_order);
        std::array<std::span<Token const>, 1> const one{reference};
        BleuStatistics const statistics = bleu_statistics(hypothesis, one);
        if (statistics.matches[0] == 0) return 0.0;
        auto const length = static_cast<double>(statistics.hypothesis_length);
        double sum = 0.0, halves = 1.0;
        for (std::size_t n = 0; n < order; ++n) {
            double matches = static_cast<double>(statistics.matches[n]);
            if (statistics.matches[n] == 0) {
                if (statistics.hypothesis_length <= 1) continue;  // log(1) = 0: such an order is left out
                matches = std::log(length) / (5.0 * (halves *= 2.0));
            }
            sum += std::log(matches / static_cast<double>(std::max(Index{1}, statistics.totals[n])));
        }
        double const penalty = statistics.hypothesis_length > statistics.reference_length
            ? 1.0
            : std::exp(1.0 - static_cast<double>(statistics.reference_length) / length);
        return penalty * std::exp(sum / static_cast<double>(order));
    }

    /// The same for texts, whose tokens stand between white space.
    /// @throws Error when a text is not valid UTF-8
    [[nodiscard]] double operator()(std::string_view hypothesis, std::string_view reference) const {
        detail::WordNumbers words;
        auto const hypothesis_tokens = words.numbers(hypothesis), reference_tokens = words.numbers(reference);
        return (*this)(std::span<Token const>(hypothesis_tokens), std::span<Token const>(reference_tokens));
    }
};
static_assert(SentenceMetric<Method4Bleu>);

}  // namespace inkling::metric
