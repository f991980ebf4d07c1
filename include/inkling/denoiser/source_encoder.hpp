#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/denoiser/positions.hpp>
#include <inkling/nn/transformer_stack.hpp>

#include <cmath>
#include <vector>

namespace inkling::denoiser {

/// Sizes and switches of SourceEncoder, checked by whom it is a part of.
struct SourceEncoderOptions {
    Index width = 256;
    Index layers = 4;
    Index heads = 4;
    Index hidden = 1024;
    Index longest = 256;  ///< rows for which there are positions
    backend::Activation activation = backend::Activation::relu;
    Positions positions = Positions::learned;
    bool share_embedding = true;  ///< source tokens use the table of the target's
    bool embedding_norm = false;  ///< layer norm on the input
    bool normalize_before = false;
};

/// The half of an encoder-decoder that reads the source: tokens [Ns] to rows [Ns, width].
///
/// hidden = LN(P scale E[w] + position), Transformer layers over it; the norm where the options have it. Parameter
/// names and their order are fairseq's.
template <Backend B>
class SourceEncoder {
public:
    using Scalar = typename B::Scalar;
    using View = MatrixView<Scalar>;
    using ConstView = MatrixView<Scalar const>;

    /// Values of the forward pass that the backward pass reads.
    struct Saved {
        View embedded;
        nn::LayerNorm::Saved<B> embedding_norm;
        nn::Dropout input_dropout;
        nn::TransformerStack::Saved<B> stack;
    };

    SourceEncoder() = default;
    /// @param vocabulary  V_s, of the source: rows of a table of its own
    /// @param latent      D, width of a row of the table
    /// @param scale       what a row of the table is read with
    /// @param table       [V_t, D], the target tokens' table
    SourceEncoder(nn::ParameterLayout& layout, SourceEncoderOptions const& options, Index vocabulary, Index latent,
                  double scale, nn::Parameter table)
        : latent_(latent), scale_(scale), width_(options.width) {
        if (options.share_embedding)
            layout.add_alias(table_ = table, "encoder.embed_tokens.weight");
        else
            table_ = layout.add_matrix("encoder.embed_tokens.weight", vocabulary, latent,
                                       nn::Initializer::normal(1.0 / std::sqrt(static_cast<double>(latent))));
        positions_ = PositionTable(layout, "encoder", options.positions, options.longest, options.width);
        if (options.embedding_norm)
            embedding_norm_ = nn::LayerNorm(layout, "encoder.layernorm_embedding", options.width);
        stack_ = nn::TransformerStack(layout, "encoder", options.layers,
                                      {.width = options.width,
                                       .heads = options.heads,
                                       .hidden = options.hidden,
                                       .activation = options.activation,
                                       .normalize_before = options.normalize_before});
        if (latent != options.width)
            projection_ = nn::Linear(layout, "encoder.project_in_dim", latent, options.width, false);
    }

    /// The map from D to the width; does not exist where they are the same.
    [[nodiscard]] nn::Linear const& projection() const { return projection_; }

    /// output [Ns, width] of the source tokens.  @param saved null outside training
    void forward(nn::Pass<B>& pass, PackedSequences const& source, View output, Saved* saved = nullptr) const {
        Index const rows = source.segments.rows;
        auto const mark = pass.workspace.mark();
        View const embedded = pass.take(rows, latent_);
        gather(pass.device, pass.matrix(table_), source.tokens, static_cast<Scalar>(scale_), embedded);
        View hidden = embedded;
        if (projection_.exists()) {
            hidden = pass.take(rows, width_);
            projection_.forward(pass, embedded, hidden);
        }
        positions_.forward(pass, source, hidden);
        if (embedding_norm_.exists()) {
            View const normalized = saved ? pass.take(rows, width_) : hidden;
            embedding_norm_.forward(pass, ConstView(hidden), normalized, saved ? &saved->embedding_norm : nullptr);
            hidden = normalized;
        }
        nn::Dropout const dropped = nn::Dropout::next(pass);
        dropped.apply(pass, hidden);
        if (saved) {
            saved->embedded = embedded;
            saved->input_dropout = dropped;
        }
        (void)stack_.forward(pass, source.segments, hidden, output, {}, {}, saved ? &saved->stack : nullptr);
        if (!saved) pass.workspace.release(mark);
    }
    /// Backward pass of forward.  @param doutput [Ns, width] is overwritten
    void backward(nn::Pass<B>& pass, PackedSequences const& source, Saved const& saved, View doutput) const {
        nn::Scope<B> const scope(pass.workspace);
        stack_.backward(pass, source.segments, saved.stack, doutput);
        saved.input_dropout.apply(pass, doutput);
        if (embedding_norm_.exists()) embedding_norm_.backward(pass, saved.embedding_norm, ConstView(doutput), doutput);
        positions_.backward(pass, source, ConstView(doutput));
        View dembedded = doutput;
        if (projection_.exists()) {
            dembedded = pass.take(doutput.rows, latent_);
            projection_.backward(pass, ConstView(saved.embedded), ConstView(doutput), dembedded);
        }
        scatter_add(pass.device, dembedded, source.tokens, static_cast<Scalar>(scale_), pass.matrix_gradient(table_));
    }

private:
    Index latent_ = 0;
    double scale_ = 1.0;
    Index width_ = 0;
    nn::Parameter table_;
    PositionTable positions_;
    nn::LayerNorm embedding_norm_;
    nn::TransformerStack stack_;
    nn::Linear projection_;
};

}  // namespace inkling::denoiser
