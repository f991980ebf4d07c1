#include "on_cpu.hpp"

#include <inkling/backend/cpu.hpp>

#include "pipeline/same_tokens.hpp"

namespace on_cpu {

using Cpu = inkling::backend::Cpu<>;

std::vector<float> const& learnt() {
    static auto const weights = same_tokens::learnt<Cpu>({.threads = 1});
    return weights;
}
std::vector<inkling::Generated> generated(inkling::GenerateOptions const& options) {
    return same_tokens::generated<Cpu>(learnt(), options, {.threads = 1});
}
double held_out_loss() { return same_tokens::held_out_loss<Cpu>({.threads = 1}); }

}  // namespace on_cpu
