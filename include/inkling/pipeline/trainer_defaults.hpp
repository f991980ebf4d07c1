#pragma once

#include <inkling/objective/anchor.hpp>
#include <inkling/pipeline/trainer.hpp>
#include <inkling/train/inverse_square_root.hpp>

namespace inkling {

// The policies of a training whose user names none: `Trainer<Model>`. They stand apart from the trainer, which knows
// concepts alone, and whoever names all three includes only that.
template <class Pipeline, class Objective_ = objective::Anchor, LearningRate Rate = train::InverseSquareRoot,
          class Levels>
    requires TrainableDenoiser<typename Pipeline::ModelType>
    && Objective<Objective_, typename Pipeline::SpaceType, typename Pipeline::Device>
    && LevelPolicy<Levels, typename Pipeline::SpaceType, typename Pipeline::NoiseScheduleType,
                   typename Pipeline::Device>
class Trainer;

}  // namespace inkling
