#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/core/shape.hpp>
#include <inkling/io/atomic_file.hpp>
#include <inkling/io/detail/posix.hpp>
#include <inkling/io/detail/safetensors_header.hpp>
#include <inkling/io/detail/shape.hpp>
#include <inkling/io/element_type.hpp>
#include <inkling/io/tensor_view.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inkling::io {

/// A safetensors file opened for reading: named arrays and text metadata, all checked before the first is handed out.
///
/// The form: 8 bytes with the header's length N (little-endian), N bytes of JSON, then the arrays' bytes without holes.
/// Refused: a truncated file; a header longer than the file or 100 MB; anything in it but the expected JSON and spaces
/// behind it, zero bytes too; a name twice; unknown element types; shapes whose size overflows or differs from the
/// bytes given; arrays that overlap, leave holes or reach beyond the file. What the numbers are (NaN, say) is not
/// looked at. Copies share the bytes. While a file is mapped nobody must shorten it: the system ends a program that
/// looks at bytes that are gone (replacing the file whole, as AtomicFile does, is safe).
/// Source: https://huggingface.co/docs/safetensors (the format), its reference reader's limits.
class Safetensors {
public:
    static constexpr std::uint64_t longest_header = 100'000'000;  ///< bytes

    /// Maps a file into memory; only the header is read.
    /// @throws Error when it cannot be opened or is no valid safetensors file
    [[nodiscard]] static Safetensors open(std::filesystem::path const& path) {
        auto mapping = std::make_shared<detail::FileMapping const>(path, "inkling::io::Safetensors");
        auto const bytes = mapping->bytes();
        return Safetensors(path.string(), std::move(mapping), bytes);
    }

    /// Takes a file's bytes, for instance ones received from elsewhere.
    /// @param shown  what messages call it
    /// @throws Error when they are no valid safetensors file
    [[nodiscard]] static Safetensors parse(std::vector<std::byte> file, std::string shown = "(memory)") {
        auto owner = std::make_shared<std::vector<std::byte> const>(std::move(file));
        std::span<std::byte const> const bytes(*owner);
        return Safetensors(std::move(shown), std::move(owner), bytes);
    }

    /// @return what messages call the file: its path
    [[nodiscard]] std::string const& name() const noexcept { return file_; }

    [[nodiscard]] std::map<std::string, std::string> const& metadata() const noexcept { return metadata_; }

    /// @return the arrays in the order of their bytes in the file
    [[nodiscard]] std::span<TensorView const> tensors() const noexcept { return tensors_; }

    [[nodiscard]] bool contains(std::string_view name) const { return positions_.contains(name); }

    /// @throws Error when there is no such array; the message lists some that are there
    [[nodiscard]] TensorView const& at(std::string_view name) const {
        auto const found = positions_.find(name);
        if (found != positions_.end()) return tensors_[found->second];
        std::string there;
        for (std::size_t i = 0; i < std::min<std::size_t>(tensors_.size(), 5); ++i)
            there += (i == 0 ? " '" : ", '") + tensors_[i].name() + "'";
        fail("inkling::io::Safetensors: file '", file_, "': there is no tensor '", name, "'; it holds ",
             tensors_.size(), tensors_.empty() ? "" : ", such as", there);
    }

    /// @return the elements of the array of that name, converted to T as TensorView::copy_to does
    template <Element T>
    [[nodiscard]] std::vector<T> get(std::string_view name) const {
        return at(name).template to<T>();
    }

    /// The same, for an array that must have this shape.
    template <Element T>
    [[nodiscard]] std::vector<T> get(std::string_view name, std::initializer_list<Index> shape) const {
        at(name).require_shape(shape);
        return at(name).template to<T>();
    }

private:
    Safetensors(std::string file, std::shared_ptr<void const> owner, std::span<std::byte const> bytes)
        : file_(std::move(file)), owner_(std::move(owner)) {
        if (bytes.size() < 8)
            fail_("is no safetensors file: it holds ", bytes.size(),
                  " bytes, expected at least the 8 of the header's length");
        // First, as a file of another kind says nonsense about its length.
        if (bytes.size() == 8 || bytes[8] != std::byte{'{'})
            fail_("is no safetensors file: its header, from byte 8 on, does not begin with '{'");
        auto const length = detail::load<std::uint64_t>(bytes.data());
        if (length > longest_header)
            fail_("is no safetensors file: it says that its header has ", length, " bytes, expected at most ",
                  longest_header);
        if (length > bytes.size() - 8)
            fail_("is no safetensors file: it says that its header has ", length, " bytes, but only ", bytes.size() - 8,
                  " follow");
        auto const text = bytes.subspan(8, static_cast<std::size_t>(length));
        auto const data = bytes.subspan(8 + static_cast<std::size_t>(length));
        // The parser would take a zero byte for the end of the text, and what follows for nothing.
        if (auto const zero = std::find(text.begin(), text.end(), std::byte{0}); zero != text.end())
            fail_("has a zero byte at byte ", zero - text.begin(),
                  " of its header, expected JSON and behind it only spaces");

        auto header = [&] {
            try {
                return detail::SafetensorsHeader({reinterpret_cast<char const*>(text.data()), text.size()});
            } catch (Error const& error) { fail_("has a bad header: ", error.what()); }
        }();
        auto& records = header.tensors;
        std::stable_sort(records.begin(), records.end(), [](auto const& a, auto const& b) {
            return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
        });
        std::uint64_t position = 0;
        tensors_.reserve(records.size());
        for (auto& record : records) {
            if (record.begin > record.end || record.end > data.size())
                fail_("tensor '", record.name, "' lies at bytes ", record.begin, " to ", record.end, " of ",
                      data.size(), " (was the file cut short?)");
            if (record.begin < position)
                fail_("tensor '", record.name, "' overlaps the one before it at byte ", record.begin);
            if (record.begin > position)
                fail_("tensor '", record.name, "' leaves a hole of unused bytes before byte ", record.begin);
            auto const elements = detail::shape_size(record.shape);
            auto const taken = record.end - record.begin;
            auto const each = static_cast<std::uint64_t>(size_of(record.type));
            if (!elements || static_cast<std::uint64_t>(*elements) > std::numeric_limits<std::uint64_t>::max() / each)
                fail_("tensor '", record.name, "' has shape ", shape_text(record.shape), ", which is too large");
            if (static_cast<std::uint64_t>(*elements) * each != taken)
                fail_("tensor '", record.name, "' of type ", name_of(record.type), " and shape ",
                      shape_text(record.shape), " lies in ", taken, " bytes, expected ",
                      static_cast<std::uint64_t>(*elements) * each);
            position = record.end;
            positions_.emplace(record.name, tensors_.size());
            tensors_.emplace_back(
                file_, std::move(record.name), record.type, std::move(record.shape),
                data.subspan(static_cast<std::size_t>(record.begin), static_cast<std::size_t>(taken)));
        }
        if (position != data.size()) fail_("ends with ", data.size() - position, " bytes that no tensor uses");
        metadata_ = std::move(header.metadata);
    }

    template <class... Parts>
    [[noreturn]] void fail_(Parts const&... parts) const {
        fail("inkling::io::Safetensors: file '", file_, "': ", parts...);
    }

    std::string file_;
    std::shared_ptr<void const> owner_;
    std::map<std::string, std::string> metadata_;
    std::vector<TensorView> tensors_;
    std::map<std::string, std::size_t, std::less<>> positions_;
};

/// One array to be written; the bytes stay the caller's.
struct TensorToWrite {
    std::string name;
    ElementType type = ElementType::F32;
    std::vector<Index> shape;
    std::span<std::byte const> bytes;
};

/// @return elements in memory as an array to be written
/// @throws Error when the shape has not as many elements
template <Element T>
[[nodiscard]] TensorToWrite tensor_to_write(std::string name, std::vector<Index> shape, std::span<T const> elements) {
    auto const size = detail::shape_size(shape);
    require(size && static_cast<std::size_t>(*size) == elements.size(), "inkling::io::tensor_to_write: tensor '", name,
            "' has ", elements.size(), " elements, which is not what shape ", shape_text(shape), " holds");
    return {std::move(name), element_type_of<T>, std::move(shape), std::as_bytes(elements)};
}

/// Writes a safetensors file, wholly or not at all (see AtomicFile).
///
/// Wider element types come first and the header is padded with spaces to a multiple of 8, so every array is aligned in
/// the file; within one width arrays keep their order. The same input gives the same bytes.
/// @throws Error when a name is used twice, is "__metadata__" or no UTF-8, the bytes of an array are not what
///         its type and shape need, the header would be longer than 100 MB, or the file cannot be written; an old file
///         then stays as it was
inline void write_safetensors(std::filesystem::path const& path, std::span<TensorToWrite const> tensors,
                              std::map<std::string, std::string> const& metadata = {}) {
    std::string const where = "inkling::io::write_safetensors: file '" + path.string() + "': ";
    std::vector<std::size_t> order(tensors.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return size_of(tensors[a].type) > size_of(tensors[b].type); });

    auto const json_of = [&](auto const& value) {
        try {
            return nlohmann::json(value).dump();
        } catch (nlohmann::json::type_error const&) {
            fail(where, "a tensor's name or the metadata is not valid UTF-8");
        }
    };
    // By hand, as json would sort the names, and ordered_json is all of its templates once more.
    std::string text = "{";
    if (!metadata.empty()) text += "\"__metadata__\":" + json_of(metadata);
    std::set<std::string_view> names;
    std::uint64_t position = 0;
    for (std::size_t const i : order) {
        TensorToWrite const& tensor = tensors[i];
        require(tensor.name != "__metadata__", where, "a tensor cannot be named '__metadata__'");
        require(names.insert(tensor.name).second, where, "the tensor name '", tensor.name, "' is used twice");
        auto const elements = detail::shape_size(tensor.shape);
        require(elements && static_cast<std::uint64_t>(*elements) <= tensor.bytes.size() / size_of(tensor.type)
                    && static_cast<std::uint64_t>(*elements) * size_of(tensor.type) == tensor.bytes.size(),
                where, "tensor '", tensor.name, "' has ", tensor.bytes.size(), " bytes, which is not what type ",
                name_of(tensor.type), " and shape ", shape_text(tensor.shape), " need");
        auto const end = position + tensor.bytes.size();
        text += message(text.size() > 1 ? "," : "", json_of(tensor.name), ":{\"dtype\":\"", name_of(tensor.type),
                        "\",\"shape\":", json_of(tensor.shape), ",\"data_offsets\":[", position, ',', end, "]}");
        position = end;
    }
    text += '}';
    text.append((8 - text.size() % 8) % 8, ' ');
    require(text.size() <= Safetensors::longest_header, where, "its header would have ", text.size(),
            " bytes, expected at most ", Safetensors::longest_header);

    AtomicFile file(path);
    auto const length = static_cast<std::uint64_t>(text.size());
    file.write(std::as_bytes(std::span(&length, 1)));
    file.write(text);
    for (std::size_t const i : order) file.write(tensors[i].bytes);
    file.commit();
}
inline void write_safetensors(std::filesystem::path const& path, std::initializer_list<TensorToWrite> tensors,
                              std::map<std::string, std::string> const& metadata = {}) {
    write_safetensors(path, std::span(tensors.begin(), tensors.size()), metadata);
}

}  // namespace inkling::io
