#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/core/shape.hpp>
#include <inkling/io/atomic_file.hpp>
#include <inkling/io/detail/npy_header.hpp>
#include <inkling/io/detail/posix.hpp>
#include <inkling/io/detail/shape.hpp>
#include <inkling/io/detail/xtensor.hpp>
#include <inkling/io/element_type.hpp>
#include <inkling/io/tensor_view.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inkling::io {

namespace detail {

/// Checks the bytes of an .npy file and finds its array in them.
/// @param shown  what messages call the file
/// @throws Error when the bytes are no .npy file of version 1 or 2 with one little-endian, row-major array of numbers
[[nodiscard]] inline TensorView parse_npy(std::span<std::byte const> file, std::string const& shown) {
    std::string const where = "inkling::io::read_npy: file '" + shown + "': ";
    constexpr std::string_view magic = "\x93NUMPY";
    require(file.size() >= 10 && std::equal(magic.begin(), magic.end(), reinterpret_cast<char const*>(file.data())),
            where, "is no .npy file: it does not begin with its mark");
    auto const major = static_cast<unsigned>(file[6]), minor = static_cast<unsigned>(file[7]);
    require((major == 1 || major == 2) && minor == 0, where, "is of format version ", major, ".", minor,
            ", expected 1.0 or 2.0");
    std::size_t const begin = major == 1 ? 10 : 12;
    require(file.size() >= begin, where, "ends within its first ", begin, " bytes");
    std::size_t const length = major == 1 ? load<std::uint16_t>(file.data() + 8) : load<std::uint32_t>(file.data() + 8);
    require(length <= file.size() - begin, where, "says its header has ", length, " bytes, but only ",
            file.size() - begin, " follow");

    NpyHeaderParser parser(std::string_view(reinterpret_cast<char const*>(file.data()) + begin, length));
    auto header = parser.parse();
    require(header.has_value(), where, "has a header that makes no sense at byte ", begin + parser.position);
    auto const type = element_type_named_by_npy(header->type);
    require(type.has_value(), where, "holds elements of type '", header->type,
            "', expected one of <f8 <f4 <f2 <i8 <i4 <i2 |i1 <u8 <u4 <u2 |u1 |b1");
    require(!header->fortran_order, where, "is in Fortran's order, expected C's (numpy.ascontiguousarray gives it)");
    auto const elements = shape_size(header->shape);
    auto const data = file.subspan(begin + length);
    auto const each = size_of(*type);
    require(elements && static_cast<std::uint64_t>(*elements) <= std::numeric_limits<std::uint64_t>::max() / each,
            where, "has shape ", shape_text(header->shape), ", which is too large");
    require(static_cast<std::uint64_t>(*elements) * each == data.size(), where, "has shape ", shape_text(header->shape),
            " and elements of type '", header->type, "', which take ", static_cast<std::uint64_t>(*elements) * each,
            " bytes; ", data.size(), " are there");
    return TensorView(shown, "array", *type, std::move(header->shape), data);
}

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
    detail::FileMapping const file(path, "inkling::io::read_npy");
    return detail::to_xarray<T>(detail::parse_npy(file.bytes(), path.string()));
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
