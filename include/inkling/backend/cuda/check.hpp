#pragma once

#include <inkling/core/error.hpp>

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <mutex>
#include <source_location>
#include <string_view>

namespace inkling::backend::detail {

/// The last part of a path.
[[nodiscard]] constexpr std::string_view file_name(std::string_view path) {
    return path.substr(path.find_last_of("/\\") + 1);
}

/// @throws Error when `status` is no success: the call, its place, and what CUDA says
inline void check_cuda(cudaError_t status, char const* call,
                       std::source_location place = std::source_location::current()) {
    if (status == cudaSuccess) return;
    cudaGetLastError();  // which would else be taken for that of a later call
    fail("inkling::backend::Cuda: ", call, " failed at ", file_name(place.file_name()), ":", place.line(), ": ",
         cudaGetErrorString(status), " (", cudaGetErrorName(status), ")");
}

/// The same of cuBLAS.
inline void check_cublas(cublasStatus_t status, char const* call,
                         std::source_location place = std::source_location::current()) {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    fail("inkling::backend::Cuda: ", call, " failed at ", file_name(place.file_name()), ":", place.line(), ": ",
         cublasGetStatusString(status), " (", cublasGetStatusName(status), ")");
}

/// Held while a stream is captured, and by what waits for a whole device, which would spoil any capture on it.
[[nodiscard]] inline std::recursive_mutex& capturing() {
    static std::recursive_mutex mutex;
    return mutex;
}

/// Makes a device the calling thread's current one for as long as it lives. Says nothing where that fails: it is for
/// destructors.
class OnDevice {
public:
    explicit OnDevice(int device) noexcept : device_(device) {
        if (cudaGetDevice(&before_) != cudaSuccess) before_ = device;
        if (before_ != device) cudaSetDevice(device);
    }
    OnDevice(OnDevice const&) = delete;
    OnDevice& operator=(OnDevice const&) = delete;
    ~OnDevice() {
        if (before_ != device_) cudaSetDevice(before_);
    }

private:
    int device_;
    int before_ = 0;
};

}  // namespace inkling::backend::detail
