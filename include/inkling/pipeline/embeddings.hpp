#pragma once

#include <inkling/embedding/concept.hpp>
#include <inkling/pipeline/device_batch.hpp>
#include <inkling/pipeline/workers.hpp>

#include <cstddef>
#include <numeric>
#include <span>
#include <vector>

namespace inkling::pipeline {

/// Where every token lives, z0 [V, D] row-major, without a space's own noise. Waits for the device.
/// @param weights  [P], in the backend's memory
template <Backend B, EmbeddingSpace Space>
[[nodiscard]] std::vector<float> embeddings(Worker<B>& worker, Space const& space, typename B::Scalar const* weights) {
    using Scalar = typename B::Scalar;
    worker.workspace.reset();
    nn::Pass<B> pass{worker.device, worker.workspace, weights};
    std::vector<Token> tokens(static_cast<std::size_t>(space.vocabulary()));
    std::iota(tokens.begin(), tokens.end(), Token{0});
    auto const z0 = pass.take(space.vocabulary(), space.width());
    space.embed(pass, TokenView(to_device<Token>(pass, std::span<Token const>(tokens))), z0);
    std::vector<Scalar> values(static_cast<std::size_t>(z0.size()));
    download(worker.device, static_cast<Scalar const*>(z0.data), std::span<Scalar>(values));
    return {values.begin(), values.end()};
}

}  // namespace inkling::pipeline
