# Runs one example for CTest: it must end well and print what its source promises. (CTest's own PASS_REGULAR_EXPRESSION
# ignores the exit status.)
separate_arguments(arguments UNIX_COMMAND "${arguments}")
execute_process(COMMAND "${program}" ${arguments}
    OUTPUT_VARIABLE output ERROR_VARIABLE errors RESULT_VARIABLE status)
message("${output}${errors}")
if(NOT status STREQUAL "0")
    message(FATAL_ERROR "the program ended with '${status}', expected 0")
endif()
if(NOT output MATCHES "${expected}")
    message(FATAL_ERROR "standard output lacks '${expected}'")
endif()
