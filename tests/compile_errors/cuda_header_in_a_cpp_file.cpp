// expect: inkling/backend/cuda.hpp is for CUDA compilers: include it in a .cu file
#include <inkling/backend/cuda.hpp>
