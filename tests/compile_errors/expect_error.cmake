# Compiles `source` with each of `compilers`; it must fail, and the output must hold what the source's opening lines
# expect.
file(STRINGS "${source}" opening LIMIT_COUNT 10 REGEX "^// expect(-gcc|-clang)?: ")
if(NOT opening)
    message(FATAL_ERROR "${source}: the first ten lines lack '// expect: <what the compiler must say>'")
endif()
if(NOT compilers)
    message(FATAL_ERROR "neither g++ nor clang++ is found")
endif()

include("${CMAKE_CURRENT_LIST_DIR}/options.cmake")

foreach(compiler IN LISTS compilers)
    if(compiler MATCHES "clang")
        set(kind clang)
        set(library -include-pch "${precompiled}/library.hpp.pch")
    else()
        set(kind gcc)
        set(library -include "${precompiled}/library.hpp")  # beside which g++ finds library.hpp.gch
    endif()
    execute_process(COMMAND "${CMAKE_COMMAND}" -E env LC_ALL=C
        "${compiler}" ${options} ${library} -fsyntax-only "${source}"
        OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE status)
    if(status STREQUAL "0")
        message(FATAL_ERROR "${compiler}: ${source} compiles, and should not")
    endif()
    foreach(line IN LISTS opening)
        if(line MATCHES "^// expect(-${kind})?: (.*)$")
            set(expected "${CMAKE_MATCH_2}")
            string(FIND "${output}" "${expected}" position)
            if(position EQUAL -1)
                message("${output}")
                message(FATAL_ERROR "${compiler}: the compiler does not say '${expected}'")
            endif()
        endif()
    endforeach()
endforeach()
