#pragma once

#include <inkling/backend/cuda/check.hpp>

#include <memory>
#include <mutex>
#include <type_traits>

namespace inkling::backend::detail {

/// What a stream was told, as one CUDA graph. While it is captured nobody may use the legacy default stream.
class CudaGraph {
public:
    /// Captures what `work` tells the stream, in place of doing it.
    /// @throws Error when something of it cannot be captured, as waiting and asking for memory cannot
    template <class Work>
    CudaGraph(cudaStream_t stream, Work const& work) : executable_(nullptr, Destroy{stream}) {
        std::lock_guard const lock(capturing());
        check_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
        Graph graph;
        try {
            work();
        } catch (...) {
            end(stream, graph);
            cudaGetLastError();
            throw;
        }
        check_cuda(end(stream, graph), "cudaStreamEndCapture");
        cudaGraphExec_t executable = nullptr;
        check_cuda(cudaGraphInstantiate(&executable, graph.get(), 0), "cudaGraphInstantiate");
        executable_.reset(executable);
    }

    /// Does it, after all that the stream was told before.
    void replay() const {
        check_cuda(cudaGraphLaunch(executable_.get(), executable_.get_deleter().stream), "cudaGraphLaunch");
    }

private:
    struct DestroyGraph {
        void operator()(cudaGraph_t graph) const { cudaGraphDestroy(graph); }
    };
    using Graph = std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, DestroyGraph>;
    struct Destroy {
        cudaStream_t stream;
        void operator()(cudaGraphExec_t executable) const {
            cudaStreamSynchronize(stream);  // it may still run
            cudaGraphExecDestroy(executable);
        }
    };

    static cudaError_t end(cudaStream_t stream, Graph& graph) {
        cudaGraph_t taken = nullptr;
        cudaError_t const status = cudaStreamEndCapture(stream, &taken);
        graph.reset(taken);
        return status;
    }

    std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, Destroy> executable_;
};

}  // namespace inkling::backend::detail
