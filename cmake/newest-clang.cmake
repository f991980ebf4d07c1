# Toolchain of preset dev-clang: the newest clang++ at hand, as many systems call an old one plain `clang++`.
if(NOT CMAKE_CXX_COMPILER)
    find_program(CMAKE_CXX_COMPILER
        NAMES clang++-21 clang++-20 clang++-19 clang++-18 clang++-17 clang++-16 clang++ REQUIRED)
endif()
