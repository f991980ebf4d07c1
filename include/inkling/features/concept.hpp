#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/embedding/concept.hpp>

#include <concepts>
#include <span>
#include <string_view>
#include <utility>

namespace inkling {
namespace features {

/// What features are read of and nobody trains: an embedding space, a denoiser over it, and a pass with their weights
/// and without gradients.
template <EmbeddingSpace Space, Denoiser Model>
struct Frozen {
    Space const& space;
    Model const& model;
    nn::Pass<typename Model::Device>& pass;
};

/// S lines, each L times, one behind the other: once for each noise level that it is read at.
template <Backend B>
struct Batch {
    PackedSequences lines;                          ///< S * L sequences, N rows, with their tokens
    Index levels = 1;                               ///< L
    Segments stacked{};                             ///< the same sequences with J rows in place of each, [N * J] rows
    Segments single{};                              ///< the same with one row in place of all, [S * L] rows
    MatrixView<typename B::Scalar const> shares{};  ///< [S * L, 3], (a, 0, s) of z_t = a z0 + s noise
    MatrixView<typename B::Scalar const> noise{};   ///< [N, D], standard normal; empty where no level is asked for
    VectorView<double const> labels{};              ///< [S * L], of each level's time, from the denoiser's time_label
    [[nodiscard]] Index size() const { return lines.segments.count / levels; }  ///< S
};

/// Of what a source gives: J matrices [N, W] of lines at L levels.
struct Shape {
    Index states = 1;  ///< J
    Index width = 1;   ///< W
    Index levels = 1;  ///< L
};

}  // namespace features

/// Gives rows of numbers for the rows of lines: hidden states of a denoiser, say.
/// Models: features::Embeddings, features::DenoiserStates, features::Feedback.
///
/// A source holds places of parameters alone, its own, which may be none; what it reads is frozen. `levels()` are the
/// times at which lines are noised before they are read, none where they are read as they are; `read` gives `states()`
/// matrices [N, width()] in memory of the pass; `read_backward` takes their gradients and adds those of its parameters,
/// and need not be called where `learns()` is false.
// clang-format off
template <class S, class Space, class Model>
concept FeatureSource = std::copyable<S>
    && requires { { S::kind } -> std::convertible_to<std::string_view>; }  // has 'kind', by which files know it
    && requires { typename S::Options; }                    // has 'Options'
    && requires { typename S::template Saved<Model>; }      // has 'Saved<Model>'
    && std::default_initializable<typename S::template Saved<Model>>
    && requires(nn::ParameterLayout& layout, typename S::Options const& options, Space const& space, Model const& model) {
           S(layout, options, space, model);  // has a constructor (layout, options, space, model)
       }
    && requires(S const& source) { { source.states() } -> std::same_as<Index>; }                     // has 'states()', J
    && requires(S const& source) { { source.width() } -> std::same_as<Index>; }                      // has 'width()', W
    && requires(S const& source) { { source.levels() } -> std::same_as<std::span<double const>>; }   // has 'levels()', times in [0, 1]
    && requires(S const& source) { { source.learns() } -> std::same_as<bool>; }                      // has 'learns()'
    && requires(S const& source, features::Frozen<Space, Model> const& frozen, nn::Pass<typename Model::Device>& pass,
                features::Batch<typename Model::Device> const& batch, typename S::template Saved<Model>& saved,
                std::span<MatrixView<typename Model::Device::Scalar> const> states) {
           { source.read(frozen, pass, batch, saved) } -> std::same_as<std::span<MatrixView<typename Model::Device::Scalar> const>>;  // has 'read(frozen, pass, batch, saved) const'
           source.read_backward(frozen, pass, batch, saved, states);  // has 'read_backward(frozen, pass, batch, saved, dstates) const'
       };

/// Makes one row of numbers of a line, of all the rows that a source gives for it.
/// Models: features::MeanPool, features::AttentionPool.
///
/// `pool` writes [S, width()]; `pool_backward` adds the gradients of its parameters, and of the states where it is
/// given places for them.
template <class P, class Device>
concept FeaturePool = std::copyable<P>
    && requires { { P::kind } -> std::convertible_to<std::string_view>; }  // has 'kind', by which files know it
    && requires { typename P::Options; }                    // has 'Options'
    && requires { typename P::template Saved<Device>; }     // has 'Saved<Device>'
    && std::default_initializable<typename P::template Saved<Device>>
    && requires(nn::ParameterLayout& layout, typename P::Options const& options, features::Shape shape) {
           P(layout, options, shape);  // has a constructor (layout, options, shape)
       }
    && requires(P const& pool) { { pool.width() } -> std::same_as<Index>; }  // has 'width()'
    && requires(P const& pool, nn::Pass<Device>& pass, features::Batch<Device> const& batch,
                typename P::template Saved<Device>& saved, std::span<MatrixView<typename Device::Scalar> const> states,
                MatrixView<typename Device::Scalar> pooled) {
           pool.pool(pass, batch, states, pooled, saved);  // has 'pool(pass, batch, states, pooled, saved) const'
           pool.pool_backward(pass, batch, std::as_const(saved), pooled, states);  // has 'pool_backward(pass, batch, saved, dpooled, dstates) const'
       };
// clang-format on

}  // namespace inkling
