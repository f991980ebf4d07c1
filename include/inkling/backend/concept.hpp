#pragma once

#include <inkling/backend/view.hpp>
#include <inkling/core/random.hpp>

#include <concepts>
#include <span>

namespace inkling {

/// Storage and verbs of one kind of device. Models: backend::Cpu.
///
/// A verb is a free function found beside the backend's type (by argument-dependent lookup) that takes the device
/// first, reads and writes memory it is given, and keeps nothing but the device's own scratch. To add a backend, define
/// a type with `Scalar` and `Buffer<T>`, and the verbs below beside it: a missing one does not compile.
template <class B>
concept Backend = std::movable<B>
    && requires { typename B::Scalar; }                     // has 'Scalar', float or double
    && requires { typename B::template Buffer<float>; }     // has 'Buffer<T>', which owns memory of the device
    && requires(B& device, std::span<float const> host, float* memory) { upload(device, host, memory); }
    && requires(B& device, float const* memory, std::span<float> host) { download(device, memory, host); }
    && requires(B& device, float const* from, float* to) { copy(device, from, to, Index{}); }
    && requires(B& device, float* memory) { clear(device, memory, Index{}); }
    && requires(B& device, MatrixView<typename B::Scalar const> in, MatrixView<typename B::Scalar> out) {
           product(device, in, backend::Orientation::plain, in, backend::Orientation::transposed, out);
           product(device, in, backend::Orientation::plain, in, backend::Orientation::transposed, out, true,
                   VectorView<typename B::Scalar const>{});
       }
    && requires(B& device, MatrixView<typename B::Scalar const> in, MatrixView<typename B::Scalar> out) {
           add(device, in, in, out);
           scale(device, typename B::Scalar{}, in, out);
           scale(device, typename B::Scalar{}, in, out, true);
           activate(device, backend::Activation::relu, in, out);
           activate_backward(device, backend::Activation::relu, in, in, out);
           combine(device, Segments{}, in, in, in, in, out);
           time_features(device, VectorView<double const>{}, out);
           add_per_sentence(device, Segments{}, in, out);
           sum_per_sentence(device, Segments{}, in, out);
           sum_per_sentence(device, Segments{}, in, out, true);
           mean_per_sentence_backward(device, Segments{}, in, out);
           fill_normal(device, RandomStream{}, Segments{}, VectorView<Index const>{}, out);
           dropout(device, RandomStream{}, 0.1, in, out);
       }
    && requires(B& device, MatrixView<typename B::Scalar const> in, MatrixView<typename B::Scalar> out,
                VectorView<typename B::Scalar const> vector, VectorView<typename B::Scalar> vector_out) {
           layer_norm(device, in, vector, vector, 1e-5, out, out);
           layer_norm_backward(device, in, in, in, vector, out, vector_out, vector_out);
           sum_rows(device, in, vector_out);
           gather(device, in, TokenView{}, typename B::Scalar{}, out);
           gather(device, in, TokenView{}, typename B::Scalar{}, out, true);
           scatter_add(device, in, TokenView{}, typename B::Scalar{}, out);
           scatter_add(device, in, TokenView{}, typename B::Scalar{}, out, Token{});
           attention(device, backend::AttentionShape{}, in, in, in, out, out);
           attention_backward(device, backend::AttentionShape{}, in, in, in, in, in, out, out, out);
       }
    && requires(B& device, MatrixView<typename B::Scalar const> in, MatrixView<typename B::Scalar> out,
                VectorView<typename B::Scalar const> vector, VectorView<typename B::Scalar> vector_out, double* sums) {
           readout_cross_entropy(device, in, in, vector, TokenView{}, 0.1, 1.0, sums, out, out, vector_out);
           readout_cross_entropy(device, in, in, vector, TokenView{}, 0.1, 1.0, sums, out, out, vector_out, vector);
           readout_argmax(device, in, in, vector, VectorView<Token>{}, vector_out);
           squared_norm(device, vector, sums);
           squared_error(device, in, in, 1.0, sums, out, out);
           squared_error(device, in, in, 1.0, sums, out, out, vector, vector_out);
           cosine_similarity(device, in, in, 1.0, sums, out, out, vector);
           adam_step(device, backend::AdamStep{}, vector, vector_out, vector_out, vector_out);
           average(device, 0.5, vector, vector_out);
       };

}  // namespace inkling
