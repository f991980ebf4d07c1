#pragma once

#include <inkling/core/hash.hpp>
#include <inkling/core/index.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace inkling::pipeline {

namespace detail {

/// How long a text is, and its bytes.
inline void add_text(Hash& hash, std::string const& text) { hash.add(std::as_bytes(std::span(text))); }

/// A model's weights, as numbers of type As. Waits for the device.
template <class As, class Pipeline>
void add_weights(Hash& hash, Pipeline const& pipeline) {
    using Scalar = typename Pipeline::Scalar;
    using Bits = std::conditional_t<sizeof(As) == 4, std::uint32_t, std::uint64_t>;
    typename Pipeline::Device device(pipeline.options().device);
    std::vector<Scalar> values(static_cast<std::size_t>(pipeline.layout().size()));
    download(device, pipeline.weights().data, std::span<Scalar>(values));
    for (Scalar const value : values) hash.add(std::bit_cast<Bits>(static_cast<As>(value)));
}

}  // namespace detail

/// Tells one model from another: 16 hexadecimal digits of its settings, tokenizer and weights (in single precision).
/// Waits for the device.
/// @param pipeline  a TextDiffusion or TextAutoregression
template <class Pipeline>
[[nodiscard]] std::string fingerprint(Pipeline const& pipeline) {
    Hash hash(1);
    detail::add_text(hash, pipeline.configuration().dump());
    detail::add_text(hash, pipeline.tokenizer().serialise());
    detail::add_weights<float>(hash, pipeline);
    return hash.digits();
}

}  // namespace inkling::pipeline
