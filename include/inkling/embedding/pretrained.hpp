#pragma once

#include <inkling/core/error.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/embedding/vector_table.hpp>

#include <cmath>
#include <concepts>
#include <memory>
#include <type_traits>
#include <vector>

namespace inkling::embedding {

/// Settings of Pretrained.
struct PretrainedOptions {
    Index width = 32;           ///< D, 1 to 2^20
    double start_noise = 0.01;  ///< standard deviation of what training adds to make z0, [0, 1)
    bool frozen = true;         ///< false: training goes on with the table too, and its norms become what they may
    /// [V, D], rows of norm sqrt(D), from `normalized`; shared, never copied. A model file holds it: who loads one
    /// leaves this empty
    std::shared_ptr<VectorTable const> table{};
};

/// z0 = E[w] + start_noise * noise with a table E [V, D] that was trained elsewhere and, unless it is not `frozen`, is
/// trained no more; logits = R z with a read-out R that starts as E and is trained.
///
/// Nothing pulls embeddings together that do not move, so no anchor is needed, and what the table knows of words is
/// there from the first update. D is small, by a bottleneck of a wider table: backend::principal_components. Sampling
/// adds no noise.
/// Source: Strudel et al. 2022, "Self-conditioned Embedding Diffusion for Text Generation", arXiv:2211.04236,
/// section 3.
class Pretrained {
public:
    using Options = PretrainedOptions;

    /// What embed_backward needs; nothing here.
    template <Backend B>
    struct Saved {};

    /// @throws Error when an option is out of its range, or the table has not a row a token, another width, or rows of
    ///         another norm than sqrt(D)
    Pretrained(nn::ParameterLayout& layout, Index vocabulary, Options const& options)
        : start_noise_(checked(options, vocabulary).start_noise),
          frozen_(options.frozen),
          table_(layout.add_matrix("embedding.weight", vocabulary, options.width, start(options))),
          readout_(layout.add_matrix("readout.weight", vocabulary, options.width, start(options))) {
        if (frozen_) layout.freeze(table_);
    }

    [[nodiscard]] Index width() const { return table_.cols; }
    [[nodiscard]] Index vocabulary() const { return table_.rows; }
    [[nodiscard]] double scale() const { return 1.0; }
    [[nodiscard]] nn::Parameter table() const { return table_; }
    [[nodiscard]] nn::Parameter readout() const { return readout_; }
    [[nodiscard]] double start_noise() const { return start_noise_; }

    /// The embeddings [N, D] of tokens [N], without noise. The last argument is what the concept asks for; nothing is
    /// saved.
    template <Backend B>
    void embed(nn::Pass<B>& pass, TokenView tokens, MatrixView<typename B::Scalar> z0, Saved<B>* = nullptr) const {
        gather(pass.device, pass.matrix(table_), tokens, typename B::Scalar{1}, z0);
    }
    /// Adds the gradient of z0 to that of the table, where it is trained.
    template <Backend B>
    void embed_backward(nn::Pass<B>& pass, TokenView tokens, Saved<B> const&,
                        MatrixView<typename B::Scalar> dz0) const {
        if (!frozen_) scatter_add(pass.device, dz0, tokens, typename B::Scalar{1}, pass.matrix_gradient(table_));
    }

private:
    [[nodiscard]] static Options const& checked(Options const& options, Index vocabulary) {
        constexpr Index widest = Index{1} << 20;
        constexpr char const* where = "inkling::embedding::Pretrained: ";
        require(options.width >= 1 && options.width <= widest, where, "width is ", options.width, ", expected 1 to ",
                widest);
        require(options.start_noise >= 0.0 && options.start_noise < 1.0, where, "start_noise is ", options.start_noise,
                ", expected a number in [0, 1)");
        if (!options.table) return options;
        VectorTable const& table = *options.table;
        require(table.width == options.width, where, "the table has width ", table.width, ", expected ", options.width,
                ", the option 'width'");
        require(table.rows() == vocabulary, where, "the table has ", table.rows(), " rows, expected ", vocabulary,
                ", one for each token of the vocabulary, in its order (was it made with another tokenizer?)");
        double const wanted = std::sqrt(static_cast<double>(table.width));
        for (Index row = 0; row < table.rows(); ++row) {
            double squares = 0.0;
            for (Index i = 0; i < table.width; ++i) {
                auto const value = static_cast<double>(table.values[static_cast<std::size_t>(row * table.width + i)]);
                squares += value * value;
            }
            require(std::abs(std::sqrt(squares) - wanted) <= 1e-3 * wanted, where, "row ", row,
                    " of the table has the norm ", std::sqrt(squares), ", expected ", wanted,
                    ", sqrt(D), as 'normalized' makes it");
        }
        return options;
    }
    static nn::Initializer start(Options const& options) {
        if (!options.table) return nn::Initializer::given(nullptr);
        return nn::Initializer::given(std::shared_ptr<std::vector<float> const>(options.table, &options.table->values));
    }

    double start_noise_;
    bool frozen_;
    nn::Parameter table_;
    nn::Parameter readout_;
};
static_assert(EmbeddingSpace<Pretrained>);

/// Names every setting once, for model files and their checks. The table is no setting but weights.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, PretrainedOptions>
void describe(Options& options, Visit const& visit) {
    visit("width", options.width);
    visit("start_noise", options.start_noise);
    visit("frozen", options.frozen);
}

}  // namespace inkling::embedding
