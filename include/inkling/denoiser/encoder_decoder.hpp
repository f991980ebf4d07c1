#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/denoiser/detail/cross_memory.hpp>
#include <inkling/denoiser/detail/transformer_pair.hpp>
#include <inkling/denoiser/length_target.hpp>
#include <inkling/denoiser/positions.hpp>
#include <inkling/denoiser/source_encoder.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/nn/transformer_stack.hpp>

#include <concepts>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace inkling::denoiser {

/// Where the last estimate of z0 joins z_t.
enum class SelfConditioning { none, before_projection, after_projection };

/// Sizes and switches of EncoderDecoder. Sizes are 1 to 2^20; where the encoder's are 0 they are the decoder's.
struct EncoderDecoderOptions {
    Index width = 256;         ///< of the hidden states
    Index layers = 4;          ///< of the decoder, 1 to 1024
    Index heads = 4;           ///< of the decoder's attention; they divide the width
    Index hidden = 0;          ///< of the decoder's feed-forward parts; 0: 4 * width
    Index encoder_layers = 0;  ///< up to 1024
    Index encoder_heads = 0;   ///< they divide the width
    Index encoder_hidden = 0;
    double dropout = 0.1;        ///< [0, 1), in training
    Index longest_source = 256;  ///< rows, bos and eos counted; longer sentences are refused
    Index longest_target = 256;  ///< likewise
    backend::Activation activation = backend::Activation::relu;  ///< of feed-forward parts, fusion and time
    Positions encoder_positions = Positions::learned;
    Positions decoder_positions = Positions::learned;
    SelfConditioning self_conditioning = SelfConditioning::after_projection;
    bool encoder_embedding_norm = false;    ///< layer norm on the encoder's input
    bool embedding_norm = true;             ///< layer norm on the decoder's input
    bool embedding_norm_affine = true;      ///< ... with gain and bias
    bool share_embedding = true;            ///< source and target tokens share one table
    bool share_projection = false;          ///< ... and one map from D to width
    bool encoder_normalize_before = false;  ///< pre-norm layers
    bool decoder_normalize_before = false;
    double time_scale = 1000.0;  ///< the time label is time_scale * t, t in [0, 1]; finite
    LengthTarget length_target = LengthTarget::offset;
    Index length_classes = 256;         ///< lengths beyond the first and the last count as these
    bool length_trains_encoder = true;  ///< the length loss reaches the encoder
};

/// Names every setting once, for model files and their checks: visit(name, value), with the spellings of an
/// enumeration.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, EncoderDecoderOptions>
void describe(Options& options, Visit const& visit) {
    visit("width", options.width);
    visit("layers", options.layers);
    visit("heads", options.heads);
    visit("hidden", options.hidden);
    visit("encoder_layers", options.encoder_layers);
    visit("encoder_heads", options.encoder_heads);
    visit("encoder_hidden", options.encoder_hidden);
    visit("dropout", options.dropout);
    visit("longest_source", options.longest_source);
    visit("longest_target", options.longest_target);
    visit("activation", options.activation, {"relu", "gelu", "silu", "tanh"});
    visit("encoder_positions", options.encoder_positions, {"learned", "sinusoidal"});
    visit("decoder_positions", options.decoder_positions, {"learned", "sinusoidal"});
    visit("self_conditioning", options.self_conditioning, {"none", "before_projection", "after_projection"});
    visit("encoder_embedding_norm", options.encoder_embedding_norm);
    visit("embedding_norm", options.embedding_norm);
    visit("embedding_norm_affine", options.embedding_norm_affine);
    visit("share_embedding", options.share_embedding);
    visit("share_projection", options.share_projection);
    visit("encoder_normalize_before", options.encoder_normalize_before);
    visit("decoder_normalize_before", options.decoder_normalize_before);
    visit("time_scale", options.time_scale);
    visit("length_target", options.length_target, {"offset", "absolute"});
    visit("length_classes", options.length_classes);
    visit("length_trains_encoder", options.length_trains_encoder);
}

/// Difformer's denoiser: a Transformer encoder reads the source, a decoder without causal mask cleans all of z_t at
/// once.
///
/// hidden = LN(fuse(P z_t, P previous) + time + position), Transformer layers over it and over the encoder's output,
/// and a map back to D. Source tokens use the shared table times sqrt(D) and a map of their own. A classifier over the
/// encoder's mean output tells the length.
/// Source: Gao et al. 2022, "Difformer", arXiv:2212.09412, figure 2; parameter names and their order are the official
/// code's.
template <Backend B>
class EncoderDecoder {
public:
    using Device = B;
    using Scalar = typename B::Scalar;
    using Options = EncoderDecoderOptions;
    using View = MatrixView<Scalar>;
    using ConstView = MatrixView<Scalar const>;
    static constexpr bool recordable = true;

    using Encoded = detail::CrossMemory<B>;

    /// Values of the forward pass that the backward pass reads; reused from step to step.
    struct Saved {
        typename SourceEncoder<B>::Saved encoder;
        // time
        nn::FeedForward::Saved<B> time;
        // decoder
        ConstView z_t;
        ConstView previous;
        ConstView fused;  ///< [Nt, D], what is projected where fusion comes first
        nn::FeedForward::Saved<B> fuse;
        nn::Dropout fuse_dropout;
        nn::LayerNorm::Saved<B> embedding_norm;
        nn::Dropout hidden_dropout;
        nn::TransformerStack::Saved<B> stack;
        ConstView last_hidden;
    };

    /// Places all weights in the layout; none is made here.
    ///
    /// @param vocabulary  V_s, of the source: rows of a table of its own
    /// @param latent      D, width of z, 1 to 2^20
    /// @param scale       what a row of the source table is read with
    /// @param table       [V_t, D], the target tokens' table, shared with the source where the options say so
    /// @throws Error naming the option that is out of its range
    EncoderDecoder(nn::ParameterLayout& layout, Options const& options, Index vocabulary, Index latent, double scale,
                   nn::Parameter table)
        : options_(options), latent_(latent) {
        check_options();
        detail::fill_transformer_pair(options_);
        Index const width = options_.width;
        encoder_ = SourceEncoder<B>(layout, detail::source_encoder_options(options_), vocabulary, latent, scale, table);
        if (latent != width) {
            if (options_.share_projection)
                layout.add_alias((projection_ = encoder_.projection()).weight, "decoder.project_in_dim.weight");
            else
                projection_ = nn::Linear(layout, "decoder.project_in_dim", latent, width, false);
            output_ = nn::Linear(layout, "decoder.project_out_dim", width, latent, false);
        }
        positions_ = PositionTable(layout, "decoder", options_.decoder_positions, options_.longest_target, width);
        stack_ = nn::TransformerStack(layout, "decoder", options_.layers,
                                      {.width = width,
                                       .heads = options_.heads,
                                       .hidden = options_.hidden,
                                       .activation = options_.activation,
                                       .normalize_before = options_.decoder_normalize_before,
                                       .cross = true});
        length_table_ = layout.add_matrix("decoder.embed_length.weight", options_.length_classes, width,
                                          nn::Initializer::fan_in(width));
        require(
            !(options_.embedding_norm && options_.embedding_norm_affine && layout.find("decoder.embed_norm.weight")),
            "inkling::denoiser::EncoderDecoder: embedding_norm is true, but the embedding space has that norm, "
            "'decoder.embed_norm', already; expected false beside embedding::LayerNormed");
        if (options_.embedding_norm)
            embedding_norm_ = nn::LayerNorm(layout, "decoder.embed_norm", width, options_.embedding_norm_affine);
        if (options_.self_conditioning != SelfConditioning::none) {
            Index const fused = options_.self_conditioning == SelfConditioning::before_projection ? latent : width;
            fuse_ = feed_forward(layout, "decoder.self_cond_proj", 2 * fused, fused, fused);
        }
        time_ = feed_forward(layout, "decoder.embed_time", width, 4 * width, width);
    }

    /// The same for a space: its vocabulary, width, scale and table.
    /// @param source_vocabulary  of the source, where it is not the space's
    /// @throws Error as above, and when the source is to share a table that is of another vocabulary or that its space
    ///         does not read as it is
    template <EmbeddingSpace Space>
    EncoderDecoder(nn::ParameterLayout& layout, Options const& options, Space const& space,
                   std::optional<Index> source_vocabulary = {})
        : EncoderDecoder(layout, options, source_vocabulary.value_or(space.vocabulary()), space.width(), space.scale(),
                         space.table()) {
        detail::require_shareable<Space, B>("EncoderDecoder", options.share_embedding, source_vocabulary);
    }

    [[nodiscard]] Options const& options() const { return options_; }
    [[nodiscard]] Index longest_source() const { return options_.longest_source; }
    [[nodiscard]] Index longest_target() const { return options_.longest_target; }
    [[nodiscard]] double dropout() const { return options_.dropout; }
    [[nodiscard]] bool self_conditioned() const { return options_.self_conditioning != SelfConditioning::none; }

    /// Reads the source tokens, and makes the keys and values that every decoding step shares.
    ///
    /// @param saved null outside training
    /// @throws Error when a sentence is longer than the options' longest_source
    [[nodiscard]] Encoded encode(nn::Pass<B>& pass, PackedSequences const& source, Saved* saved = nullptr) const {
        detail::require_fits("EncoderDecoder", "source", source.segments.longest, options_.longest_source);
        Encoded const encoded = Encoded::take(pass, source, options_.width, options_.layers);
        encoder_.forward(pass, source, encoded.output, saved ? &saved->encoder : nullptr);
        stack_.make_keys_values(pass, ConstView(encoded.output), encoded.keys_values);
        return encoded;
    }

    /// What stands for no source: each of the `sentences` targets attends to one row of zeros.
    [[nodiscard]] Encoded encode_nothing(nn::Pass<B>& pass, Index sentences) const {
        Encoded const encoded = Encoded::nothing(pass, sentences, options_.width, options_.layers);
        stack_.make_keys_values(pass, ConstView(encoded.output), encoded.keys_values);
        return encoded;
    }

    /// Backward pass of encode, or of encode_nothing, whose keys and values alone have weights.
    ///
    /// @param doutput      [Ns, width], the gradient that reaches the output by other ways, such as length_loss;
    ///   overwritten
    /// @param dkeys_values [Ns, layers * 2 width] from predict_backward
    void encode_backward(nn::Pass<B>& pass, Encoded const& encoded, Saved const& saved, View doutput,
                         View dkeys_values) const {
        stack_.make_keys_values_backward(pass, ConstView(encoded.output), ConstView(dkeys_values), doutput);
        if (encoded.is_nothing()) return;
        encoder_.backward(pass, encoded.source, saved.encoder, doutput);
    }

    /// Embeds the labels of K times, from time_label, into [K, width].
    [[nodiscard]] View embed_times(nn::Pass<B>& pass, VectorView<double const> labels, Saved* saved = nullptr) const {
        View const features = pass.take(labels.size, options_.width);
        View const result = pass.take(labels.size, options_.width);
        time_features(pass.device, labels, features);
        time_.forward(pass, ConstView(features), result, saved ? &saved->time : nullptr);
        return result;
    }
    void embed_times_backward(nn::Pass<B>& pass, Saved const& saved, ConstView dtime) const {
        time_.backward(pass, saved.time, dtime, View{});
    }
    /// What the network is told of a level: its time, in units of its own.
    [[nodiscard]] double time_label(NoiseLevel level) const { return level.time * options_.time_scale; }

    /// z0_hat [Nt, D] = f(z_t, t, source, previous), for z_t [Nt, D]. Rows of each may lie apart.
    ///
    /// @param time      [S, width] from embed_times, or one row for all sentences with stride 0
    /// @param previous  [Nt, D], the last z0_hat; not read without self-conditioning
    /// @param saved     null outside training; else the inputs must outlive the backward pass
    /// @throws Error when a sentence is longer than the options' longest_target
    void predict(nn::Pass<B>& pass, PackedSequences const& target, Encoded const& source, ConstView z_t, ConstView time,
                 ConstView previous, View z0_hat, Saved* saved = nullptr) const {
        detail::require_fits("EncoderDecoder", "target", target.segments.longest, options_.longest_target);
        auto const mark = pass.workspace.mark();
        Index const width = options_.width;
        View hidden = fuse(pass, z_t, previous, saved);
        add_per_sentence(pass.device, target.segments, time, hidden);
        positions_.forward(pass, target, hidden);
        if (embedding_norm_.exists()) {
            View const normalized = saved ? pass.take(hidden.rows, width) : hidden;
            embedding_norm_.forward(pass, ConstView(hidden), normalized, saved ? &saved->embedding_norm : nullptr);
            hidden = normalized;
        }
        nn::Dropout const dropped = nn::Dropout::next(pass);
        dropped.apply(pass, hidden);
        if (saved) saved->hidden_dropout = dropped;
        hidden = stack_.forward(pass, target.segments, hidden, {}, source.shape(target, options_.heads),
                                ConstView(source.keys_values), saved ? &saved->stack : nullptr);
        if (saved) saved->last_hidden = hidden;
        if (output_.exists())
            output_.forward(pass, ConstView(hidden), z0_hat);
        else
            scale(pass.device, Scalar{1}, ConstView(hidden), z0_hat);
        if (!saved) pass.workspace.release(mark);
    }

    /// Backward pass of predict; `previous` gets no gradient (it is a constant of the step).
    ///
    /// @param dz_t          [Nt, D] is added to, where not empty
    /// @param dtime         [S, width] is overwritten
    /// @param dkeys_values  [Ns, layers * 2 width] is overwritten
    void predict_backward(nn::Pass<B>& pass, PackedSequences const& target, Encoded const& source, Saved const& saved,
                          ConstView dz0_hat, View dz_t, View dtime, View dkeys_values) const {
        nn::Scope<B> const scope(pass.workspace);
        View const dhidden = pass.take(dz0_hat.rows, options_.width);
        if (output_.exists())
            output_.backward(pass, saved.last_hidden, dz0_hat, dhidden);
        else
            scale(pass.device, Scalar{1}, dz0_hat, dhidden);
        stack_.backward(pass, target.segments, saved.stack, dhidden, source.shape(target, options_.heads),
                        dkeys_values);
        saved.hidden_dropout.apply(pass, dhidden);
        if (embedding_norm_.exists()) embedding_norm_.backward(pass, saved.embedding_norm, ConstView(dhidden), dhidden);
        positions_.backward(pass, target, ConstView(dhidden));
        sum_per_sentence(pass.device, target.segments, dhidden, dtime);
        fuse_backward(pass, saved, dhidden, dz_t);
    }

    /// Logits [S, classes] of the length classes.
    [[nodiscard]] View length_logits(nn::Pass<B>& pass, Encoded const& encoded) const {
        View const logits = pass.take(encoded.source.segments.count, options_.length_classes);
        View const pooled = encoded.mean_output(pass);
        product(pass.device, pooled, backend::Orientation::plain, pass.matrix(length_table_),
                backend::Orientation::transposed, logits);
        return logits;
    }
    /// The most probable class of each source's length.
    void predict_lengths(nn::Pass<B>& pass, Encoded const& encoded, VectorView<Token> classes) const {
        readout_argmax(pass.device, encoded.mean_output(pass), pass.matrix(length_table_), {}, classes);
    }
    /// Cross-entropy of the length classes [S]: losses[0] takes its sum; gradients, times `factor`, are added to those
    /// of the head and to doutput [Ns, width].
    void length_loss(nn::Pass<B>& pass, Encoded const& encoded, TokenView classes, double factor, double* losses,
                     View doutput) const {
        nn::Scope<B> const scope(pass.workspace);
        View const pooled = encoded.mean_output(pass);
        View dpooled;
        if (!doutput.empty() && options_.length_trains_encoder) dpooled = pass.take_zeros(pooled.rows, pooled.cols);
        readout_cross_entropy(pass.device, pooled, pass.matrix(length_table_), {}, classes, 0.0, factor, losses,
                              dpooled, pass.gradients ? pass.matrix_gradient(length_table_) : View{});
        if (!dpooled.empty()) mean_per_sentence_backward(pass.device, encoded.source.segments, dpooled, doutput);
    }

    /// The class that stands for a target of `target` rows to a source of `source` rows.
    [[nodiscard]] Token length_class(Index source, Index target) const {
        return denoiser::length_class(options_.length_target, options_.length_classes, source, target);
    }
    /// The target length, at least 2, that a class stands for.
    [[nodiscard]] Index length_of(Index source, Token length_class) const {
        return denoiser::length_of(options_.length_target, options_.length_classes, source, length_class);
    }

private:
    /// Options as they are given, 0 included where that stands for another one.
    void check_options() const {
        detail::check_transformer_pair("EncoderDecoder", options_, "the width of z", latent_);
        detail::check_size("EncoderDecoder", "length_classes", options_.length_classes);
        detail::check_finite("EncoderDecoder", "time_scale", options_.time_scale);
    }

    [[nodiscard]] nn::FeedForward feed_forward(nn::ParameterLayout& layout, std::string const& name, Index in,
                                               Index hidden, Index out) const {
        return {nn::Linear(layout, name + ".0", in, hidden, true), nn::Linear(layout, name + ".2", hidden, out, true),
                options_.activation};
    }

    /// Copies x into columns [first, first + x.cols) of `to`, or maps it there.
    void place(nn::Pass<B>& pass, ConstView x, bool project, View to) const {
        if (project && projection_.exists())
            projection_.forward(pass, x, to);
        else
            scale(pass.device, Scalar{1}, x, to);
    }

    /// hidden [Nt, width] from z_t and previous.
    [[nodiscard]] View fuse(nn::Pass<B>& pass, ConstView z_t, ConstView previous, Saved* saved) const {
        Index const rows = z_t.rows;
        View const hidden = pass.take(rows, options_.width);
        if (saved) saved->z_t = z_t, saved->previous = previous;
        if (!self_conditioned()) {
            place(pass, z_t, true, hidden);
            return hidden;
        }
        bool const late = options_.self_conditioning == SelfConditioning::after_projection;
        Index const width = late ? options_.width : latent_;
        View const joined = pass.take(rows, 2 * width);
        place(pass, z_t, late, joined.columns(0, width));
        place(pass, previous, late, joined.columns(width, width));
        View const fused = late ? hidden : pass.take(rows, latent_);
        fuse_.forward(pass, ConstView(joined), fused, saved ? &saved->fuse : nullptr);
        nn::Dropout const dropped = nn::Dropout::next(pass);
        dropped.apply(pass, fused);
        if (!late) place(pass, fused, true, hidden);
        if (saved) {
            saved->fuse_dropout = dropped;
            saved->fused = fused;
        }
        return hidden;
    }
    /// Backward pass of place for the projected case: adds to dx, where not empty.
    void unplace(nn::Pass<B>& pass, ConstView x, ConstView dhidden, View dx) const {
        if (projection_.exists())
            projection_.backward(pass, x, dhidden, dx, true);
        else if (!dx.empty())
            add(pass.device, dx, dhidden, dx);
    }
    void fuse_backward(nn::Pass<B>& pass, Saved const& saved, View dhidden, View dz_t) const {
        if (!self_conditioned()) return unplace(pass, saved.z_t, dhidden, dz_t);
        bool const late = options_.self_conditioning == SelfConditioning::after_projection;
        Index const width = late ? options_.width : latent_;
        View dfused = dhidden;
        if (!late) {
            dfused = pass.take_zeros(dhidden.rows, latent_);
            unplace(pass, saved.fused, dhidden, dfused);
        }
        saved.fuse_dropout.apply(pass, dfused);
        View const djoined = pass.take(dhidden.rows, 2 * width);
        fuse_.backward(pass, saved.fuse, ConstView(dfused), djoined);
        if (late) {
            unplace(pass, saved.z_t, djoined.columns(0, width), dz_t);
            unplace(pass, saved.previous, djoined.columns(width, width), View{});
        } else {
            if (!dz_t.empty()) add(pass.device, dz_t, djoined.columns(0, width), dz_t);
        }
    }

    EncoderDecoderOptions options_;
    Index latent_;
    SourceEncoder<B> encoder_;
    PositionTable positions_;
    nn::Parameter length_table_;
    nn::Linear projection_, output_;
    nn::LayerNorm embedding_norm_;
    nn::TransformerStack stack_;
    nn::FeedForward fuse_, time_;
};

}  // namespace inkling::denoiser
