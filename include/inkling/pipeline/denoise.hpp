#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/embedding/concept.hpp>
#include <inkling/pipeline/device_batch.hpp>
#include <inkling/pipeline/repeated.hpp>
#include <inkling/sampler/plan.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace inkling::pipeline {

/// What one denoising step leaves, for whoever watches: views of the backend's memory, valid until the next step.
template <Backend B>
struct StepState {
    Index step = 0;  ///< from 0
    Index steps = 0;
    double time = 1.0;                            ///< [0, 1], what the denoiser was told
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

/// Asks a denoiser for z0_hat, whatever its network says, and brings it to its nearest token where the plan clamps.
template <EmbeddingSpace Space, Denoiser Model>
class Estimator {
public:
    using B = typename Model::Device;
    using Scalar = typename B::Scalar;
    using View = MatrixView<Scalar>;
    using ConstView = MatrixView<Scalar const>;

    /// @param segments  the parts of `kept`; or the sentences, where that is empty. What is kept is its own estimate
    ///                  where the network says something else than z0, as it is in training
    Estimator(nn::Pass<B>& pass, Space const& space, Model const& denoiser, sampler::Plan const& plan,
              PackedSequences const& target, Segments const& segments, std::span<std::uint8_t const> kept, Index rows)
        : pass_(&pass),
          space_(&space),
          denoiser_(&denoiser),
          target_(&target),
          segments_(&segments),
          kind_(inkling::denoiser::output_of(denoiser)) {
        if (plan.clamp) nearest_ = {pass.workspace.template take<Token>(rows), rows};
        if (kind_ == inkling::denoiser::Output::z0) return;
        output_ = pass.take(rows, inkling::denoiser::output_width(kind_, space.width()));
        std::size_t const parts = kept.empty() ? 1 : kept.size();
        std::vector<Scalar> factors;
        for (sampler::Step const& step : plan.steps) {
            auto const map = inkling::denoiser::to_estimate(kind_, step.alpha_bar);
            for (std::size_t part = 0; part < parts; ++part) {
                bool const stays = !kept.empty() && kept[part] != 0;
                for (double const factor : {stays ? 0.0 : map.output, stays ? 1.0 : map.z_t, stays ? 0.0 : map.second})
                    factors.push_back(static_cast<Scalar>(factor));
            }
        }
        factors_ = to_device<Scalar>(pass, std::span<Scalar const>(factors));
        factors_now_ = pass.take(static_cast<Index>(parts), 3);
    }

    /// Sets which step the next estimates are of.
    void begin_step(Index i) const {
        if (!factors_.empty())
            copy(pass_->device, factors_.data + i * factors_now_.size(), factors_now_.data, factors_now_.size());
    }

    /// z0_hat [N, D] of the step.
    void estimate(typename Model::Encoded const& source, View z, ConstView time, View previous, View z0_hat) const {
        bool const is_z0 = kind_ == inkling::denoiser::Output::z0;
        View const output = is_z0 ? z0_hat : output_;
        denoiser_->predict(*pass_, *target_, source, ConstView(z), time, ConstView(previous), output);
        if (!is_z0) {
            Index const latent = z.cols;
            bool const mixed = kind_ == inkling::denoiser::Output::mixed;
            combine(pass_->device, *segments_,
                    ConstView(factors_now_.data, segments_->count, 3, factors_now_.rows == 1 ? 0 : 3),
                    output.columns(0, latent), z, mixed ? ConstView(output.columns(latent, latent)) : ConstView{},
                    z0_hat);
        }
        if (nearest_.empty()) return;
        embedding::round_to_tokens<Space, B>(*pass_, *space_, z0_hat, nearest_);
        space_->embed(*pass_, TokenView(nearest_), z0_hat);
    }

private:
    nn::Pass<B>* pass_;
    Space const* space_;
    Model const* denoiser_;
    PackedSequences const* target_;
    Segments const* segments_;
    inkling::denoiser::Output kind_;
    VectorView<Token> nearest_{};
    View output_{};
    VectorView<Scalar const> factors_{};  ///< [steps * P, 3], with P = 1 where there are no parts
    View factors_now_{};                  ///< [P, 3], of this step
};

/// What stands for no source, for guidance.
/// @throws Error when the denoiser has nothing of the kind
template <Denoiser Model>
[[nodiscard]] typename Model::Encoded no_source(nn::Pass<typename Model::Device>& pass, Model const& denoiser,
                                                Index sentences) {
    if constexpr (UnconditionalDenoiser<Model>)
        return denoiser.encode_nothing(pass, sentences);
    else
        fail(
            "inkling::pipeline::denoise: the plan's guidance is not 0, expected 0, as the denoiser has no "
            "'encode_nothing(pass, sentences) const'");
}

}  // namespace detail

/// Walks noise back to an estimate of clean text, one plan for all sentences; returns the last z0_hat [N, D].
///
/// z_next = c0 z0_hat + c1 z + c2 noise + c3 (the step before's z0_hat). Guidance asks with the source and without it,
/// each clamped for itself. The source's encoding and the plan's time embeddings are made once; after the first step
/// no memory of the device is asked for, and a backend that records replays what the network and the clamping tell it.
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
    View const z0_hat = pass.take(z.rows, z.cols);
    View const previous = pass.take_zeros(z.rows, z.cols);
    View const noise = plan.draws_noise() ? pass.take(z.rows, z.cols) : View{};
    detail::Estimator<Space, Model> const estimator(pass, space, denoiser, plan, target, segments, parts.kept, z.rows);
    std::optional<typename Model::Encoded> nothing;
    View unguided;
    if (plan.guidance != 0.0) {
        nothing.emplace(detail::no_source(pass, denoiser, target.segments.count));
        unguided = pass.take(z.rows, z.cols);
    }
    auto const with = static_cast<Scalar>(1.0 + plan.guidance), without = static_cast<Scalar>(-plan.guidance);
    View const time_now = pass.take(1, times.cols);
    Repeated estimate(pass.device, is_recordable<Model>,
                      [&] {  // what changes from step to step has a place that it reads
                          ConstView const time(time_now.data, target.segments.count, times.cols, 0);
                          estimator.estimate(source, z, time, previous, z0_hat);
                          if (nothing) {
                              estimator.estimate(*nothing, z, time, previous, unguided);
                              scale(pass.device, with, z0_hat, z0_hat);
                              scale(pass.device, without, unguided, z0_hat, true);
                          }
                      });
    for (Index i = 0; i < steps; ++i) {
        sampler::Step const& step = plan.steps[static_cast<std::size_t>(i)];
        copy(pass.device, times.row(i), time_now.data, times.cols);
        estimator.begin_step(i);
        estimate();
        bool const noisy = step.noise != 0.0;
        if (noisy) draw_noise(i, noise);
        combine(pass.device, segments, of_step(factors, i), z0_hat, z, noisy ? ConstView(noise) : ConstView{}, z);
        if (step.previous_z0 != 0.0) {
            if (whole)
                scale(pass.device, static_cast<Scalar>(step.previous_z0), previous, z, true);
            else
                combine(pass.device, segments, of_step(back, i), previous, z, {}, z);
        }
        copy(pass.device, static_cast<Scalar const*>(z0_hat.data), previous.data, z0_hat.size());
        if (!on_step(StepState<B>{i, steps, step.time, z, previous})) break;
    }
    return previous;
}

}  // namespace inkling::pipeline
