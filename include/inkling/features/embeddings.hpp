#pragma once

#include <inkling/features/concept.hpp>

#include <array>
#include <concepts>
#include <span>
#include <string_view>
#include <type_traits>

namespace inkling::features {

/// Settings of Embeddings.
struct EmbeddingsOptions {
    bool learned = false;  ///< the embeddings are trained for the task, from where the denoiser has them
};

/// Names every setting once, for model files and their checks.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, EmbeddingsOptions>
void describe(Options& options, Visit const& visit) {
    visit("learned", options.learned);
}

/// The embeddings of a line's tokens, which know nothing of each other: a bag of words, to hold features against.
///
/// What is learned is how far each embedding lies from the denoiser's, and starts as 0.
class Embeddings {
public:
    static constexpr std::string_view kind = "embeddings";
    using Options = EmbeddingsOptions;

    /// The embeddings, for the backward pass.
    template <class Model>
    struct Saved {
        std::array<MatrixView<typename Model::Device::Scalar>, 1> states{};
    };

    template <EmbeddingSpace Space, class Model>
    Embeddings(nn::ParameterLayout& layout, Options const& options, Space const& space, Model const&)
        : width_(space.width()) {
        if (options.learned)
            moved_ = layout.add_matrix("source.moved", space.vocabulary(), width_, nn::Initializer::zero());
    }

    [[nodiscard]] Index states() const { return 1; }
    [[nodiscard]] Index width() const { return width_; }
    /// Lines are read as they are.
    [[nodiscard]] std::span<double const> levels() const { return {}; }
    [[nodiscard]] bool learns() const { return moved_.exists(); }

    /// One matrix [N, D].
    template <EmbeddingSpace Space, Denoiser Model, Backend B = typename Model::Device>
    [[nodiscard]] std::span<MatrixView<typename B::Scalar> const> read(Frozen<Space, Model> const& frozen,
                                                                       nn::Pass<B>& pass, Batch<B> const& batch,
                                                                       Saved<Model>& saved) const {
        auto const rows = pass.take(batch.lines.segments.rows, width_);
        frozen.space.embed(frozen.pass, batch.lines.tokens, rows);
        if (learns()) gather(pass.device, pass.matrix(moved_), batch.lines.tokens, typename B::Scalar{1}, rows, true);
        saved.states = {rows};
        return saved.states;
    }
    /// Adds the gradient of what is learned.
    template <EmbeddingSpace Space, Denoiser Model, Backend B = typename Model::Device>
    void read_backward(Frozen<Space, Model> const&, nn::Pass<B>& pass, Batch<B> const& batch, Saved<Model>&,
                       std::span<MatrixView<typename B::Scalar> const> dstates) const {
        if (learns())
            scatter_add(pass.device, dstates[0], batch.lines.tokens, typename B::Scalar{1},
                        pass.matrix_gradient(moved_));
    }

private:
    Index width_;
    nn::Parameter moved_{};  ///< [V, D], learned embeddings less the denoiser's
};

}  // namespace inkling::features
