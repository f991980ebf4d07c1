#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/denoiser/detail/cross_memory.hpp>
#include <inkling/denoiser/length_target.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/nn/transformer_layer.hpp>

#include <cmath>
#include <concepts>
#include <string>
#include <type_traits>
#include <vector>

namespace inkling::denoiser {

/// Where the last estimate of z0 joins z_t.
enum class SelfConditioning { none, before_projection, after_projection };

/// How a row knows its place in its sentence.
enum class Positions { learned, sinusoidal };

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

    using Encoded = detail::CrossMemory<B>;

    /// Values of the forward pass that the backward pass reads; reused from step to step.
    struct Saved {
        // encoder
        View embedded;
        nn::LayerNorm::Saved<B> source_norm;
        nn::Dropout input_dropout;
        std::vector<nn::TransformerLayer::Saved<B>> encoder_layers;
        nn::LayerNorm::Saved<B> encoder_norm;
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
        std::vector<nn::TransformerLayer::Saved<B>> decoder_layers;
        nn::LayerNorm::Saved<B> decoder_norm;
        ConstView last_hidden;
    };

    /// Places all weights in the layout; none is made here.
    ///
    /// @param vocabulary  V, rows of a source table of its own
    /// @param latent      D, width of z, 1 to 2^20
    /// @param scale       what a row of the source table is read with
    /// @param table       [V, D], the target tokens' table, shared with the source where the options say so
    /// @throws Error naming the option that is out of its range
    EncoderDecoder(nn::ParameterLayout& layout, Options const& options, Index vocabulary, Index latent, double scale,
                   nn::Parameter table)
        : options_(options), latent_(latent), scale_(scale) {
        check_options();
        fill_defaults();
        Index const width = options_.width;
        if (options_.share_embedding)
            layout.add_alias(source_table_ = table, "encoder.embed_tokens.weight");
        else
            source_table_ = layout.add_matrix("encoder.embed_tokens.weight", vocabulary, latent,
                                              nn::Initializer::normal(1.0 / std::sqrt(static_cast<double>(latent))));
        add_positions(layout, "encoder", options_.encoder_positions, options_.longest_source, source_positions_);
        if (options_.encoder_embedding_norm) source_norm_ = nn::LayerNorm(layout, "encoder.layernorm_embedding", width);
        for (Index i = 0; i < options_.encoder_layers; ++i)
            encoder_layers_.emplace_back(
                layout, "encoder.layers." + std::to_string(i),
                nn::TransformerLayerOptions{.width = width,
                                            .heads = options_.encoder_heads,
                                            .hidden = options_.encoder_hidden,
                                            .activation = options_.activation,
                                            .normalize_before = options_.encoder_normalize_before});
        if (options_.encoder_normalize_before) encoder_norm_ = nn::LayerNorm(layout, "encoder.layer_norm", width);
        if (latent != width) {
            source_projection_ = nn::Linear(layout, "encoder.project_in_dim", latent, width, false);
            if (options_.share_projection)
                layout.add_alias((projection_ = source_projection_).weight, "decoder.project_in_dim.weight");
            else
                projection_ = nn::Linear(layout, "decoder.project_in_dim", latent, width, false);
            output_ = nn::Linear(layout, "decoder.project_out_dim", width, latent, false);
        }
        add_positions(layout, "decoder", options_.decoder_positions, options_.longest_target, target_positions_);
        for (Index i = 0; i < options_.layers; ++i)
            decoder_layers_.emplace_back(
                layout, "decoder.layers." + std::to_string(i),
                nn::TransformerLayerOptions{.width = width,
                                            .heads = options_.heads,
                                            .hidden = options_.hidden,
                                            .activation = options_.activation,
                                            .normalize_before = options_.decoder_normalize_before,
                                            .cross = true});
        if (options_.decoder_normalize_before) decoder_norm_ = nn::LayerNorm(layout, "decoder.layer_norm", width);
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
    /// @throws Error as above, and when the source is to share a table that its space does not read as it is
    template <EmbeddingSpace Space>
    EncoderDecoder(nn::ParameterLayout& layout, Options const& options, Space const& space)
        : EncoderDecoder(layout, options, space.vocabulary(), space.width(), space.scale(), space.table()) {
        require(!(options.share_embedding && embedding::makes_readout<Space, B>),
                "inkling::denoiser::EncoderDecoder: share_embedding is true, but the embedding space does not read its "
                "table as it is; expected false beside embedding::UnitSphere");
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
        require_fits(source.segments, options_.longest_source, "source");
        Index const rows = source.segments.rows;
        Index const width = options_.width;
        Encoded const encoded = Encoded::take(pass, source, width, options_.layers);
        auto const mark = pass.workspace.mark();
        View const embedded = pass.take(rows, latent_);
        gather(pass.device, pass.matrix(source_table_), source.tokens, static_cast<Scalar>(scale_), embedded);
        View hidden = embedded;
        if (source_projection_.exists()) {
            hidden = pass.take(rows, width);
            source_projection_.forward(pass, embedded, hidden);
        }
        add_position(pass, source_positions_, source, hidden);
        if (source_norm_.exists()) {
            View const normalized = saved ? pass.take(rows, width) : hidden;
            source_norm_.forward(pass, ConstView(hidden), normalized, saved ? &saved->source_norm : nullptr);
            hidden = normalized;
        }
        nn::Dropout const dropped = nn::Dropout::next(pass);
        dropped.apply(pass, hidden);
        if (saved) {
            saved->embedded = embedded;
            saved->input_dropout = dropped;
            saved->encoder_layers.resize(encoder_layers_.size());
        }
        for (std::size_t i = 0; i < encoder_layers_.size(); ++i) {
            bool const last = i + 1 == encoder_layers_.size() && !encoder_norm_.exists();
            View const next = last ? encoded.output : saved ? pass.take(rows, width) : hidden;
            encoder_layers_[i].forward(pass, source.segments, ConstView(hidden), next, {}, {},
                                       saved ? &saved->encoder_layers[i] : nullptr);
            hidden = next;
        }
        if (encoder_norm_.exists())
            encoder_norm_.forward(pass, hidden, encoded.output, saved ? &saved->encoder_norm : nullptr);
        encoded.make_keys_values(pass, decoder_layers_);
        if (!saved) pass.workspace.release(mark);
        return encoded;
    }

    /// Backward pass of encode.
    ///
    /// @param doutput      [Ns, width], the gradient that reaches the output by other ways, such as length_loss;
    ///   overwritten
    /// @param dkeys_values [Ns, layers * 2 width] from predict_backward
    void encode_backward(nn::Pass<B>& pass, Encoded const& encoded, Saved const& saved, View doutput,
                         View dkeys_values) const {
        nn::Scope<B> const scope(pass.workspace);
        encoded.keys_values_backward(pass, decoder_layers_, dkeys_values, doutput);
        if (encoder_norm_.exists()) encoder_norm_.backward(pass, saved.encoder_norm, ConstView(doutput), doutput);
        for (std::size_t i = encoder_layers_.size(); i-- > 0;)
            encoder_layers_[i].backward(pass, encoded.source.segments, saved.encoder_layers[i], doutput);
        saved.input_dropout.apply(pass, doutput);
        if (source_norm_.exists()) source_norm_.backward(pass, saved.source_norm, ConstView(doutput), doutput);
        position_backward(pass, source_positions_, encoded.source, doutput);
        View dembedded = doutput;
        if (source_projection_.exists()) {
            dembedded = pass.take(doutput.rows, latent_);
            source_projection_.backward(pass, ConstView(saved.embedded), ConstView(doutput), dembedded);
        }
        scatter_add(pass.device, dembedded, encoded.source.tokens, static_cast<Scalar>(scale_),
                    pass.matrix_gradient(source_table_));
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
        require_fits(target.segments, options_.longest_target, "target");
        auto const mark = pass.workspace.mark();
        Index const width = options_.width;
        View hidden = fuse(pass, z_t, previous, saved);
        add_per_sentence(pass.device, target.segments, time, hidden);
        add_position(pass, target_positions_, target, hidden);
        if (embedding_norm_.exists()) {
            View const normalized = saved ? pass.take(hidden.rows, width) : hidden;
            embedding_norm_.forward(pass, ConstView(hidden), normalized, saved ? &saved->embedding_norm : nullptr);
            hidden = normalized;
        }
        nn::Dropout const dropped = nn::Dropout::next(pass);
        dropped.apply(pass, hidden);
        if (saved) {
            saved->hidden_dropout = dropped;
            saved->decoder_layers.resize(decoder_layers_.size());
        }
        for (std::size_t i = 0; i < decoder_layers_.size(); ++i) {
            View const next = saved ? pass.take(hidden.rows, width) : hidden;
            decoder_layers_[i].forward(pass, target.segments, ConstView(hidden), next,
                                       source.shape(target, options_.heads), ConstView(source.of_layer(i)),
                                       saved ? &saved->decoder_layers[i] : nullptr);
            hidden = next;
        }
        if (decoder_norm_.exists()) {
            View const normalized = saved ? pass.take(hidden.rows, width) : hidden;
            decoder_norm_.forward(pass, ConstView(hidden), normalized, saved ? &saved->decoder_norm : nullptr);
            hidden = normalized;
        }
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
        if (decoder_norm_.exists()) decoder_norm_.backward(pass, saved.decoder_norm, ConstView(dhidden), dhidden);
        for (std::size_t i = decoder_layers_.size(); i-- > 0;)
            decoder_layers_[i].backward(pass, target.segments, saved.decoder_layers[i], dhidden,
                                        source.shape(target, options_.heads),
                                        Encoded::of_layer(dkeys_values, options_.width, i));
        saved.hidden_dropout.apply(pass, dhidden);
        if (embedding_norm_.exists()) embedding_norm_.backward(pass, saved.embedding_norm, ConstView(dhidden), dhidden);
        position_backward(pass, target_positions_, target, dhidden);
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
    static void require_fits(Segments const& segments, Index longest, char const* side) {
        require(segments.longest <= longest, "inkling::denoiser::EncoderDecoder: a ", side, " sentence has ",
                segments.longest, " tokens, expected at most ", longest, ", for which there are positions");
    }

    void fill_defaults() {
        auto const fallback = [](Index& value, Index other) {
            if (value == 0) value = other;
        };
        fallback(options_.hidden, 4 * options_.width);
        fallback(options_.encoder_layers, options_.layers);
        fallback(options_.encoder_heads, options_.heads);
        fallback(options_.encoder_hidden, options_.hidden);
    }

    /// Options as they are given, 0 included where that stands for another one.
    void check_options() const {
        auto const size = [](char const* name, Index value, Index least = 1, Index most = Index{1} << 20) {
            require(value >= least && value <= most, "inkling::denoiser::EncoderDecoder: ", name, " is ", value,
                    ", expected ", least, " to ", most);
        };
        size("the width of z", latent_);
        size("width", options_.width);
        size("layers", options_.layers, 1, 1024);
        size("heads", options_.heads);
        size("hidden", options_.hidden, 0);
        size("encoder_layers", options_.encoder_layers, 0, 1024);
        size("encoder_heads", options_.encoder_heads, 0);
        size("encoder_hidden", options_.encoder_hidden, 0);
        size("longest_source", options_.longest_source);
        size("longest_target", options_.longest_target);
        size("length_classes", options_.length_classes);
        require(options_.dropout >= 0.0 && options_.dropout < 1.0, "inkling::denoiser::EncoderDecoder: dropout is ",
                options_.dropout, ", expected a number in [0, 1)");
        require(std::isfinite(options_.time_scale), "inkling::denoiser::EncoderDecoder: time_scale is ",
                options_.time_scale, ", expected a finite number");
    }

    /// fairseq's tables start behind the padding row: place i of a sentence is row 2 + i.
    static constexpr Token first_position = 2;
    /// Standard deviation that learned positions start with: of the size of what they are added to. With BERT's 0.02,
    /// as in the official code, the source stays unread for thousands of updates.
    static constexpr double position_start = 0.25;

    void add_positions(nn::ParameterLayout& layout, std::string const& side, Positions kind, Index longest,
                       nn::Parameter& table) const {
        table = kind == Positions::learned
            ? layout.add_matrix(side + ".embed_positions.weight", longest + first_position, options_.width,
                                nn::Initializer::normal(position_start))
            : layout.add_matrix(side + ".embed_positions.fixed", longest + first_position, options_.width,
                                nn::Initializer::sinusoidal(first_position - 1));
    }
    [[nodiscard]] static nn::Parameter from_first(nn::Parameter table) {
        return {table.offset + first_position * table.cols, table.rows - first_position, table.cols};
    }
    void add_position(nn::Pass<B>& pass, nn::Parameter table, PackedSequences const& sequences, View hidden) const {
        gather(pass.device, pass.matrix(from_first(table)), sequences.positions, Scalar{1}, hidden, true);
    }
    void position_backward(nn::Pass<B>& pass, nn::Parameter table, PackedSequences const& sequences,
                           ConstView dhidden) const {
        scatter_add(pass.device, dhidden, sequences.positions, Scalar{1}, pass.matrix_gradient(from_first(table)));
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
    double scale_;
    nn::Parameter source_table_, source_positions_, target_positions_, length_table_;
    nn::Linear source_projection_, projection_, output_;
    nn::LayerNorm source_norm_, encoder_norm_, decoder_norm_, embedding_norm_;
    nn::FeedForward fuse_, time_;
    std::vector<nn::TransformerLayer> encoder_layers_, decoder_layers_;
};

}  // namespace inkling::denoiser
