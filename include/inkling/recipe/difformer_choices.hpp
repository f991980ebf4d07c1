#pragma once

#include <inkling/decode/concept.hpp>
#include <inkling/decode/selection.hpp>
#include <inkling/objective/anchor.hpp>

#include <concepts>
#include <span>
#include <type_traits>
#include <vector>

namespace inkling::recipe {

/// What an official Difformer is trained to lower: objective::Rounding or objective::Anchor, as its settings choose at
/// run time. DifformerSettings::objective makes it.
struct DifformerObjective {
    bool rounding = false;         ///< objective::Rounding; else objective::Anchor
    double label_smoothing = 0.1;  ///< [0, 1)

    /// @throws Error when the label smoothing is out of its range
    void check() const {
        as_chosen([](auto const& chosen) { chosen.check(); });
    }
    /// Adds the terms of the one or the other, see there.
    template <Backend B, EmbeddingSpace Space>
    void evaluate(nn::Pass<B>& pass, Space const& space, objective::Prediction<B> const& prediction,
                  objective::Losses<B>& losses) const {
        as_chosen([&](auto const& chosen) { chosen.evaluate(pass, space, prediction, losses); });
    }

private:
    template <class Use>
    void as_chosen(Use const& use) const {
        if (rounding)
            use(objective::Rounding{.label_smoothing = label_smoothing});
        else
            use(objective::Anchor{.label_smoothing = label_smoothing});
    }
};

/// Names every setting once, for checkpoints.
template <class Objective, class Visit>
    requires std::same_as<std::remove_const_t<Objective>, DifformerObjective>
void describe(Objective& objective, Visit const& visit) {
    visit("rounding", objective.rounding);
    visit("label_smoothing", objective.label_smoothing);
}

/// How an official Difformer chooses among candidates: decode::MinimumBayesRisk or decode::MeanLogProbability, as its
/// options say at run time. DifformerDecoding::selection makes it.
struct DifformerSelection {
    bool bleu_mbr = false;  ///< decode::MinimumBayesRisk; else decode::MeanLogProbability

    /// @return  [K] scores
    /// @throws Error as the one or the other does
    [[nodiscard]] std::vector<double> scores(std::span<decode::Candidate const> candidates) const {
        return bleu_mbr ? decode::MinimumBayesRisk{}.scores(candidates)
                        : decode::MeanLogProbability{}.scores(candidates);
    }
    /// @return  the first of the best, in [0, K)
    /// @throws Error as the one or the other does, and when there is no candidate
    [[nodiscard]] Index select(std::span<decode::Candidate const> candidates) const {
        return bleu_mbr ? decode::MinimumBayesRisk{}.select(candidates)
                        : decode::MeanLogProbability{}.select(candidates);
    }
};
static_assert(Selection<DifformerSelection>);

}  // namespace inkling::recipe
