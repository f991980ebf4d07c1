#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/metric/bleu.hpp>
#include <inkling/metric/concept.hpp>
#include <inkling/metric/detail/ngrams.hpp>
#include <inkling/metric/detail/words.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inkling::metric {

/// The share of n-grams that are distinct: 1 when none comes twice, 0 when there is none. Low values show a model that
/// repeats itself.
/// @param sequences  n-grams lie within one of them, and are compared across all
/// @throws Error when n is below 1
/// Source: Li et al. 2016, "A Diversity-Promoting Objective Function for Neural Conversation Models", arXiv:1510.03055.
[[nodiscard]] inline double distinct_n(std::span<std::span<Token const> const> sequences, Index n) {
    require(n >= 1, "inkling::metric::distinct_n: n is ", n, ", expected 1 or more");
    detail::Ngrams ngrams(sequences);
    Index distinct = 0, total = 0;
    for (Index order = 1; order <= n; ++order) {
        distinct = total = 0;
        ngrams.next_order([&](std::span<Index const> counts) {
            ++distinct;
            for (Index const count : counts) total += count;
        });
        if (total == 0) break;  // no longer n-gram is there either
    }
    return total == 0 ? 0.0 : static_cast<double>(distinct) / static_cast<double>(total);
}
[[nodiscard]] inline double distinct_n(std::span<Token const> sequence, Index n) {
    std::array<std::span<Token const>, 1> const one{sequence};
    return distinct_n(one, n);
}

/// The same for texts, whose tokens stand between white space.
/// @throws Error when n is below 1 or a text is not valid UTF-8
[[nodiscard]] inline double distinct_n(std::span<std::string const> texts, Index n) {
    detail::WordNumbers words;
    std::vector<std::vector<Token>> tokens;
    for (std::string const& text : texts) tokens.push_back(words.numbers(text));
    std::vector<std::span<Token const>> const views(tokens.begin(), tokens.end());
    return distinct_n(views, n);
}
[[nodiscard]] inline double distinct_n(std::string_view text, Index n) {
    detail::WordNumbers words;
    auto const tokens = words.numbers(text);
    return distinct_n(std::span<Token const>(tokens), n);
}

/// Self-BLEU: the mean of each text's sentence BLEU with all others as its references. 100 when all are alike.
/// @return in [0, 100]; 0 for fewer than two texts
/// @throws Error when a text is not valid UTF-8
/// Source: Zhu et al. 2018, "Texygen", arXiv:1802.01886.
[[nodiscard]] inline double self_bleu(std::span<std::string const> texts,
                                      BleuOptions const& options = {.effective_order = true}) {
    if (texts.size() < 2) return 0.0;
    double sum = 0.0;
    std::vector<std::string_view> others;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        others.clear();
        for (std::size_t j = 0; j < texts.size(); ++j)
            if (j != i) others.emplace_back(texts[j]);
        sum += sentence_bleu(texts[i], others, options).score;
    }
    return sum / static_cast<double>(texts.size());
}

/// The mean of a metric over all pairs i < j, i as the hypothesis: how alike the members of a set are. With Method4Bleu
/// it is what DiffuSeq calls self-BLEU.
/// @return 0 for fewer than two sequences
template <SentenceMetric Metric>
[[nodiscard]] double pairwise_similarity(std::span<std::span<Token const> const> sequences, Metric const& metric) {
    double sum = 0.0;
    Index pairs = 0;
    for (std::size_t i = 0; i < sequences.size(); ++i)
        for (std::size_t j = i + 1; j < sequences.size(); ++j, ++pairs) sum += metric(sequences[i], sequences[j]);
    return pairs == 0 ? 0.0 : sum / static_cast<double>(pairs);
}

/// The same for texts, whose tokens stand between white space.
/// @throws Error when a text is not valid UTF-8
template <SentenceMetric Metric>
[[nodiscard]] double pairwise_similarity(std::span<std::string const> texts, Metric const& metric) {
    detail::WordNumbers words;
    std::vector<std::vector<Token>> tokens;
    for (std::string const& text : texts) tokens.push_back(words.numbers(text));
    std::vector<std::span<Token const>> const views(tokens.begin(), tokens.end());
    return pairwise_similarity(std::span<std::span<Token const> const>(views), metric);
}

}  // namespace inkling::metric
