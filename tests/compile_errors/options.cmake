# What both compilers are told, of the whole library and of each file.
set(options -std=c++20)
foreach(directory IN LISTS include_directories)
    if(directory AND NOT directory STREQUAL "/usr/include")  # named again, it hides the C headers from the C++ ones
        list(APPEND options -isystem "${directory}")
    endif()
endforeach()
