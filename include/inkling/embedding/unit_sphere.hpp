#pragma once

#include <inkling/core/error.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/embedding/nearest.hpp>

#include <cmath>
#include <concepts>
#include <type_traits>

namespace inkling::embedding {

/// Settings of UnitSphere.
struct UnitSphereOptions {
    Index width = 64;                  ///< D, 1 to 2^20
    bool normalized = true;            ///< rows are read at length sqrt(D); else as they are, DINOISER's 'unnormalized'
    double standard_deviation = 1e-3;  ///< of the starting values; positive
};

/// z0 = sqrt(D) E[w] / |E[w]| with a trained table E [V, D]: every token lies on one sphere, and training can move them
/// only apart. The read-out is the same matrix, logits = z0(v) z.
///
/// The norm of a row has no effect but on how fast it turns: rows that start short turn fast. Clamping takes the
/// embedding that is nearest in L2, which on the sphere is the likeliest token too.
/// Source: Ye et al. 2023, "DINOISER", arXiv:2302.10025, and its code; Dieleman et al. 2022, "CDCD", arXiv:2211.15089.
class UnitSphere {
public:
    using Options = UnitSphereOptions;

    /// What the backward pass needs: the rows before they were normalised.
    template <Backend B>
    struct Saved {
        MatrixView<typename B::Scalar const> rows;  ///< [N, D]
    };

    /// @throws Error when the vocabulary is not positive, or an option is out of its range
    UnitSphere(nn::ParameterLayout& layout, Index vocabulary, Options const& options)
        : options_(checked(options)),
          table_(layout.add_matrix("vae.embedding.weight", vocabulary, options.width,
                                   nn::Initializer::normal(options.standard_deviation))) {}

    [[nodiscard]] Index width() const { return options_.width; }
    [[nodiscard]] Index vocabulary() const { return table_.rows; }
    [[nodiscard]] double scale() const { return 1.0; }
    [[nodiscard]] nn::Parameter table() const { return table_; }
    [[nodiscard]] nn::Parameter readout() const { return table_; }

    /// z0 [N, D] of tokens [N]. @param saved null outside training
    template <Backend B>
    void embed(nn::Pass<B>& pass, TokenView tokens, MatrixView<typename B::Scalar> z0,
               Saved<B>* saved = nullptr) const {
        bool const keeps = saved != nullptr && options_.normalized;
        auto const rows = keeps ? pass.take(z0.rows, z0.cols) : z0;
        gather(pass.device, pass.matrix(table_), tokens, typename B::Scalar{1}, rows);
        if (options_.normalized) normalize_rows(pass.device, rows, length<B>(), z0);
        if (saved) saved->rows = rows;
    }
    /// Adds the gradient of z0 to that of the table; dz0 is overwritten.
    template <Backend B>
    void embed_backward(nn::Pass<B>& pass, TokenView tokens, Saved<B> const& saved,
                        MatrixView<typename B::Scalar> dz0) const {
        if (options_.normalized) normalize_rows_backward(pass.device, dz0, saved.rows, length<B>(), dz0);
        scatter_add(pass.device, dz0, tokens, typename B::Scalar{1}, pass.matrix_gradient(table_));
    }

    /// The table as it is read, [V, D], in memory of the pass where it is normalised: what logits are made with.
    template <Backend B>
    [[nodiscard]] MatrixView<typename B::Scalar const> make_readout(nn::Pass<B>& pass) const {
        if (!options_.normalized) return pass.matrix(table_);
        auto const read = pass.take(table_.rows, table_.cols);
        normalize_rows(pass.device, pass.matrix(table_), length<B>(), read);
        return read;
    }
    /// Adds the gradient of make_readout's matrix [V, D] to that of the table.
    template <Backend B>
    void readout_backward(nn::Pass<B>& pass, MatrixView<typename B::Scalar const> gradient) const {
        auto const own = pass.matrix_gradient(table_);
        if (options_.normalized)
            normalize_rows_backward(pass.device, gradient, pass.matrix(table_), length<B>(), own, true);
        else
            add(pass.device, own, gradient, own);
    }

    /// The token [N] whose embedding is nearest to each row of z [N, D].
    template <Backend B>
    void nearest(nn::Pass<B>& pass, MatrixView<typename B::Scalar const> z, VectorView<Token> tokens) const {
        nn::Scope<B> const scope(pass.workspace);
        nearest_rows(pass, make_readout(pass), z, tokens);
    }

private:
    [[nodiscard]] static Options const& checked(Options const& options) {
        constexpr Index widest = Index{1} << 20;
        constexpr char const* where = "inkling::embedding::UnitSphere: ";
        require(options.width >= 1 && options.width <= widest, where, "width is ", options.width, ", expected 1 to ",
                widest);
        require(options.standard_deviation > 0.0 && std::isfinite(options.standard_deviation), where,
                "standard_deviation is ", options.standard_deviation, ", expected a positive finite number");
        return options;
    }
    template <Backend B>
    [[nodiscard]] typename B::Scalar length() const {
        return static_cast<typename B::Scalar>(std::sqrt(static_cast<double>(options_.width)));
    }

    Options options_;
    nn::Parameter table_;
};
static_assert(EmbeddingSpace<UnitSphere>);

/// Names every setting once, for model files and their checks.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, UnitSphereOptions>
void describe(Options& options, Visit const& visit) {
    visit("width", options.width);
    visit("normalized", options.normalized);
    visit("standard_deviation", options.standard_deviation);
}

}  // namespace inkling::embedding
