// expect: dropout(device
// expect: Backend
// expect: backend_without_a_verb.cpp:14:
#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>

namespace mine {
/// Has every verb of the CPU but one.
struct Forgetful : inkling::backend::Cpu<> { using Cpu::Cpu; };
void dropout(Forgetful&, inkling::RandomStream, double, inkling::MatrixView<float const>, inkling::MatrixView<float>) = delete;
}  // namespace mine

static_assert(inkling::Backend<inkling::backend::Cpu<>>);
using Broken = inkling::denoiser::EncoderDecoder<mine::Forgetful>;
