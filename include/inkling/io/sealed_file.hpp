#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/hash.hpp>
#include <inkling/core/index.hpp>
#include <inkling/io/safetensors.hpp>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace inkling::io {

namespace detail {

/// A checksum of 64 bits over bytes, eight at a time.
class Checksum {
public:
    void add(std::span<std::byte const> bytes) {
        add(static_cast<std::uint64_t>(bytes.size()));
        while (bytes.size() >= sizeof(std::uint64_t)) {
            std::uint64_t word = 0;
            std::memcpy(&word, bytes.data(), sizeof(word));
            add(word);
            bytes = bytes.subspan(sizeof(word));
        }
        std::uint64_t last = 0;
        if (!bytes.empty()) std::memcpy(&last, bytes.data(), bytes.size());
        add(last);
    }
    void add(std::string_view text) { add(std::as_bytes(std::span(text.data(), text.size()))); }
    void add(std::uint64_t word) { hash_.add(word); }
    [[nodiscard]] std::uint64_t value() const { return hash_.value(); }

private:
    Hash hash_{0x2545F4914F6CDD1Du};
};

inline constexpr char const* checksum_key = "inkling_checksum";

/// The checksum of all names, types, shapes, elements and metadata, whatever the order of the arrays, as text.
template <class Tensors>
[[nodiscard]] std::string checksum_of(Tensors const& tensors, std::map<std::string, std::string> const& metadata) {
    std::uint64_t total = 0;
    for (auto const& [name, type, shape, bytes] : tensors) {
        Checksum one;
        one.add(name);
        one.add(name_of(type));
        for (Index const size : shape) one.add(static_cast<std::uint64_t>(size));
        one.add(bytes);
        total += one.value();
    }
    for (auto const& [key, value] : metadata) {
        if (key == checksum_key) continue;
        Checksum one;
        one.add(key);
        one.add(value);
        total += one.value();
    }
    std::array<char, 16> digits;
    auto const written = std::to_chars(digits.data(), digits.data() + digits.size(), total, 16);
    return {digits.data(), written.ptr};
}

}  // namespace detail

/// What is thought of a file that has no checksum.
enum class Unsealed {
    refuse,
    take  ///< another program may have written it
};

/// Writes a safetensors file that knows its format and a checksum of all it holds; wholly or not at all.
/// @param format_key  the metadata key of the format's version
/// @throws Error as write_safetensors does
inline void write_sealed(std::filesystem::path const& path, std::span<TensorToWrite const> tensors,
                         std::map<std::string, std::string> metadata, char const* format_key, int format) {
    metadata[format_key] = std::to_string(format);
    metadata[detail::checksum_key] = detail::checksum_of(tensors, metadata);
    write_safetensors(path, tensors, metadata);
}

/// Holds a safetensors file against its format and its checksum; reads it once.
///
/// @param where  begins the message
/// @param what   it should be: "model", say
/// @param other  what may have been given instead, and what to do then: metadata key to advice
/// @throws Error when it is no such file, of a newer format, or damaged
inline void require_sealed(Safetensors const& file, std::string_view where, char const* what, char const* format_key,
                           int format, Unsealed unsealed = Unsealed::refuse,
                           std::map<std::string, std::string> const& other = {}) {
    auto const& metadata = file.metadata();
    auto const version = metadata.find(format_key);
    if (version == metadata.end())
        for (auto const& [key, advice] : other)
            require(!metadata.contains(key), where, "is no ", what, " of inkling but ", advice);
    require(version != metadata.end(), where, "is no ", what, " of inkling: its metadata lack '", format_key, "'");
    int number = 0;
    auto const* const end = version->second.data() + version->second.size();
    auto const [stop, problem] = std::from_chars(version->second.data(), end, number);
    require(problem == std::errc{} && stop == end && number >= 1, where, "its '", format_key, "' is '", version->second,
            "', expected a whole number of 1 or more");
    require(number <= format, where, "is of format ", number, ", which is newer than the ", format,
            " that this version of inkling reads");
    struct Part {
        std::string_view name;
        ElementType type;
        std::span<Index const> shape;
        std::span<std::byte const> bytes;
    };
    std::vector<Part> parts;
    for (TensorView const& tensor : file.tensors())
        parts.push_back({tensor.name(), tensor.type(), tensor.shape(), tensor.bytes()});
    auto const stored = metadata.find(detail::checksum_key);
    if (stored == metadata.end() && unsealed == Unsealed::take) return;
    require(stored != metadata.end() && stored->second == detail::checksum_of(parts, metadata), where,
            "is damaged: its checksum is not that of its contents");
}

/// Opens what write_sealed wrote, and holds it against its format and checksum.
/// @param who  the public name on whose behalf it is opened, for messages
/// @throws Error as require_sealed does, and when it is no safetensors file
[[nodiscard]] inline Safetensors open_sealed(std::filesystem::path const& path, std::string const& who,
                                             char const* what, char const* format_key, int format) {
    Safetensors file = Safetensors::open(path);
    require_sealed(file, who + ": file '" + path.string() + "': ", what, format_key, format);
    return file;
}

}  // namespace inkling::io
