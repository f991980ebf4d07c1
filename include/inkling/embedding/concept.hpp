#pragma once

#include <inkling/nn/pass.hpp>

#include <concepts>
#include <utility>

namespace inkling {

/// Where tokens live: maps them to vectors of width D and reads tokens out of vectors. Models: embedding::Learned,
/// embedding::LayerNormed.
///
/// A space holds places of parameters alone. `table()` is its matrix [V, D]; `readout()` the matrix [V, D] whose product
/// with z gives the logits; `scale()` the factor that a row of the table is read with.
template <class S>
concept EmbeddingSpace = std::copyable<S>
    && requires { typename S::Options; }                                                      // has 'Options'
    && requires(nn::ParameterLayout& layout, typename S::Options options) { S(layout, Index{}, options); }
    && requires(S const& space) { { space.width() } -> std::same_as<Index>; }                  // has 'width()', D
    && requires(S const& space) { { space.vocabulary() } -> std::same_as<Index>; }             // has 'vocabulary()', V
    && requires(S const& space) { { space.scale() } -> std::same_as<double>; }                 // has 'scale()'
    && requires(S const& space) { { space.table() } -> std::same_as<nn::Parameter>; }          // has 'table()'
    && requires(S const& space) { { space.readout() } -> std::same_as<nn::Parameter>; };       // has 'readout()'

/// A space whose vectors can be made, and trained, on backend B. `Saved<B>` is what the backward pass needs of the forward one.
// clang-format off
template <class S, class B>
concept EmbeddingSpaceOn = EmbeddingSpace<S>
    && requires { typename S::template Saved<B>; }  // has 'Saved<B>'
    && requires(S const& space, nn::Pass<B>& pass, TokenView tokens, MatrixView<typename B::Scalar> z0) {
           space.embed(pass, tokens, z0);  // has 'embed(pass, tokens, z0) const'
       }
    && requires(S const& space, nn::Pass<B>& pass, TokenView tokens, MatrixView<typename B::Scalar> z0,
                typename S::template Saved<B> saved) {
           space.embed(pass, tokens, z0, &saved);                  // has 'embed(pass, tokens, z0, saved) const'
           space.embed_backward(pass, tokens, std::as_const(saved), z0);  // has 'embed_backward(pass, tokens, saved, dz0) const'
       };
// clang-format on

}  // namespace inkling
