#pragma once

/// \file
/// A header for CUDA compilers alone: include it in .cu files, compiled with --expt-relaxed-constexpr and with
/// -DEIGEN_NO_CUDA; the target inkling::cuda brings both.

#ifndef __CUDACC__
#error "inkling/backend/cuda.hpp is for CUDA compilers: include it in a .cu file"
#endif
#ifndef EIGEN_NO_CUDA
#error "inkling/backend/cuda.hpp: compile every CUDA unit with -DEIGEN_NO_CUDA, or Eigen is slow in the whole program"
#endif
#ifndef __CUDACC_RELAXED_CONSTEXPR__
#error "inkling/backend/cuda.hpp: compile with --expt-relaxed-constexpr"
#endif

#include <inkling/backend/concept.hpp>
#include <inkling/backend/cuda/check.hpp>
#include <inkling/backend/cuda/device.hpp>
#include <inkling/backend/cuda/product.hpp>
#include <inkling/backend/thrust/attention.hpp>
#include <inkling/backend/thrust/device.hpp>
#include <inkling/backend/thrust/elementwise.hpp>
#include <inkling/backend/thrust/embedding.hpp>
#include <inkling/backend/thrust/normalization.hpp>
#include <inkling/backend/thrust/optimizer.hpp>
#include <inkling/backend/thrust/product.hpp>
#include <inkling/backend/thrust/random.hpp>
#include <inkling/backend/thrust/readout.hpp>
#include <inkling/backend/thrust/reduction.hpp>
#include <inkling/backend/thrust/residual.hpp>

namespace inkling {

namespace backend {

/// A CUDA device, through Thrust and cuBLAS; Real is float or double.
///
/// A device is one worker's handle, with a stream and scratch of its own: it serves one caller at a time. Verbs return
/// before they are done; download waits.
template <class Real = float>
using Cuda = ThrustDevice<Real, CudaSystem>;

}  // namespace backend

static_assert(Backend<backend::Cuda<float>>);
static_assert(Backend<backend::Cuda<double>>);

}  // namespace inkling
