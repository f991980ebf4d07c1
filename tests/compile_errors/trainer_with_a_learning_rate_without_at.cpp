// expect: trainer_with_a_learning_rate_without_at.cpp:21:
// expect: LearningRate
// expect: has 'at(step) const'
// expect-gcc: rate.at(step)' is invalid
// expect-clang: no member named 'at' in 'Always'
#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/pipeline/pipeline.hpp>
#include <inkling/sampler/ddim.hpp>
#include <inkling/schedule/sqrt.hpp>

/// A number is no rate: what a step's is has to be asked.
struct Always {
    double rate = 1e-3;
};

using namespace inkling;
using Pipeline =
    TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddim>;
using Broken = Trainer<Pipeline, objective::Anchor, Always>;
