#pragma once

#include <inkling/backend/cuda/check.hpp>
#include <inkling/backend/thrust/device.hpp>
#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/system/cuda/execution_policy.h>
#include <thrust/system_error.h>

#include <cstddef>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>

namespace inkling::backend {

/// Owns elements in a CUDA device's memory: of the device that is current where it is made. Movable, not copyable.
///
/// Memory is had and given back in the order of the work on the device, by the legacy stream: after all that was
/// handed to any device of this library, and before all that will be. Nobody waits.
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
        void* memory = nullptr;
        cudaError_t const status = cudaMallocAsync(&memory, bytes, cudaStreamLegacy);
        if (status == cudaErrorMemoryAllocation) {
            cudaGetLastError();
            fail("inkling::backend::CudaBuffer: out of memory, ", bytes, " bytes asked for");
        }
        detail::check_cuda(status, "cudaMallocAsync");
        data_ = static_cast<T*>(memory);
    }
    CudaBuffer(CudaBuffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    CudaBuffer& operator=(CudaBuffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~CudaBuffer() {
        if (data_ != nullptr) cudaFreeAsync(data_, cudaStreamLegacy);
    }

    [[nodiscard]] T* data() { return data_; }
    [[nodiscard]] T const* data() const { return data_; }
    [[nodiscard]] Index size() const { return size_; }

private:
    T* data_ = nullptr;
    Index size_ = 0;
};

/// A CUDA device, by Thrust's CUDA system: a stream of its own, whose work is done in its order; the host waits in
/// downloads alone.
class CudaSystem {
public:
    /// Settings of a device.
    struct Options {
        int device = 0;  ///< its number; memory is had of the calling thread's current device, which this becomes
    };
    template <class T>
    using Buffer = CudaBuffer<T>;
    static constexpr bool fine = true;

    /// @throws Error when there is no CUDA device, or none of that number
    explicit CudaSystem(Options const& options) : options_(options) {
        int count = 0;
        cudaError_t const status = cudaGetDeviceCount(&count);
        if (status == cudaErrorNoDevice || status == cudaErrorInsufficientDriver
            || (status == cudaSuccess && count == 0)) {
            cudaGetLastError();
            fail("inkling::backend::Cuda: no CUDA device (", cudaGetErrorString(status), ")");
        }
        detail::check_cuda(status, "cudaGetDeviceCount");
        require(options.device >= 0 && options.device < count, "inkling::backend::Cuda: device is ", options.device,
                ", expected 0 to ", count - 1);
        detail::check_cuda(cudaSetDevice(options.device), "cudaSetDevice");
        cudaStream_t stream = nullptr;
        detail::check_cuda(cudaStreamCreate(&stream), "cudaStreamCreate");  // one that the legacy stream waits for
        stream_.reset(stream);
        cublasHandle_t products = nullptr;
        detail::check_cublas(cublasCreate(&products), "cublasCreate");
        products_.reset(products);
        detail::check_cublas(cublasSetStream(products, stream), "cublasSetStream");
    }

    [[nodiscard]] Options const& options() const { return options_; }
    [[nodiscard]] cudaStream_t stream() const { return stream_.get(); }
    /// For products, on this device's stream.
    [[nodiscard]] cublasHandle_t products() const { return products_.get(); }

    template <class Body>
    void for_each(Index count, Body const& body) {
        try {
            ::thrust::for_each_n(::thrust::cuda::par_nosync.on(stream()), ::thrust::counting_iterator<Index>(0), count,
                                 body);
        } catch (::thrust::system_error const& error) {
            cudaGetLastError();
            fail("inkling::backend::Cuda: thrust::for_each_n failed: ", error.what());
        }
    }
    void upload(void const* source, void* destination, std::size_t bytes) {
        detail::check_cuda(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyHostToDevice, stream()),
                           "cudaMemcpyAsync");
    }
    void download(void const* source, void* destination, std::size_t bytes) {
        detail::check_cuda(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDeviceToHost, stream()),
                           "cudaMemcpyAsync");
        detail::check_cuda(cudaStreamSynchronize(stream()), "cudaStreamSynchronize");
    }
    void copy(void const* source, void* destination, std::size_t bytes) {
        detail::check_cuda(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDeviceToDevice, stream()),
                           "cudaMemcpyAsync");
    }
    void clear(void* destination, std::size_t bytes) {
        detail::check_cuda(cudaMemsetAsync(destination, 0, bytes, stream()), "cudaMemsetAsync");
    }

private:
    struct Destroy {
        void operator()(cudaStream_t stream) const { cudaStreamDestroy(stream); }
        void operator()(cublasHandle_t handle) const { cublasDestroy(handle); }
    };

    Options options_;
    std::unique_ptr<std::remove_pointer_t<cudaStream_t>, Destroy> stream_;
    std::unique_ptr<std::remove_pointer_t<cublasHandle_t>, Destroy> products_;
};
static_assert(ThrustSystem<CudaSystem>);

}  // namespace inkling::backend
