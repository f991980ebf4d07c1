#pragma once

#include <inkling/nn/pass.hpp>

#include <string>

namespace inkling::nn {

/// y = x W^T + b, with W [out, in] as PyTorch keeps it.
struct Linear {
    Parameter weight;  ///< [out, in]
    Parameter bias{};  ///< [out], or none

    Linear() = default;
    Linear(Parameter weight_, Parameter bias_) : weight(weight_), bias(bias_) {}
    Linear(ParameterLayout& layout, std::string const& name, Index in, Index out, bool with_bias)
        : weight(layout.add_map(name + ".weight", out, in)) {
        if (with_bias) bias = layout.add_vector(name + ".bias", out, Initializer::zero());
    }

    [[nodiscard]] bool exists() const { return weight.exists(); }

    /// @param x [N, in], y [N, out]
    template <Backend B>
    void forward(Pass<B>& pass, MatrixView<typename B::Scalar const> x, MatrixView<typename B::Scalar> y) const {
        if constexpr (backend::PacksFactors<B>)
            if (auto const* const packed = pass.packed ? pass.packed->find(weight) : nullptr)
                return product_with_packed(pass.device, x, packed, y, pass.vector(bias));
        product(pass.device, x, backend::Orientation::plain, pass.matrix(weight), backend::Orientation::transposed, y,
                false, pass.vector(bias));
    }

    /// y = activation(x W^T + b); y is not x. Factors that are packed are not asked where a backend fuses activations.
    template <Backend B>
    void forward_activated(Pass<B>& pass, backend::Activation activation, MatrixView<typename B::Scalar const> x,
                           MatrixView<typename B::Scalar> y) const {
        if constexpr (backend::FusesActivations<B>) {
            activated_product(pass.device, activation, x, backend::Orientation::plain, pass.matrix(weight),
                              backend::Orientation::transposed, y, pass.vector(bias));
        } else {
            forward(pass, x, y);
            activate(pass.device, activation, y, y);
        }
    }

    /// Adds to the gradients of W and b, unless they are frozen; dx is overwritten or added to, and may be empty.
    template <Backend B>
    void backward(Pass<B>& pass, MatrixView<typename B::Scalar const> x, MatrixView<typename B::Scalar const> dy,
                  MatrixView<typename B::Scalar> dx, bool accumulate = false) const {
        if (pass.gradients != nullptr) {
            product(pass.device, dy, backend::Orientation::transposed, x, backend::Orientation::plain,
                    pass.matrix_gradient(weight), true);
            if (bias.exists()) sum_rows(pass.device, dy, pass.vector_gradient(bias));
        }
        if (!dx.empty())
            product(pass.device, dy, backend::Orientation::plain, pass.matrix(weight), backend::Orientation::plain, dx,
                    accumulate);
    }
};

}  // namespace inkling::nn
