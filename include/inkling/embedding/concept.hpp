#pragma once

#include <inkling/nn/pass.hpp>

#include <concepts>
#include <utility>

namespace inkling {

/// Where tokens live: maps them to vectors of width D and reads tokens out of vectors. Models: embedding::Learned,
/// embedding::LayerNormed, embedding::NoisyLearned, embedding::UnitSphere, embedding::Pretrained.
///
/// A space holds places of parameters alone. `table()` is its matrix [V, D]; `readout()` the matrix [V, D] whose
/// product with z gives the logits; `scale()` the factor that a row of the table is read with. A space may also have
/// `readout_bias()`, `start_noise()`, `nearest(pass, z, tokens)`, and `make_readout(pass)` with `readout_backward(pass,
/// gradient)` where the read-out is made of the parameters: see the functions below.
template <class S>
concept EmbeddingSpace = std::copyable<S>
    && requires { typename S::Options; }                                                      // has 'Options'
    && requires(nn::ParameterLayout& layout, typename S::Options options) { S(layout, Index{}, options); }
    && requires(S const& space) { { space.width() } -> std::same_as<Index>; }                  // has 'width()', D
    && requires(S const& space) { { space.vocabulary() } -> std::same_as<Index>; }             // has 'vocabulary()', V
    && requires(S const& space) { { space.scale() } -> std::same_as<double>; }                 // has 'scale()'
    && requires(S const& space) { { space.table() } -> std::same_as<nn::Parameter>; }          // has 'table()'
    && requires(S const& space) { { space.readout() } -> std::same_as<nn::Parameter>; };       // has 'readout()'

/// A space whose vectors can be made, and trained, on backend B. `Saved<B>` is what the backward pass needs of the
/// forward one.
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

namespace embedding {

/// What a space adds to all logits, [V]; a parameter that does not exist where the space says nothing of a
/// `readout_bias()`.
template <EmbeddingSpace Space>
[[nodiscard]] nn::Parameter readout_bias(Space const& space) {
    if constexpr (requires {
                      { space.readout_bias() } -> std::same_as<nn::Parameter>;
                  })
        return space.readout_bias();
    else
        return {};
}

/// Standard deviation of the noise that training adds to an embedding to make it z0; 0 where the space says nothing of
/// a `start_noise()`.
template <EmbeddingSpace Space>
[[nodiscard]] double start_noise(Space const& space) {
    if constexpr (requires {
                      { space.start_noise() } -> std::same_as<double>;
                  })
        return space.start_noise();
    else
        return 0.0;
}

/// Whether a space makes its read-out, and its vectors, of a table that is not read as it is.
template <class Space, class B>
inline constexpr bool makes_readout = requires(Space const& space, nn::Pass<B>& pass) { space.make_readout(pass); };

/// The matrix [V, D] whose product with z gives logits: the parameter, or what the space makes of it, in memory of the
/// pass.
template <EmbeddingSpace Space, Backend B>
[[nodiscard]] MatrixView<typename B::Scalar const> readout_matrix(nn::Pass<B>& pass, Space const& space) {
    if constexpr (makes_readout<Space, B>)
        return space.make_readout(pass);
    else
        return pass.matrix(space.readout());
}

/// Has use(matrix [V, D]) add its gradient of readout_matrix, and brings it to the parameters' gradients. Outside
/// training it gets an empty view.
template <EmbeddingSpace Space, Backend B, class Use>
void with_readout_gradient(nn::Pass<B>& pass, Space const& space, Use const& use) {
    using View = MatrixView<typename B::Scalar>;
    if (pass.gradients == nullptr) {
        use(View{});
    } else if constexpr (makes_readout<Space, B>) {
        View const gradient = pass.take_zeros(space.vocabulary(), space.width());
        use(gradient);
        space.readout_backward(pass, gradient);
    } else {
        use(pass.matrix_gradient(space.readout()));
    }
}

/// The likeliest token [N] of each row of z [N, D] under the space's read-out; ties go to the lowest.
/// @param log_probabilities  [N] takes log p of that token, or empty
template <EmbeddingSpace Space, Backend B>
void read_out(nn::Pass<B>& pass, Space const& space, MatrixView<typename B::Scalar const> z, VectorView<Token> tokens,
              VectorView<typename B::Scalar> log_probabilities = {}) {
    nn::Scope<B> const scope(pass.workspace);
    readout_argmax(pass.device, z, readout_matrix(pass, space), pass.vector(readout_bias(space)), tokens,
                   log_probabilities);
}

/// The token [N] that clamping takes each row of z [N, D] for: the nearest where the space has `nearest(pass, z,
/// tokens)`, else the likeliest.
template <EmbeddingSpace Space, Backend B>
void round_to_tokens(nn::Pass<B>& pass, Space const& space, MatrixView<typename B::Scalar const> z,
                     VectorView<Token> tokens) {
    if constexpr (requires { space.nearest(pass, z, tokens); })
        space.nearest(pass, z, tokens);
    else
        read_out(pass, space, z, tokens);
}

}  // namespace embedding
}  // namespace inkling
