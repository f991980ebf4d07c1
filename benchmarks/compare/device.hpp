#pragma once

#ifdef __CUDACC__
#include <inkling/backend/cuda.hpp>

#include "../rate.hpp"
#else
#include <inkling/backend/cpu.hpp>

#include "../machine.hpp"
#endif

#include <nlohmann/json.hpp>

/// What compare_pytorch.py's other side computes on: the processor, or a CUDA device where a CUDA compiler reads it.
namespace compare {

using namespace inkling;

#ifdef __CUDACC__
using Device = backend::Cuda<>;
inline constexpr char const* device_name = "cuda";

[[nodiscard]] inline Device::Options device_options(nlohmann::json const& task) {
    return {.precision = task.value("bfloat16", false) ? backend::CudaPrecision::bf16 : backend::CudaPrecision::single,
            .graphs = task.value("graphs", false)};
}
/// Operations a second, of a large product in single precision.
[[nodiscard]] inline double peak(nlohmann::json const&) { return backends::product_rate<Device>({}, 4096, 1e-4); }

inline void reset_peak_memory() {}
/// That of the device is not measured.
[[nodiscard]] inline double peak_memory() { return 0.0; }
#else
using Device = backend::Cpu<>;
inline constexpr char const* device_name = "cpu";

[[nodiscard]] inline Device::Options device_options(nlohmann::json const& task) {
    return {.threads = task.at("threads"),
            .precision = task.value("bfloat16", false) ? backend::CpuPrecision::bf16 : backend::CpuPrecision::single};
}
/// Operations a second, of fused multiply-adds in registers.
[[nodiscard]] inline double peak(nlohmann::json const& task) { return machine::fma_peak(task.at("threads")); }

using machine::peak_memory;
using machine::reset_peak_memory;
#endif

}  // namespace compare
