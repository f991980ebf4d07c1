#pragma once

#include <inkling/nn/pass.hpp>

#include <concepts>

namespace inkling {

/// Where tokens live: maps them to vectors of width D and reads tokens out of vectors. Models: embedding::Learned.
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

}  // namespace inkling
