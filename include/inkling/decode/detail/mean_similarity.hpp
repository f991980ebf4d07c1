#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inkling::decode::detail {

/// Which side of the comparison the text that is scored stands on: most measures are not symmetric.
enum class Side { hypothesis, reference };

/// For each text the mean similarity to all the others. Equal texts are compared once and score exactly the same.
/// @param texts       K >= 1
/// @param prepare     prepare(text) -> whatever `similarity` takes; once for each different text
/// @param similarity  similarity(hypothesis, reference) -> double
/// @return            [K], 0 where K is 1
template <class Prepare, class Similarity>
std::vector<double> mean_similarity(std::span<std::string_view const> texts, Side side, Prepare const& prepare,
                                    Similarity const& similarity) {
    std::map<std::string_view, std::size_t> numbers;
    std::vector<std::size_t> number_of;
    std::vector<double> copies;
    std::vector<decltype(prepare(std::string_view{}))> prepared;
    for (std::string_view const text : texts) {
        auto const [entry, added] = numbers.try_emplace(text, numbers.size());
        if (added) {
            prepared.push_back(prepare(text));
            copies.push_back(0.0);
        }
        copies[entry->second] += 1.0;
        number_of.push_back(entry->second);
    }

    std::vector<double> mean(copies.size(), 0.0);
    for (std::size_t i = 0; i < copies.size(); ++i) {
        for (std::size_t j = 0; j < copies.size(); ++j) {
            double const times = i == j ? copies[j] - 1.0 : copies[j];  // not with itself, but with its copies
            if (times == 0.0) continue;
            bool const first = side == Side::hypothesis;
            mean[i] += times * similarity(prepared[first ? i : j], prepared[first ? j : i]);
        }
        if (texts.size() > 1) mean[i] /= static_cast<double>(texts.size() - 1);
    }
    std::vector<double> scores;
    for (std::size_t const number : number_of) scores.push_back(mean[number]);
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
