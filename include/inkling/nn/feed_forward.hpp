#pragma once

#include <inkling/nn/linear.hpp>

#include <string>

namespace inkling::nn {

/// second(activation(first(x))): two linear maps with a nonlinearity between them.
struct FeedForward {
    Linear first;
    Linear second;
    backend::Activation activation = backend::Activation::relu;

    /// What the backward pass needs.
    template <Backend B>
    struct Saved {
        MatrixView<typename B::Scalar const> input;   ///< [N, in]
        MatrixView<typename B::Scalar const> before;  ///< [N, hidden], in front of the nonlinearity
        MatrixView<typename B::Scalar const> after;   ///< [N, hidden], behind it
    };

    /// @param saved null outside training; else x must outlive the backward pass
    template <Backend B>
    void forward(Pass<B>& pass, MatrixView<typename B::Scalar const> x, MatrixView<typename B::Scalar> y,
                 Saved<B>* saved = nullptr) const {
        auto const mark = pass.workspace.mark();
        auto const before = pass.take(x.rows, first.weight.rows);
        bool const same = !saved || activation == backend::Activation::relu;  // relu's slope shows behind it too
        auto const after = same ? before : pass.take(before.rows, before.cols);
        if (same) {
            first.forward_activated(pass, activation, x, after);
        } else {
            first.forward(pass, x, before);
            activate(pass.device, activation, before, after);
        }
        second.forward(pass, after, y);
        if (saved)
            *saved = {x, before, after};
        else
            pass.workspace.release(mark);
    }
    /// dx is overwritten or added to.
    template <Backend B>
    void backward(Pass<B>& pass, Saved<B> const& saved, MatrixView<typename B::Scalar const> dy,
                  MatrixView<typename B::Scalar> dx, bool accumulate = false) const {
        Scope<B> const scope(pass.workspace);
        auto const dhidden = pass.take(saved.after.rows, saved.after.cols);
        second.backward(pass, saved.after, dy, dhidden);
        activate_backward(pass.device, activation, saved.before, dhidden, dhidden);
        first.backward(pass, saved.input, dhidden, dx, accumulate);
    }
};

}  // namespace inkling::nn
