#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/denoiser/detail/joined.hpp>
#include <inkling/denoiser/detail/layer_run.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/nn/transformer_layer.hpp>

#include <algorithm>
#include <concepts>
#include <string>
#include <type_traits>
#include <vector>

namespace inkling::denoiser {

/// Sizes and switches of Infiller. Sizes are 1 to 2^20.
struct InfillerOptions {
    Index width = 256;           ///< of the hidden states
    Index layers = 4;            ///< 1 to 1024
    Index heads = 4;             ///< they divide the width
    Index hidden = 0;            ///< of the feed-forward parts; 0: 4 * width
    Index reach = 32;            ///< distances to either side that have a number of their own in each head; 0 or more
    double dropout = 0.1;        ///< [0, 1), in training
    Index longest = 256;         ///< rows of a line, 2 or more; longer lines are refused
    Index filled = 0;            ///< rows of a line whose beginning is continued, up to `longest`; 0: `longest`
    double time_scale = 1000.0;  ///< the time label is time_scale * t, t in [0, 1]; finite
};

/// Names every setting once, for model files and their checks.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, InfillerOptions>
void describe(Options& options, Visit const& visit) {
    visit("width", options.width);
    visit("layers", options.layers);
    visit("heads", options.heads);
    visit("hidden", options.hidden);
    visit("reach", options.reach);
    visit("dropout", options.dropout);
    visit("longest", options.longest);
    visit("filled", options.filled);
    visit("time_scale", options.time_scale);
}

/// SED's denoiser: one Transformer over a line of which some rows are clean and the others are to be filled, with the
/// last estimate beside it at the input, and no place but by distance.
///
/// hidden = W [z_t ; previous] + time; pre-norm layers with GELU, whose attention is raised by a number for each head
/// and clipped distance, shared by all layers; z0_hat = W' LN(hidden). It joins source and target: the rows that are
/// kept clean may lie anywhere, and the rows of a line have no number, so a line can be longer than any that was seen.
/// A source alone is the beginning of a line. The numbers by distance are one scalar each (Raffel et al. 2020,
/// arXiv:1910.10683, section 2.1), as a vector each asks for a second product in every attention; they start as N(0,
/// 1), as from 0 heads would see bags of words for long.
/// Source: Strudel et al. 2022, "Self-conditioned Embedding Diffusion", arXiv:2211.04236, section 3; the norms' place
/// is ours.
template <Backend B>
class Infiller : public detail::Joined<B> {
public:
    using typename detail::Joined<B>::Encoded;
    using Device = B;
    using Scalar = typename B::Scalar;
    using Options = InfillerOptions;
    using View = MatrixView<Scalar>;
    using ConstView = MatrixView<Scalar const>;
    static constexpr bool recordable = true;

    /// A target is the rest of its source's line.
    static constexpr bool continues_source = true;

    /// Values of the forward pass that the backward pass reads; reused from step to step.
    struct Saved {
        nn::FeedForward::Saved<B> time;
        ConstView input;  ///< [N, 2 D], z_t beside the last estimate
        nn::Dropout dropout;
        std::vector<nn::TransformerLayer::Saved<B>> layers;
        nn::LayerNorm::Saved<B> norm;
        ConstView output;  ///< [N, width], behind the last norm
    };

    /// Places all weights in the layout; none is made here.
    ///
    /// @param latent  D, width of z, 1 to 2^20
    /// @throws Error naming the option that is out of its range
    Infiller(nn::ParameterLayout& layout, Options const& options, Index latent) : options_(options), latent_(latent) {
        check_options();
        if (options_.hidden == 0) options_.hidden = 4 * options_.width;
        if (options_.filled == 0) options_.filled = options_.longest;
        Index const width = options_.width;
        time_ = {nn::Linear(layout, "time.0", width, 4 * width, true),
                 nn::Linear(layout, "time.2", 4 * width, width, true), backend::Activation::gelu};
        input_ = nn::Linear(layout, "input", 2 * latent, width, true);
        nn::Parameter const by_distance = layout.add_matrix("by_distance.weight", options_.heads,
                                                            2 * options_.reach + 1, nn::Initializer::normal(1.0));
        for (Index i = 0; i < options_.layers; ++i)
            layers_.emplace_back(layout, "layers." + std::to_string(i),
                                 nn::TransformerLayerOptions{.width = width,
                                                             .heads = options_.heads,
                                                             .hidden = options_.hidden,
                                                             .activation = backend::Activation::gelu,
                                                             .normalize_before = true,
                                                             .by_distance = by_distance});
        norm_ = nn::LayerNorm(layout, "layer_norm", width);
        output_ = nn::Linear(layout, "output", width, latent, true);
    }

    /// The same for a space: its width.
    template <EmbeddingSpace Space>
    Infiller(nn::ParameterLayout& layout, Options const& options, Space const& space)
        : Infiller(layout, options, space.width()) {}

    [[nodiscard]] Options const& options() const { return options_; }
    /// A beginning leaves room for one row more.
    [[nodiscard]] Index longest_source() const { return options_.filled - 1; }
    /// Rows of a line.
    [[nodiscard]] Index longest_target() const { return options_.longest; }
    [[nodiscard]] double dropout() const { return options_.dropout; }
    [[nodiscard]] bool self_conditioned() const { return true; }

    /// What the network is told of a level: its time, in units of its own.
    [[nodiscard]] double time_label(NoiseLevel level) const { return level.time * options_.time_scale; }

    /// Embeds the labels of K times, from time_label, into [K, width].
    [[nodiscard]] View embed_times(nn::Pass<B>& pass, VectorView<double const> labels, Saved* saved = nullptr) const {
        View const features = pass.take(labels.size, options_.width);
        View const result = pass.take(labels.size, options_.width);
        time_features(pass.device, labels, features);
        time_.forward(pass, ConstView(features), result, saved ? &saved->time : nullptr);
        return result;
    }
    /// Adds the gradient of the times' embeddings [K, width] to those of their network.
    void embed_times_backward(nn::Pass<B>& pass, Saved const& saved, ConstView dtime) const {
        time_.backward(pass, saved.time, dtime, View{});
    }

    /// z0_hat [N, D] = f(z_t, t, previous), for z_t [N, D] whose kept rows are clean; rows of each may lie apart.
    ///
    /// @param time      [S, width] from embed_times, or one row for all lines with stride 0
    /// @param previous  [N, D], the last z0_hat; 0 where there is none
    /// @param saved     null outside training
    void predict(nn::Pass<B>& pass, PackedSequences const& target, Encoded const&, ConstView z_t, ConstView time,
                 ConstView previous, View z0_hat, Saved* saved = nullptr) const {
        auto const mark = pass.workspace.mark();
        View const hidden = run(pass, target, z_t, time, previous, {}, depth(), saved);
        View const normalized = saved ? pass.take(hidden.rows, hidden.cols) : hidden;
        norm_.forward(pass, ConstView(hidden), normalized, saved ? &saved->norm : nullptr);
        output_.forward(pass, ConstView(normalized), z0_hat);
        if (saved)
            saved->output = normalized;
        else
            pass.workspace.release(mark);
    }

    /// Backward pass of predict; `previous` gets no gradient (it is a constant of the step).
    ///
    /// @param dz_t   [N, D] is added to, where not empty
    /// @param dtime  [S, width] is overwritten
    void predict_backward(nn::Pass<B>& pass, PackedSequences const& target, Encoded const&, Saved const& saved,
                          ConstView dz0_hat, View dz_t, View dtime, View) const {
        nn::Scope<B> const scope(pass.workspace);
        View const dhidden = pass.take(dz0_hat.rows, options_.width);
        output_.backward(pass, saved.output, dz0_hat, dhidden);
        norm_.backward(pass, saved.norm, ConstView(dhidden), dhidden);
        for (std::size_t i = layers_.size(); i-- > 0;)
            layers_[i].backward(pass, target.segments, saved.layers[i], dhidden);
        saved.dropout.apply(pass, dhidden);
        sum_per_sentence(pass.device, target.segments, dhidden, dtime);
        View const dinput = dz_t.empty() ? View{} : pass.take(dz_t.rows, 2 * latent_);
        input_.backward(pass, saved.input, ConstView(dhidden), dinput);
        if (!dz_t.empty()) add(pass.device, dz_t, dinput.columns(0, latent_), dz_t);
    }

    [[nodiscard]] Index depth() const { return options_.layers; }
    [[nodiscard]] Index hidden_width() const { return options_.width; }

    /// What the layers make of z_t [N, D], as in predict, up to the last one that is asked for; see HiddenStates.
    void hidden_states(nn::Pass<B>& pass, PackedSequences const& target, Encoded const&, ConstView z_t, ConstView time,
                       ConstView previous, HiddenStates<B> const& states, Saved* saved = nullptr) const {
        auto const mark = pass.workspace.mark();
        if (Index const deepest = states.deepest(); deepest >= 0)
            (void)run(pass, target, z_t, time, previous, states, deepest, saved);
        if (!saved) pass.workspace.release(mark);
    }

    /// Backward pass of hidden_states, to what was added alone: z_t, time and what lies in front of the first layer get
    /// no gradient. Those of the layers' weights are added to, unless they are frozen.
    void hidden_states_backward(nn::Pass<B>& pass, PackedSequences const& target, Encoded const&, Saved const& saved,
                                HiddenSlopes<B> const& slopes) const {
        detail::layer_run_backward(pass, layers_, target.segments, options_.width, saved.layers, slopes);
    }

    /// Rows that continue a beginning of `source` rows, at least 1.
    [[nodiscard]] Index length_of(Index source, Token) const { return std::max<Index>(1, options_.filled - source); }

private:
    /// The rows [N, width] that layer number `deepest` leaves, from 1; 0: what goes into the first.
    View run(nn::Pass<B>& pass, PackedSequences const& target, ConstView z_t, ConstView time, ConstView previous,
             HiddenStates<B> const& states, Index deepest, Saved* saved) const {
        detail::LayerRun<B> layers(pass, states, z_t.rows, options_.width, saved ? &saved->layers : nullptr);
        View const hidden = layers.first();
        View const input = pass.take(z_t.rows, 2 * latent_);
        scale(pass.device, Scalar{1}, z_t, input.columns(0, latent_));
        scale(pass.device, Scalar{1}, previous, input.columns(latent_, latent_));
        input_.forward(pass, ConstView(input), hidden);
        add_per_sentence(pass.device, target.segments, time, hidden);
        nn::Dropout const dropped = nn::Dropout::next(pass);
        dropped.apply(pass, hidden);
        if (saved) {
            saved->input = input;
            saved->dropout = dropped;
        }
        return layers.through(layers_, target.segments, deepest);
    }

    /// Options as they are given, 0 included where that stands for another one.
    void check_options() const {
        auto const size = [](auto const&... what) { detail::check_size("Infiller", what...); };
        size("the width of z", latent_);
        size("width", options_.width);
        size("layers", options_.layers, 1, 1024);
        size("heads", options_.heads);
        size("hidden", options_.hidden, 0);
        size("reach", options_.reach, 0);
        size("longest", options_.longest, 2);
        size("filled", options_.filled, 0, options_.longest);
        detail::check_dropout("Infiller", options_.dropout);
        detail::check_finite("Infiller", "time_scale", options_.time_scale);
    }

    InfillerOptions options_;
    Index latent_;
    nn::FeedForward time_;
    nn::Linear input_, output_;
    nn::LayerNorm norm_;
    std::vector<nn::TransformerLayer> layers_;
};

}  // namespace inkling::denoiser
