#pragma once

#include <inkling/embedding/learned.hpp>
#include <inkling/nn/layer_norm.hpp>

namespace inkling::embedding {

/// Settings of LayerNormed.
struct LayerNormedOptions {
    Index width = 128;                ///< D, 1 to 2^20
    bool scaled = true;               ///< multiply rows by sqrt(D) first
    bool tied = true;                 ///< the read-out is the table
    double standard_deviation = 0.0;  ///< of the starting values, finite; 0: 1 / sqrt(D)
    bool affine = true;               ///< the norm has gain and bias
};

/// z0 = LayerNorm(sqrt(D) E[w]): all tokens lie at the same distance from the origin, so that training cannot spread
/// them without bound.
///
/// Its norm is there in place of the one on the denoiser's input, and has its name, as in the official checkpoints:
/// beside denoiser::EncoderDecoder set `.denoiser = {.embedding_norm = false}`.
/// Source: Gao et al. 2022, "Difformer", arXiv:2212.09412 version 1, section 3.3 (the official 'before projection').
class LayerNormed {
public:
    using Options = LayerNormedOptions;

    /// What embed_backward needs.
    template <Backend B>
    struct Saved {
        nn::LayerNorm::Saved<B> norm;
    };

    /// @throws Error when the vocabulary is not positive, or an option out of its range
    LayerNormed(nn::ParameterLayout& layout, Index vocabulary, Options const& options)
        : learned_(layout, vocabulary,
                   {.width = options.width,
                    .scaled = options.scaled,
                    .tied = options.tied,
                    .standard_deviation = options.standard_deviation}),
          norm_(layout, "decoder.embed_norm", options.width, options.affine) {}

    [[nodiscard]] Index width() const { return learned_.width(); }
    [[nodiscard]] Index vocabulary() const { return learned_.vocabulary(); }
    [[nodiscard]] double scale() const { return learned_.scale(); }
    [[nodiscard]] nn::Parameter table() const { return learned_.table(); }
    [[nodiscard]] nn::Parameter readout() const { return learned_.readout(); }

    /// z0 [N, D] of tokens [N]. @param saved null outside training
    template <Backend B>
    void embed(nn::Pass<B>& pass, TokenView tokens, MatrixView<typename B::Scalar> z0,
               Saved<B>* saved = nullptr) const {
        auto const mark = pass.workspace.mark();
        auto const raw = pass.take(z0.rows, z0.cols);
        learned_.embed(pass, tokens, raw);
        norm_.forward(pass, raw, z0, saved ? &saved->norm : nullptr);
        if (!saved) pass.workspace.release(mark);
    }
    /// Adds the gradient of z0 to those of table and norm; dz0 is overwritten.
    template <Backend B>
    void embed_backward(nn::Pass<B>& pass, TokenView tokens, Saved<B> const& saved,
                        MatrixView<typename B::Scalar> dz0) const {
        norm_.backward(pass, saved.norm, dz0, dz0);
        learned_.embed_backward(pass, tokens, {}, dz0);
    }

private:
    Learned learned_;
    nn::LayerNorm norm_;
};
static_assert(EmbeddingSpace<LayerNormed>);

/// Names every setting once, for model files and their checks.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, LayerNormedOptions>
void describe(Options& options, Visit const& visit) {
    visit("width", options.width);
    visit("scaled", options.scaled);
    visit("tied", options.tied);
    visit("standard_deviation", options.standard_deviation);
    visit("affine", options.affine);
}

}  // namespace inkling::embedding
