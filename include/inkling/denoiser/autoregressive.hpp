#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/denoiser/detail/cross_memory.hpp>
#include <inkling/denoiser/detail/transformer_pair.hpp>
#include <inkling/denoiser/positions.hpp>
#include <inkling/denoiser/source_encoder.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/nn/transformer_stack.hpp>

#include <concepts>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

namespace inkling::denoiser {

/// Sizes and switches of Autoregressive. Sizes are 1 to 2^20; where the encoder's are 0 they are the decoder's.
struct AutoregressiveOptions {
    Index width = 256;         ///< of the hidden states
    Index layers = 4;          ///< of the decoder, 1 to 1024
    Index heads = 4;           ///< of the decoder's attention; they divide the width
    Index hidden = 0;          ///< of the decoder's feed-forward parts; 0: 4 * width
    Index encoder_layers = 0;  ///< up to 1024
    Index encoder_heads = 0;   ///< they divide the width
    Index encoder_hidden = 0;
    double dropout = 0.1;                                        ///< [0, 1), in training
    Index longest_source = 256;                                  ///< rows, eos counted; longer sentences are refused
    Index longest_target = 256;                                  ///< rows, bos counted; likewise
    backend::Activation activation = backend::Activation::relu;  ///< of feed-forward parts
    Positions encoder_positions = Positions::learned;
    Positions decoder_positions = Positions::learned;
    bool encoder_embedding_norm = false;    ///< layer norm on the encoder's input
    bool embedding_norm = false;            ///< layer norm on the decoder's input
    bool share_embedding = true;            ///< source and target tokens share one table
    bool share_projection = false;          ///< ... and one map from D to width
    bool encoder_normalize_before = false;  ///< pre-norm layers
    bool decoder_normalize_before = false;
};

/// Names every setting once, for model files and their checks.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, AutoregressiveOptions>
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
    visit("encoder_embedding_norm", options.encoder_embedding_norm);
    visit("embedding_norm", options.embedding_norm);
    visit("share_embedding", options.share_embedding);
    visit("share_projection", options.share_projection);
    visit("encoder_normalize_before", options.encoder_normalize_before);
    visit("decoder_normalize_before", options.decoder_normalize_before);
}

/// The Transformer that writes word after word: EncoderDecoder's encoder, and a decoder each of whose rows sees the
/// rows up to its own. The baseline of text diffusion, its re-ranker, and what distils a corpus for it.
///
/// hidden = LN(P z + position), where z is the embedding of what is written so far; decoder layers over it with a
/// causal mask, which attend to the encoder's output; out = P'' hidden, from which the space reads the next token. It
/// removes no noise: it stands in this room beside the denoiser whose parts it is made of.
/// Source: Vaswani et al. 2017, "Attention Is All You Need", arXiv:1706.03762; parameter names and their order are
/// fairseq's.
template <Backend B>
class Autoregressive {
public:
    using Device = B;
    using Scalar = typename B::Scalar;
    using Options = AutoregressiveOptions;
    using View = MatrixView<Scalar>;
    using ConstView = MatrixView<Scalar const>;

    using Encoded = detail::CrossMemory<B>;

    /// Values of the forward pass that the backward pass reads; reused from step to step.
    struct Saved {
        typename SourceEncoder<B>::Saved encoder;
        ConstView z;
        nn::LayerNorm::Saved<B> embedding_norm;
        nn::Dropout dropout;
        nn::TransformerStack::Saved<B> stack;
        ConstView last_hidden;
    };

    /// Keys and values of all rows so far of sequences that grow side by side.
    struct Cache {
        View keys_values;  ///< [slots * capacity, layers * 2 width]: the rows of slot i are i * capacity and on
        Index slots = 0;
        Index capacity = 0;        ///< rows of a slot
        Index const* numbers{};    ///< [slots + 1] = 0, 1, 2, ...
        Index const* doubles{};    ///< [slots] = 0, 2, 4, ...
        Index* offsets = nullptr;  ///< [2 slots + 1], written at every step
        Index* groups = nullptr;   ///< [slots + 1], likewise
        std::vector<Index> host{};
    };

    /// Places all weights in the layout; none is made here.
    ///
    /// @param vocabulary  V_s, of the source: rows of a table of its own
    /// @param latent      D, width of the embeddings, 1 to 2^20
    /// @param scale       what a row of the source table is read with
    /// @param table       [V_t, D], the target tokens' table, shared with the source where the options say so
    /// @throws Error naming the option that is out of its range
    Autoregressive(nn::ParameterLayout& layout, Options const& options, Index vocabulary, Index latent, double scale,
                   nn::Parameter table)
        : options_(options), latent_(latent) {
        detail::check_transformer_pair("Autoregressive", options_, "the width of an embedding", latent_);
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
        if (options_.embedding_norm) embedding_norm_ = nn::LayerNorm(layout, "decoder.layernorm_embedding", width);
        stack_ = nn::TransformerStack(layout, "decoder", options_.layers,
                                      {.width = width,
                                       .heads = options_.heads,
                                       .hidden = options_.hidden,
                                       .activation = options_.activation,
                                       .normalize_before = options_.decoder_normalize_before,
                                       .cross = true,
                                       .causal = true});
    }

    /// The same for a space: its vocabulary, width, scale and table.
    /// @param source_vocabulary  of the source, where it is not the space's
    /// @throws Error as above, and when the source is to share a table that is of another vocabulary or that its space
    ///         does not read as it is
    template <EmbeddingSpace Space>
    Autoregressive(nn::ParameterLayout& layout, Options const& options, Space const& space,
                   std::optional<Index> source_vocabulary = {})
        : Autoregressive(layout, options, source_vocabulary.value_or(space.vocabulary()), space.width(), space.scale(),
                         space.table()) {
        detail::require_shareable<Space, B>("Autoregressive", options.share_embedding, source_vocabulary);
    }

    [[nodiscard]] Options const& options() const { return options_; }
    [[nodiscard]] Index longest_source() const { return options_.longest_source; }
    [[nodiscard]] Index longest_target() const { return options_.longest_target; }
    [[nodiscard]] double dropout() const { return options_.dropout; }

    /// Reads the source tokens, and makes the keys and values that every step shares.
    ///
    /// @param saved null outside training
    /// @throws Error when a sentence is longer than the options' longest_source
    [[nodiscard]] Encoded encode(nn::Pass<B>& pass, PackedSequences const& source, Saved* saved = nullptr) const {
        detail::require_fits("Autoregressive", "source", source.segments.longest, options_.longest_source);
        Encoded const encoded = Encoded::take(pass, source, options_.width, options_.layers);
        encoder_.forward(pass, source, encoded.output, saved ? &saved->encoder : nullptr);
        stack_.make_keys_values(pass, ConstView(encoded.output), encoded.keys_values);
        return encoded;
    }
    /// Backward pass of encode.
    ///
    /// @param doutput      [Ns, width], the gradient that reaches the output by other ways; overwritten
    /// @param dkeys_values [Ns, layers * 2 width] from predict_backward
    void encode_backward(nn::Pass<B>& pass, Encoded const& encoded, Saved const& saved, View doutput,
                         View dkeys_values) const {
        stack_.make_keys_values_backward(pass, ConstView(encoded.output), ConstView(dkeys_values), doutput);
        encoder_.backward(pass, encoded.source, saved.encoder, doutput);
    }

    /// out [Nt, D] for all rows of the target at once, z [Nt, D]: row i is what the rows up to it say of the next
    /// token.
    ///
    /// @param saved null outside training; else z must outlive the backward pass
    /// @throws Error when a sentence is longer than the options' longest_target
    void predict(nn::Pass<B>& pass, PackedSequences const& target, Encoded const& source, ConstView z, View out,
                 Saved* saved = nullptr) const {
        detail::require_fits("Autoregressive", "target", target.segments.longest, options_.longest_target);
        auto const mark = pass.workspace.mark();
        View hidden = enter(pass, z);
        positions_.forward(pass, target, hidden);
        if (embedding_norm_.exists()) {
            View const normalized = saved ? pass.take(hidden.rows, hidden.cols) : hidden;
            embedding_norm_.forward(pass, ConstView(hidden), normalized, saved ? &saved->embedding_norm : nullptr);
            hidden = normalized;
        }
        nn::Dropout const dropped = nn::Dropout::next(pass);
        dropped.apply(pass, hidden);
        hidden = stack_.forward(pass, target.segments, hidden, {}, shape(target.segments, source),
                                ConstView(source.keys_values), saved ? &saved->stack : nullptr);
        leave(pass, hidden, out);
        if (saved) {
            saved->z = z;
            saved->dropout = dropped;
            saved->last_hidden = hidden;
        } else {
            pass.workspace.release(mark);
        }
    }
    /// Backward pass of predict.
    ///
    /// @param dz            [Nt, D] is added to
    /// @param dkeys_values  [Ns, layers * 2 width] is overwritten
    void predict_backward(nn::Pass<B>& pass, PackedSequences const& target, Encoded const& source, Saved const& saved,
                          ConstView dout, View dz, View dkeys_values) const {
        nn::Scope<B> const scope(pass.workspace);
        View const dhidden = pass.take(dout.rows, options_.width);
        if (output_.exists())
            output_.backward(pass, saved.last_hidden, dout, dhidden);
        else
            scale(pass.device, Scalar{1}, dout, dhidden);
        stack_.backward(pass, target.segments, saved.stack, dhidden, shape(target.segments, source), dkeys_values);
        saved.dropout.apply(pass, dhidden);
        if (embedding_norm_.exists()) embedding_norm_.backward(pass, saved.embedding_norm, ConstView(dhidden), dhidden);
        positions_.backward(pass, target, ConstView(dhidden));
        if (projection_.exists())
            projection_.backward(pass, saved.z, ConstView(dhidden), dz, true);
        else
            add(pass.device, dz, dhidden, dz);
    }

    /// Room for `slots` sequences of up to `rows` rows each, in the pass's memory.
    /// @throws Error when the rows are more than the options' longest_target
    [[nodiscard]] Cache make_cache(nn::Pass<B>& pass, Index slots, Index rows) const {
        detail::require_fits("Autoregressive", "target", rows, options_.longest_target);
        Cache cache{.keys_values = pass.take(slots * rows, stack_.keys_values_width()),
                    .slots = slots,
                    .capacity = rows,
                    .offsets = pass.workspace.template take<Index>(2 * slots + 1),
                    .groups = pass.workspace.template take<Index>(slots + 1)};
        auto const constant = [&](Index count, Index factor) {
            cache.host.clear();
            for (Index i = 0; i < count; ++i) cache.host.push_back(factor * i);
            auto* const memory = pass.workspace.template take<Index>(count);
            upload(pass.device, std::span<Index const>(cache.host), memory);
            return memory;
        };
        cache.numbers = constant(slots + 1, 1);
        cache.doubles = constant(slots, 2);
        cache.host.reserve(static_cast<std::size_t>(2 * slots + 1));
        return cache;
    }
    /// out [R, D] of one new row z [R, D] of each of R = sources * each sequences, whose rows before it are in the
    /// cache; to the rounding of sums, what predict gives in those rows. Nothing is allocated after the first call.
    ///
    /// @param source  `source_of` names the source of each group of `each` sequences
    /// @param rows    `each` is 1 or `slots`
    void predict_next(nn::Pass<B>& pass, Encoded const& source, Cache& cache, NextRows const& rows, ConstView z,
                      View out) const {
        require(rows.each == 1 || rows.each == rows.slots, "inkling::denoiser::Autoregressive: each source has ",
                rows.each, " sequences and ", rows.slots, " slots, expected 1 sequence or as many as slots");
        nn::Scope<B> const scope(pass.workspace);
        Index const count = rows.sources * rows.each;
        auto const slot = [&](Index row) { return row / rows.each * rows.slots + row % rows.each; };
        // Sequence r is "sentence" 2 r of the keys: all rows of its slot that there are. What lies between two of them
        // is another sentence, which nobody looks at.
        cache.host.clear();
        for (Index row = 0; row < count; ++row) {
            cache.host.push_back(slot(row) * cache.capacity);
            cache.host.push_back(slot(row) * cache.capacity + rows.place + 1);
        }
        cache.host.push_back(cache.slots * cache.capacity);
        upload(pass.device, std::span<Index const>(cache.host), cache.offsets);
        cache.host.clear();
        for (Index s = 0; s <= rows.sources; ++s) cache.host.push_back(s * rows.each);
        upload(pass.device, std::span<Index const>(cache.host), cache.groups);
        Segments const keys{cache.offsets, 2 * count, cache.keys_values.rows, cache.capacity};
        backend::AttentionShape const own{{cache.numbers, count, count, 1}, keys, options_.heads, cache.doubles, false};

        View const hidden = enter(pass, z);
        positions_.forward_at(pass, rows.place, hidden);
        if (embedding_norm_.exists()) embedding_norm_.forward(pass, ConstView(hidden), hidden);
        Index const apart = (rows.each == 1 ? rows.slots : 1) * cache.capacity;
        View const all = cache.keys_values;
        View const new_rows(all.row(rows.place), count, all.cols, apart * all.stride);
        leave(pass,
              stack_.forward_next(pass, own, ConstView(all), new_rows, hidden,
                                  shape({cache.groups, rows.sources, count, rows.each}, source),
                                  ConstView(source.keys_values)),
              out);
    }
    /// Copies the first `rows` rows of one slot of the cache to another.
    void copy_sequence(nn::Pass<B>& pass, Cache& cache, Index from, Index to, Index rows) const {
        View const all = cache.keys_values;
        copy(pass.device, static_cast<Scalar const*>(all.row(from * cache.capacity)), all.row(to * cache.capacity),
             rows * all.cols);
    }

private:
    [[nodiscard]] backend::AttentionShape shape(Segments const& target, Encoded const& source) const {
        return {target, source.source.segments, options_.heads, source.source_of, false};
    }

    /// hidden [N, width] = P z, in memory of its own.
    [[nodiscard]] View enter(nn::Pass<B>& pass, ConstView z) const {
        View const hidden = pass.take(z.rows, options_.width);
        if (projection_.exists())
            projection_.forward(pass, z, hidden);
        else
            scale(pass.device, Scalar{1}, z, hidden);
        return hidden;
    }
    /// out [N, D] = P'' hidden.
    void leave(nn::Pass<B>& pass, ConstView hidden, View out) const {
        if (output_.exists())
            output_.forward(pass, hidden, out);
        else
            scale(pass.device, Scalar{1}, hidden, out);
    }

    AutoregressiveOptions options_;
    Index latent_;
    SourceEncoder<B> encoder_;
    nn::Linear projection_, output_;
    PositionTable positions_;
    nn::LayerNorm embedding_norm_;
    nn::TransformerStack stack_;
};

}  // namespace inkling::denoiser
