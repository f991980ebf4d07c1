#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/core/error.hpp>
#include <inkling/io/safetensors.hpp>
#include <inkling/nn/parameters.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inkling::train::detail {

/// A copy in the host's memory of a flat buffer of the device.
template <Backend B>
[[nodiscard]] std::vector<typename B::Scalar> to_host(B& device, VectorView<typename B::Scalar const> values) {
    std::vector<typename B::Scalar> host(static_cast<std::size_t>(values.size));
    download(device, values.data, std::span(host));
    return host;
}

template <class Real>
[[nodiscard]] std::span<Real> part_of(std::span<Real> flat, nn::Parameter parameter) {
    return flat.subspan(static_cast<std::size_t>(parameter.offset), static_cast<std::size_t>(parameter.size()));
}

/// The weights of a model that files hold, under their names, as arrays to be written; `flat` must outlive them.
template <class Real>
[[nodiscard]] std::vector<io::TensorToWrite> named_weights(nn::ParameterLayout const& layout,
                                                           std::span<Real const> flat) {
    std::vector<io::TensorToWrite> tensors;
    for (nn::ParameterLayout::Entry const& entry : layout.entries())
        if (entry.stored)
            tensors.push_back(io::tensor_to_write(entry.name, entry.shape, part_of(flat, entry.parameter)));
    return tensors;
}

/// One array of a file, which must have this type and shape.
template <class Real>
[[nodiscard]] io::TensorView const& expect_tensor(io::Safetensors const& file, std::string const& where,
                                                  std::string_view name, std::span<Index const> shape) {
    io::TensorView const& stored = file.at(name);
    stored.require_shape(shape);
    require(stored.type() == io::element_type_of<Real>, where, "tensor '", name, "' is of type ",
            io::name_of(stored.type()), ", expected ", io::name_of(io::element_type_of<Real>));
    return stored;
}

/// Fills the stored weights of `flat` by name, bit for bit; the others stay as they are.
/// @throws Error naming the weight: missing, of another shape (with both) or type, or without a place in this
///         model. Nothing has been written then.
template <class Real>
void read_weights(io::Safetensors const& file, std::string const& where, nn::ParameterLayout const& layout,
                  std::span<Real> flat, std::span<std::string const> other_tensors = {}) {
    for (nn::ParameterLayout::Entry const& entry : layout.entries())
        if (entry.stored) (void)expect_tensor<Real>(file, where, entry.name, entry.shape);
    for (io::TensorView const& stored : file.tensors()) {
        bool const other = std::find(other_tensors.begin(), other_tensors.end(), stored.name()) != other_tensors.end();
        auto const* const entry = layout.find(stored.name());
        require(other || (entry != nullptr && entry->stored && entry->name == stored.name()), where, "tensor '",
                stored.name(), "' has no place in this model");
    }
    for (nn::ParameterLayout::Entry const& entry : layout.entries())
        if (entry.stored) file.at(entry.name).copy_to(part_of(flat, entry.parameter));
}

}  // namespace inkling::train::detail
