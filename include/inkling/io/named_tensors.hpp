#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/core/shape.hpp>
#include <inkling/io/detail/shape.hpp>
#include <inkling/io/safetensors.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace inkling::io {

/// One named array of floats in memory, row-major: a view into a flat buffer of weights, say.
struct NamedTensor {
    std::string name;
    std::vector<Index> shape;
    float const* data = nullptr;
};

/// One named array of floats to be filled.
struct TensorDestination {
    std::string name;
    std::vector<Index> shape;
    float* data = nullptr;
};

/// What load_tensors does about arrays of the file that nobody asked for.
enum class UnusedTensors {
    refuse,  ///< throw an Error that names some: the model has other sizes or parts than the file
    ignore,  ///< leave them be, as an importer that needs a part of a checkpoint does
};

/// @param where  what a message begins with
/// @param name   of the weight whose numbers these are
/// @throws Error naming the first number that is not finite
template <class T>
void require_finite(std::span<T const> values, std::string_view name, std::string_view where) {
    auto const bad = std::find_if(values.begin(), values.end(), [](T value) { return !std::isfinite(value); });
    if (bad != values.end())
        fail(where, "weight '", name, "' has ", *bad, " as element ", bad - values.begin(),
             ", expected finite numbers");
}

namespace detail {

[[nodiscard]] inline std::vector<TensorToWrite> tensors_to_write(std::span<NamedTensor const> tensors,
                                                                 std::string const& where) {
    std::vector<TensorToWrite> result;
    result.reserve(tensors.size());
    for (NamedTensor const& tensor : tensors) {
        auto const size = shape_size(tensor.shape);
        require(size.has_value(), where, "tensor '", tensor.name, "' has shape ", shape_text(tensor.shape),
                ", which is no shape");
        result.push_back(
            tensor_to_write(tensor.name, tensor.shape, std::span(tensor.data, static_cast<std::size_t>(*size))));
    }
    return result;
}

/// What io::load_tensors does, with one array of the file set apart: nobody needs to ask for it.
inline void load_tensors(Safetensors const& file, std::span<TensorDestination const> destinations, UnusedTensors unused,
                         std::string_view apart) {
    std::unordered_set<std::string_view> wanted;
    if (!apart.empty() && file.contains(apart)) wanted.insert(apart);
    std::vector<std::vector<float>> converted(destinations.size());
    for (std::size_t i = 0; i < destinations.size(); ++i) {
        TensorView const& stored = file.at(destinations[i].name);
        stored.require_shape(destinations[i].shape);
        if (stored.type() != ElementType::F32) converted[i] = stored.to<float>();
        wanted.insert(destinations[i].name);
    }
    if (unused == UnusedTensors::refuse && wanted.size() < file.tensors().size()) {
        std::string names;
        std::size_t count = 0;
        for (TensorView const& stored : file.tensors()) {
            if (wanted.contains(stored.name())) continue;
            if (count++ < 5) names += (count == 1 ? "'" : ", '") + stored.name() + "'";
        }
        fail("inkling::io::load_tensors: file '", file.name(), "': ", count,
             " of its tensors have no place in this model: ", names, count > 5 ? ", ..." : "");
    }
    for (std::size_t i = 0; i < destinations.size(); ++i) {
        TensorView const& stored = file.at(destinations[i].name);
        std::span<float> const room(destinations[i].data, static_cast<std::size_t>(stored.size()));
        if (stored.type() == ElementType::F32)
            stored.copy_to(room);  // bytes are copied: it cannot fail
        else
            std::copy(converted[i].begin(), converted[i].end(), room.begin());
    }
}

}  // namespace detail

/// Writes named arrays as F32 into a safetensors file, wholly or not at all.
/// @throws Error as write_safetensors does
inline void save_tensors(std::filesystem::path const& path, std::span<NamedTensor const> tensors,
                         std::map<std::string, std::string> const& metadata = {}) {
    write_safetensors(
        path, detail::tensors_to_write(tensors, "inkling::io::save_tensors: file '" + path.string() + "': "), metadata);
}

/// Fills named arrays from a file, by name. Everything is checked before the first number is written.
///
/// Stored types other than F32 are converted as TensorView::copy_to does.
/// @param destinations  what to fill; each must be in the file with exactly this shape
/// @param unused        what to do about arrays of the file that are not among them
/// @throws Error naming the array: missing, of another shape (with both shapes), with an element no float can hold, or
///         left over. Nothing has been written to any destination then.
inline void load_tensors(Safetensors const& file, std::span<TensorDestination const> destinations,
                         UnusedTensors unused = UnusedTensors::refuse) {
    detail::load_tensors(file, destinations, unused, {});
}

/// The same, from the file at `path`.
inline void load_tensors(std::filesystem::path const& path, std::span<TensorDestination const> destinations,
                         UnusedTensors unused = UnusedTensors::refuse) {
    load_tensors(Safetensors::open(path), destinations, unused);
}

}  // namespace inkling::io
