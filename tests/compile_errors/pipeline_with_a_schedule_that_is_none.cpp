// expect: pipeline_with_a_schedule_that_is_none.cpp:17:
// expect: NoiseSchedule
// expect: has 'alpha_bar(t) const'
// expect-gcc: schedule.alpha_bar(t)' is invalid
// expect-clang: no member named 'alpha_bar' in 'Misspelt'
#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/pipeline/pipeline.hpp>
#include <inkling/sampler/ddim.hpp>

struct Misspelt {
    double alphabar(double t) const { return 1.0 - t; }
};

using namespace inkling;
using Broken = TextDiffusion<Misspelt, embedding::Learned, denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddim>;
