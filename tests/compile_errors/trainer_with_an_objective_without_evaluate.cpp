// expect: trainer_with_an_objective_without_evaluate.cpp:18:
// expect: Objective
// expect: has 'evaluate(pass, space, prediction, losses) const'
// expect-gcc: objective.evaluate(pass, space, prediction, losses)' is invalid
// expect-clang: no member named 'evaluate' in 'Aimless'
#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/pipeline/pipeline.hpp>
#include <inkling/sampler/ddim.hpp>
#include <inkling/schedule/sqrt.hpp>

struct Aimless {};

using namespace inkling;
using Pipeline =
    TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddim>;
using Broken = Trainer<Pipeline, Aimless>;
