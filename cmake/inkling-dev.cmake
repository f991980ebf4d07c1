# What only inkling's own tests, examples and benchmarks are compiled with: nothing here is installed or exported.

option(INKLING_WARNINGS_AS_ERRORS "Stop at the first warning" OFF)
option(INKLING_NATIVE "Compile for the instruction set of this machine (-march=native, whole vectors of AVX-512)" OFF)
option(INKLING_SANITIZE "Compile with address and undefined-behaviour sanitizers" OFF)

include(CheckCXXCompilerFlag)
add_library(inkling_dev INTERFACE)
target_compile_options(inkling_dev INTERFACE -Wall -Wextra -Wconversion -Wshadow)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # g++ 12 holds the `__m512i y = y` of its own AVX-512 header against whoever includes it.
    target_compile_options(inkling_dev INTERFACE -Wno-maybe-uninitialized -Wno-uninitialized)
endif()
if(INKLING_WARNINGS_AS_ERRORS)
    target_compile_options(inkling_dev INTERFACE -Werror)
endif()
if(INKLING_NATIVE)
    target_compile_options(inkling_dev INTERFACE -march=native)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")  # which else copies vectors by halves; docs/building.md
        check_cxx_compiler_flag(-mprefer-vector-width=512 INKLING_HAS_VECTOR_WIDTH)
        if(INKLING_HAS_VECTOR_WIDTH)
            target_compile_options(inkling_dev INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-mprefer-vector-width=512>)
        endif()
    endif()
endif()
if(INKLING_SANITIZE)
    set(sanitizers -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_compile_options(inkling_dev INTERFACE ${sanitizers})
    target_link_options(inkling_dev INTERFACE ${sanitizers})
endif()

if(PROJECT_IS_TOP_LEVEL AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
    find_program(INKLING_CCACHE ccache)
    mark_as_advanced(INKLING_CCACHE)
    if(INKLING_CCACHE)
        set(CMAKE_CXX_COMPILER_LAUNCHER "${INKLING_CCACHE}")
    endif()
endif()

# A program of .cu files for sm_80, sm_90 and as PTX, which `all` leaves out; it makes no target where there is no CUDA
# compiler, no cuBLAS or no Eigen. A macro, as languages are enabled in a file's scope.
macro(inkling_add_cuda_executable target)
    include(CheckLanguage)
    check_language(CUDA)
    if(CMAKE_CUDA_COMPILER AND TARGET inkling::cuda AND TARGET inkling::eigen)
        enable_language(CUDA)
        add_executable(${target} EXCLUDE_FROM_ALL ${ARGN})
        target_compile_options(${target} PRIVATE -std=c++20)  # CMake 3.25 knows no CUDA_STANDARD 20
        target_link_libraries(${target} PRIVATE inkling::cuda inkling::eigen)
        set_target_properties(${target} PROPERTIES CUDA_ARCHITECTURES "80-real;90-real;90-virtual")
    else()
        message(STATUS "inkling: ${target} is left out, as no CUDA compiler, cuBLAS or Eigen is found")
    endif()
endmacro()
