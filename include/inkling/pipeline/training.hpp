#pragma once

#include <inkling/pipeline/diffusion_training.hpp>
#include <inkling/pipeline/next_token_training.hpp>
#include <inkling/pipeline/trainer_options.hpp>

namespace inkling::pipeline {

namespace detail {

template <class Pipeline, class Objective_>
struct TrainingOf;

template <class Pipeline, class Objective_>
    requires TrainableDenoiser<typename Pipeline::ModelType>
struct TrainingOf<Pipeline, Objective_> {
    using Type = DiffusionTraining<Pipeline, Objective_>;
};
template <class Pipeline, class Objective_>
    requires TrainableNextTokenModel<typename Pipeline::ModelType>
struct TrainingOf<Pipeline, Objective_> {
    using Type = NextTokenTraining<Pipeline, Objective_>;
};

}  // namespace detail

/// What a batch and a loss are of each kind of pipeline; all else of a training is the Trainer's, whatever the kind.
template <class Pipeline, class Objective_>
using Training = typename detail::TrainingOf<Pipeline, Objective_>::Type;

}  // namespace inkling::pipeline
