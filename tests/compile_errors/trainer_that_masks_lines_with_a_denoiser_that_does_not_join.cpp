// expect: trainer_that_masks_lines_with_a_denoiser_that_does_not_join.cpp:15:
// expect: argument 2 shows parts of a line: the pipeline's denoiser must be one that joins sources to targets
#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/objective/infilling.hpp>
#include <inkling/pipeline/pipeline.hpp>
#include <inkling/sampler/ddim.hpp>
#include <inkling/schedule/sqrt.hpp>

using namespace inkling;
using Pipeline =
    TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddim>;

void broken(Pipeline& pipeline) { Trainer<Pipeline, objective::Infilling<>> trainer(pipeline, {.steps = 1}); }
