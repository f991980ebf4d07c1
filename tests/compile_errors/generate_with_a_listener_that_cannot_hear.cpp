// expect: generate_with_a_listener_that_cannot_hear.cpp:19:
// expect: argument 4 is not a Listener: it needs 'operator()(decode::StepData<Scalar> const&)'
#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/pipeline/pipeline.hpp>
#include <inkling/sampler/ddim.hpp>
#include <inkling/schedule/sqrt.hpp>

#include <string>
#include <vector>

using namespace inkling;
using Pipeline =
    TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::EncoderDecoder<backend::Cpu<>>, sampler::Ddim>;

void broken(Pipeline const& pipeline, std::vector<std::string> const& sources) {
    // It wants the text of a step, which has only tokens and numbers.
    (void)pipeline.generate_with(sources, {}, decode::MeanLogProbability{}, [](std::string const&) {});
}
