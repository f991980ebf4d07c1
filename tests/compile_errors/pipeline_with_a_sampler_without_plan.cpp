// expect: pipeline_with_a_sampler_without_plan.cpp:18:
// expect: Sampler
// expect: has 'plan(schedule) const'
// expect-gcc: s.plan(schedule)' is invalid
// expect-clang: no member named 'plan' in 'Walker'
#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/pipeline/pipeline.hpp>
#include <inkling/schedule/sqrt.hpp>

struct Walker {
    int steps = 20;
};

using namespace inkling;
using Broken =
    TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::EncoderDecoder<backend::Cpu<>>, Walker>;
