#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/metric/detail/ngrams.hpp>
#include <inkling/metric/detail/words.hpp>
#include <inkling/metric/rouge.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <set>
#include <span>
#include <string_view>
#include <vector>

namespace inkling::metric {

namespace detail {

/// The sentences of a text, cut at each full stop, as word numbers; nothing but white space is a sentence of one
/// empty word, as in the original.
[[nodiscard]] inline std::vector<std::vector<Token>> rouge_sentences(std::string_view text, WordNumbers& words) {
    std::vector<std::vector<Token>> sentences;
    while (!text.empty()) {
        std::size_t const end = std::min(text.find('.'), text.size());
        if (end > 0) {
            sentences.push_back(words.numbers(text.substr(0, end)));
            if (sentences.back().empty()) sentences.back().push_back(words.number(""));
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return sentences;
}

/// Adds the words of one longest common subsequence; of several, the one that goes back through `b` first.
inline void add_common(std::span<Token const> a, std::span<Token const> b, std::set<Token>& found) {
    std::size_t const columns = b.size() + 1;
    std::vector<Index> length((a.size() + 1) * columns);  // [|a| + 1, |b| + 1]
    for (std::size_t i = 1; i <= a.size(); ++i)
        for (std::size_t j = 1; j <= b.size(); ++j)
            length[i * columns + j] = a[i - 1] == b[j - 1]
                ? length[(i - 1) * columns + j - 1] + 1
                : std::max(length[(i - 1) * columns + j], length[i * columns + j - 1]);
    for (std::size_t i = a.size(), j = b.size(); i > 0 && j > 0;) {
        if (a[i - 1] == b[j - 1]) {
            found.insert(a[i - 1]);
            --i, --j;
        } else if (length[(i - 1) * columns + j] > length[i * columns + j - 1]) {
            --i;
        } else {
            --j;
        }
    }
}

[[nodiscard]] inline RougeScore rouge_from_sets(std::size_t common, std::size_t hypothesis, std::size_t reference) {
    auto const share = [common](std::size_t of) {
        return of == 0 ? 0.0 : static_cast<double>(common) / static_cast<double>(of);
    };
    double const precision = share(hypothesis), recall = share(reference);
    return {precision, recall, 2.0 * precision * recall / (precision + recall + 1e-8)};
}

}  // namespace detail

/// ROUGE-1, -2 and -L by the rule of the Python package `rouge`, which differs from torchmetrics' in nearly everything:
/// sentences end at each full stop, words stand between white space, case counts, n-grams and words are sets (a second
/// occurrence adds nothing), ROUGE-L is the union of the subsequences between all pairs of sentences, and F = 2pr / (p
/// + r + 1e-8).
/// Source: pltrdy/rouge c1b90a7, `Rouge().get_scores`; ROUGE-L of summaries: Lin 2004, section 3.2.
/// @throws Error when either text has no sentence (nothing but full stops), for which the package has no
///         answer, or is not valid UTF-8
[[nodiscard]] inline RougeScores rouge_sets(std::string_view hypothesis, std::string_view reference) {
    detail::WordNumbers words;
    auto const ours = detail::rouge_sentences(hypothesis, words), theirs = detail::rouge_sentences(reference, words);
    require(!ours.empty() && !theirs.empty(), "inkling::metric::rouge_sets: the ",
            ours.empty() ? "hypothesis" : "reference", " is empty, expected a sentence");
    std::array<std::vector<Token>, 2> flat;
    for (auto const& sentence : ours) flat[0].insert(flat[0].end(), sentence.begin(), sentence.end());
    for (auto const& sentence : theirs) flat[1].insert(flat[1].end(), sentence.begin(), sentence.end());

    RougeScores scores;
    std::array<detail::Sequence, 2> const both{flat[0], flat[1]};
    detail::Ngrams ngrams(both);
    std::size_t distinct_ours = 0, distinct_theirs = 0;  // words
    for (RougeScore* const score : {&scores.rouge1, &scores.rouge2}) {
        std::size_t common = 0, mine = 0, other = 0;
        ngrams.next_order([&](std::span<Index const> counts) {
            mine += counts[0] > 0;
            other += counts[1] > 0;
            common += counts[0] > 0 && counts[1] > 0;
        });
        *score = detail::rouge_from_sets(common, mine, other);
        if (score == &scores.rouge1) distinct_ours = mine, distinct_theirs = other;
    }
    std::set<Token> found;
    for (auto const& their : theirs)
        for (auto const& our : ours) detail::add_common(their, our, found);
    scores.rougeL = detail::rouge_from_sets(found.size(), distinct_ours, distinct_theirs);
    return scores;
}

}  // namespace inkling::metric
