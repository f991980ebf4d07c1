#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/metric/bleu.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inkling::decode::detail {

/// Which side of the comparison the text that is scored stands on; BLEU is not symmetric.
enum class Side { hypothesis, reference };

/// For each text the mean BLEU against all the others. Equal texts are compared once, and score the same to the last bit.
/// @param texts  K >= 1
/// @return       [K], 0 where K is 1
inline std::vector<double> mean_bleu(std::span<std::string_view const> texts, metric::BleuOptions const& options,
                                     Side side) {
    std::map<std::string_view, std::size_t> numbers;
    std::vector<std::size_t> number_of;
    std::vector<double> copies;
    std::vector<std::string> tokenized;
    for (std::string_view const text : texts) {
        auto const [entry, added] = numbers.try_emplace(text, numbers.size());
        if (added) {
            tokenized.push_back(metric::tokenize(text, options.tokenizer));
            copies.push_back(0.0);
        }
        copies[entry->second] += 1.0;
        number_of.push_back(entry->second);
    }
    metric::BleuOptions words = options;
    words.tokenizer = metric::BleuTokenizer::none;  // taken apart above, once for all comparisons

    std::vector<double> score_of(copies.size(), 0.0);
    for (std::size_t i = 0; i < copies.size(); ++i) {
        for (std::size_t j = 0; j < copies.size(); ++j) {
            double const times = i == j ? copies[j] - 1.0 : copies[j];  // not with itself, but with its copies
            if (times == 0.0) continue;
            auto const& [hypothesis, reference] = side == Side::hypothesis
                ? std::pair<std::string const&, std::string const&>{tokenized[i], tokenized[j]}
                : std::pair<std::string const&, std::string const&>{tokenized[j], tokenized[i]};
            score_of[i] += times * metric::sentence_bleu(hypothesis, reference, words).score;
        }
        if (texts.size() > 1) score_of[i] /= static_cast<double>(texts.size() - 1);
    }
    std::vector<double> scores;
    for (std::size_t const number : number_of) scores.push_back(score_of[number]);
    return scores;
}

/// The first of the best: scores that differ by less than rounding count as equal, so that no order of summing decides.
/// @throws Error when there are none, or one is not a number
inline Index best(std::span<double const> scores, std::string_view where) {
    require(!scores.empty(), where, ": there are no candidates, expected at least one");
    std::size_t chosen = 0;
    for (std::size_t i = 0; i < scores.size(); ++i) {
        require(!std::isnan(scores[i]), where, ": the score of candidate ", i, " is not a number");
        double const rounding = 1e-9 * std::min(std::abs(scores[chosen]), 1e6);
        if (scores[i] > scores[chosen] + rounding) chosen = i;
    }
    return static_cast<Index>(chosen);
}

}  // namespace inkling::decode::detail
