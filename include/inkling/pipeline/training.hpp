#pragma once

#include <inkling/pipeline/diffusion_training.hpp>
#include <inkling/pipeline/next_token_training.hpp>
#include <inkling/pipeline/trainer_options.hpp>

namespace inkling::pipeline {

/// A pipeline that a Trainer can train, drawing noise levels by `Levels` where it diffuses.
template <class Pipeline, class Levels>
concept Trainable = (TrainableDenoiser<typename Pipeline::ModelType>
                     && LevelPolicy<Levels, typename Pipeline::SpaceType, typename Pipeline::NoiseScheduleType,
                                    typename Pipeline::Device>)
    || TrainableNextTokenModel<typename Pipeline::ModelType>;

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

/// What a batch and a loss are of each kind of pipeline; all else of a training is the Trainer's, whatever the kind.
template <class Pipeline, class Objective_, class Levels>
using Training = typename detail::TrainingOf<Pipeline, Objective_, Levels>::Type;

}  // namespace inkling::pipeline
