#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/decode/concept.hpp>
#include <inkling/decode/detail/mean_similarity.hpp>
#include <inkling/metric/bleu.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inkling::decode {

namespace detail {

[[nodiscard]] inline std::vector<std::string_view> texts_of(std::span<Candidate const> candidates) {
    std::vector<std::string_view> texts;
    for (Candidate const& candidate : candidates) texts.push_back(candidate.text);
    return texts;
}

/// For each text the mean BLEU with all the others; each is tokenized once.
inline std::vector<double> mean_bleu(std::span<std::string_view const> texts, metric::BleuOptions const& options,
                                     Side side) {
    metric::BleuOptions words = options;
    words.tokenizer = metric::BleuTokenizer::none;  // the texts are taken apart beforehand
    return mean_similarity(
        texts, side, [&](std::string_view text) { return metric::bleu_words(text, options); },
        [&](std::string const& hypothesis, std::string const& reference) {
            return metric::sentence_bleu(hypothesis, reference, words).score;
        });
}

}  // namespace detail

/// The candidate of whose words the read-out is surest. Costs nothing, but likes short and common answers.
///
/// Source: Difformer (arXiv:2212.09412), code, its choice where no re-ranker is given.
struct MeanLogProbability {
    /// @return  [K] scores
    [[nodiscard]] std::vector<double> scores(std::span<Candidate const> candidates) const {
        std::vector<double> result;
        for (Candidate const& candidate : candidates) result.push_back(candidate.mean_log_probability);
        return result;
    }

    /// @return  the first of the best, in [0, K)
    /// @throws Error when there is no candidate or a score is not a number
    [[nodiscard]] Index select(std::span<Candidate const> candidates) const {
        return detail::best(scores(candidates), "inkling::decode::MeanLogProbability");
    }
};
static_assert(Selection<MeanLogProbability>);

/// Minimum Bayes risk: the candidate that all the others resemble most, by mean sentence BLEU with it as the reference.
///
/// Good in proportion to how different the candidates are, so give it several noises. An empty candidate keeps its
/// mean log-probability as its score, which is below that of any other.
/// Source: Kumar & Byrne 2004; Difformer (arXiv:2212.09412), code ('bleu_mbr').
struct MinimumBayesRisk {
    metric::BleuOptions bleu = {.effective_order = true};  ///< sacreBLEU's sentence_bleu

    /// @return  [K] scores; where K is 1, its mean log-probability
    /// @throws Error when a text is not valid UTF-8
    [[nodiscard]] std::vector<double> scores(std::span<Candidate const> candidates) const {
        std::vector<double> result = MeanLogProbability{}.scores(candidates);
        if (candidates.size() < 2) return result;
        auto const means = detail::mean_bleu(detail::texts_of(candidates), bleu, detail::Side::reference);
        for (std::size_t i = 0; i < result.size(); ++i)
            if (!candidates[i].text.empty()) result[i] = means[i];
        return result;
    }

    /// @return  the first of the best, in [0, K)
    /// @throws Error when there is no candidate or a text is not valid UTF-8
    [[nodiscard]] Index select(std::span<Candidate const> candidates) const {
        return detail::best(scores(candidates), "inkling::decode::MinimumBayesRisk");
    }
};
static_assert(Selection<MinimumBayesRisk>);

/// Minimum Bayes risk inside each length first, then among the winners, so that no length wins by numbers alone.
///
/// BLEU is that of a corpus of one pair, with the candidate as the hypothesis.
/// Source: Ye et al. 2023, "DINOISER", arXiv:2302.10025, and its code (13a; international for German).
struct TwoLevelMinimumBayesRisk {
    metric::BleuOptions bleu = {};  ///< sacreBLEU's corpus_bleu

    /// @param candidates  those of one group side by side
    /// @return            the first of the best, in [0, K)
    /// @throws Error when there is no candidate or a text is not valid UTF-8
    [[nodiscard]] Index select(std::span<Candidate const> candidates) const {
        require(!candidates.empty(), where, ": there are no candidates, expected at least one");
        std::vector<Index> winners;
        std::vector<Index> group;
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            group.push_back(static_cast<Index>(i));
            if (i + 1 == candidates.size() || candidates[i + 1].group != candidates[i].group) {
                winners.push_back(winner(candidates, group));
                group.clear();
            }
        }
        return winner(candidates, winners);
    }

private:
    static constexpr char const* where = "inkling::decode::TwoLevelMinimumBayesRisk";

    [[nodiscard]] Index winner(std::span<Candidate const> candidates, std::vector<Index> const& among) const {
        std::vector<std::string_view> texts;
        for (Index const i : among) texts.push_back(candidates[static_cast<std::size_t>(i)].text);
        Index const best = detail::best(detail::mean_bleu(texts, bleu, detail::Side::hypothesis), where);
        return among[static_cast<std::size_t>(best)];
    }
};
static_assert(Selection<TwoLevelMinimumBayesRisk>);

/// The candidate most like the others by a measure of one's own: `measure(hypothesis, reference)` of two texts, the
/// candidate as the hypothesis. With metric::Method4Bleu it is DiffuSeq's choice among its ten seeds.
///
/// Source: Gong et al. 2023, "DiffuSeq", arXiv:2210.08933, code.
template <class Measure>
    requires requires(Measure const& measure, std::string const& text) {
        { measure(text, text) } -> std::convertible_to<double>;
    }
struct MostAlike {
    Measure measure = {};

    /// @return  the first of the best, in [0, K)
    /// @throws Error when there is no candidate, and whatever the measure throws
    [[nodiscard]] Index select(std::span<Candidate const> candidates) const {
        auto const means = detail::mean_similarity(
            detail::texts_of(candidates), detail::Side::hypothesis,
            [](std::string_view text) { return std::string(text); }, measure);
        return detail::best(means, "inkling::decode::MostAlike");
    }
};

/// The candidate that a model of whole texts finds likeliest as an answer to the source: the lowest perplexity,
/// whatever the read-out thought of it. Costs one pass of that model over all candidates.
///
/// Source: Difformer (arXiv:2212.09412), section 4.1: re-ranking by an autoregressive Transformer.
/// @tparam Scorer  has 'mean_log_probabilities(source, texts) const', such as TextAutoregression
template <class Scorer>
    requires requires(Scorer const& scorer, std::string_view source, std::span<std::string_view const> texts) {
        { scorer.mean_log_probabilities(source, texts) } -> std::same_as<std::vector<double>>;
    }
struct LowestPerplexity {
    Scorer const* scorer = nullptr;  ///< must outlive whoever selects

    /// @return  [K], log p of a token in the mean: minus the logarithm of the perplexity
    [[nodiscard]] std::vector<double> scores(std::span<Candidate const> candidates) const {
        if (candidates.empty()) return {};
        return scorer->mean_log_probabilities(candidates.front().source, detail::texts_of(candidates));
    }

    /// @param candidates  all of one source, which each of them names
    /// @return            the first of the best, in [0, K)
    /// @throws Error when there is no candidate, and whatever the scorer throws
    [[nodiscard]] Index select(std::span<Candidate const> candidates) const {
        return detail::best(scores(candidates), "inkling::decode::LowestPerplexity");
    }
};

}  // namespace inkling::decode
