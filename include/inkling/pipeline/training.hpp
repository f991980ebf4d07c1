#pragma once

#include <inkling/pipeline/diffusion_training.hpp>
#include <inkling/pipeline/next_token_training.hpp>
#include <inkling/pipeline/trainer_options.hpp>

namespace inkling::pipeline {

/// A pipeline that a Trainer can train.
template <class Pipeline>
concept Trainable =
    TrainableDenoiser<typename Pipeline::ModelType> || TrainableNextTokenModel<typename Pipeline::ModelType>;

namespace detail {

template <class Pipeline, class Objective_, class Levels>
struct TrainingOf;

template <class Pipeline, class Objective_, class Levels>
    requires TrainableDenoiser<typename Pipeline::ModelType>
struct TrainingOf<Pipeline, Objective_, Levels> {
    using Type = DiffusionTraining<Pipeline, Objective_, Levels>;
};
template <class Pipeline, class Objective_, class Levels>
    requires TrainableNextTokenModel<typename Pipeline::ModelType>
struct TrainingOf<Pipeline, Objective_, Levels> {
    using Type = NextTokenTraining<Pipeline, Objective_>;
};

}  // namespace detail

namespace detail {

/// Stands for the schedule of a pipeline that has none: level policies are asked of some schedule.
struct NoNoise {
    [[nodiscard]] double alpha_bar(double t) const { return 1.0 - t; }
};
template <class Pipeline>
struct ScheduleOf {
    using Type = NoNoise;
};
template <class Pipeline>
    requires requires { typename Pipeline::NoiseScheduleType; }
struct ScheduleOf<Pipeline> {
    using Type = typename Pipeline::NoiseScheduleType;
};

}  // namespace detail

/// The noise schedule that a Trainer's levels are drawn of.
template <class Pipeline>
using ScheduleOf = typename detail::ScheduleOf<Pipeline>::Type;

/// What a batch and a loss are of each kind of pipeline; all else of a training is the Trainer's, whatever the kind.
template <class Pipeline, class Objective_, class Levels>
using Training = typename detail::TrainingOf<Pipeline, Objective_, Levels>::Type;

}  // namespace inkling::pipeline
