#pragma once

#include <inkling/core/hash.hpp>
#include <inkling/core/index.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace inkling::pipeline {

namespace detail {

/// Of a model's settings, tokenizer and weights (in single precision). Waits for the device.
template <class Pipeline>
[[nodiscard]] Hash hash_of_model(Pipeline const& pipeline) {
    using Scalar = typename Pipeline::Scalar;
    Hash hash(1);
    hash.add(pipeline.configuration().dump());
    hash.add(pipeline.tokenizer().serialise());
    typename Pipeline::Device device(pipeline.options().device);
    std::vector<Scalar> values(static_cast<std::size_t>(pipeline.layout().size()));
    download(device, pipeline.weights().data, std::span<Scalar>(values));
    for (Scalar const value : values) hash.add(std::bit_cast<std::uint32_t>(static_cast<float>(value)));
    return hash;
}

}  // namespace detail

/// Tells one model from another: 16 hexadecimal digits of its settings, tokenizer and weights (in single precision).
/// Waits for the device.
/// @param pipeline  a TextDiffusion or TextAutoregression
template <class Pipeline>
[[nodiscard]] std::string fingerprint(Pipeline const& pipeline) {
    return detail::hash_of_model(pipeline).digits();
}

}  // namespace inkling::pipeline
