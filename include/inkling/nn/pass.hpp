#pragma once

#include <inkling/nn/packed_weights.hpp>
#include <inkling/nn/parameters.hpp>
#include <inkling/nn/workspace.hpp>

namespace inkling::nn {

/// What every layer needs to run: the device, its memory, the weights, and in training their gradients.
///
/// Layers are values that hold places and sizes alone, so one model runs in many passes at once.
template <Backend B>
struct Pass {
    using Scalar = typename B::Scalar;

    B& device;
    Workspace<B>& workspace;
    Scalar const* weights = nullptr;  ///< the flat buffer
    /// laid out as the weights; null outside training, and where they are frozen: then backward passes make the slopes
    /// of inputs alone
    Scalar* gradients = nullptr;
    double dropout_rate = 0.0;      ///< [0, 1); 0 outside training
    RandomStream dropout_stream{};  ///< its sequence counts the dropouts of this pass
    /// of the weights as they are now, for faster products; null in training
    PackedWeights<B> const* packed = nullptr;

    [[nodiscard]] MatrixView<Scalar const> matrix(Parameter p) const { return {weights + p.offset, p.rows, p.cols}; }
    [[nodiscard]] MatrixView<Scalar> matrix_gradient(Parameter p) const {
        return {gradients + p.offset, p.rows, p.cols};
    }
    /// A vector, or an empty view where the parameter does not exist.
    [[nodiscard]] VectorView<Scalar const> vector(Parameter p) const {
        return p.exists() ? VectorView<Scalar const>{weights + p.offset, p.size()} : VectorView<Scalar const>{};
    }
    /// Its gradient, or an empty view where there is none to be made.
    [[nodiscard]] VectorView<Scalar> vector_gradient(Parameter p) const {
        return p.exists() && gradients != nullptr ? VectorView<Scalar>{gradients + p.offset, p.size()}
                                                  : VectorView<Scalar>{};
    }
    [[nodiscard]] MatrixView<Scalar> take(Index rows, Index cols) { return workspace.matrix(rows, cols); }
    [[nodiscard]] MatrixView<Scalar> take_zeros(Index rows, Index cols) { return workspace.zeros(device, rows, cols); }
};

/// One use of dropout: applied in place, and again on the gradient in the backward pass.
struct Dropout {
    double rate = 0.0;
    RandomStream stream{};

    /// Takes the next stream of the pass.
    template <Backend B>
    [[nodiscard]] static Dropout next(Pass<B>& pass) {
        Dropout const result{pass.dropout_rate, pass.dropout_stream};
        ++pass.dropout_stream.sequence;
        return result;
    }
    template <Backend B>
    void apply(Pass<B>& pass, MatrixView<typename B::Scalar> x) const {
        if (rate > 0.0) dropout(pass.device, stream, rate, x, x);
    }
};

}  // namespace inkling::nn
