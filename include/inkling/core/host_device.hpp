#pragma once

/// \def INKLING_HOST_DEVICE
/// Before a function that CUDA devices call as well as the host; nothing where no CUDA compiler reads it.
#ifdef __CUDACC__
#define INKLING_HOST_DEVICE __host__ __device__
#else
#define INKLING_HOST_DEVICE
#endif
