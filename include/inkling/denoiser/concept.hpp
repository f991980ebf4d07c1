#pragma once

#include <inkling/backend/view.hpp>
#include <inkling/nn/pass.hpp>

#include <concepts>

namespace inkling {

/// One side of a packed batch in the backend's memory.
struct PackedSequences {
    Segments segments;    ///< S sentences, N rows
    TokenView tokens;     ///< [N]; empty where only places are known, as for a sentence yet to be generated
    TokenView positions;  ///< [N], the place of each row in its sentence, from 0
};

/// What removes noise. Models: denoiser::EncoderDecoder.
///
/// `Encoded` is what a source becomes once and all steps share; `Saved` what the backward pass needs.
template <class D>
concept Denoiser = std::copyable<D>
    && requires { typename D::Device; }   // has 'Device', the backend it runs on
    && requires { typename D::Options; }  // has 'Options'
    && requires { typename D::Encoded; }  // has 'Encoded'
    && requires { typename D::Saved; }    // has 'Saved'
    && Backend<typename D::Device>
    && requires(D const& denoiser, nn::Pass<typename D::Device>& pass, PackedSequences source) {
           { denoiser.encode(pass, source) } -> std::same_as<typename D::Encoded>;  // has 'encode(pass, source) const'
       }
    && requires(D const& denoiser, nn::Pass<typename D::Device>& pass, VectorView<double const> times) {
           denoiser.embed_times(pass, times);  // has 'embed_times(pass, times) const'
       }
    && requires(D const& denoiser, nn::Pass<typename D::Device>& pass, PackedSequences target,
                typename D::Encoded const& source, MatrixView<typename D::Device::Scalar> z) {
           denoiser.predict(pass, target, source, z, z, z, z);  // has 'predict(pass, target, source, z_t, time, previous, z0_hat) const'
       };

}  // namespace inkling
