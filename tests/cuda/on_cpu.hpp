#pragma once

#include <inkling/pipeline/generated.hpp>
#include <inkling/pipeline/text_diffusion.hpp>

#include <vector>

/// \file
/// What the tests of pipelines on a device compare with. In a unit of its own, for the compiler of the host.

namespace on_cpu {

/// Of same_tokens.hpp, on backend::Cpu<>.
std::vector<float> const& learnt();
std::vector<inkling::Generated> generated(inkling::GenerateOptions const& options);
double held_out_loss();

}  // namespace on_cpu
