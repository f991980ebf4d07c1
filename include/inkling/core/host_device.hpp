#pragma once

/// \def INKLING_HOST_DEVICE
/// Before a function that CUDA devices call as well as the host; nothing where no CUDA compiler reads it.
/// \def INKLING_OF_ANY_TYPE
/// Before a template of such functions whose types may have arithmetic that the host alone can call.
#ifdef __CUDACC__
#define INKLING_HOST_DEVICE __host__ __device__
#define INKLING_OF_ANY_TYPE _Pragma("nv_exec_check_disable")
#else
#define INKLING_HOST_DEVICE
#define INKLING_OF_ANY_TYPE
#endif
