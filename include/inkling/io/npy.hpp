#pragma once

#include <inkling/io/atomic_file.hpp>
#include <inkling/io/detail/npy_header.hpp>
#include <inkling/io/detail/xtensor.hpp>
#include <inkling/io/element_type.hpp>
#include <inkling/io/npy_file.hpp>
#include <inkling/io/tensor_view.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inkling::io {

namespace detail {

/// Copies a checked array out of a file's bytes.
template <Element T>
[[nodiscard]] xt::xarray<T> to_xarray(TensorView const& view) {
    std::vector<std::size_t> shape(view.shape().begin(), view.shape().end());
    auto array = xt::xarray<T>::from_shape(shape);
    view.copy_to(std::span<T>(array.data(), array.size()));
    return array;
}

}  // namespace detail

/// Reads a numpy array.
///
/// Read are versions 1 and 2 of the format with little-endian numbers in C's order. The elements are converted to T as
/// TensorView::copy_to does: the same numbers, or an Error.
/// Source: numpy.lib.format (the .npy format).
/// @return an array of the shape in the file; a scalar's shape is empty
/// @throws Error when the file cannot be read or is no such file
template <Element T>
[[nodiscard]] xt::xarray<T> read_npy(std::filesystem::path const& path) {
    return detail::to_xarray<T>(NpyFile::open(path).array());
}

/// Writes an array as an .npy file, wholly or not at all (see AtomicFile).
///
/// Version 1 of the format, 2 where the header is too long for it; C's order, whatever the order in memory.
/// @param array  any xtensor expression with elements of double, float, bool or an integer type
/// @throws Error when the file cannot be written; an old file then stays as it was
template <class Expression>
    requires Element<typename Expression::value_type>
void write_npy(std::filesystem::path const& path, xt::xexpression<Expression> const& array) {
    using T = typename Expression::value_type;
    xt::xarray<T, xt::layout_type::row_major> const values(array.derived_cast());
    std::string text =
        "{'descr': '" + std::string(detail::npy_name_of(element_type_of<T>)) + "', 'fortran_order': False, 'shape': (";
    for (std::size_t const size : values.shape()) text += std::to_string(size) + (values.dimension() == 1 ? "," : ", ");
    if (values.dimension() > 1) text.resize(text.size() - 2);
    text += "), }";
    std::size_t const begin = text.size() + 64 < 65536 ? 10 : 12;
    text.append((64 - (begin + text.size() + 1) % 64) % 64, ' ');  // the array begins at a multiple of 64
    text += '\n';

    AtomicFile file(path);
    file.write("\x93NUMPY");
    auto const length = static_cast<std::uint32_t>(text.size());
    std::array<char, 2> const version{static_cast<char>(begin == 10 ? 1 : 2), 0};
    file.write(std::string_view(version.data(), version.size()));
    file.write(std::as_bytes(std::span(&length, 1)).first(begin - 8));
    file.write(text);
    file.write(std::as_bytes(std::span(values.data(), values.size())));
    file.commit();
}

}  // namespace inkling::io
