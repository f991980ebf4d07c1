// expect: compile every CUDA unit with -DEIGEN_NO_CUDA, or Eigen is slow in the whole program
#define __CUDACC__
#include <inkling/backend/cuda.hpp>
