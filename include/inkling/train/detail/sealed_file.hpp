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

namespace inkling::train::detail {

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
        one.add(io::name_of(type));
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

/// Writes a safetensors file that knows its format and a checksum of all it holds; wholly or not at all.
/// @param format_key  the metadata key of the format's version
inline void write_sealed(std::filesystem::path const& path, std::span<io::TensorToWrite const> tensors,
                         std::map<std::string, std::string> metadata, char const* format_key, int format) {
    metadata[format_key] = std::to_string(format);
    metadata[checksum_key] = checksum_of(tensors, metadata);
    io::write_safetensors(path, tensors, metadata);
}

/// Opens what write_sealed wrote, and reads it once to compare the checksum.
/// @param who  the public name on whose behalf it is opened, for messages
/// @throws Error when it is no such file, of a newer format, or damaged
[[nodiscard]] inline io::Safetensors open_sealed(std::filesystem::path const& path, std::string const& who,
                                                 char const* what, char const* format_key, int format) {
    io::Safetensors file = io::Safetensors::open(path);
    std::string const where = who + ": file '" + path.string() + "': ";
    auto const& metadata = file.metadata();
    auto const version = metadata.find(format_key);
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
        io::ElementType type;
        std::span<Index const> shape;
        std::span<std::byte const> bytes;
    };
    std::vector<Part> parts;
    for (io::TensorView const& tensor : file.tensors())
        parts.push_back({tensor.name(), tensor.type(), tensor.shape(), tensor.bytes()});
    auto const stored = metadata.find(checksum_key);
    require(stored != metadata.end() && stored->second == checksum_of(parts, metadata), where,
            "is damaged: its checksum is not that of its contents");
    return file;
}

}  // namespace inkling::train::detail
