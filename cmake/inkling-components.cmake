# inkling's components: for each library that some headers need, a target `inkling::<component>` that brings it.
#
# Read twice: by the project itself, and by the installed package (inkling-config.cmake), so that a component is what the
# machine at hand offers, not what was there when inkling was installed.
#
#   eigen          backend/cpu.hpp: Eigen 5 or 3.4, and OpenMP where the compiler has it (not with INKLING_OPENMP=OFF)
#   thrust         backend/thrust_host.hpp: Thrust's headers, of a CUDA toolkit or alone, and OpenMP likewise; no CUDA
#   cuda           backend/cuda.hpp, in .cu files: CUDA's runtime and cuBLAS, with what compilers must be told; not in inkling::all
#   xtensor        arrays handed to users and read from them: io/npy.hpp, listeners
#   json           model files and safetensors headers
#   zlib           gzip-compressed text
#   sentencepiece  subword tokenizer
#   utf8proc       BERT's subwords: text/wordpiece_tokenizer.hpp
#   all            inkling::all: whichever of them are found, but for cuda

set(inkling_known_components eigen thrust cuda xtensor json zlib sentencepiece utf8proc)

# Adds OpenMP to `result` where the compiler has it and it is wanted.
macro(_inkling_find_openmp result)
    if(NOT DEFINED INKLING_OPENMP OR INKLING_OPENMP)
        find_package(OpenMP QUIET COMPONENTS CXX GLOBAL)
        if(TARGET OpenMP::OpenMP_CXX)
            list(APPEND ${result} OpenMP::OpenMP_CXX)
        endif()
    endif()
endmacro()

# Sets `result` to the imported targets that `component` stands on, or to nothing where they are missing.
macro(_inkling_find_libraries component result)
    set(${result} "")
    if("${component}" STREQUAL "eigen")
        find_package(Eigen3 5 QUIET NO_MODULE GLOBAL)  # Eigen 5 refuses to answer a request for 3.4, and 3.4 one for 5
        if(NOT TARGET Eigen3::Eigen)
            find_package(Eigen3 3.4 QUIET NO_MODULE GLOBAL)
        endif()
        if(TARGET Eigen3::Eigen)
            list(APPEND ${result} Eigen3::Eigen)
            _inkling_find_openmp(${result})
        endif()
    elseif("${component}" STREQUAL "thrust")
        # By its headers, as Debian's libthrust-dev and a toolkit without a compiler have nothing else; a toolkit's come first.
        find_path(INKLING_THRUST_INCLUDE_DIR thrust/system/cpp/execution_policy.h
            HINTS ENV CUDA_PATH ENV CUDA_HOME /usr/local/cuda
            PATH_SUFFIXES include/cccl include)
        mark_as_advanced(INKLING_THRUST_INCLUDE_DIR)
        if(INKLING_THRUST_INCLUDE_DIR)
            if(NOT TARGET inkling_thrust_headers)  # imported, so that compilers take them for a system's
                add_library(inkling_thrust_headers INTERFACE IMPORTED GLOBAL)
                target_include_directories(inkling_thrust_headers INTERFACE "${INKLING_THRUST_INCLUDE_DIR}")
            endif()
            list(APPEND ${result} inkling_thrust_headers)
            _inkling_find_openmp(${result})
        endif()
    elseif("${component}" STREQUAL "cuda")
        find_package(CUDAToolkit 12 QUIET)
        if(TARGET CUDA::cublas)
            if(NOT TARGET inkling_cuda_settings)
                add_library(inkling_cuda_settings INTERFACE IMPORTED GLOBAL)
                target_compile_definitions(inkling_cuda_settings INTERFACE EIGEN_NO_CUDA)
                target_compile_options(inkling_cuda_settings INTERFACE  # 554 tells of an operator that is there for other types
                    "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;-diag-suppress=554>")
                target_link_libraries(inkling_cuda_settings INTERFACE CUDA::cudart CUDA::cublas CUDA::cublasLt)
            endif()
            list(APPEND ${result} inkling_cuda_settings)
        endif()
    elseif("${component}" STREQUAL "xtensor")
        find_package(xtensor QUIET GLOBAL)
        if(TARGET xtensor)
            list(APPEND ${result} xtensor)
        elseif(TARGET xtensor::xtensor)
            list(APPEND ${result} xtensor::xtensor)
        endif()
    elseif("${component}" STREQUAL "json")
        find_package(nlohmann_json 3.9 QUIET GLOBAL)
        if(TARGET nlohmann_json::nlohmann_json)
            list(APPEND ${result} nlohmann_json::nlohmann_json)
        endif()
    elseif("${component}" STREQUAL "zlib")
        find_package(ZLIB QUIET GLOBAL)
        if(TARGET ZLIB::ZLIB)
            list(APPEND ${result} ZLIB::ZLIB)
        endif()
    elseif("${component}" STREQUAL "sentencepiece")
        find_package(PkgConfig QUIET)
        if(PkgConfig_FOUND)
            pkg_check_modules(INKLING_SENTENCEPIECE QUIET IMPORTED_TARGET GLOBAL sentencepiece)
        endif()
        if(TARGET PkgConfig::INKLING_SENTENCEPIECE)
            list(APPEND ${result} PkgConfig::INKLING_SENTENCEPIECE)
        endif()
    elseif("${component}" STREQUAL "utf8proc")
        find_package(PkgConfig QUIET)
        if(PkgConfig_FOUND)
            pkg_check_modules(INKLING_UTF8PROC QUIET IMPORTED_TARGET GLOBAL libutf8proc)
        endif()
        if(TARGET PkgConfig::INKLING_UTF8PROC)
            list(APPEND ${result} PkgConfig::INKLING_UTF8PROC)
        endif()
    endif()
endmacro()

# Adds inkling::<component> when its libraries are found, and else does nothing.
function(inkling_add_component component)
    if(TARGET inkling::${component})
        return()
    endif()
    _inkling_find_libraries(${component} libraries)
    if(libraries)
        add_library(inkling_${component} INTERFACE)
        add_library(inkling::${component} ALIAS inkling_${component})
        target_link_libraries(inkling_${component} INTERFACE inkling::inkling ${libraries})
    endif()
endfunction()

# Adds inkling::all, which links every component there is but cuda: its settings are for programs that use it.
function(inkling_add_all)
    if(TARGET inkling::all)
        return()
    endif()
    add_library(inkling_all INTERFACE)
    add_library(inkling::all ALIAS inkling_all)
    target_link_libraries(inkling_all INTERFACE inkling::inkling)
    foreach(component IN LISTS inkling_known_components)
        if(TARGET inkling::${component} AND NOT component STREQUAL "cuda")
            target_link_libraries(inkling_all INTERFACE inkling::${component})
        endif()
    endforeach()
endfunction()
