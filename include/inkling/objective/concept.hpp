#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/embedding/concept.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>

namespace inkling {
namespace objective {

/// One part of a loss, as it is reported.
struct Term {
    std::string_view name;  ///< of static storage
    double value = 0.0;
    double weight = 0.0;  ///< its share in the total: total = sum of weight * value
};

/// The parts of one batch's loss. Sums stay in the backend's memory until collect() fetches all of them at once.
///
/// Where they are followed, what each row of the batch adds to the total is kept too: rows() of it all.
template <Backend B>
class Losses {
public:
    using Scalar = typename B::Scalar;
    static constexpr std::size_t most = 24;

    explicit Losses(nn::Pass<B>& pass) : sums_(pass.workspace.template take<double>(most)) {
        clear(pass.device, sums_, Index{most});
    }
    /// Room for neighbouring sums; each names the value factor * sum. Terms of one name, as of two estimates, are
    /// reported as their sum. @throws Error past the twenty-fourth
    double* add(std::initializer_list<Term> terms, double factor) {
        require(used_ + terms.size() <= most, "inkling::objective::Losses: ", used_ + terms.size(),
                " terms, expected at most ", most);
        double* const place = sums_ + used_;
        for (Term const& term : terms) {
            terms_[used_] = term;
            factors_[used_++] = factor;
        }
        return place;
    }
    /// Has objectives tell what each of N rows adds to the total, from here on.
    void follow_rows(nn::Pass<B>& pass, Index rows) { rows_ = {pass.take_zeros(rows, 1).data, rows}; }
    /// [N], what the terms so far have each row add to the total; empty where rows are not followed.
    [[nodiscard]] VectorView<Scalar const> rows() const { return rows_; }
    /// Room [count] for what a verb says of rows; empty where rows are not followed.
    [[nodiscard]] VectorView<Scalar> row_room(nn::Pass<B>& pass, Index count) const {
        return rows_.empty() ? VectorView<Scalar>{} : VectorView<Scalar>{pass.take(count, 1).data, count};
    }
    /// Has the first rows add factor * these too; an empty view has none add anything.
    void add_rows(nn::Pass<B>& pass, double factor, VectorView<Scalar const> values) {
        if (!values.empty())
            scale(pass.device, static_cast<Scalar>(factor), MatrixView<Scalar const>(values.data, 1, values.size),
                  MatrixView<Scalar>(rows_.data, 1, values.size), true);
    }
    /// Fetches the sums; waits for the device.
    void collect(nn::Pass<B>& pass) {
        std::array<double, most> sums{};
        download(pass.device, static_cast<double const*>(sums_), std::span<double>(sums.data(), used_));
        std::size_t kept = 0;
        for (std::size_t i = 0; i < used_; ++i) {
            double const value = factors_[i] * sums[i];
            auto const end = terms_.begin() + static_cast<std::ptrdiff_t>(kept);
            auto const same = terms_[i].name.empty()
                ? end
                : std::find_if(terms_.begin(), end, [&](Term const& term) { return term.name == terms_[i].name; });
            if (same != end) {
                same->value += value;
            } else {
                terms_[kept] = terms_[i];
                terms_[kept++].value = value;
            }
        }
        used_ = kept;
    }
    /// After collect(): every part, in the order of addition.
    [[nodiscard]] std::span<Term const> terms() const { return {terms_.data(), used_}; }
    /// After collect(): what training lowers.
    [[nodiscard]] double total() const {
        double sum = 0.0;
        for (Term const& term : terms()) sum += term.weight * term.value;
        return sum;
    }

private:
    double* sums_;
    std::array<Term, most> terms_{};
    std::array<double, most> factors_{};
    std::size_t used_ = 0;
    VectorView<Scalar> rows_{};
};

/// What an objective sees of one batch, and where it leaves gradients. Views of gradients are empty in validation.
template <Backend B>
struct Prediction {
    using Scalar = typename B::Scalar;
    TokenView targets;                    ///< [N]
    Segments segments;                    ///< of the targets
    MatrixView<Scalar const> z0;          ///< [N, D]; empty where nothing is diffused
    MatrixView<Scalar const> z0_hat;      ///< [N, D]
    MatrixView<Scalar> dz0;               ///< [N, D], to be added to
    MatrixView<Scalar> dz0_hat;           ///< [N, D], to be added to
    MatrixView<Scalar const> embedded{};  ///< [N, D], z0 without the noise that its space adds; empty: z0 itself
    /// [S, 3], (share of z0, share of `embedded`, 0) in what z0_hat is to be; empty: z0
    MatrixView<Scalar const> goals{};
    VectorView<Scalar const> row_weights{};  ///< [N], of each row in a mean over rows; empty: 1 / N
    /// [N / 2], where the batch is its first half twice, at other noise levels: of each row of it in a mean over pairs;
    /// empty: 2 / N
    VectorView<Scalar const> pair_weights{};
    double pair_weight_sum = 1.0;  ///< of pair_weights
    /// [S / 2, 3], (1, 0, 1) where the first of a pair is the less noisy, else (0, 1, 1), for those that ask which is
    MatrixView<Scalar const> pair_order{};
    double last_signal = 0.0;  ///< a at the schedule's noisiest level
    /// [S, 3], (what an error is multiplied by, 1, 0), for an objective that has error_factor; empty: 1
    MatrixView<Scalar const> error_factors{};
    /// [N], of each row in a mean of errors, `row_weights` among it, for an objective that has error_weight; empty:
    /// row_weights
    VectorView<Scalar const> error_weights{};
    MatrixView<Scalar const> noise{};         ///< [N, D], in z_t
    MatrixView<Scalar const> mixed_output{};  ///< [N, 2 D], what a network of Output::mixed said; of others empty
    MatrixView<Scalar> dmixed_output{};       ///< [N, 2 D], to be added to

    /// What z0_hat is compared with by an objective that has no goal of its own.
    [[nodiscard]] MatrixView<Scalar const> goal(nn::Pass<B>& pass) const {
        if (goals.empty() || embedded.empty()) return z0;
        auto const mixed = pass.take(z0.rows, z0.cols);
        combine(pass.device, segments, goals, z0, embedded, {}, mixed);
        return mixed;
    }
    /// What a sum over rows is multiplied by, row weights apart, to be a mean.
    [[nodiscard]] double share() const { return row_weights.empty() ? 1.0 / static_cast<double>(z0_hat.rows) : 1.0; }
};

/// Whether an objective compares two estimates of one text, so that a batch must hold every sentence twice. It says so
/// by `static constexpr bool paired`, and has `pairs`, LevelPairs, by which the second level is drawn.
template <class O>
inline constexpr bool is_paired = [] {
    if constexpr (requires { O::paired; })
        return bool{O::paired};
    else
        return false;
}();

/// Whether an objective reads the outputs, Prediction::z0_hat, and nothing of a z0: a model of the next token can be
/// trained by it. It says so by `static constexpr bool outputs_alone`.
template <class O>
inline constexpr bool reads_outputs_alone = [] {
    if constexpr (requires { O::outputs_alone; })
        return bool{O::outputs_alone};
    else
        return false;
}();

/// Whether an objective is over parts of lines, of which it draws itself what is shown and what is to be written. It
/// says so by `static constexpr bool masked`, and has `masking`, Masking, by which they are drawn.
template <class O>
inline constexpr bool is_masked = [] {
    if constexpr (requires { O::masked; })
        return bool{O::masked};
    else
        return false;
}();

/// Whether an objective tells what each row adds to the total, Losses::add_rows, where rows are followed: level
/// policies that learn from losses ask for it. It says so by `static constexpr bool tells_rows`.
template <class O>
inline constexpr bool tells_rows = [] {
    if constexpr (requires { O::tells_rows; })
        return bool{O::tells_rows};
    else
        return false;
}();

/// What a level has the error z0_hat - z0 multiplied by, before it is measured: what the objective's
/// `error_factor(alpha_bar) const` says, or 1.
template <class O>
[[nodiscard]] double error_factor(O const& objective, double alpha_bar) {
    if constexpr (requires { objective.error_factor(alpha_bar); })
        return objective.error_factor(alpha_bar);
    else
        return 1.0;
}

/// What a level has the measured error count for: what the objective's `error_weight(schedule, time, alpha_bar) const`
/// says, or 1.
template <class O, class Schedule>
[[nodiscard]] double error_weight(O const& objective, Schedule const& schedule, double time, double alpha_bar) {
    if constexpr (requires { objective.error_weight(schedule, time, alpha_bar); })
        return objective.error_weight(schedule, time, alpha_bar);
    else
        return 1.0;
}

/// Whether an objective looks at estimates of z0 at all. One of the length alone does not, and says so by `static
/// constexpr bool reads_estimates = false`; then none is made.
template <class O>
inline constexpr bool reads_estimates = [] {
    if constexpr (requires { O::reads_estimates; })
        return bool{O::reads_estimates};
    else
        return true;
}();

}  // namespace objective

/// What training lowers. Models: objective::Anchor, objective::Rounding, objective::Regression, objective::DiffuSeq,
/// objective::DistancePenalty and objective::Infilling of any, objective::LengthOnly, and objective::CrossEntropy,
/// which asks for no z0.
///
/// `evaluate(pass, space, prediction, losses)` adds its terms to `losses`, and its gradients to prediction.dz0,
/// prediction.dz0_hat and pass.gradients where pass.gradients is not null. An objective with options may have
/// `check() const` too, which throws an Error naming one that is out of its range: Trainer calls it when it is made.
// clang-format off
template <class O, class Space, class Device>
concept Objective = std::copyable<O>
    && requires(O const& objective, nn::Pass<Device>& pass, Space const& space,
                inkling::objective::Prediction<Device> const& prediction, inkling::objective::Losses<Device>& losses) {
           objective.evaluate(pass, space, prediction, losses);  // has 'evaluate(pass, space, prediction, losses) const'
       };
// clang-format on

}  // namespace inkling
