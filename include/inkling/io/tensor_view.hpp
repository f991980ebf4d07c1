#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/core/shape.hpp>
#include <inkling/io/detail/shape.hpp>
#include <inkling/io/element_type.hpp>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace inkling::io {

/// One array of a file, row-major, as it lies there: it looks at bytes that whatever it came from keeps alive.
class TensorView {
public:
    TensorView(std::string file, std::string name, ElementType type, std::vector<Index> shape,
               std::span<std::byte const> bytes)
        : file_(std::move(file)), name_(std::move(name)), type_(type), shape_(std::move(shape)), bytes_(bytes) {}

    [[nodiscard]] std::string const& name() const noexcept { return name_; }
    [[nodiscard]] ElementType type() const noexcept { return type_; }
    [[nodiscard]] std::vector<Index> const& shape() const noexcept { return shape_; }  ///< a scalar's is empty
    [[nodiscard]] std::span<std::byte const> bytes() const noexcept { return bytes_; }

    /// @return the number of elements
    [[nodiscard]] Index size() const noexcept { return static_cast<Index>(bytes_.size() / size_of(type_)); }

    /// Copies the elements, converting them where the stored type is another one.
    ///
    /// What comes out is the same number; only a double may round to the nearest float. NaN and infinity pass between
    /// floating types.
    /// @param destination  room for exactly size() elements; untouched on failure
    /// @throws Error when the sizes differ, or an element has no equal in T (the message names the first such element)
    template <Element T>
    void copy_to(std::span<T> destination) const {
        if (destination.size() != static_cast<std::size_t>(size()))
            fail_("holds ", size(), " elements, expected ", destination.size());
        if (destination.empty()) return;
        if (type_ == element_type_of<T> && type_ != ElementType::BOOL) {
            std::memcpy(destination.data(), bytes_.data(), bytes_.size());
            return;
        }
        detail::with_reader(type_, bytes_.data(), [&](auto const& read) {
            for (std::size_t i = 0; i < destination.size(); ++i)
                if (!detail::convert<T>(read(i)) || (type_ == ElementType::BOOL && !detail::convert<bool>(read(i))))
                    fail_("element ", i, " of type ", name_of(type_), " is ", +read(i), ", which has no equal in ",
                          name_of(type_ == ElementType::BOOL ? type_ : element_type_of<T>));
            for (std::size_t i = 0; i < destination.size(); ++i) destination[i] = *detail::convert<T>(read(i));
        });
    }

    /// @return the elements as values of T, converted as by `copy_to`
    /// @throws Error as `copy_to` does
    template <Element T>
        requires(!std::same_as<T, bool>)
    [[nodiscard]] std::vector<T> to() const {
        std::vector<T> elements(static_cast<std::size_t>(size()));
        copy_to(std::span<T>(elements));
        return elements;
    }

    /// @return the elements where they lie, without a copy
    /// @throws Error when T is not the stored type, or the file keeps the array at an address that T cannot be read
    ///         from
    template <Element T>
        requires(!std::same_as<T, bool>)
    [[nodiscard]] std::span<T const> as() const {
        if (type_ != element_type_of<T>)
            fail_("is of type ", name_of(type_), ", expected ", name_of(element_type_of<T>));
        if (bytes_.empty()) return {};
        if (std::bit_cast<std::uintptr_t>(bytes_.data()) % alignof(T) != 0)
            fail_("is not aligned in the file for ", name_of(type_), ": copy it out with to() or copy_to()");
        return {reinterpret_cast<T const*>(bytes_.data()), static_cast<std::size_t>(size())};
    }

    /// @throws Error, with both shapes, unless the array has this shape
    void require_shape(std::span<Index const> expected) const {
        if (!std::equal(shape_.begin(), shape_.end(), expected.begin(), expected.end()))
            fail_("has shape ", shape_text(shape_), ", expected ", shape_text(expected));
    }
    void require_shape(std::initializer_list<Index> expected) const {
        require_shape(std::span(expected.begin(), expected.size()));
    }

private:
    template <class... Parts>
    [[noreturn]] void fail_(Parts const&... parts) const {
        fail("inkling::io::TensorView: file '", file_, "': tensor '", name_, "' ", parts...);
    }

    std::string file_;
    std::string name_;
    ElementType type_;
    std::vector<Index> shape_;
    std::span<std::byte const> bytes_;
};

}  // namespace inkling::io
