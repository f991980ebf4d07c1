#pragma once

#include <inkling/core/random.hpp>
#include <inkling/objective/anchor.hpp>
#include <inkling/text/span_masking.hpp>

#include <concepts>
#include <span>
#include <type_traits>

namespace inkling::objective {

/// Tells which parts of a line a model is shown and which it is to write. Models: text::SpanMasking.
template <class M>
concept Masking = std::copyable<M>
    && requires(M const& masking, RandomStream const& stream, std::span<Token const> line, text::JoinedBatch& batch) {
           masking.draw(stream, line, Index{}, Token{}, batch);  // has 'draw(stream, line, longest, pad, batch) const'
       };

/// Base over the rows that are to be written of lines whose other rows are shown: a corpus of lines in place of pairs.
///
/// Which rows these are is drawn anew for every line of every update; its targets are the lines, its sources are not
/// read. What is shown has no share in the loss. The denoiser must join sources to targets.
/// @tparam Mask  which rows those are
template <class Base = Rounding, Masking Mask = text::SpanMasking>
struct Infilling {
    Base base{};
    Mask masking{};

    /// The batch holds lines in parts.
    static constexpr bool masked = true;
    static constexpr bool tells_rows = objective::tells_rows<Base>;

    /// @throws Error naming the first option that is out of its range
    void check() const {
        if constexpr (requires { base.check(); }) base.check();
        if constexpr (requires { masking.check(); }) masking.check();
    }

    /// Those of Base.
    [[nodiscard]] double error_factor(double alpha_bar) const { return objective::error_factor(base, alpha_bar); }
    template <class Schedule>
    [[nodiscard]] double error_weight(Schedule const& schedule, double time, double alpha_bar) const {
        return objective::error_weight(base, schedule, time, alpha_bar);
    }

    /// Adds the terms of Base, and their gradients; empty views take none.
    template <Backend B, EmbeddingSpace Space>
    void evaluate(nn::Pass<B>& pass, Space const& space, Prediction<B> const& prediction, Losses<B>& losses) const {
        base.evaluate(pass, space, prediction, losses);
    }
};

namespace detail {

template <class Objective>
inline constexpr bool is_infilling = false;
template <class Base, class Mask>
inline constexpr bool is_infilling<Infilling<Base, Mask>> = true;

}  // namespace detail

/// Names every setting of the parts that name theirs, for checkpoints and their checks.
template <class Objective, class Visit>
    requires detail::is_infilling<std::remove_const_t<Objective>>
void describe(Objective& objective, Visit const& visit) {
    if constexpr (requires { describe(objective.base, visit); }) describe(objective.base, visit);
    if constexpr (requires { describe(objective.masking, visit); }) describe(objective.masking, visit);
}

}  // namespace inkling::objective
