#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/nn/transformer_layer.hpp>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace inkling::denoiser::detail {

/// One run through layers that lie above each other, whose hidden states [N, width] may be read and added to.
///
/// It is made in front of the first layer: state 0 is written to `first()` by whoever has made it.
template <Backend B>
class LayerRun {
public:
    using View = MatrixView<typename B::Scalar>;
    using ConstView = MatrixView<typename B::Scalar const>;
    using Layers = std::vector<nn::TransformerLayer>;
    using Saved = std::vector<nn::TransformerLayer::Saved<B>>;

    /// @param saved  null outside training, where one place does for all states that nobody reads
    LayerRun(nn::Pass<B>& pass, HiddenStates<B> const& states, Index rows, Index width, Saved* saved)
        : pass_(pass), states_(states), rows_(rows), width_(width), saved_(saved), first_(place(0)) {}

    /// Where state 0 is to be written.
    [[nodiscard]] View first() const { return first_; }

    /// State `deepest`, of 0 to the number of layers.
    View through(Layers const& layers, Segments const& segments, Index deepest) {
        if (saved_) saved_->resize(layers.size());
        View hidden = first_;
        add_to(0, hidden);
        for (Index i = 0; i < deepest; ++i) {
            View const next = place(i + 1);
            auto const at = static_cast<std::size_t>(i);
            layers[at].forward(pass_, segments, ConstView(hidden), next, {}, {}, saved_ ? &(*saved_)[at] : nullptr);
            add_to(i + 1, next);
            hidden = next;
        }
        return hidden;
    }

private:
    View place(Index state) {
        auto const i = static_cast<std::size_t>(state);
        if (!states_.read.empty() && !states_.read[i].empty()) return states_.read[i];
        if (scratch_.empty() || saved_) scratch_ = pass_.take(rows_, width_);
        return scratch_;
    }
    void add_to(Index state, View hidden) {
        auto const i = static_cast<std::size_t>(state);
        if (!states_.added.empty() && !states_.added[i].empty())
            add(pass_.device, ConstView(hidden), states_.added[i], hidden);
    }

    nn::Pass<B>& pass_;
    HiddenStates<B> const& states_;
    Index rows_, width_;
    Saved* saved_;
    View scratch_;
    View first_;
};

/// Backward pass of a run's states, to what was added alone: what lies in front of the first layer gets no gradient.
/// Those of the layers' weights are added to, unless they are frozen.
template <Backend B>
void layer_run_backward(nn::Pass<B>& pass, std::vector<nn::TransformerLayer> const& layers, Segments const& segments,
                        Index width, typename LayerRun<B>::Saved const& saved, HiddenSlopes<B> const& slopes) {
    using View = MatrixView<typename B::Scalar>;
    nn::Scope<B> const scope(pass.workspace);
    View const dhidden = pass.take_zeros(segments.rows, width);
    bool reached = false;  // above the last state that was read there is no slope
    for (std::size_t i = layers.size() + 1; i-- > 0;) {
        if (!slopes.read[i].empty()) {
            add(pass.device, dhidden, slopes.read[i], dhidden);
            reached = true;
        }
        if (!slopes.added[i].empty()) scale(pass.device, typename B::Scalar{1}, dhidden, slopes.added[i]);
        auto const below = slopes.added.first(i);
        if (std::all_of(below.begin(), below.end(), [](View const& added) { return added.empty(); })) return;
        if (reached) layers[i - 1].backward(pass, segments, saved[i - 1], dhidden);
    }
}

}  // namespace inkling::denoiser::detail
