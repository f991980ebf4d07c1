#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/pipeline/device_batch.hpp>
#include <inkling/sampler/plan.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace inkling::pipeline {

/// What one denoising step leaves, for whoever watches: views of the backend's memory, valid until the next step.
template <Backend B>
struct StepState {
    Index step = 0;  ///< from 0
    Index steps = 0;
    double time = 1.0;                            ///< [0, 1], of the z that was cleaned
    MatrixView<typename B::Scalar const> z;       ///< [N, D], after the step
    MatrixView<typename B::Scalar const> z0_hat;  ///< [N, D], the estimate it used
};

/// The parts of each sentence, and which of them stay as they are: a source beside what is to be written to it, or the
/// text around gaps. What is kept is clean from the start and in every step, and the denoiser sees it.
struct Parts {
    Segments segments{};  ///< P parts, each within one sentence, of the same N rows
    /// [P], on the host; not 0: the part stays as it is. Empty: all rows are cleaned
    std::span<std::uint8_t const> kept{};
};

namespace detail {

/// The factors of every step for `combine`, [steps * P, 3], with P = 1 where there are no parts: (z0_hat, z_t, noise),
/// or with `back` (previous z0_hat, z, 0).
template <Backend B>
[[nodiscard]] MatrixView<typename B::Scalar const> step_factors(nn::Pass<B>& pass, sampler::Plan const& plan,
                                                                std::span<std::uint8_t const> kept, bool back) {
    using Scalar = typename B::Scalar;
    std::size_t const parts = kept.empty() ? 1 : kept.size();
    std::vector<Scalar> factors;
    factors.reserve(plan.steps.size() * parts * 3);
    for (sampler::Step const& step : plan.steps)
        for (std::size_t part = 0; part < parts; ++part) {
            bool const stays = !kept.empty() && kept[part] != 0;
            double const estimate = stays ? 0.0 : back ? step.previous_z0 : step.z0;
            double const own = stays || back ? 1.0 : step.z_t;
            double const noise = stays || back ? 0.0 : step.noise;
            for (double const factor : {estimate, own, noise}) factors.push_back(static_cast<Scalar>(factor));
        }
    auto const memory = to_device<Scalar>(pass, std::span<Scalar const>(factors));
    return {memory.data, static_cast<Index>(plan.steps.size() * parts), 3};
}

}  // namespace detail

/// Walks noise back to an estimate of clean text, one plan for all sentences; returns the last z0_hat [N, D].
///
/// z_next = c0 z0_hat + c1 z + c2 noise + c3 (the step before's z0_hat). The source's encoding and the plan's time
/// embeddings are made once; after the first step nothing is allocated.
/// @param plan        a valid one: sampler::require_valid
/// @param z           [N, D], the starting noise, and clean text where parts are kept; overwritten
/// @param draw_noise  called as draw_noise(step, view [N, D]) where a step needs noise
/// @param on_step     called as on_step(StepState) after each step; returns false to stop early
/// @param parts       what of the sentences is kept as it is
template <EmbeddingSpace Space, Denoiser Model, class DrawNoise, class OnStep>
    requires EmbeddingSpaceOn<Space, typename Model::Device>
MatrixView<typename Model::Device::Scalar> denoise(nn::Pass<typename Model::Device>& pass, Space const& space,
                                                   Model const& denoiser, sampler::Plan const& plan,
                                                   PackedSequences const& target, typename Model::Encoded const& source,
                                                   MatrixView<typename Model::Device::Scalar> z, DrawNoise&& draw_noise,
                                                   OnStep&& on_step, Parts const& parts = {}) {
    using B = typename Model::Device;
    using Scalar = typename B::Scalar;
    using View = MatrixView<Scalar>;
    using ConstView = MatrixView<Scalar const>;
    Index const steps = static_cast<Index>(plan.steps.size());
    std::vector<double> labels;
    for (sampler::Step const& step : plan.steps) labels.push_back(denoiser.time_label({step.time, step.alpha_bar}));
    auto const times = denoiser.embed_times(pass, to_device<double>(pass, std::span<double const>(labels)));
    bool const whole = parts.kept.empty();
    Segments const& segments = whole ? target.segments : parts.segments;
    auto const factors = detail::step_factors(pass, plan, parts.kept, false);
    auto const back = !whole && plan.looks_back() ? detail::step_factors(pass, plan, parts.kept, true) : ConstView{};
    auto const of_step = [&](ConstView all, Index i) {
        return whole ? ConstView(all.row(i), segments.count, 3, 0) : all.row_range(i * segments.count, segments.count);
    };
    View z0_hat = pass.take(z.rows, z.cols);
    View previous = pass.take_zeros(z.rows, z.cols);
    View const noise = plan.draws_noise() ? pass.take(z.rows, z.cols) : View{};
    VectorView<Token> nearest;
    if (plan.clamp) nearest = {pass.workspace.template take<Token>(z.rows), z.rows};
    for (Index i = 0; i < steps; ++i) {
        sampler::Step const& step = plan.steps[static_cast<std::size_t>(i)];
        denoiser.predict(pass, target, source, ConstView(z),
                         ConstView(times.row(i), target.segments.count, times.cols, 0), ConstView(previous), z0_hat);
        if (plan.clamp) {
            embedding::round_to_tokens<Space, B>(pass, space, z0_hat, nearest);
            space.embed(pass, TokenView(nearest), z0_hat);
        }
        bool const noisy = step.noise != 0.0;
        if (noisy) draw_noise(i, noise);
        combine(pass.device, segments, of_step(factors, i), z0_hat, z, noisy ? ConstView(noise) : ConstView{}, z);
        if (step.previous_z0 != 0.0) {
            if (whole)
                scale(pass.device, static_cast<Scalar>(step.previous_z0), previous, z, true);
            else
                combine(pass.device, segments, of_step(back, i), previous, z, {}, z);
        }
        std::swap(z0_hat, previous);
        if (!on_step(StepState<B>{i, steps, step.time, z, previous})) break;
    }
    return previous;
}

}  // namespace inkling::pipeline
