#pragma once

#include <inkling/backend/cuda/buffer.hpp>
#include <inkling/backend/cuda/check.hpp>
#include <inkling/core/hash.hpp>
#include <inkling/core/index.hpp>

#include <cublasLt.h>
#include <cublas_v2.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace inkling::backend {

/// How the device's product verb multiplies floats. Sums, weights and all other numbers are single precision, and so is
/// what attention and readout_argmax multiply for themselves: of two nearly equal tokens another verb may name another.
enum class CudaPrecision {
    single,  ///< 24 bits of a factor count
    tf32,    ///< 11 bits, by tensor cores
    bf16,    ///< 8 bits, by tensor cores, twice as fast
};

namespace detail {

/// A product as cuBLAS sees it: result [M, N] = left [M, K] right [K, N], all by columns.
template <class Real>
struct ColumnProduct {
    cublasOperation_t left_operation, right_operation;
    Index rows, cols, depth;
    Real const* left;
    Index left_stride;
    Real const* right;
    Index right_stride;
    Real* result;
    Index result_stride;
    bool accumulate;
    Real const* bias;  ///< [M], added to every column; or null
    bool relu;         ///< whether what is below 0, the bias included, is to be 0
};

/// What of a product's epilogue is done, and not left to the caller.
struct FusedEpilogue {
    bool bias = false;
    bool relu = false;
};

/// Products of one stream, by cuBLAS; of floats by cuBLASLt, which adds the bias on the way.
///
/// What cuBLASLt chooses for a shape is kept, so that it is asked once.
class Multiplier {
public:
    Multiplier() = default;
    /// @throws Error when cuBLAS cannot be had
    Multiplier(cudaStream_t stream, CudaPrecision precision)
        : stream_(stream), precision_(precision), memory_(workspace_bytes) {
        std::lock_guard const lock(capturing());
        cublasHandle_t handle = nullptr;
        check_cublas(cublasCreate(&handle), "cublasCreate");
        handle_.reset(handle);
        check_cuda(cudaGetDevice(&handle_.get_deleter().device), "cudaGetDevice");
        check_cublas(cublasSetStream(handle, stream), "cublasSetStream");
        check_cublas(cublasSetWorkspace(handle, memory_.data(), workspace_bytes), "cublasSetWorkspace");
    }

    /// Multiplies. Doubles, biases at addresses that 16 does not divide, and shapes that cuBLASLt has nothing for leave
    /// the rest to the caller.
    [[nodiscard]] FusedEpilogue operator()(ColumnProduct<float> const& product) {
        if (multiply_by_lt(product)) return {.bias = adds(product.bias), .relu = ends_in_relu(product)};
        float const one = 1.0F, kept = product.accumulate ? 1.0F : 0.0F;
        check_cublas(cublasGemmEx_64(handle_.get(), product.left_operation, product.right_operation, product.rows,
                                     product.cols, product.depth, &one, product.left, CUDA_R_32F, product.left_stride,
                                     product.right, CUDA_R_32F, product.right_stride, &kept, product.result, CUDA_R_32F,
                                     product.result_stride, compute_type(), CUBLAS_GEMM_DEFAULT),
                     "cublasGemmEx_64");
        return {};
    }
    [[nodiscard]] FusedEpilogue operator()(ColumnProduct<double> const& product) {
        double const one = 1.0, kept = product.accumulate ? 1.0 : 0.0;
        check_cublas(cublasDgemm_64(handle_.get(), product.left_operation, product.right_operation, product.rows,
                                    product.cols, product.depth, &one, product.left, product.left_stride, product.right,
                                    product.right_stride, &kept, product.result, product.result_stride),
                     "cublasDgemm_64");
        return {};
    }

private:
    static constexpr std::size_t workspace_bytes = std::size_t{32} << 20;  // what cuBLAS asks for on Hopper

    /// What a choice depends on.
    struct Shape {
        std::array<Index, 6> sizes;
        std::array<std::uint32_t, 3> alignments;
        bool left_transposed, right_transposed, accumulate, bias, relu;
        bool operator==(Shape const&) const = default;
    };
    struct HashShape {
        std::size_t operator()(Shape const& shape) const {
            Hash hash(0);
            for (Index const size : shape.sizes) hash.add(static_cast<std::uint64_t>(size));
            for (std::uint32_t const alignment : shape.alignments) hash.add(alignment);
            hash.add(static_cast<std::uint64_t>(shape.left_transposed)
                     | static_cast<std::uint64_t>(shape.right_transposed) << 1
                     | static_cast<std::uint64_t>(shape.accumulate) << 2 | static_cast<std::uint64_t>(shape.bias) << 3
                     | static_cast<std::uint64_t>(shape.relu) << 4);
            return static_cast<std::size_t>(hash.value());
        }
    };
    struct Destroy {
        int device;  ///< where the handle was made
        Destroy() : device(0) {}
        void operator()(cublasHandle_t handle) const {
            std::lock_guard const lock(capturing());
            OnDevice const there(device);
            cublasDestroy(handle);
        }
    };

    /// cuBLASLt's words for a product, in memory of its own.
    struct Description {
        cublasLtMatmulDescOpaque_t operation;
        cublasLtMatrixLayoutOpaque_t left, right, result;
    };

    static constexpr std::uint32_t widest_read = 16;  // bytes that a kernel reads at once

    /// The largest power of two, up to widest_read, that divides an address.
    [[nodiscard]] static std::uint32_t alignment_of(void const* pointer) {
        return std::uint32_t{1} << std::min(std::countr_zero(widest_read),
                                            std::countr_zero(reinterpret_cast<std::uintptr_t>(pointer)));
    }
    /// Whether cuBLASLt may be given a bias: it cannot be told of one that no kernel may read in one piece.
    [[nodiscard]] static bool adds(void const* bias) { return bias != nullptr && alignment_of(bias) == widest_read; }
    /// Whether cuBLASLt may be told of the relu: after the bias, or where there is none.
    [[nodiscard]] static bool ends_in_relu(ColumnProduct<float> const& product) {
        return product.relu && (product.bias == nullptr || adds(product.bias));
    }
    [[nodiscard]] cublasComputeType_t compute_type() const {
        switch (precision_) {
            case CudaPrecision::tf32: return CUBLAS_COMPUTE_32F_FAST_TF32;
            case CudaPrecision::bf16: return CUBLAS_COMPUTE_32F_FAST_16BF;
            case CudaPrecision::single: break;
        }
        return CUBLAS_COMPUTE_32F;
    }

    template <class Value>
    static void set(cublasLtMatmulDescOpaque_t& operation, cublasLtMatmulDescAttributes_t name, Value const& value) {
        check_cublas(cublasLtMatmulDescSetAttribute(&operation, name, &value, sizeof(value)),
                     "cublasLtMatmulDescSetAttribute");
    }
    template <class Value>
    static void set(cublasLtMatmulPreferenceOpaque_t& wish, cublasLtMatmulPreferenceAttributes_t name,
                    Value const& value) {
        check_cublas(cublasLtMatmulPreferenceSetAttribute(&wish, name, &value, sizeof(value)),
                     "cublasLtMatmulPreferenceSetAttribute");
    }
    static void lay_out(cublasLtMatrixLayoutOpaque_t& layout, cublasOperation_t operation, Index rows, Index cols,
                        Index stride) {
        if (operation != CUBLAS_OP_N) std::swap(rows, cols);
        check_cublas(cublasLtMatrixLayoutInit(&layout, CUDA_R_32F, static_cast<std::uint64_t>(rows),
                                              static_cast<std::uint64_t>(cols), stride),
                     "cublasLtMatrixLayoutInit");
    }

    [[nodiscard]] Description describe(ColumnProduct<float> const& product) const {
        Description about{};
        check_cublas(cublasLtMatmulDescInit(&about.operation, compute_type(), CUDA_R_32F), "cublasLtMatmulDescInit");
        set(about.operation, CUBLASLT_MATMUL_DESC_TRANSA, product.left_operation);
        set(about.operation, CUBLASLT_MATMUL_DESC_TRANSB, product.right_operation);
        if (adds(product.bias)) {
            set(about.operation, CUBLASLT_MATMUL_DESC_EPILOGUE,
                ends_in_relu(product) ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS);
            set(about.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, product.bias);
        } else if (ends_in_relu(product)) {
            set(about.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_RELU);
        }
        lay_out(about.left, product.left_operation, product.rows, product.depth, product.left_stride);
        lay_out(about.right, product.right_operation, product.depth, product.cols, product.right_stride);
        lay_out(about.result, CUBLAS_OP_N, product.rows, product.cols, product.result_stride);
        return about;
    }

    /// What cuBLASLt would do with a shape; nothing where it has no way.
    [[nodiscard]] std::optional<cublasLtMatmulAlgo_t> choice(Description& about, Shape const& shape) {
        auto const known = choices_.find(shape);
        if (known != choices_.end()) return known->second;
        cublasLtMatmulPreferenceOpaque_t wish{};
        check_cublas(cublasLtMatmulPreferenceInit(&wish), "cublasLtMatmulPreferenceInit");
        set(wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
        set(wish, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, shape.alignments[0]);
        set(wish, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, shape.alignments[1]);
        set(wish, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, shape.alignments[2]);
        set(wish, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, shape.alignments[2]);
        cublasLtMatmulHeuristicResult_t found{};
        int count = 0;
        cublasStatus_t const status =
            cublasLtMatmulAlgoGetHeuristic(products(), &about.operation, &about.left, &about.right, &about.result,
                                           &about.result, &wish, 1, &found, &count);
        if (status != CUBLAS_STATUS_NOT_SUPPORTED) check_cublas(status, "cublasLtMatmulAlgoGetHeuristic");
        bool const any = status == CUBLAS_STATUS_SUCCESS && count > 0 && found.state == CUBLAS_STATUS_SUCCESS;
        return choices_.emplace(shape, any ? std::optional(found.algo) : std::nullopt).first->second;
    }

    /// @return false where cuBLASLt has no way to do it
    [[nodiscard]] bool multiply_by_lt(ColumnProduct<float> const& product) {
        Description about = describe(product);
        Shape const shape{{product.rows, product.cols, product.depth, product.left_stride, product.right_stride,
                           product.result_stride},
                          {alignment_of(product.left), alignment_of(product.right), alignment_of(product.result)},
                          product.left_operation != CUBLAS_OP_N,
                          product.right_operation != CUBLAS_OP_N,
                          product.accumulate,
                          adds(product.bias),
                          ends_in_relu(product)};
        auto const chosen = choice(about, shape);
        if (!chosen) return false;
        float const one = 1.0F, kept = product.accumulate ? 1.0F : 0.0F;
        check_cublas(cublasLtMatmul(products(), &about.operation, &one, product.left, &about.left, product.right,
                                    &about.right, &kept, product.result, &about.result, product.result, &about.result,
                                    &*chosen, memory_.data(), workspace_bytes, stream_),
                     "cublasLtMatmul");
        return true;
    }
    /// A handle of cuBLAS is one of cuBLASLt.
    [[nodiscard]] cublasLtHandle_t products() const { return reinterpret_cast<cublasLtHandle_t>(handle_.get()); }

    cudaStream_t stream_ = nullptr;
    CudaPrecision precision_ = CudaPrecision::single;
    CudaBuffer<std::byte> memory_;
    std::unique_ptr<std::remove_pointer_t<cublasHandle_t>, Destroy> handle_;
    std::unordered_map<Shape, std::optional<cublasLtMatmulAlgo_t>, HashShape> choices_;
};

}  // namespace detail
}  // namespace inkling::backend
