// expect: parameterized_denoiser_that_has_an_output.cpp:9:
// expect: constraints not satisfied
// expect: output(); }
// expect: BottleneckDecoder
#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/denoiser.hpp>

/// What its network says is a setting of its own.
using Broken = inkling::denoiser::Parameterized<inkling::denoiser::BottleneckDecoder<inkling::backend::Cpu<>>>;
