# Install rules and the CMake package: `find_package(inkling 0.1 COMPONENTS eigen)`.

include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/inkling")
install(TARGETS inkling EXPORT inkling-targets FILE_SET HEADERS)
install(EXPORT inkling-targets NAMESPACE inkling:: DESTINATION "${package_dir}")
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/inkling-config.cmake.in" inkling-config.cmake
    INSTALL_DESTINATION "${package_dir}" NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(inkling-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
    "${CMAKE_CURRENT_BINARY_DIR}/inkling-config.cmake"
    "${CMAKE_CURRENT_BINARY_DIR}/inkling-config-version.cmake"
    "${CMAKE_CURRENT_LIST_DIR}/inkling-components.cmake"
    DESTINATION "${package_dir}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
