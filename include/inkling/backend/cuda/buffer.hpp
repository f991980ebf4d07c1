#pragma once

#include <inkling/backend/cuda/check.hpp>
#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <cstddef>
#include <limits>
#include <mutex>
#include <type_traits>
#include <utility>

namespace inkling::backend {

/// Owns elements in a CUDA device's memory: of the device that is current where it is made. Movable, not copyable.
///
/// Giving memory back waits for all work of the device; what runs often keeps its memory (nn::Workspace, scratch).
template <class T>
class CudaBuffer {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    CudaBuffer() = default;
    /// Elements are not initialised. @throws Error when the memory cannot be had; the message names the size.
    explicit CudaBuffer(Index size) : size_(size) {
        require(size >= 0 && size <= std::numeric_limits<Index>::max() / Index{sizeof(T)},
                "inkling::backend::CudaBuffer: ", size, " elements asked for, expected a count that memory can hold");
        if (size == 0) return;
        std::size_t const bytes = static_cast<std::size_t>(size) * sizeof(T);
        detail::check_cuda(cudaGetDevice(&device_), "cudaGetDevice");
        void* memory = nullptr;
        cudaError_t const status = cudaMalloc(&memory, bytes);
        if (status == cudaErrorMemoryAllocation) {
            cudaGetLastError();
            fail("inkling::backend::CudaBuffer: out of memory, ", bytes, " bytes asked for");
        }
        detail::check_cuda(status, "cudaMalloc");
        data_ = static_cast<T*>(memory);
    }
    CudaBuffer(CudaBuffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), device_(other.device_) {}
    CudaBuffer& operator=(CudaBuffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(device_, other.device_);
        return *this;
    }
    ~CudaBuffer() {
        if (data_ == nullptr) return;
        std::lock_guard const lock(detail::capturing());
        detail::OnDevice const there(device_);
        if (cudaDeviceSynchronize() != cudaSuccess || cudaFree(data_) != cudaSuccess)
            cudaGetLastError();  // which would else be taken for that of a later call
    }

    [[nodiscard]] T* data() { return data_; }
    [[nodiscard]] T const* data() const { return data_; }
    [[nodiscard]] Index size() const { return size_; }

private:
    T* data_ = nullptr;
    Index size_ = 0;
    int device_ = 0;
};

}  // namespace inkling::backend
