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

/// Tells one model from another: 16 hexadecimal digits of its settings, tokenizer and weights (in single precision).
/// Waits for the device.
/// @param pipeline  a TextDiffusion or TextAutoregression
template <class Pipeline>
[[nodiscard]] std::string fingerprint(Pipeline const& pipeline) {
    using Scalar = typename Pipeline::Scalar;
    Hash hash(1);
    for (std::string const& words : {pipeline.configuration().dump(), pipeline.tokenizer().serialise()}) {
        hash.add(static_cast<std::uint64_t>(words.size()));
        for (char const byte : words) hash.add(static_cast<std::uint64_t>(static_cast<unsigned char>(byte)));
    }
    typename Pipeline::Device device(pipeline.options().device);
    std::vector<Scalar> values(static_cast<std::size_t>(pipeline.layout().size()));
    download(device, pipeline.weights().data, std::span<Scalar>(values));
    for (Scalar const value : values) hash.add(std::bit_cast<std::uint32_t>(static_cast<float>(value)));
    return hash.digits();
}

}  // namespace inkling::pipeline
