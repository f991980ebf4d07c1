#pragma once

#ifdef __CUDACC__
#include <inkling/backend/cuda.hpp>
#else
#include <inkling/backend/cpu.hpp>
#endif

#include <CLI/CLI.hpp>

namespace support {

/// What programs compute on: a CUDA device where a CUDA compiler reads them.
#ifdef __CUDACC__
using Device = inkling::backend::Cuda<>;
#else
using Device = inkling::backend::Cpu<>;
#endif

/// Settings of it.
struct DeviceSettings {
    bool bf16 = false;
#ifdef __CUDACC__
    bool tf32 = false, graphs = false;
    int number = 0;

    [[nodiscard]] Device::Options device() const {
        using inkling::backend::CudaPrecision;
        return {.device = number,
                .precision = bf16 ? CudaPrecision::bf16
                    : tf32        ? CudaPrecision::tf32
                                  : CudaPrecision::single,
                .graphs = graphs};
    }
#else
    int threads = 0;

    [[nodiscard]] Device::Options device() const {
        using inkling::backend::CpuPrecision;
        return {.threads = threads, .precision = bf16 ? CpuPrecision::bf16 : CpuPrecision::single};
    }
#endif
};

/// How many threads of the processor, or which CUDA device.
inline void add_threads_or_device(CLI::App& command, DeviceSettings& settings) {
#ifdef __CUDACC__
    command.add_option("--device", settings.number, "number of the CUDA device")->capture_default_str();
#else
    command.add_option("--threads", settings.threads, "0: all; on a busy machine set 1, or OMP_WAIT_POLICY=PASSIVE")
        ->capture_default_str();
#endif
}

inline void add_device(CLI::App& command, DeviceSettings& settings) {
    add_threads_or_device(command, settings);
#ifdef __CUDACC__
    auto* const bf16 = command.add_flag("--bf16", settings.bf16, "products in bfloat16");
    command.add_flag("--tf32", settings.tf32, "products in TF32")->excludes(bf16);
    command.add_flag("--graphs", settings.graphs, "launch the steps of a generation as CUDA graphs");
#else
    command.add_flag("--bf16", settings.bf16, "products in bfloat16: twice as fast with AVX512-BF16, more with AMX");
#endif
}

}  // namespace support
