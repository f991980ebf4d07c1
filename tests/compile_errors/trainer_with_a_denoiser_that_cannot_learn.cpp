// expect: trainer_with_a_denoiser_that_cannot_learn.cpp:17:
// expect: TrainableDenoiser
// expect-clang: has 'Saved'
// expect-gcc: no operand of the disjunction is satisfied
// expect: Empirical
#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/empirical.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/pipeline/pipeline.hpp>
#include <inkling/sampler/ddim.hpp>
#include <inkling/schedule/sqrt.hpp>

using namespace inkling;
using Pipeline =
    TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::Empirical<backend::Cpu<>>, sampler::Ddim>;
/// It knows its lines by heart: there is nothing to train.
using Broken = Trainer<Pipeline>;
