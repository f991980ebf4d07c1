#pragma once

#include <inkling/core/index.hpp>
#include <inkling/io/element_type.hpp>

#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inkling::io::detail {

/// @return numpy's name of an element type, little-endian: "<f4", "|u1", ...; empty where numpy has none
[[nodiscard]] constexpr std::string_view npy_name_of(ElementType type) {
    switch (type) {
        case ElementType::F64: return "<f8";
        case ElementType::I64: return "<i8";
        case ElementType::U64: return "<u8";
        case ElementType::F32: return "<f4";
        case ElementType::I32: return "<i4";
        case ElementType::U32: return "<u4";
        case ElementType::F16: return "<f2";
        case ElementType::I16: return "<i2";
        case ElementType::U16: return "<u2";
        case ElementType::I8: return "|i1";
        case ElementType::U8: return "|u1";
        case ElementType::BOOL: return "|b1";
        case ElementType::BF16: break;
    }
    return "";
}

/// @return the element type that numpy calls so, or nothing
[[nodiscard]] constexpr std::optional<ElementType> element_type_named_by_npy(std::string_view name) {
    for (ElementType const type : element_types)
        if (!name.empty() && npy_name_of(type) == name) return type;
    return std::nullopt;
}

/// What the header of an .npy file says.
struct NpyHeader {
    std::string type;  ///< numpy's name of the element type
    bool fortran_order = false;
    std::vector<Index> shape;
};

/// Reads the header's text: a Python dictionary of exactly the keys 'descr', 'fortran_order' and 'shape', in any order.
class NpyHeaderParser {
public:
    explicit NpyHeaderParser(std::string_view text) : text_(text) {}

    /// @return the header, or nothing when the text is anything else; `position` then tells where it stopped making
    ///         sense
    [[nodiscard]] std::optional<NpyHeader> parse() {
        NpyHeader header;
        bool has_type = false, has_order = false, has_shape = false;
        if (!take_('{')) return std::nullopt;
        while (!take_('}')) {
            std::string key;
            if (!quoted_(key) || !take_(':')) return std::nullopt;
            bool good = false;
            if (key == "descr" && !std::exchange(has_type, true))
                good = quoted_(header.type);
            else if (key == "fortran_order" && !std::exchange(has_order, true))
                good = truth_(header.fortran_order);
            else if (key == "shape" && !std::exchange(has_shape, true))
                good = sizes_(header.shape);
            if (!good) return std::nullopt;
            if (!take_(',') && peek_() != '}') return std::nullopt;
        }
        skip_();
        if (position != text_.size() || !has_type || !has_order || !has_shape) return std::nullopt;
        return header;
    }

    std::size_t position = 0;

private:
    static constexpr std::size_t most_dimensions = 64;

    void skip_() {
        while (position < text_.size() && (text_[position] == ' ' || text_[position] == '\n')) ++position;
    }

    [[nodiscard]] char peek_() {
        skip_();
        return position < text_.size() ? text_[position] : '\0';
    }

    bool take_(char wanted) {
        if (peek_() != wanted) return false;
        ++position;
        return true;
    }

    bool quoted_(std::string& value) {
        char const quote = peek_();
        if (quote != '\'' && quote != '"') return false;
        auto const end = text_.find(quote, position + 1);
        if (end == std::string_view::npos) return false;
        value = text_.substr(position + 1, end - position - 1);
        position = end + 1;
        return value.find('\\') == std::string::npos;
    }

    bool truth_(bool& value) {
        skip_();
        for (bool const candidate : {false, true}) {
            std::string_view const word = candidate ? "True" : "False";
            if (text_.substr(position).starts_with(word)) {
                position += word.size();
                value = candidate;
                return true;
            }
        }
        return false;
    }

    bool sizes_(std::vector<Index>& shape) {
        if (!take_('(')) return false;
        while (!take_(')')) {
            skip_();
            Index size = 0;
            auto const rest = text_.substr(position);
            auto const [end, problem] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
            if (problem != std::errc{} || size < 0 || shape.size() == most_dimensions) return false;
            position += static_cast<std::size_t>(end - rest.data());
            shape.push_back(size);
            if (!take_(',') && (peek_() != ')' || shape.size() == 1)) return false;  // (5) is a number, (5,) a tuple
        }
        return true;
    }

    std::string_view text_;
};

}  // namespace inkling::io::detail
