#pragma once

#include <inkling/core/error.hpp>
#include <inkling/features/concept.hpp>
#include <inkling/nn/linear.hpp>

#include <cstddef>
#include <span>
#include <vector>

namespace inkling::features {

/// logits = W pool(source(lines)) + b: which of some classes a line is of.
///
/// It holds places of parameters: those of the source, of the pool, and of the linear map, in this order.
template <class Source, class Pool>
class Classifier {
public:
    /// What a step needs, reused from step to step.
    template <class Model>
    struct Saved {
        typename Source::template Saved<Model> source;
        typename Pool::template Saved<typename Model::Device> pool;
        std::vector<MatrixView<typename Model::Device::Scalar>> dstates;
    };

    /// @param classes  C, 2 to 2^20
    /// @throws Error as source and pool do, and when there are not as many classes
    template <EmbeddingSpace Space, Denoiser Model>
        requires FeatureSource<Source, Space, Model> && FeaturePool<Pool, typename Model::Device>
    Classifier(nn::ParameterLayout& layout, typename Source::Options const& source, typename Pool::Options const& pool,
               Space const& space, Model const& model, Index classes)
        : source_(layout, source, space, model), pool_(layout, pool, shape_of(source_)) {
        constexpr Index most = Index{1} << 20;
        require(classes >= 2 && classes <= most, "inkling::features::Classifier: ", classes, " classes, expected 2 to ",
                most);
        map_ = nn::Linear(layout, "classifier", pool_.width(), classes, true);
    }

    [[nodiscard]] Source const& source() const { return source_; }
    [[nodiscard]] Pool const& pool() const { return pool_; }
    [[nodiscard]] Index classes() const { return map_.weight.rows; }
    /// Noise levels that every line is read at, L.
    [[nodiscard]] Index levels() const { return shape_of(source_).levels; }

    /// Cross-entropy of the lines' classes, and where pass.gradients is set the gradient of its mean, added there.
    ///
    /// @param targets    [S]
    /// @param smoothing  of the labels, [0, 1)
    /// @param sums       [2], sums over lines of the negative log-likelihood and of the loss
    template <EmbeddingSpace Space, Denoiser Model, Backend B = typename Model::Device>
    void loss(Frozen<Space, Model> const& frozen, nn::Pass<B>& pass, Batch<B> const& batch, TokenView targets,
              double smoothing, double* sums, Saved<Model>& saved) const {
        using View = MatrixView<typename B::Scalar>;
        bool const training = pass.gradients != nullptr;
        auto const [states, pooled] = look(frozen, pass, batch, saved);
        nn::Dropout const dropped = nn::Dropout::next(pass);
        dropped.apply(pass, pooled);
        View const dpooled = training ? pass.take_zeros(pooled.rows, pooled.cols) : View{};
        readout_cross_entropy(pass.device, pooled, pass.matrix(map_.weight), pass.vector(map_.bias), targets, smoothing,
                              1.0 / static_cast<double>(pooled.rows), sums, dpooled,
                              training ? pass.matrix_gradient(map_.weight) : View{}, pass.vector_gradient(map_.bias));
        if (!training) return;
        dropped.apply(pass, dpooled);
        saved.dstates.clear();
        if (source_.learns())
            for (View const& state : states) saved.dstates.push_back(pass.take_zeros(state.rows, state.cols));
        pool_.pool_backward(pass, batch, saved.pool, dpooled, saved.dstates);
        if (source_.learns()) source_.read_backward(frozen, pass, batch, saved.source, saved.dstates);
    }

    /// The likeliest class [S] of each line.
    /// @param log_probabilities  [S] takes log p of that class, or empty
    template <EmbeddingSpace Space, Denoiser Model, Backend B = typename Model::Device>
    void predict(Frozen<Space, Model> const& frozen, nn::Pass<B>& pass, Batch<B> const& batch,
                 VectorView<Token> classes, VectorView<typename B::Scalar> log_probabilities,
                 Saved<Model>& saved) const {
        auto const [states, pooled] = look(frozen, pass, batch, saved);
        readout_argmax(pass.device, pooled, pass.matrix(map_.weight), pass.vector(map_.bias), classes,
                       log_probabilities);
    }

private:
    [[nodiscard]] static Shape shape_of(Source const& source) {
        auto const levels = static_cast<Index>(source.levels().size());
        return {source.states(), source.width(), levels == 0 ? 1 : levels};
    }

    template <Backend B>
    struct Seen {
        std::span<MatrixView<typename B::Scalar> const> states;
        MatrixView<typename B::Scalar> pooled;  ///< [S, F]
    };
    template <EmbeddingSpace Space, Denoiser Model, Backend B = typename Model::Device>
    [[nodiscard]] Seen<B> look(Frozen<Space, Model> const& frozen, nn::Pass<B>& pass, Batch<B> const& batch,
                               Saved<Model>& saved) const {
        auto const states = source_.read(frozen, pass, batch, saved.source);
        auto const pooled = pass.take(batch.size(), pool_.width());
        pool_.pool(pass, batch, states, pooled, saved.pool);
        return {states, pooled};
    }

    Source source_;
    Pool pool_;
    nn::Linear map_;
};

}  // namespace inkling::features
