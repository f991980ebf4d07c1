#pragma once

#include <inkling/core/error.hpp>
#include <inkling/embedding/concept.hpp>

#include <cmath>
#include <concepts>
#include <type_traits>

namespace inkling::embedding {

/// Settings of Learned.
struct LearnedOptions {
    Index width = 128;                ///< D, 1 to 2^20
    bool scaled = true;               ///< multiply rows by sqrt(D)
    bool tied = true;                 ///< the read-out is the table
    double standard_deviation = 0.0;  ///< of the starting values, finite; 0: 1 / sqrt(D)
};

/// z0 = sqrt(D) E[w] with a trained table E [V, D]; logits = R z with R = E (tied), or a table of its own.
///
/// Source: Gao et al. 2022, "Difformer", arXiv:2212.09412, section 3, in the form of the official code.
class Learned {
public:
    using Options = LearnedOptions;

    /// What embed_backward needs; nothing here.
    template <Backend B>
    struct Saved {};

    /// @throws Error when the vocabulary is not positive, or an option out of its range
    Learned(nn::ParameterLayout& layout, Index vocabulary, Options const& options)
        : options_(checked(options)),
          table_(layout.add_matrix("decoder.embed_tokens.weight", vocabulary, options.width, start(options))) {
        if (options.tied)
            layout.add_alias(readout_ = table_, "decoder.output_projection.weight");
        else
            readout_ = layout.add_matrix("decoder.output_projection.weight", vocabulary, options.width, start(options));
    }

    [[nodiscard]] Index width() const { return options_.width; }
    [[nodiscard]] Index vocabulary() const { return table_.rows; }
    [[nodiscard]] double scale() const {
        return options_.scaled ? std::sqrt(static_cast<double>(options_.width)) : 1.0;
    }
    [[nodiscard]] nn::Parameter table() const { return table_; }
    [[nodiscard]] nn::Parameter readout() const { return readout_; }

    /// z0 [N, D] of tokens [N]. The last argument is what the concept asks for; nothing is saved.
    template <Backend B>
    void embed(nn::Pass<B>& pass, TokenView tokens, MatrixView<typename B::Scalar> z0, Saved<B>* = nullptr) const {
        gather(pass.device, pass.matrix(table_), tokens, static_cast<typename B::Scalar>(scale()), z0);
    }
    /// Adds the gradient of z0 to that of the table; dz0 may be overwritten.
    template <Backend B>
    void embed_backward(nn::Pass<B>& pass, TokenView tokens, Saved<B> const&,
                        MatrixView<typename B::Scalar> dz0) const {
        scatter_add(pass.device, dz0, tokens, static_cast<typename B::Scalar>(scale()), pass.matrix_gradient(table_));
    }

private:
    [[nodiscard]] static Options const& checked(Options const& options) {
        constexpr Index widest = Index{1} << 20;
        require(options.width >= 1 && options.width <= widest, "inkling::embedding: width is ", options.width,
                ", expected 1 to ", widest);
        require(options.standard_deviation >= 0.0 && std::isfinite(options.standard_deviation),
                "inkling::embedding: standard_deviation is ", options.standard_deviation,
                ", expected a finite number of at least 0");
        return options;
    }
    static nn::Initializer start(Options const& options) {
        double const own = options.standard_deviation;
        return nn::Initializer::normal(own > 0.0 ? own : 1.0 / std::sqrt(static_cast<double>(options.width)));
    }

    Options options_;
    nn::Parameter table_;
    nn::Parameter readout_;
};
static_assert(EmbeddingSpace<Learned>);

/// Names every setting once, for model files and their checks.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, LearnedOptions>
void describe(Options& options, Visit const& visit) {
    visit("width", options.width);
    visit("scaled", options.scaled);
    visit("tied", options.tied);
    visit("standard_deviation", options.standard_deviation);
}

}  // namespace inkling::embedding
