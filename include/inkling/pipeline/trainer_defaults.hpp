#pragma once

#include <inkling/objective/anchor.hpp>
#include <inkling/objective/cross_entropy.hpp>
#include <inkling/pipeline/trainer.hpp>
#include <inkling/train/inverse_square_root.hpp>

#include <type_traits>

namespace inkling {

namespace pipeline {

/// What training lowers where its user names nothing: cross-entropy of the next token, or the anchor loss of whatever
/// diffuses.
template <class Pipeline>
using DefaultObjective =
    std::conditional_t<NextTokenModel<typename Pipeline::ModelType>, objective::CrossEntropy, objective::Anchor>;

}  // namespace pipeline

// The policies of a training whose user names none: `Trainer<Model>`. They stand apart from the trainer, which knows
// concepts alone, and whoever names all three includes only that.
template <class Pipeline, class Objective_ = pipeline::DefaultObjective<Pipeline>,
          LearningRate Rate = train::InverseSquareRoot, class Levels>
    requires pipeline::Trainable<Pipeline>
    && Objective<Objective_, typename Pipeline::SpaceType, typename Pipeline::Device>
    && LevelPolicy<Levels, typename Pipeline::SpaceType, pipeline::ScheduleOf<Pipeline>, typename Pipeline::Device>
class Trainer;

}  // namespace inkling
