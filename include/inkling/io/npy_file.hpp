#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/core/shape.hpp>
#include <inkling/io/detail/npy_header.hpp>
#include <inkling/io/detail/posix.hpp>
#include <inkling/io/detail/shape.hpp>
#include <inkling/io/element_type.hpp>
#include <inkling/io/tensor_view.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>

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

}  // namespace detail

/// An open .npy file: its array is read where it lies, without a copy, and needs no array library.
///
/// Read are versions 1 and 2 of the format with little-endian numbers in C's order; npy.hpp reads and writes them as
/// xtensor's arrays.
/// Source: numpy.lib.format (the .npy format).
class NpyFile {
public:
    /// @throws Error when the file cannot be read or is no such file
    [[nodiscard]] static NpyFile open(std::filesystem::path const& path) { return NpyFile(path); }

    /// The file's array, of any shape; valid as long as the file is open.
    [[nodiscard]] TensorView const& array() const noexcept { return array_; }

private:
    explicit NpyFile(std::filesystem::path const& path)
        : file_(path, "inkling::io::read_npy"), array_(detail::parse_npy(file_.bytes(), path.string())) {}

    detail::FileMapping file_;
    TensorView array_;
};

}  // namespace inkling::io
