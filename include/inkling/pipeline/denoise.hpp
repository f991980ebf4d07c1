#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/pipeline/device_batch.hpp>
#include <inkling/sampler/plan.hpp>

#include <utility>
#include <vector>

namespace inkling::pipeline {

/// What one denoising step leaves, for whoever watches: views of the backend's memory, valid until the next step.
template <Backend B>
struct StepState {
    Index step = 0;                                ///< from 0
    Index steps = 0;
    double time = 1.0;                             ///< [0, 1], of the z that was cleaned
    MatrixView<typename B::Scalar const> z;        ///< [N, D], after the step
    MatrixView<typename B::Scalar const> z0_hat;   ///< [N, D], the estimate it used
};

/// Walks noise back to an estimate of clean text, one plan for all sentences; returns the last z0_hat [N, D].
///
/// z_next = c0 z0_hat + c1 z + c2 noise + c3 (the step before's z0_hat). The source's encoding and the plan's time embeddings
/// are made once; after the first step nothing is allocated.
/// @param plan        a valid one: sampler::require_valid
/// @param z           [N, D], the starting noise; overwritten
/// @param draw_noise  called as draw_noise(step, view [N, D]) where a step needs noise
/// @param on_step     called as on_step(StepState) after each step; returns false to stop early
template <EmbeddingSpace Space, Denoiser Model, class DrawNoise, class OnStep>
    requires EmbeddingSpaceOn<Space, typename Model::Device>
MatrixView<typename Model::Device::Scalar> denoise(nn::Pass<typename Model::Device>& pass, Space const& space,
                                                   Model const& denoiser, sampler::Plan const& plan,
                                                   PackedSequences const& target, typename Model::Encoded const& source,
                                                   MatrixView<typename Model::Device::Scalar> z, DrawNoise&& draw_noise,
                                                   OnStep&& on_step) {
    using B = typename Model::Device;
    using Scalar = typename B::Scalar;
    using View = MatrixView<Scalar>;
    using ConstView = MatrixView<Scalar const>;
    Index const steps = static_cast<Index>(plan.steps.size());
    std::vector<double> labels;
    std::vector<Scalar> coefficients;
    for (sampler::Step const& step : plan.steps) {
        labels.push_back(denoiser.time_label({step.time, step.alpha_bar}));
        for (double const c : {step.z0, step.z_t, step.noise}) coefficients.push_back(static_cast<Scalar>(c));
    }
    auto const times = denoiser.embed_times(pass, to_device<double>(pass, std::span<double const>(labels)));
    auto const factors = to_device<Scalar>(pass, std::span<Scalar const>(coefficients));
    View z0_hat = pass.take(z.rows, z.cols);
    View previous = pass.take_zeros(z.rows, z.cols);
    View const noise = plan.draws_noise() ? pass.take(z.rows, z.cols) : View{};
    VectorView<Token> nearest;
    if (plan.clamp) nearest = {pass.workspace.template take<Token>(z.rows), z.rows};
    for (Index i = 0; i < steps; ++i) {
        sampler::Step const& step = plan.steps[static_cast<std::size_t>(i)];
        denoiser.predict(pass, target, source, ConstView(z), ConstView(times.row(i), target.segments.count, times.cols, 0),
                         ConstView(previous), z0_hat);
        if (plan.clamp) {
            readout_argmax(pass.device, z0_hat, pass.matrix(space.readout()), {}, nearest);
            space.embed(pass, TokenView(nearest), z0_hat);
        }
        bool const noisy = step.noise != 0.0;
        if (noisy) draw_noise(i, noise);
        combine(pass.device, target.segments, ConstView(factors.data + 3 * i, target.segments.count, 3, 0), z0_hat, z,
                noisy ? ConstView(noise) : ConstView{}, z);
        if (step.previous_z0 != 0.0) scale(pass.device, static_cast<Scalar>(step.previous_z0), previous, z, true);
        std::swap(z0_hat, previous);
        if (!on_step(StepState<B>{i, steps, step.time, z, previous})) break;
    }
    return previous;
}

}  // namespace inkling::pipeline
