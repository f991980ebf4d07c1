#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/denoiser/detail/joined.hpp>
#include <inkling/denoiser/detail/layer_run.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/nn/transformer_layer.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

namespace inkling::denoiser {

/// Sizes and switches of EncoderOnly. Sizes are 1 to 2^20.
struct EncoderOnlyOptions {
    Index width = 256;     ///< of the hidden states
    Index layers = 4;      ///< 1 to 1024
    Index heads = 4;       ///< they divide the width
    Index hidden = 0;      ///< of the feed-forward parts; 0: 4 * width
    Index time_width = 0;  ///< of the features of a time; 0: D
    double dropout = 0.1;  ///< [0, 1), in training
    Index longest = 128;   ///< rows of source and target together; longer sequences are refused
    /// rows of every sequence, up to `longest`: the target's place is all that the source leaves, and a shorter target
    /// is filled with pad tokens, which the model learns to write; 0: `longest`
    Index filled = 0;
    double time_scale = 1000.0;  ///< the time label is time_scale * t, t in [0, 1]; finite
};

/// Names every setting once, for model files and their checks.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, EncoderOnlyOptions>
void describe(Options& options, Visit const& visit) {
    visit("width", options.width);
    visit("layers", options.layers);
    visit("heads", options.heads);
    visit("hidden", options.hidden);
    visit("time_width", options.time_width);
    visit("dropout", options.dropout);
    visit("longest", options.longest);
    visit("filled", options.filled);
    visit("time_scale", options.time_scale);
}

/// DiffuSeq's denoiser: one BERT-shaped encoder over [source ; target]. It joins the two: what other denoisers call the
/// target are here the rows of both, of which those of the source are kept clean by whoever noises.
///
/// hidden = LN(up(z) + position + time), post-norm layers with GELU, z0_hat = down(hidden); up and down are Linear,
/// tanh, Linear, and left out where D is the width. Nothing is read of an encoded source, and nothing of the last
/// estimate. There is no dropout on attention's weights, which the official BERT has.
/// Source: Gong et al. 2023, "DiffuSeq", arXiv:2210.08933, section 3; parameter names are the official code's.
template <Backend B>
class EncoderOnly : public detail::Joined<B> {
public:
    using typename detail::Joined<B>::Encoded;
    using Device = B;
    using Scalar = typename B::Scalar;
    using Options = EncoderOnlyOptions;
    using View = MatrixView<Scalar>;
    using ConstView = MatrixView<Scalar const>;
    static constexpr bool recordable = true;

    /// Values of the forward pass that the backward pass reads; reused from step to step.
    struct Saved {
        nn::FeedForward::Saved<B> time;
        nn::FeedForward::Saved<B> up;
        nn::LayerNorm::Saved<B> norm;
        nn::Dropout dropout;
        std::vector<nn::TransformerLayer::Saved<B>> layers;
        nn::FeedForward::Saved<B> down;
    };

    /// Places all weights in the layout; none is made here.
    ///
    /// @param latent  D, width of z, 1 to 2^20
    /// @throws Error naming the option that is out of its range
    EncoderOnly(nn::ParameterLayout& layout, Options const& options, Index latent)
        : options_(options), latent_(latent) {
        check_options();
        if (options_.hidden == 0) options_.hidden = 4 * options_.width;
        if (options_.time_width == 0) options_.time_width = latent;
        if (options_.filled == 0) options_.filled = options_.longest;
        Index const width = options_.width;
        time_ = {nn::Linear(layout, "time_embed.0", options_.time_width, 4 * options_.time_width, true),
                 nn::Linear(layout, "time_embed.2", 4 * options_.time_width, width, true), backend::Activation::silu};
        if (latent != width)
            up_ = {nn::Linear(layout, "input_up_proj.0", latent, width, true),
                   nn::Linear(layout, "input_up_proj.2", width, width, true), backend::Activation::tanh};
        for (Index i = 0; i < options_.layers; ++i) {
            std::string const name = "input_transformers.layer." + std::to_string(i);
            layers_.emplace_back(layout, name, nn::TransformerLayerNames::bert(name),
                                 nn::TransformerLayerOptions{.width = width,
                                                             .heads = options_.heads,
                                                             .hidden = options_.hidden,
                                                             .activation = backend::Activation::gelu,
                                                             .epsilon = epsilon});
        }
        positions_ =
            layout.add_matrix("position_embeddings.weight", options_.longest, width, nn::Initializer::normal(1.0));
        norm_ = nn::LayerNorm(layout, "LayerNorm", width, true, epsilon);
        if (latent != width)
            down_ = {nn::Linear(layout, "output_down_proj.0", width, width, true),
                     nn::Linear(layout, "output_down_proj.2", width, latent, true), backend::Activation::tanh};
    }

    /// The same for a space: its width.
    template <EmbeddingSpace Space>
    EncoderOnly(nn::ParameterLayout& layout, Options const& options, Space const& space)
        : EncoderOnly(layout, options, space.width()) {}

    [[nodiscard]] Options const& options() const { return options_; }
    /// A source leaves room for one row of target.
    [[nodiscard]] Index longest_source() const { return options_.filled - 1; }
    /// Rows of source and target together.
    [[nodiscard]] Index longest_target() const { return options_.longest; }
    [[nodiscard]] double dropout() const { return options_.dropout; }
    [[nodiscard]] bool self_conditioned() const { return false; }

    /// What the network is told of a level: its time, in units of its own.
    [[nodiscard]] double time_label(NoiseLevel level) const { return level.time * options_.time_scale; }

    /// Embeds the labels of K times, from time_label, into [K, width].
    [[nodiscard]] View embed_times(nn::Pass<B>& pass, VectorView<double const> labels, Saved* saved = nullptr) const {
        View const features = pass.take(labels.size, options_.time_width);
        View const result = pass.take(labels.size, options_.width);
        time_features(pass.device, labels, features);
        time_.forward(pass, ConstView(features), result, saved ? &saved->time : nullptr);
        return result;
    }
    /// Adds the gradient of the times' embeddings [K, width] to those of their network.
    void embed_times_backward(nn::Pass<B>& pass, Saved const& saved, ConstView dtime) const {
        time_.backward(pass, saved.time, dtime, View{});
    }

    /// z0_hat [N, D] = f(z_t, t), for z_t [N, D], of source and target together; rows of z0_hat may lie apart.
    ///
    /// @param time   [S, width] from embed_times, or one row for all sentences with stride 0
    /// @param saved  null outside training; else z_t must outlive the backward pass
    /// @throws Error when a sequence is longer than the options' longest
    void predict(nn::Pass<B>& pass, PackedSequences const& target, Encoded const&, ConstView z_t, ConstView time,
                 ConstView, View z0_hat, Saved* saved = nullptr) const {
        auto const mark = pass.workspace.mark();
        View const hidden = run(pass, target, z_t, time, {}, depth(), saved);
        if (down_.first.exists())
            down_.forward(pass, ConstView(hidden), z0_hat, saved ? &saved->down : nullptr);
        else
            scale(pass.device, Scalar{1}, ConstView(hidden), z0_hat);
        if (!saved) pass.workspace.release(mark);
    }

    /// Backward pass of predict.
    ///
    /// @param dz_t   [N, D] is added to, where not empty
    /// @param dtime  [S, width] is overwritten
    void predict_backward(nn::Pass<B>& pass, PackedSequences const& target, Encoded const&, Saved const& saved,
                          ConstView dz0_hat, View dz_t, View dtime, View) const {
        nn::Scope<B> const scope(pass.workspace);
        View const dhidden = pass.take(dz0_hat.rows, options_.width);
        if (down_.first.exists())
            down_.backward(pass, saved.down, dz0_hat, dhidden);
        else
            scale(pass.device, Scalar{1}, dz0_hat, dhidden);
        for (std::size_t i = layers_.size(); i-- > 0;)
            layers_[i].backward(pass, target.segments, saved.layers[i], dhidden);
        saved.dropout.apply(pass, dhidden);
        norm_.backward(pass, saved.norm, ConstView(dhidden), dhidden);
        sum_per_sentence(pass.device, target.segments, dhidden, dtime);
        scatter_add(pass.device, dhidden, target.positions, Scalar{1}, pass.matrix_gradient(positions_));
        if (up_.first.exists())
            up_.backward(pass, saved.up, ConstView(dhidden), dz_t, true);
        else if (!dz_t.empty())
            add(pass.device, dz_t, dhidden, dz_t);
    }

    [[nodiscard]] Index depth() const { return options_.layers; }
    [[nodiscard]] Index hidden_width() const { return options_.width; }

    /// What the layers make of z_t [N, D], as in predict, up to the last one that is asked for; see HiddenStates.
    ///
    /// @throws Error when a sequence is longer than the options' longest
    void hidden_states(nn::Pass<B>& pass, PackedSequences const& target, Encoded const&, ConstView z_t, ConstView time,
                       ConstView, HiddenStates<B> const& states, Saved* saved = nullptr) const {
        auto const mark = pass.workspace.mark();
        if (Index const deepest = states.deepest(); deepest >= 0)
            (void)run(pass, target, z_t, time, states, deepest, saved);
        if (!saved) pass.workspace.release(mark);
    }

    /// Backward pass of hidden_states, to what was added alone: z_t, time and what lies in front of the first layer get
    /// no gradient. Those of the layers' weights are added to, unless they are frozen.
    void hidden_states_backward(nn::Pass<B>& pass, PackedSequences const& target, Encoded const&, Saved const& saved,
                                HiddenSlopes<B> const& slopes) const {
        detail::layer_run_backward(pass, layers_, target.segments, options_.width, saved.layers, slopes);
    }

    /// Rows of a target to a source of `source` rows, at least 1.
    [[nodiscard]] Index length_of(Index source, Token) const { return std::max<Index>(1, options_.filled - source); }

private:
    /// Of all layer norms, as BERT has it.
    static constexpr double epsilon = 1e-12;

    /// The rows [N, width] that layer number `deepest` leaves, from 1; 0: what goes into the first.
    View run(nn::Pass<B>& pass, PackedSequences const& target, ConstView z_t, ConstView time,
             HiddenStates<B> const& states, Index deepest, Saved* saved) const {
        require(target.segments.longest <= options_.longest, "inkling::denoiser::EncoderOnly: a sequence has ",
                target.segments.longest, " tokens, expected at most ", options_.longest,
                ", for which there are positions");
        detail::LayerRun<B> layers(pass, states, z_t.rows, options_.width, saved ? &saved->layers : nullptr);
        View const normalized = layers.first();
        View const sum = saved ? pass.take(z_t.rows, options_.width) : normalized;
        if (up_.first.exists())
            up_.forward(pass, z_t, sum, saved ? &saved->up : nullptr);
        else
            scale(pass.device, Scalar{1}, z_t, sum);
        gather(pass.device, pass.matrix(positions_), target.positions, Scalar{1}, sum, true);
        add_per_sentence(pass.device, target.segments, time, sum);
        norm_.forward(pass, ConstView(sum), normalized, saved ? &saved->norm : nullptr);
        nn::Dropout const dropped = nn::Dropout::next(pass);
        dropped.apply(pass, normalized);
        if (saved) saved->dropout = dropped;
        return layers.through(layers_, target.segments, deepest);
    }

    /// Options as they are given, 0 included where that stands for another one.
    void check_options() const {
        auto const size = [](auto const&... what) { detail::check_size("EncoderOnly", what...); };
        size("the width of z", latent_);
        size("width", options_.width);
        size("layers", options_.layers, 1, 1024);
        size("heads", options_.heads);
        size("hidden", options_.hidden, 0);
        size("time_width", options_.time_width, 0);
        size("longest", options_.longest, 2);
        size("filled", options_.filled, 0, options_.longest);
        detail::check_dropout("EncoderOnly", options_.dropout);
        detail::check_finite("EncoderOnly", "time_scale", options_.time_scale);
    }

    EncoderOnlyOptions options_;
    Index latent_;
    nn::Parameter positions_;
    nn::LayerNorm norm_;
    nn::FeedForward time_, up_, down_;
    std::vector<nn::TransformerLayer> layers_;
};

}  // namespace inkling::denoiser
