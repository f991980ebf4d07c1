#pragma once

#include <inkling/core/error.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

namespace inkling::io {

static_assert(std::endian::native == std::endian::little,
              "inkling::io: the file formats here are little-endian, and so must the machine be");

/// What a stored array is made of. The names are those of the safetensors format.
enum class ElementType { F64, I64, U64, F32, I32, U32, F16, BF16, I16, U16, I8, U8, BOOL };

/// Every element type, the widest first.
inline constexpr std::array<ElementType, 13> element_types{
    ElementType::F64, ElementType::I64, ElementType::U64,  ElementType::F32, ElementType::I32,
    ElementType::U32, ElementType::F16, ElementType::BF16, ElementType::I16, ElementType::U16,
    ElementType::I8,  ElementType::U8,  ElementType::BOOL};

/// @return bytes of one element: 1, 2, 4 or 8
[[nodiscard]] constexpr std::size_t size_of(ElementType type) {
    switch (type) {
        case ElementType::F64:
        case ElementType::I64:
        case ElementType::U64: return 8;
        case ElementType::F32:
        case ElementType::I32:
        case ElementType::U32: return 4;
        case ElementType::F16:
        case ElementType::BF16:
        case ElementType::I16:
        case ElementType::U16: return 2;
        case ElementType::I8:
        case ElementType::U8:
        case ElementType::BOOL: break;
    }
    return 1;
}

/// @return the type's name in the safetensors format: "F32", "BOOL", ...
[[nodiscard]] constexpr std::string_view name_of(ElementType type) {
    constexpr std::array<std::string_view, element_types.size()> names{"F64",  "I64", "U64", "F32", "I32", "U32", "F16",
                                                                       "BF16", "I16", "U16", "I8",  "U8",  "BOOL"};
    return names[static_cast<std::size_t>(type)];
}

/// @return the type of that name, or nothing
[[nodiscard]] constexpr std::optional<ElementType> element_type_named(std::string_view name) {
    for (ElementType const type : element_types)
        if (name_of(type) == name) return type;
    return std::nullopt;
}

/// C++ types that arrays can be read into and written from.
template <class T>
concept Element = std::same_as<T, double> || std::same_as<T, float> || std::same_as<T, bool>
    || (std::integral<T> && !std::same_as<T, char> && !std::same_as<T, wchar_t> && !std::same_as<T, char8_t>
        && !std::same_as<T, char16_t> && !std::same_as<T, char32_t>);

/// The element type that holds a T bit for bit.
template <Element T>
inline constexpr ElementType element_type_of = [] {
    if constexpr (std::same_as<T, double>)
        return ElementType::F64;
    else if constexpr (std::same_as<T, float>)
        return ElementType::F32;
    else if constexpr (std::same_as<T, bool>)
        return ElementType::BOOL;
    else if constexpr (sizeof(T) == 8)
        return std::signed_integral<T> ? ElementType::I64 : ElementType::U64;
    else if constexpr (sizeof(T) == 4)
        return std::signed_integral<T> ? ElementType::I32 : ElementType::U32;
    else if constexpr (sizeof(T) == 2)
        return std::signed_integral<T> ? ElementType::I16 : ElementType::U16;
    else
        return std::signed_integral<T> ? ElementType::I8 : ElementType::U8;
}();

/// @param bits  an IEEE 754 binary16 number: 1 sign, 5 exponent, 10 fraction bits
/// @return      the same value, exactly
[[nodiscard]] inline float from_half(std::uint16_t bits) {
    std::uint32_t const sign = std::uint32_t{bits & 0x8000u} << 16;
    std::uint32_t const exponent = (bits >> 10) & 0x1fu;
    std::uint32_t const fraction = bits & 0x3ffu;
    if (exponent == 0) {  // zero and the subnormal numbers: fraction · 2^-24
        float const magnitude = static_cast<float>(fraction) * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    std::uint32_t const wide = exponent == 0x1f ? 0xffu : exponent + (127 - 15);
    return std::bit_cast<float>(sign | (wide << 23) | (fraction << 13));
}

/// @param bits  a bfloat16 number: the upper half of a float
/// @return      the same value, exactly
[[nodiscard]] inline float from_bfloat16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

namespace detail {

/// Reads a T from any address.
template <class T>
[[nodiscard]] T load(std::byte const* address) {
    T value;
    std::memcpy(&value, address, sizeof(T));
    return value;
}

/// A value as another type, or nothing where that would not be the same number. A double may round to the nearest
/// float; nothing may overflow.
template <Element To, class From>
[[nodiscard]] std::optional<To> convert(From value) {
    if constexpr (std::same_as<To, From>) {
        return value;
    } else if constexpr (std::same_as<To, bool>) {
        if (value == From{0} || value == From{1}) return value == From{1};
        return std::nullopt;
    } else if constexpr (std::same_as<From, bool>) {
        return static_cast<To>(value ? 1 : 0);
    } else if constexpr (std::floating_point<To> && std::floating_point<From>) {
        To const result = static_cast<To>(value);
        if (std::isinf(result) && !std::isinf(value)) return std::nullopt;
        return result;
    } else if constexpr (std::floating_point<To>) {  // an integer: exact, or nothing
        constexpr int kept = std::numeric_limits<To>::digits;
        if constexpr (std::numeric_limits<From>::digits > kept) {
            std::uint64_t magnitude = static_cast<std::uint64_t>(value);
            if (value < From{0}) magnitude = 0 - magnitude;
            if (magnitude != 0 && static_cast<int>(std::bit_width(magnitude)) - std::countr_zero(magnitude) > kept)
                return std::nullopt;
        }
        return static_cast<To>(value);
    } else if constexpr (std::floating_point<From>) {
        constexpr double limit = 2.0 * static_cast<double>(std::uint64_t{1} << (std::numeric_limits<To>::digits - 1));
        double const wide = static_cast<double>(value);
        double const lowest = std::signed_integral<To> ? -limit : 0.0;
        if (!(wide >= lowest && wide < limit) || wide != std::trunc(wide)) return std::nullopt;
        return static_cast<To>(value);
    } else {
        if (!std::in_range<To>(value)) return std::nullopt;
        return static_cast<To>(value);
    }
}

/// Calls `use(reader)` with a function that reads element i of `bytes` as a C++ value of the stored type.
template <class Use>
void with_reader(ElementType type, std::byte const* bytes, Use&& use) {
    auto const plain = [bytes]<class T>(T) {
        return [bytes](std::size_t i) { return load<T>(bytes + i * sizeof(T)); };
    };
    switch (type) {
        case ElementType::F64: return use(plain(double{}));
        case ElementType::I64: return use(plain(std::int64_t{}));
        case ElementType::U64: return use(plain(std::uint64_t{}));
        case ElementType::F32: return use(plain(float{}));
        case ElementType::I32: return use(plain(std::int32_t{}));
        case ElementType::U32: return use(plain(std::uint32_t{}));
        case ElementType::F16:
            return use([bytes](std::size_t i) { return from_half(load<std::uint16_t>(bytes + i * 2)); });
        case ElementType::BF16:
            return use([bytes](std::size_t i) { return from_bfloat16(load<std::uint16_t>(bytes + i * 2)); });
        case ElementType::I16: return use(plain(std::int16_t{}));
        case ElementType::U16: return use(plain(std::uint16_t{}));
        case ElementType::I8: return use(plain(std::int8_t{}));
        case ElementType::U8: return use(plain(std::uint8_t{}));
        case ElementType::BOOL:
            return use(plain(std::uint8_t{}));  // a byte: one that is neither 0 nor 1 must be noticed
    }
}

}  // namespace detail
}  // namespace inkling::io
