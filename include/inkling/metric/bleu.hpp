#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/core/version.hpp>
#include <inkling/metric/bleu_tokenizer.hpp>
#include <inkling/metric/concept.hpp>
#include <inkling/metric/detail/ngrams.hpp>
#include <inkling/metric/detail/unicode.hpp>
#include <inkling/metric/detail/words.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inkling::metric {

/// What BLEU makes of an order of n-grams that has no match, whose logarithm there is not.
enum class BleuSmoothing {
    none,         ///< "none": the score is 0 (but for rounding)
    floor,        ///< "floor": `smoothing_value` matches
    add_k,        ///< "add-k": `smoothing_value` more matches and n-grams in every order but the first
    exponential,  ///< "exp": 1/2, then 1/4, 1/8, ... of a match; the default of sacreBLEU
};

/// Settings of BLEU; the defaults are sacreBLEU's for a corpus.
struct BleuOptions {
    BleuTokenizer tokenizer = BleuTokenizer::mteval13a;  ///< for texts; tokens are taken as they are
    bool lowercase = false;                              ///< for texts
    BleuSmoothing smoothing = BleuSmoothing::exponential;
    std::optional<double> smoothing_value = std::nullopt;  ///< 0 or more; unset: 0.1 for floor, 1 for add_k
    bool effective_order = false;  ///< leave out orders longer than the hypothesis: for single sentences
};

/// The highest order of n-grams that BLEU counts.
inline constexpr std::size_t bleu_order = 4;

/// What BLEU needs to know of a corpus: the sum of what it needs to know of its sentences.
struct BleuStatistics {
    /// n-grams of orders 1 to 4 that a reference has too, each as often as there at most
    std::array<Index, bleu_order> matches{};
    std::array<Index, bleu_order> totals{};  ///< n-grams of the hypotheses
    Index hypothesis_length = 0;             ///< tokens
    Index reference_length = 0;  ///< tokens of the references that are closest in length, the shorter one of two

    BleuStatistics& operator+=(BleuStatistics const& other) {
        for (std::size_t n = 0; n < bleu_order; ++n) {
            matches[n] += other.matches[n];
            totals[n] += other.totals[n];
        }
        hypothesis_length += other.hypothesis_length;
        reference_length += other.reference_length;
        return *this;
    }

    friend bool operator==(BleuStatistics const&, BleuStatistics const&) = default;
};

/// A BLEU score and all it was made of.
struct BleuScore {
    double score = 0.0;                           ///< in [0, 100]
    std::array<double, bleu_order> counts{};      ///< matches of orders 1 to 4, with what add-k adds
    std::array<double, bleu_order> totals{};      ///< n-grams, with what add-k adds
    std::array<double, bleu_order> precisions{};  ///< in percent, smoothed
    double brevity_penalty = 1.0;                 ///< in [0, 1]
    Index hypothesis_length = 0;                  ///< tokens
    Index reference_length = 0;                   ///< tokens
};

/// Counts one hypothesis against its references.
/// @param references  one or more
/// @throws Error when there is no reference
[[nodiscard]] inline BleuStatistics bleu_statistics(std::span<Token const> hypothesis,
                                                    std::span<std::span<Token const> const> references) {
    require(!references.empty(), "inkling::metric::bleu_statistics: there is no reference, expected one or more");
    BleuStatistics statistics;
    statistics.hypothesis_length = static_cast<Index>(hypothesis.size());
    statistics.reference_length = static_cast<Index>(references.front().size());
    std::vector<detail::Sequence> sequences{hypothesis};
    for (auto const reference : references) {
        sequences.push_back(reference);
        auto const length = static_cast<Index>(reference.size());
        Index const distance = std::abs(length - statistics.hypothesis_length);
        Index const closest = std::abs(statistics.reference_length - statistics.hypothesis_length);
        if (distance < closest || (distance == closest && length < statistics.reference_length))
            statistics.reference_length = length;
    }
    for (std::size_t n = 0; n < bleu_order; ++n)
        statistics.totals[n] = std::max(Index{0}, statistics.hypothesis_length - static_cast<Index>(n));
    detail::Ngrams ngrams(sequences);
    for (std::size_t n = 0; n < bleu_order; ++n) {
        ngrams.next_order([&](std::span<Index const> counts) {
            statistics.matches[n] += std::min(counts[0], *std::max_element(counts.begin() + 1, counts.end()));
        });
        if (statistics.matches[n] == 0) break;  // no longer n-gram can match either
    }
    return statistics;
}

/// BLEU = penalty · exp(mean over n of log precision_n): the one place where the formula stands.
///
/// penalty = min(1, exp(1 - reference length / hypothesis length)). A hypothesis without any match scores 0, whatever
/// the smoothing.
/// Source: Papineni et al. 2002, "BLEU"; smoothing as Chen and Cherry 2014 and sacreBLEU 2.2.1 have it.
/// @throws Error when the smoothing value is negative or not a number
[[nodiscard]] inline BleuScore bleu_score(BleuStatistics const& statistics, BleuOptions const& options = {}) {
    double const value = options.smoothing_value.value_or(options.smoothing == BleuSmoothing::floor ? 0.1 : 1.0);
    require(value >= 0.0 && value <= std::numeric_limits<double>::max(),
            "inkling::metric::bleu_score: smoothing_value is ", value, ", expected a number of 0 or more");
    BleuScore result;
    result.hypothesis_length = statistics.hypothesis_length;
    result.reference_length = statistics.reference_length;
    bool any = false;
    for (std::size_t n = 0; n < bleu_order; ++n) {
        result.counts[n] = static_cast<double>(statistics.matches[n]);
        result.totals[n] = static_cast<double>(statistics.totals[n]);
        any = any || statistics.matches[n] > 0;
    }
    if (statistics.hypothesis_length < statistics.reference_length)
        result.brevity_penalty = statistics.hypothesis_length == 0
            ? 0.0
            : std::exp(1.0
                       - static_cast<double>(statistics.reference_length)
                           / static_cast<double>(statistics.hypothesis_length));
    if (!any) return result;

    double fraction = 1.0;
    std::size_t orders = bleu_order;
    for (std::size_t n = 0; n < bleu_order; ++n) {
        if (options.smoothing == BleuSmoothing::add_k && n > 0) {
            result.counts[n] += value;
            result.totals[n] += value;
        }
        if (result.totals[n] == 0.0) break;
        if (options.effective_order) orders = n + 1;
        double matches = result.counts[n];
        if (matches == 0.0 && options.smoothing == BleuSmoothing::exponential) matches = fraction /= 2.0;
        if (matches == 0.0 && options.smoothing == BleuSmoothing::floor) matches = value;
        result.precisions[n] = 100.0 * matches / result.totals[n];
    }
    double sum = 0.0;
    for (std::size_t n = 0; n < orders; ++n)
        sum +=
            result.precisions[n] == 0.0 ? -9999999999.0 : std::log(result.precisions[n]);  // as good as minus infinity
    result.score = std::min(100.0, result.brevity_penalty * std::exp(sum / static_cast<double>(orders)));
    return result;
}

/// The words of a line as BLEU counts them: lower case where that is asked for, without white space at the end, and
/// taken apart, with one blank between two.
/// @throws Error when the line is not valid UTF-8
[[nodiscard]] inline std::string bleu_words(std::string_view line, BleuOptions const& options) {
    std::string const text = options.lowercase ? detail::to_lower(line) : std::string(line);
    auto const words = detail::split(text);  // white space at the end goes first
    std::size_t const end =
        words.empty() ? 0 : static_cast<std::size_t>(words.back().data() + words.back().size() - text.data());
    return tokenize(std::string_view(text).substr(0, end), options.tokenizer);
}

/// Counts one hypothesis against its references, all of them text.
/// @throws Error when there is no reference, or a text is not valid UTF-8
[[nodiscard]] inline BleuStatistics bleu_statistics(std::string_view hypothesis,
                                                    std::span<std::string_view const> references,
                                                    BleuOptions const& options = {}) {
    detail::WordNumbers words;
    auto const tokens = words.numbers(bleu_words(hypothesis, options));
    std::vector<std::vector<Token>> reference_tokens;
    for (auto const reference : references) reference_tokens.push_back(words.numbers(bleu_words(reference, options)));
    std::vector<std::span<Token const>> const views(reference_tokens.begin(), reference_tokens.end());
    return bleu_statistics(tokens, views);
}

/// BLEU of a corpus: sacreBLEU's corpus_bleu.
/// @param hypotheses  S sentences
/// @param references  one or more sets of S references
/// @throws Error when a set of references has another size, there is none, or a text is not valid UTF-8
[[nodiscard]] inline BleuScore corpus_bleu(std::span<std::string const> hypotheses,
                                           std::span<std::vector<std::string> const> references,
                                           BleuOptions const& options = {}) {
    require(!references.empty(), "inkling::metric::corpus_bleu: there is no set of references, expected one or more");
    for (std::size_t r = 0; r < references.size(); ++r)
        require(references[r].size() == hypotheses.size(), "inkling::metric::corpus_bleu: set ", r + 1, " has ",
                references[r].size(), " references, expected as many as hypotheses, which is ", hypotheses.size());
    BleuStatistics sum;
    std::vector<std::string_view> of_one(references.size());
    for (std::size_t i = 0; i < hypotheses.size(); ++i) {
        for (std::size_t r = 0; r < references.size(); ++r) of_one[r] = references[r][i];
        sum += bleu_statistics(hypotheses[i], of_one, options);
    }
    return bleu_score(sum, options);
}

/// The same with one reference for each sentence.
[[nodiscard]] inline BleuScore corpus_bleu(std::span<std::string const> hypotheses,
                                           std::span<std::string const> references, BleuOptions const& options = {}) {
    require(references.size() == hypotheses.size(), "inkling::metric::corpus_bleu: there are ", references.size(),
            " references, expected as many as hypotheses, which is ", hypotheses.size());
    BleuStatistics sum;
    for (std::size_t i = 0; i < hypotheses.size(); ++i) {
        std::array<std::string_view, 1> const reference{references[i]};
        sum += bleu_statistics(hypotheses[i], reference, options);
    }
    return bleu_score(sum, options);
}

/// BLEU of one sentence: sacreBLEU's sentence_bleu, with orders that the hypothesis is too short for left out.
/// @param references  one or more
/// @throws Error when there is no reference, or a text is not valid UTF-8
[[nodiscard]] inline BleuScore sentence_bleu(std::string_view hypothesis, std::span<std::string_view const> references,
                                             BleuOptions const& options = {.effective_order = true}) {
    return bleu_score(bleu_statistics(hypothesis, references, options), options);
}
[[nodiscard]] inline BleuScore sentence_bleu(std::string_view hypothesis, std::string_view reference,
                                             BleuOptions const& options = {.effective_order = true}) {
    std::array<std::string_view, 1> const one{reference};
    return sentence_bleu(hypothesis, one, options);
}

/// The same over tokens.
[[nodiscard]] inline BleuScore sentence_bleu(std::span<Token const> hypothesis, std::span<Token const> reference,
                                             BleuOptions const& options = {.effective_order = true}) {
    std::array<std::span<Token const>, 1> const one{reference};
    return bleu_score(bleu_statistics(hypothesis, one), options);
}

/// sentence_bleu over tokens as a SentenceMetric, in [0, 100].
struct SentenceBleu {
    BleuOptions options{.effective_order = true};

    [[nodiscard]] double operator()(std::span<Token const> hypothesis, std::span<Token const> reference) const {
        return sentence_bleu(hypothesis, reference, options).score;
    }
};
static_assert(SentenceMetric<SentenceBleu>);

/// What has to be said beside a BLEU score so that it can be compared:
/// "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|inkling:" and the version. It is sacreBLEU's signature but for the
/// last part.
/// @param references  how many references each sentence had
[[nodiscard]] inline std::string signature(BleuOptions const& options, Index references = 1) {
    std::string smoothing;
    auto const with_value = [&](char const* name, double usual) {
        std::array<char, 64> text{};
        std::snprintf(text.data(), text.size(), "%s[%.2f]", name, options.smoothing_value.value_or(usual));
        return std::string(text.data());
    };
    switch (options.smoothing) {
        case BleuSmoothing::none: smoothing = "none"; break;
        case BleuSmoothing::floor: smoothing = with_value("floor", 0.1); break;
        case BleuSmoothing::add_k: smoothing = with_value("add-k", 1.0); break;
        case BleuSmoothing::exponential: smoothing = "exp"; break;
    }
    return message("nrefs:", references, "|case:", options.lowercase ? "lc" : "mixed",
                   "|eff:", options.effective_order ? "yes" : "no", "|tok:", name_of(options.tokenizer),
                   "|smooth:", smoothing, "|inkling:", library_version);
}

}  // namespace inkling::metric
