// expect: pipeline_with_an_embedding_without_readout.cpp:22:
// expect: EmbeddingSpace
// expect: has 'readout()'
// expect-gcc: space.readout()' is invalid
// expect-clang: no member named 'readout' in 'OneWay'
#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/pipeline/pipeline.hpp>
#include <inkling/sampler/ddim.hpp>
#include <inkling/schedule/sqrt.hpp>

struct OneWay {
    struct Options {};
    OneWay(inkling::nn::ParameterLayout&, inkling::Index, Options) {}
    inkling::Index width() const { return 8; }
    inkling::Index vocabulary() const { return 8; }
    double scale() const { return 1.0; }
    inkling::nn::Parameter table() const { return {}; }
};

using namespace inkling;
using Broken = TextDiffusion<schedule::Sqrt, OneWay, denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddim>;
