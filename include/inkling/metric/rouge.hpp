#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/metric/concept.hpp>
#include <inkling/metric/detail/ngrams.hpp>
#include <inkling/metric/detail/unicode.hpp>
#include <inkling/metric/detail/words.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inkling::metric {

/// Precision, recall and their harmonic mean, each in [0, 1]; all 0 when either side is empty.
struct RougeScore {
    double precision = 0.0;
    double recall = 0.0;
    double fmeasure = 0.0;
};

/// The three ROUGE scores that are usually reported.
struct RougeScores {
    RougeScore rouge1;  ///< single words
    RougeScore rouge2;  ///< pairs of neighbours
    RougeScore rougeL;  ///< longest common subsequence
};

namespace detail {

[[nodiscard]] inline RougeScore rouge_from(Index common, Index hypothesis, Index reference) {
    if (hypothesis <= 0 || reference <= 0) return {};
    double const precision = static_cast<double>(common) / static_cast<double>(hypothesis);
    double const recall = static_cast<double>(common) / static_cast<double>(reference);
    if (common == 0) return {};
    return {precision, recall, 2.0 * precision * recall / (precision + recall)};
}

/// @return the length of the longest sequence of tokens that both have, in order, not necessarily side by side
[[nodiscard]] inline Index longest_common(std::span<Token const> a, std::span<Token const> b) {
    std::vector<Index> row(b.size() + 1);  // row[j]: for what was seen of a, and the first j of b
    for (Token const token : a) {
        Index diagonal = 0;
        for (std::size_t j = 0; j < b.size(); ++j) {
            Index const above = row[j + 1];
            row[j + 1] = token == b[j] ? diagonal + 1 : std::max(above, row[j]);
            diagonal = above;
        }
    }
    return row.back();
}

/// @return the words that ROUGE sees in a text: lower case, runs of a-z and 0-9
[[nodiscard]] inline std::vector<Token> rouge_words(std::string_view text, WordNumbers& numbers) {
    std::string const lower = to_lower(text);
    std::vector<Token> words;
    auto const is_part = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
    for (auto begin = lower.begin(); (begin = std::find_if(begin, lower.end(), is_part)) != lower.end();) {
        auto const end = std::find_if_not(begin, lower.end(), is_part);
        words.push_back(numbers.number(std::string_view(lower).substr(static_cast<std::size_t>(begin - lower.begin()),
                                                                      static_cast<std::size_t>(end - begin))));
        begin = end;
    }
    return words;
}

}  // namespace detail

/// ROUGE-N over tokens: n-grams that both have, each as often as in the poorer of the two.
/// Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries".
/// @throws Error when n is below 1
[[nodiscard]] inline RougeScore rouge_n(std::span<Token const> hypothesis, std::span<Token const> reference, Index n) {
    require(n >= 1, "inkling::metric::rouge_n: n is ", n, ", expected 1 or more");
    std::array<detail::Sequence, 2> const both{hypothesis, reference};
    auto const room = [n](std::span<Token const> tokens) {
        return std::max(Index{0}, static_cast<Index>(tokens.size()) - n + 1);
    };
    Index common = 0;
    if (room(hypothesis) > 0 && room(reference) > 0) {
        detail::Ngrams ngrams(both);
        for (Index order = 1; order <= n; ++order) {
            common = 0;
            ngrams.next_order([&](std::span<Index const> counts) { common += std::min(counts[0], counts[1]); });
        }
    }
    return detail::rouge_from(common, room(hypothesis), room(reference));
}

/// ROUGE-L over tokens: the longest common subsequence.
/// Source: Lin 2004.
[[nodiscard]] inline RougeScore rouge_l(std::span<Token const> hypothesis, std::span<Token const> reference) {
    return detail::rouge_from(detail::longest_common(hypothesis, reference), static_cast<Index>(hypothesis.size()),
                              static_cast<Index>(reference.size()));
}

/// ROUGE-1, -2 and -L of two texts as torchmetrics computes them.
///
/// Words are runs of a-z and 0-9 after lower-casing: everything else separates, so a text in letters beyond those
/// (German umlauts included) is cut to pieces. Use `rouge_n` and `rouge_l` on tokens where that is not wanted.
/// Source: torchmetrics 0.11.4, ROUGEScore.
/// @throws Error when a text is not valid UTF-8
[[nodiscard]] inline RougeScores rouge(std::string_view hypothesis, std::string_view reference) {
    detail::WordNumbers numbers;
    auto const a = detail::rouge_words(hypothesis, numbers), b = detail::rouge_words(reference, numbers);
    return {rouge_n(a, b, 1), rouge_n(a, b, 2), rouge_l(a, b)};
}

/// The mean of `rouge` over a corpus, each number by itself; all 0 for an empty one.
/// @throws Error when there are not as many references as hypotheses, or a text is not valid UTF-8
[[nodiscard]] inline RougeScores corpus_rouge(std::span<std::string const> hypotheses,
                                              std::span<std::string const> references) {
    require(references.size() == hypotheses.size(), "inkling::metric::corpus_rouge: there are ", references.size(),
            " references, expected as many as hypotheses, which is ", hypotheses.size());
    RougeScores sum;
    for (std::size_t i = 0; i < hypotheses.size(); ++i) {
        RougeScores const one = rouge(hypotheses[i], references[i]);
        for (auto const part : {&RougeScores::rouge1, &RougeScores::rouge2, &RougeScores::rougeL})
            for (auto const number : {&RougeScore::precision, &RougeScore::recall, &RougeScore::fmeasure})
                sum.*part.*number += (one.*part).*number / static_cast<double>(hypotheses.size());
    }
    return sum;
}

/// The F-measure of ROUGE-L over tokens as a SentenceMetric.
struct RougeL {
    [[nodiscard]] double operator()(std::span<Token const> hypothesis, std::span<Token const> reference) const {
        return rouge_l(hypothesis, reference).fmeasure;
    }
};
static_assert(SentenceMetric<RougeL>);

}  // namespace inkling::metric
