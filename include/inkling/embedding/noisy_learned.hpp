#pragma once

#include <inkling/core/error.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/embedding/nearest.hpp>

#include <cmath>
#include <concepts>
#include <type_traits>

namespace inkling::embedding {

/// How clamping finds the token of an estimate.
enum class Clamping {
    readout,  ///< the likeliest under the read-out
    nearest   ///< the one whose embedding is nearest
};

/// Settings of NoisyLearned.
struct NoisyLearnedOptions {
    Index width = 128;         ///< D, 1 to 2^20
    double start_noise = 0.0;  ///< standard deviation of what training adds to make z0, [0, 1); DiffuSeq: the noise of
                               ///< its table's first step
    bool tied = true;          ///< the read-out is the table
    bool readout_bias = true;  ///< the read-out adds a number to each token's logit
    Clamping clamping = Clamping::nearest;
    double standard_deviation = 1.0;  ///< of the starting values; positive
};

/// z0 = E[w] + start_noise * noise with a trained table E [V, D]; logits = R z + b with R = E (tied), or a table of its
/// own.
///
/// That z0 is a little off its embedding makes the read-out leave room around each: the rounding loss is then of use.
/// Sampling adds nothing. Clamping takes the embedding that is nearest in L2, which unlike the read-out does not favour
/// long ones.
/// Source: Li et al. 2022, "Diffusion-LM", arXiv:2205.14217, section 4.2 and code; parameter names are those of
/// DiffuSeq's.
class NoisyLearned {
public:
    using Options = NoisyLearnedOptions;

    /// What embed_backward needs; nothing here.
    template <Backend B>
    struct Saved {};

    /// @throws Error when the vocabulary is not positive, or an option is out of its range
    NoisyLearned(nn::ParameterLayout& layout, Index vocabulary, Options const& options)
        : options_(checked(options)),
          table_(layout.add_matrix("word_embedding.weight", vocabulary, options.width,
                                   nn::Initializer::normal(options.standard_deviation))) {
        if (options.tied)
            layout.add_alias(readout_ = table_, "lm_head.weight");
        else
            readout_ = layout.add_matrix("lm_head.weight", vocabulary, options.width,
                                         nn::Initializer::normal(options.standard_deviation));
        if (options.readout_bias) bias_ = layout.add_vector("lm_head.bias", vocabulary, nn::Initializer::zero());
    }

    [[nodiscard]] Index width() const { return options_.width; }
    [[nodiscard]] Index vocabulary() const { return table_.rows; }
    [[nodiscard]] double scale() const { return 1.0; }
    [[nodiscard]] nn::Parameter table() const { return table_; }
    [[nodiscard]] nn::Parameter readout() const { return readout_; }
    [[nodiscard]] nn::Parameter readout_bias() const { return bias_; }
    [[nodiscard]] double start_noise() const { return options_.start_noise; }

    /// The embeddings [N, D] of tokens [N], without noise. The last argument is what the concept asks for; nothing is
    /// saved.
    template <Backend B>
    void embed(nn::Pass<B>& pass, TokenView tokens, MatrixView<typename B::Scalar> z0, Saved<B>* = nullptr) const {
        gather(pass.device, pass.matrix(table_), tokens, typename B::Scalar{1}, z0);
    }
    /// Adds the gradient of z0 to that of the table; dz0 may be overwritten.
    template <Backend B>
    void embed_backward(nn::Pass<B>& pass, TokenView tokens, Saved<B> const&,
                        MatrixView<typename B::Scalar> dz0) const {
        scatter_add(pass.device, dz0, tokens, typename B::Scalar{1}, pass.matrix_gradient(table_));
    }

    /// The token [N] that clamping takes each row of z [N, D] for.
    template <Backend B>
    void nearest(nn::Pass<B>& pass, MatrixView<typename B::Scalar const> z, VectorView<Token> tokens) const {
        if (options_.clamping == Clamping::nearest)
            nearest_rows(pass, pass.matrix(table_), z, tokens);
        else
            readout_argmax(pass.device, z, pass.matrix(readout_), pass.vector(bias_), tokens);
    }

private:
    [[nodiscard]] static Options const& checked(Options const& options) {
        constexpr Index widest = Index{1} << 20;
        constexpr char const* where = "inkling::embedding::NoisyLearned: ";
        require(options.width >= 1 && options.width <= widest, where, "width is ", options.width, ", expected 1 to ",
                widest);
        require(options.start_noise >= 0.0 && options.start_noise < 1.0, where, "start_noise is ", options.start_noise,
                ", expected a number in [0, 1)");
        require(options.standard_deviation > 0.0 && std::isfinite(options.standard_deviation), where,
                "standard_deviation is ", options.standard_deviation, ", expected a positive finite number");
        return options;
    }

    Options options_;
    nn::Parameter table_;
    nn::Parameter readout_;
    nn::Parameter bias_{};
};
static_assert(EmbeddingSpace<NoisyLearned>);

/// Names every setting once, for model files and their checks.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, NoisyLearnedOptions>
void describe(Options& options, Visit const& visit) {
    visit("width", options.width);
    visit("start_noise", options.start_noise);
    visit("tied", options.tied);
    visit("readout_bias", options.readout_bias);
    visit("clamping", options.clamping, {"readout", "nearest"});
    visit("standard_deviation", options.standard_deviation);
}

}  // namespace inkling::embedding
