#pragma once

#include <inkling/nn/pass.hpp>

#include <string>

namespace inkling::nn {

/// Layer normalisation with or without gain and bias [D].
struct LayerNorm {
    Index width = 0;
    double epsilon = 1e-5;
    Parameter gain{};
    Parameter bias{};

    /// What the backward pass needs.
    template <Backend B>
    struct Saved {
        MatrixView<typename B::Scalar const> input;  ///< [N, D]
        MatrixView<typename B::Scalar> statistics;   ///< [N, 2]
    };

    LayerNorm() = default;
    LayerNorm(ParameterLayout& layout, std::string const& name, Index width_, bool affine = true,
              double epsilon_ = 1e-5)
        : width(width_), epsilon(epsilon_) {
        if (!affine) return;
        gain = layout.add_vector(name + ".weight", width, Initializer::one());
        bias = layout.add_vector(name + ".bias", width, Initializer::zero());
    }

    [[nodiscard]] bool exists() const { return width > 0; }

    /// @param saved null outside training; else x must outlive the backward pass
    template <Backend B>
    void forward(Pass<B>& pass, MatrixView<typename B::Scalar const> x, MatrixView<typename B::Scalar> y,
                 Saved<B>* saved = nullptr) const {
        layer_norm(pass.device, x, pass.vector(gain), pass.vector(bias), epsilon, y, statistics(pass, x, saved));
    }
    /// y = the norm of sum = x + part after dropout; all [N, D].
    /// @param sum    holds `part`, and is overwritten
    /// @param y      may be x
    /// @param saved  null outside training; else `sum` must outlive the backward pass
    template <Backend B>
    void forward_residual(Pass<B>& pass, Dropout const& dropout, MatrixView<typename B::Scalar const> x,
                          MatrixView<typename B::Scalar> sum, MatrixView<typename B::Scalar> y,
                          Saved<B>* saved = nullptr) const {
        if constexpr (backend::FusesResiduals<B>) {
            dropout_add_layer_norm(pass.device, dropout.stream, dropout.rate, sum, x, pass.vector(gain),
                                   pass.vector(bias), epsilon, sum, y, statistics(pass, sum, saved));
        } else {
            dropout.apply(pass, sum);
            add(pass.device, x, sum, sum);
            forward(pass, sum, y, saved);
        }
    }
    /// dx is overwritten and may be dy.
    template <Backend B>
    void backward(Pass<B>& pass, Saved<B> const& saved, MatrixView<typename B::Scalar const> dy,
                  MatrixView<typename B::Scalar> dx) const {
        layer_norm_backward(pass.device, dy, saved.input, saved.statistics, pass.vector(gain), dx,
                            pass.vector_gradient(gain), pass.vector_gradient(bias));
    }

private:
    /// Where the statistics of rows are kept for the backward pass; nowhere outside training.
    template <Backend B>
    [[nodiscard]] static MatrixView<typename B::Scalar> statistics(Pass<B>& pass,
                                                                   MatrixView<typename B::Scalar const> input,
                                                                   Saved<B>* saved) {
        if (!saved) return {};
        *saved = {input, pass.take(input.rows, 2)};
        return saved->statistics;
    }
};

}  // namespace inkling::nn
