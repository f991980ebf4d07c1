#pragma once

#include <inkling/backend/cuda/buffer.hpp>
#include <inkling/backend/cuda/check.hpp>
#include <inkling/backend/cuda/graph.hpp>
#include <inkling/backend/cuda/multiplier.hpp>
#include <inkling/backend/thrust/detail/team.hpp>
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

namespace kernels {

/// One block of threads is one team.
template <class Body>
__global__ void __launch_bounds__(Team::threads) run_teams(Body const body) {
    __shared__ typename Body::Shared shared;
    body(Team{static_cast<Index>(blockIdx.x)}, shared);
}

}  // namespace kernels

/// A CUDA device, by Thrust's CUDA system: a stream of its own, whose work is done in its order; the host waits
/// in downloads, where memory is given back, and in uploads to a device that reads the host's memory by itself.
class CudaSystem {
public:
    /// Settings of a device.
    struct Options {
        int device = 0;  ///< its number; where it is made, it becomes the thread's current device
        CudaPrecision precision = CudaPrecision::single;  ///< of products of floats; doubles are doubles
        /// Whether what the steps of a generation repeat is launched as one CUDA graph, of denoisers that say they are
        /// `recordable`. Not for backends derived from Cuda. Not yet run on a device.
        bool graphs = false;

        /// Names what numbers depend on, for the checks of checkpoints.
        template <class Visit>
        friend void describe(Options const& options, Visit const& visit) {
            visit("precision", options.precision, {"single", "tf32", "bf16"});
        }
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
        make_current();
        cudaStream_t stream = nullptr;
        detail::check_cuda(cudaStreamCreate(&stream), "cudaStreamCreate");  // one that the legacy stream waits for
        stream_.reset(stream);
        multiplier_ = detail::Multiplier(stream, options.precision);
        detail::check_cuda(cudaDeviceGetAttribute(&reads_host_, cudaDevAttrPageableMemoryAccess, options.device),
                           "cudaDeviceGetAttribute");
    }
    CudaSystem(CudaSystem&&) = default;
    CudaSystem& operator=(CudaSystem&& other) noexcept {  // products of a stream end before it does
        std::swap(options_, other.options_);
        std::swap(stream_, other.stream_);
        std::swap(multiplier_, other.multiplier_);
        std::swap(recording_, other.recording_);
        std::swap(reads_host_, other.reads_host_);
        return *this;
    }

    [[nodiscard]] Options const& options() const { return options_; }
    /// Each thread has a current device of its own, which CUDA's calls go to.
    void make_current() { detail::check_cuda(cudaSetDevice(options_.device), "cudaSetDevice"); }
    [[nodiscard]] cudaStream_t stream() const { return stream_.get(); }
    /// For products, on this device's stream.
    [[nodiscard]] detail::Multiplier& multiplier() {
        make_current();
        return multiplier_;
    }

    template <class Body>
    void for_each(Index count, Body const& body) {
        make_current();
        try {
            ::thrust::for_each_n(::thrust::cuda::par_nosync.on(stream()), ::thrust::counting_iterator<Index>(0), count,
                                 body);
        } catch (::thrust::system_error const& error) {
            cudaGetLastError();
            fail("inkling::backend::Cuda: thrust::for_each_n failed: ", error.what());
        }
    }
    template <class Body>
    void for_each_team(Index count, Body const& body) {
        static_assert(std::is_trivially_default_constructible_v<typename Body::Shared>);
        require(count <= std::numeric_limits<int>::max(), "inkling::backend::Cuda: ", count,
                " teams, expected at most ", std::numeric_limits<int>::max());
        make_current();
        kernels::run_teams<<<static_cast<unsigned>(count), kernels::Team::threads, 0, stream()>>>(body);
        detail::check_cuda(cudaGetLastError(), "a kernel's launch");
    }
    /// A source in pageable memory may be written to, or be gone, when this returns: a device that reads the host's
    /// memory itself, at its own time, is waited for.
    void upload(void const* source, void* destination, std::size_t bytes) {
        require(!recording_, "inkling::backend::Cuda: an upload cannot be recorded");
        make_current();
        detail::check_cuda(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyHostToDevice, stream()),
                           "cudaMemcpyAsync");
        if (reads_host_ != 0) detail::check_cuda(cudaStreamSynchronize(stream()), "cudaStreamSynchronize");
    }
    void download(void const* source, void* destination, std::size_t bytes) {
        require(!recording_, "inkling::backend::Cuda: a download cannot be recorded");
        make_current();
        detail::check_cuda(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDeviceToHost, stream()),
                           "cudaMemcpyAsync");
        detail::check_cuda(cudaStreamSynchronize(stream()), "cudaStreamSynchronize");
    }
    void copy(void const* source, void* destination, std::size_t bytes) {
        make_current();
        detail::check_cuda(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyDeviceToDevice, stream()),
                           "cudaMemcpyAsync");
    }
    void clear(void* destination, std::size_t bytes) {
        make_current();
        detail::check_cuda(cudaMemsetAsync(destination, 0, bytes, stream()), "cudaMemsetAsync");
    }

    [[nodiscard]] bool records() const { return options_.graphs; }
    template <class Work>
    [[nodiscard]] detail::CudaGraph record(Work const& work) {
        make_current();
        recording_ = true;
        struct End {  // even where something throws
            bool& recording;
            ~End() { recording = false; }
        } const end{recording_};
        return {stream(), work};
    }
    void replay(detail::CudaGraph const& graph) {
        make_current();
        graph.replay();
    }

private:
    struct Destroy {
        void operator()(cudaStream_t stream) const { cudaStreamDestroy(stream); }
    };

    Options options_;
    std::unique_ptr<std::remove_pointer_t<cudaStream_t>, Destroy> stream_;
    detail::Multiplier multiplier_;
    bool recording_ = false;
    int reads_host_ = 0;  ///< not 0: the device may read memory of the host after the call that names it
};
static_assert(ThrustSystem<CudaSystem>);

}  // namespace inkling::backend
