#pragma once

#include <inkling/backend/cpu.hpp>

#include <CLI/CLI.hpp>

namespace support {

/// Settings of what a program computes on.
struct DeviceSettings {
    int threads = 0;
    bool bf16 = false;

    [[nodiscard]] inkling::backend::Cpu<>::Options device() const {
        using inkling::backend::CpuPrecision;
        return {.threads = threads, .precision = bf16 ? CpuPrecision::bf16 : CpuPrecision::single};
    }
};

inline void add_threads(CLI::App& command, DeviceSettings& settings) {
    command.add_option("--threads", settings.threads, "0: all; on a busy machine set 1, or OMP_WAIT_POLICY=PASSIVE")
        ->capture_default_str();
}

inline void add_device(CLI::App& command, DeviceSettings& settings) {
    add_threads(command, settings);
    command.add_flag("--bf16", settings.bf16, "products in bfloat16: twice as fast with AVX512-BF16, more with AMX");
}

}  // namespace support
