// expect: pipeline_with_a_denoiser_without_predict.cpp:19:
// expect: Denoiser
// expect: predict(pass, target, source, z
// expect-gcc: denoiser.predict(pass, target, source, z, z, z, z)' is invalid
// expect-clang: no matching member function for call to 'predict'
#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/pipeline/pipeline.hpp>
#include <inkling/sampler/ddim.hpp>
#include <inkling/schedule/sqrt.hpp>

/// Has everything of a denoiser but what removes noise.
struct Silent : inkling::denoiser::EncoderDecoder<inkling::backend::Cpu<>> {
    void predict(auto, auto, auto, auto, auto, auto) const {}
};

using namespace inkling;
using Broken = TextDiffusion<schedule::Sqrt, embedding::Learned, Silent, sampler::Ddim>;
