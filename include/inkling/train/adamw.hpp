#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/core/error.hpp>
#include <inkling/nn/parameters.hpp>
#include <inkling/train/range.hpp>

#include <cmath>
#include <span>
#include <vector>

namespace inkling::train {

/// Settings of AdamW.
struct AdamWOptions {
    double beta1 = 0.9;          ///< decay of the running mean of the gradient, in [0, 1)
    double beta2 = 0.98;         ///< decay of the running mean of its square, in [0, 1)
    double epsilon = 1e-8;       ///< above 0
    double weight_decay = 0.01;  ///< share of a weight that a step takes away, for a learning rate of 1
};

/// Adam with decoupled weight decay over the trained stretches of the flat buffer of weights.
///
/// It owns the two running means, laid out as the weights. Frozen weights are left as they are, bit for bit.
/// Source: Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2; the verb is adam_step of the backend.
template <Backend B>
class AdamW {
public:
    using Scalar = typename B::Scalar;
    using Options = AdamWOptions;

    /// @throws Error when a setting is out of its range
    AdamW(B& device, nn::ParameterLayout const& layout, Options options = {})
        : options_(options), ranges_(layout.trained_ranges()), size_(layout.size()), first_(size_), second_(size_) {
        check_("beta1", options.beta1, options.beta1 >= 0.0 && options.beta1 < 1.0, "a number in [0, 1)");
        check_("beta2", options.beta2, options.beta2 >= 0.0 && options.beta2 < 1.0, "a number in [0, 1)");
        check_("epsilon", options.epsilon, options.epsilon > 0.0 && std::isfinite(options.epsilon), "a number above 0");
        check_("weight_decay", options.weight_decay, options.weight_decay >= 0.0 && std::isfinite(options.weight_decay),
               "a number of 0 or more");
        clear(device, first_.data(), size_);
        clear(device, second_.data(), size_);
    }

    /// One update. Weights and gradients are in the backend's memory, [P] each.
    /// @param gradient_factor  multiplies the gradients first: clip's factor, 1 / tokens, or both
    /// @throws Error when a size is not that of the layout
    void step(B& device, VectorView<Scalar> weights, VectorView<Scalar const> gradients, double learning_rate,
              double gradient_factor = 1.0) {
        require(weights.size == size_ && gradients.size == size_, "inkling::train::AdamW: ", weights.size,
                " weights and ", gradients.size, " gradients, expected ", size_, " of each");
        backend::AdamStep const settings{learning_rate,         options_.beta1,  options_.beta2, options_.epsilon,
                                         options_.weight_decay, gradient_factor, steps_ + 1};
        for (auto const& [begin, end] : ranges_)
            adam_step(device, settings, VectorView<Scalar const>{gradients.data + begin, end - begin},
                      VectorView<Scalar>{weights.data + begin, end - begin},
                      VectorView<Scalar>{first_.data() + begin, end - begin},
                      VectorView<Scalar>{second_.data() + begin, end - begin});
        ++steps_;
    }

    [[nodiscard]] Options const& options() const { return options_; }
    /// The stretches of the flat buffer that it moves, in order, without overlap.
    [[nodiscard]] std::span<Range const> trained_ranges() const { return ranges_; }
    /// Elements of the flat buffer, P.
    [[nodiscard]] Index size() const { return size_; }

    /// Updates done; together with the two means it is all the state there is.
    [[nodiscard]] Index steps() const { return steps_; }
    void set_steps(Index steps) { steps_ = steps; }
    /// Running mean of the gradient, [P], in the backend's memory.
    [[nodiscard]] VectorView<Scalar const> first_moment() const { return {first_.data(), size_}; }
    [[nodiscard]] VectorView<Scalar> first_moment() { return {first_.data(), size_}; }
    /// Running mean of the gradient's square, [P], in the backend's memory.
    [[nodiscard]] VectorView<Scalar const> second_moment() const { return {second_.data(), size_}; }
    [[nodiscard]] VectorView<Scalar> second_moment() { return {second_.data(), size_}; }

private:
    static void check_(char const* setting, double value, bool good, char const* expected) {
        require(good, "inkling::train::AdamW: ", setting, " is ", value, ", expected ", expected);
    }

    Options options_;
    std::vector<Range> ranges_;
    Index size_;
    typename B::template Buffer<Scalar> first_;
    typename B::template Buffer<Scalar> second_;
    Index steps_ = 0;
};

}  // namespace inkling::train
