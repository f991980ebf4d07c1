// expect: generate_with_a_selection_without_select.cpp:25:
// expect: argument 3 is not a Selection: it needs 'Index select(std::span<decode::Candidate const>) const'
// expect-gcc: s.select(candidates)' is invalid
// expect-clang: no member named 'select' in 'Undecided'
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

/// Looks at the candidates, and cannot say which.
struct Undecided {
    bool taken = false;
};

void broken(Pipeline const& pipeline, std::vector<std::string> const& sources) {
    (void)pipeline.generate_with(sources, {}, Undecided{});
}
