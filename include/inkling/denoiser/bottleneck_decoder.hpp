#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/denoiser/detail/checks.hpp>
#include <inkling/denoiser/detail/cross_memory.hpp>
#include <inkling/denoiser/length_target.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/nn/transformer_stack.hpp>

#include <cmath>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace inkling::denoiser {

/// Sizes and switches of BottleneckDecoder. Sizes are 1 to 2^20.
struct BottleneckDecoderOptions {
    Index width = 256;                      ///< of the hidden states
    Index layers = 4;                       ///< of the decoder, 1 to 1024
    Index encoder_layers = 0;               ///< up to 1024; 0: as many as the decoder's
    Index heads = 4;                        ///< of all attention; they divide the width
    Index hidden = 0;                       ///< of all feed-forward parts; 0: 4 * width
    double dropout = 0.1;                   ///< [0, 1), in training
    Index longest_source = 256;             ///< rows, bos and eos counted; longer sentences are refused
    Index longest_target = 256;             ///< likewise, and the number of classes of lengths
    bool self_conditioning = true;          ///< the last estimate of z0 stands beside z_t
    bool encoder_normalize_before = false;  ///< pre-norm layers
    bool decoder_normalize_before = false;  ///< likewise; the norm around them is then behind the last
    Index time_frequencies = 128;           ///< Fourier features of a time are twice as many
    double time_spread = 16.0;              ///< standard deviation of the frequencies; positive
    Index time_hidden = 512;                ///< of the network behind them
    Output output = Output::z0;             ///< what the network says
    LengthTarget length_target = LengthTarget::offset;
};

/// Names every setting once, for model files and their checks.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, BottleneckDecoderOptions>
void describe(Options& options, Visit const& visit) {
    visit("width", options.width);
    visit("layers", options.layers);
    visit("encoder_layers", options.encoder_layers);
    visit("heads", options.heads);
    visit("hidden", options.hidden);
    visit("dropout", options.dropout);
    visit("longest_source", options.longest_source);
    visit("longest_target", options.longest_target);
    visit("self_conditioning", options.self_conditioning);
    visit("encoder_normalize_before", options.encoder_normalize_before);
    visit("decoder_normalize_before", options.decoder_normalize_before);
    visit("time_frequencies", options.time_frequencies);
    visit("time_spread", options.time_spread);
    visit("time_hidden", options.time_hidden);
    visit("output", options.output, {"z0", "noise", "velocity", "score", "mixed"});
    visit("length_target", options.length_target, {"offset", "absolute"});
}

/// DINOISER's denoiser: a Transformer encoder with a table of its own reads the source, and a decoder cleans vectors so
/// narrow that networks widen them on the way in and narrow them on the way out.
///
/// hidden = up([z_t previous]) + time + position, with a norm in front of post-norm layers or behind pre-norm ones, and
/// down(hidden); up and down are Linear, tanh, Linear. Time is Fourier features of random, fixed frequencies. The
/// encoder has one norm more behind its layers. A network over the encoder's mean output, which its loss does not
/// reach, tells the length. There is no dropout on attention's weights or inside feed-forward parts, which the official
/// layers have.
/// Source: Ye et al. 2023, "DINOISER", arXiv:2302.10025, and its code, whose parameter names these are.
template <Backend B>
class BottleneckDecoder {
public:
    using Device = B;
    using Scalar = typename B::Scalar;
    using Options = BottleneckDecoderOptions;
    using View = MatrixView<Scalar>;
    using ConstView = MatrixView<Scalar const>;
    static constexpr bool recordable = true;
    using Encoded = detail::CrossMemory<B>;

    /// A source begins with bos.
    static constexpr bool begins_source = true;
    /// A beam of lengths is of the likeliest classes, not of the neighbours of the first.
    static constexpr bool ranks_lengths = true;

    /// Values of the forward pass that the backward pass reads; reused from step to step.
    struct Saved {
        // encoder
        nn::Dropout input_dropout;
        nn::TransformerStack::Saved<B> encoder;
        // time
        nn::FeedForward::Saved<B> time;
        // decoder
        nn::FeedForward::Saved<B> up;
        nn::Dropout hidden_dropout;
        nn::LayerNorm::Saved<B> norm;
        nn::TransformerStack::Saved<B> decoder;
        nn::FeedForward::Saved<B> down;
    };

    /// Places all weights in the layout; none is made here.
    ///
    /// @param vocabulary  V_s, rows of the source's table
    /// @param latent      D, width of z, 1 to 2^20
    /// @throws Error naming the option that is out of its range
    BottleneckDecoder(nn::ParameterLayout& layout, Options const& options, Index vocabulary, Index latent)
        : options_(options), latent_(latent) {
        check_options();
        if (options_.hidden == 0) options_.hidden = 4 * options_.width;
        if (options_.encoder_layers == 0) options_.encoder_layers = options_.layers;
        Index const width = options_.width;
        auto const normal = nn::Initializer::normal(1.0);
        frequencies_ =
            layout.add_vector("timeW", options_.time_frequencies, nn::Initializer::normal(options_.time_spread));
        layout.freeze(frequencies_);
        source_table_ = layout.add_matrix("encoder.enc_token_embed.weight", vocabulary, width, normal);
        source_positions_ = layout.add_matrix("encoder.enc_pos_embed.weight", options_.longest_source, width, normal);
        add_layers(layout, "encoder.encoder.layers.", options_.encoder_layers, false, encoder_.layers);
        encoder_.norm = nn::LayerNorm(layout, "encoder.encoder.norm", width);
        target_positions_ = layout.add_matrix("decoder.pos_embedding.weight", options_.longest_target, width, normal);
        add_layers(layout, "decoder.trm.layers.", options_.layers, true, decoder_.layers);
        (options_.decoder_normalize_before ? decoder_.norm : norm_) = nn::LayerNorm(layout, "decoder.norm", width);
        Index const beside = options_.self_conditioning ? 2 : 1;
        time_ = feed_forward(layout, "bottleneck.time_proj", 2 * options_.time_frequencies, options_.time_hidden, width,
                             backend::Activation::silu);
        up_ = feed_forward(layout, "bottleneck.up_sampler", beside * latent, beside * width, width,
                           backend::Activation::tanh);
        down_ = feed_forward(layout, "bottleneck.down_sampler", width, beside * width,
                             output_width(options_.output, latent), backend::Activation::tanh);
        length_ = feed_forward(layout, "length_predictor.length_predictor", width, width, options_.longest_target,
                               backend::Activation::tanh);
    }

    /// The same for a space: its vocabulary and width.
    /// @param source_vocabulary  of the source, where it is not the space's
    template <EmbeddingSpace Space>
    BottleneckDecoder(nn::ParameterLayout& layout, Options const& options, Space const& space,
                      std::optional<Index> source_vocabulary = {})
        : BottleneckDecoder(layout, options, source_vocabulary.value_or(space.vocabulary()), space.width()) {}

    [[nodiscard]] Options const& options() const { return options_; }
    [[nodiscard]] Index longest_source() const { return options_.longest_source; }
    [[nodiscard]] Index longest_target() const { return options_.longest_target; }
    [[nodiscard]] double dropout() const { return options_.dropout; }
    [[nodiscard]] bool self_conditioned() const { return options_.self_conditioning; }
    /// What predict writes.
    [[nodiscard]] Output output() const { return options_.output; }

    /// Reads the source tokens, and makes the keys and values that every decoding step shares.
    ///
    /// @param saved null outside training
    /// @throws Error when a sentence is longer than the options' longest_source
    [[nodiscard]] Encoded encode(nn::Pass<B>& pass, PackedSequences const& source, Saved* saved = nullptr) const {
        detail::require_fits("BottleneckDecoder", "source", source.segments.longest, options_.longest_source);
        Index const rows = source.segments.rows;
        Index const width = options_.width;
        Encoded const encoded = Encoded::take(pass, source, width, options_.layers);
        auto const mark = pass.workspace.mark();
        View hidden = pass.take(rows, width);
        gather(pass.device, pass.matrix(source_table_), source.tokens, Scalar{1}, hidden);
        gather(pass.device, pass.matrix(source_positions_), source.positions, Scalar{1}, hidden, true);
        nn::Dropout const dropped = nn::Dropout::next(pass);
        dropped.apply(pass, hidden);
        if (saved) saved->input_dropout = dropped;
        (void)encoder_.forward(pass, source.segments, hidden, encoded.output, {}, {},
                               saved ? &saved->encoder : nullptr);
        decoder_.make_keys_values(pass, ConstView(encoded.output), encoded.keys_values);
        if (!saved) pass.workspace.release(mark);
        return encoded;
    }
    /// What stands for no source: each of the `sentences` targets attends to one row of zeros.
    [[nodiscard]] Encoded encode_nothing(nn::Pass<B>& pass, Index sentences) const {
        Encoded const encoded = Encoded::nothing(pass, sentences, options_.width, options_.layers);
        decoder_.make_keys_values(pass, ConstView(encoded.output), encoded.keys_values);
        return encoded;
    }

    /// Backward pass of encode, or of encode_nothing, whose keys and values alone have weights.
    ///
    /// @param doutput      [Ns, width], the gradient that reaches the output by other ways; overwritten
    /// @param dkeys_values [Ns, layers * 2 width] from predict_backward
    void encode_backward(nn::Pass<B>& pass, Encoded const& encoded, Saved const& saved, View doutput,
                         View dkeys_values) const {
        nn::Scope<B> const scope(pass.workspace);
        decoder_.make_keys_values_backward(pass, ConstView(encoded.output), ConstView(dkeys_values), doutput);
        if (encoded.is_nothing()) return;
        encoder_.backward(pass, encoded.source.segments, saved.encoder, doutput);
        saved.input_dropout.apply(pass, doutput);
        scatter_add(pass.device, doutput, encoded.source.positions, Scalar{1}, pass.matrix_gradient(source_positions_));
        scatter_add(pass.device, doutput, encoded.source.tokens, Scalar{1}, pass.matrix_gradient(source_table_));
    }

    /// What the network is told of a level: its time, as it is.
    [[nodiscard]] double time_label(NoiseLevel level) const { return level.time; }

    /// Embeds the labels of K times, from time_label, into [K, width].
    [[nodiscard]] View embed_times(nn::Pass<B>& pass, VectorView<double const> labels, Saved* saved = nullptr) const {
        View const features = pass.take(labels.size, 2 * options_.time_frequencies);
        View const result = pass.take(labels.size, options_.width);
        fourier_features(pass.device, labels, pass.vector(frequencies_), features);
        time_.forward(pass, ConstView(features), result, saved ? &saved->time : nullptr);
        return result;
    }
    void embed_times_backward(nn::Pass<B>& pass, Saved const& saved, ConstView dtime) const {
        time_.backward(pass, saved.time, dtime, View{});
    }

    /// output [Nt, D], or twice as wide where that is mixed, = f(z_t, t, source, previous), for z_t [Nt, D]. Rows of
    /// each may lie apart.
    ///
    /// @param time      [S, width] from embed_times, or one row for all sentences with stride 0
    /// @param previous  [Nt, D], the last z0_hat; not read without self-conditioning
    /// @param saved     null outside training
    /// @throws Error when a sentence is longer than the options' longest_target
    void predict(nn::Pass<B>& pass, PackedSequences const& target, Encoded const& source, ConstView z_t, ConstView time,
                 ConstView previous, View output, Saved* saved = nullptr) const {
        detail::require_fits("BottleneckDecoder", "target", target.segments.longest, options_.longest_target);
        auto const mark = pass.workspace.mark();
        Index const rows = z_t.rows, width = options_.width;
        View const joined = pass.take(rows, up_.first.weight.cols);
        scale(pass.device, Scalar{1}, z_t, joined.columns(0, latent_));
        if (options_.self_conditioning) scale(pass.device, Scalar{1}, previous, joined.columns(latent_, latent_));
        View hidden = pass.take(rows, width);
        up_.forward(pass, ConstView(joined), hidden, saved ? &saved->up : nullptr);
        add_per_sentence(pass.device, target.segments, time, hidden);
        nn::Dropout const dropped = nn::Dropout::next(pass);
        dropped.apply(pass, hidden);
        gather(pass.device, pass.matrix(target_positions_), target.positions, Scalar{1}, hidden, true);
        if (saved) saved->hidden_dropout = dropped;
        if (norm_.exists()) {
            View const normalized = saved ? pass.take(rows, width) : hidden;
            norm_.forward(pass, ConstView(hidden), normalized, saved ? &saved->norm : nullptr);
            hidden = normalized;
        }
        hidden = decoder_.forward(pass, target.segments, hidden, {}, source.shape(target, options_.heads),
                                  ConstView(source.keys_values), saved ? &saved->decoder : nullptr);
        down_.forward(pass, ConstView(hidden), output, saved ? &saved->down : nullptr);
        if (!saved) pass.workspace.release(mark);
    }

    /// Backward pass of predict; `previous` gets no gradient (it is a constant of the step).
    ///
    /// @param doutput       [Nt, D], or twice as wide
    /// @param dz_t          [Nt, D] is added to, where not empty
    /// @param dtime         [S, width] is overwritten
    /// @param dkeys_values  [Ns, layers * 2 width] is overwritten
    void predict_backward(nn::Pass<B>& pass, PackedSequences const& target, Encoded const& source, Saved const& saved,
                          ConstView doutput, View dz_t, View dtime, View dkeys_values) const {
        nn::Scope<B> const scope(pass.workspace);
        View const dhidden = pass.take(doutput.rows, options_.width);
        down_.backward(pass, saved.down, doutput, dhidden);
        decoder_.backward(pass, target.segments, saved.decoder, dhidden, source.shape(target, options_.heads),
                          dkeys_values);
        if (norm_.exists()) norm_.backward(pass, saved.norm, ConstView(dhidden), dhidden);
        scatter_add(pass.device, dhidden, target.positions, Scalar{1}, pass.matrix_gradient(target_positions_));
        saved.hidden_dropout.apply(pass, dhidden);
        sum_per_sentence(pass.device, target.segments, dhidden, dtime);
        View const djoined = pass.take(dhidden.rows, up_.first.weight.cols);
        up_.backward(pass, saved.up, ConstView(dhidden), djoined);
        if (!dz_t.empty()) add(pass.device, dz_t, djoined.columns(0, latent_), dz_t);
    }

    /// Logits [S, classes] of the length classes.
    [[nodiscard]] View length_logits(nn::Pass<B>& pass, Encoded const& encoded) const {
        View const logits = pass.take(encoded.source.segments.count, options_.longest_target);
        length_.second.forward(pass, ConstView(length_hidden(pass, encoded).after), logits);
        return logits;
    }
    /// The most probable class of each source's length.
    void predict_lengths(nn::Pass<B>& pass, Encoded const& encoded, VectorView<Token> classes) const {
        readout_argmax(pass.device, length_hidden(pass, encoded).after, pass.matrix(length_.second.weight),
                       pass.vector(length_.second.bias), classes);
    }
    /// Cross-entropy of the length classes [S]: losses[0] takes its sum; gradients, times `factor`, are added to those
    /// of the head. The encoder is a constant of it.
    void length_loss(nn::Pass<B>& pass, Encoded const& encoded, TokenView classes, double factor, double* losses,
                     View) const {
        nn::Scope<B> const scope(pass.workspace);
        LengthHidden const hidden = length_hidden(pass, encoded);
        bool const training = pass.gradients != nullptr;
        View dhidden;
        if (training) dhidden = pass.take_zeros(hidden.after.rows, hidden.after.cols);
        auto const& [weight, bias] = length_.second;
        readout_cross_entropy(pass.device, hidden.after, pass.matrix(weight), pass.vector(bias), classes, 0.0, factor,
                              losses, dhidden, training ? pass.matrix_gradient(weight) : View{},
                              training ? pass.vector_gradient(bias) : VectorView<Scalar>{});
        if (!training) return;
        activate_backward(pass.device, length_.activation, hidden.before, dhidden, dhidden);
        length_.first.backward(pass, hidden.pooled, ConstView(dhidden), View{});
    }

    /// The class that stands for a target of `target` rows to a source of `source` rows.
    [[nodiscard]] Token length_class(Index source, Index target) const {
        return denoiser::length_class(options_.length_target, options_.longest_target, source, target);
    }
    /// The target length, at least 2, that a class stands for.
    [[nodiscard]] Index length_of(Index source, Token length_class) const {
        return denoiser::length_of(options_.length_target, options_.longest_target, source, length_class);
    }

private:
    /// Options as they are given, 0 included where that stands for another one.
    void check_options() const {
        constexpr char const* where = "inkling::denoiser::BottleneckDecoder: ";
        auto const size = [](auto const&... what) { detail::check_size("BottleneckDecoder", what...); };
        size("the width of z", latent_);
        size("width", options_.width);
        size("layers", options_.layers, 1, 1024);
        size("encoder_layers", options_.encoder_layers, 0, 1024);
        size("heads", options_.heads);
        size("hidden", options_.hidden, 0);
        size("longest_source", options_.longest_source);
        size("longest_target", options_.longest_target);
        size("time_frequencies", options_.time_frequencies);
        size("time_hidden", options_.time_hidden);
        detail::check_dropout("BottleneckDecoder", options_.dropout);
        require(options_.time_spread > 0.0 && std::isfinite(options_.time_spread), where, "time_spread is ",
                options_.time_spread, ", expected a positive finite number");
    }

    void add_layers(nn::ParameterLayout& layout, std::string const& prefix, Index count, bool cross,
                    std::vector<nn::TransformerLayer>& layers) const {
        for (Index i = 0; i < count; ++i) {
            std::string const name = prefix + std::to_string(i);
            layers.emplace_back(
                layout, name, nn::TransformerLayerNames::pytorch(name, cross),
                nn::TransformerLayerOptions{
                    .width = options_.width,
                    .heads = options_.heads,
                    .hidden = options_.hidden,
                    .activation = backend::Activation::gelu,
                    .normalize_before = cross ? options_.decoder_normalize_before : options_.encoder_normalize_before,
                    .cross = cross});
        }
    }
    [[nodiscard]] static nn::FeedForward feed_forward(nn::ParameterLayout& layout, std::string const& name, Index in,
                                                      Index hidden, Index out, backend::Activation activation) {
        return {nn::Linear(layout, name + ".0", in, hidden, true), nn::Linear(layout, name + ".2", hidden, out, true),
                activation};
    }

    /// The length head up to its last map.
    struct LengthHidden {
        ConstView pooled, before, after;  ///< [S, width]
    };
    [[nodiscard]] LengthHidden length_hidden(nn::Pass<B>& pass, Encoded const& encoded) const {
        View const pooled = encoded.mean_output(pass);
        View const before = pass.take(pooled.rows, options_.width), after = pass.take(pooled.rows, options_.width);
        length_.first.forward(pass, ConstView(pooled), before);
        activate(pass.device, length_.activation, ConstView(before), after);
        return {pooled, before, after};
    }

    BottleneckDecoderOptions options_;
    Index latent_;
    nn::Parameter frequencies_, source_table_, source_positions_, target_positions_;
    nn::LayerNorm norm_;  ///< in front of post-norm layers
    nn::FeedForward time_, up_, down_, length_;
    nn::TransformerStack encoder_, decoder_;
};

}  // namespace inkling::denoiser
