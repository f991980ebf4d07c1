#pragma once

#include <inkling/backend/view.hpp>
#include <inkling/core/random.hpp>

#include <concepts>
#include <cstddef>
#include <span>

namespace inkling {

// clang-format off
namespace backend {

/// Memory of a device for elements T: made with their number, movable; its elements start at `data()`.
template <class M, class T>
concept Memory = std::movable<M> && std::default_initializable<M>
    && std::constructible_from<M, Index>                                         // 'Buffer<T>(count)', not initialised
    && requires(M& memory) { { memory.data() } -> std::same_as<T*>; }            // has 'data()'
    && requires(M const& memory) { { memory.data() } -> std::same_as<T const*>; }  // has 'data() const'
    && requires(M const& memory) { { memory.size() } -> std::same_as<Index>; };  // has 'size() const'

/// Elements T have memory on device B, and ways into it, out of it and within it.
template <class B, class T>
concept Holds =
    requires { typename B::template Buffer<T>; }  // has 'Buffer<T>', which owns memory of the device
    && Memory<typename B::template Buffer<T>, T>
    && requires(B& device, std::span<T const> host, T* memory) { upload(device, host, memory); }
    && requires(B& device, T const* memory, std::span<T> host) { download(device, memory, host); }
    && requires(B& device, T const* from, T* to) { copy(device, from, to, Index{}); }
    && requires(B& device, T* memory) { clear(device, memory, Index{}); };

/// What verbs of device B read and write.
template <class B> using MatrixIn = MatrixView<typename B::Scalar const>;
template <class B> using MatrixOut = MatrixView<typename B::Scalar>;
template <class B> using VectorIn = VectorView<typename B::Scalar const>;
template <class B> using VectorOut = VectorView<typename B::Scalar>;

/// Matrix products.
template <class B>
concept HasProducts =
    requires(B& device, MatrixIn<B> in, MatrixOut<B> out) {
           product(device, in, Orientation::plain, in, Orientation::transposed, out);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out, VectorIn<B> vector) {
           product(device, in, Orientation::plain, in, Orientation::transposed, out, true, vector);
       };

/// Verbs that go element by element, row by row or sentence by sentence.
template <class B>
concept HasElementwise =
    requires(B& device, MatrixIn<B> in, MatrixOut<B> out) { add(device, in, in, out); }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) { scale(device, typename B::Scalar{}, in, out); }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) { scale(device, typename B::Scalar{}, in, out, true); }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) { activate(device, Activation::relu, in, out); }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) { activate_backward(device, Activation::relu, in, in, out); }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) { combine(device, Segments{}, in, in, in, in, out); }
    && requires(B& device, MatrixOut<B> out) { time_features(device, VectorView<double const>{}, out); }
    && requires(B& device, VectorIn<B> vector, MatrixOut<B> out) {
           fourier_features(device, VectorView<double const>{}, vector, out);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) { add_per_sentence(device, Segments{}, in, out); }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) { sum_per_sentence(device, Segments{}, in, out); }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) { sum_per_sentence(device, Segments{}, in, out, true); }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) { mean_per_sentence_backward(device, Segments{}, in, out); }
    && requires(B& device, MatrixOut<B> out) {
           fill_normal(device, RandomStream{}, Segments{}, VectorView<Index const>{}, out);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) { dropout(device, RandomStream{}, 0.1, in, out); };

/// Verbs of layers, forward and backward.
template <class B>
concept HasLayers =
    requires(B& device, MatrixIn<B> in, MatrixOut<B> out, VectorIn<B> vector) {
           layer_norm(device, in, vector, vector, 1e-5, out, out);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out, VectorIn<B> vector) {
           layer_norm(device, in, vector, vector, 1e-5, out);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out, VectorIn<B> vector, VectorOut<B> vector_out) {
           layer_norm_backward(device, in, in, in, vector, out, vector_out, vector_out);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out, VectorIn<B> vector) {
           layer_norm_backward(device, in, in, in, vector, out);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) { normalize_rows(device, in, typename B::Scalar{1}, out); }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) {
           normalize_rows_backward(device, in, in, typename B::Scalar{1}, out);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) {
           normalize_rows_backward(device, in, in, typename B::Scalar{1}, out, true);
       }
    && requires(B& device, MatrixIn<B> in, VectorOut<B> vector_out) { sum_rows(device, in, vector_out); }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) { gather(device, in, TokenView{}, typename B::Scalar{}, out); }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) {
           gather(device, in, TokenView{}, typename B::Scalar{}, out, true);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) {
           scatter_add(device, in, TokenView{}, typename B::Scalar{}, out);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) {
           scatter_add(device, in, TokenView{}, typename B::Scalar{}, out, Token{});
       }
    && requires(B const& device) {
           { attention_saved_cols(device, AttentionShape{}) } -> std::same_as<Index>;  // what the backward pass needs
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) { attention(device, AttentionShape{}, in, in, in, out, out); }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) {
           attention(device, AttentionShape{}, in, in, in, out, out, in);  // the last is a bias by distance
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) {
           attention_backward(device, AttentionShape{}, in, in, in, in, in, in, out, out, out);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out) {
           attention_backward(device, AttentionShape{}, in, in, in, in, in, in, out, out, out, in, out);
       };

/// Losses, sums and updates.
template <class B>
concept HasReadouts =
    requires(B& device, MatrixIn<B> in, VectorIn<B> vector, double* sums) {
           readout_cross_entropy(device, in, in, vector, TokenView{}, 0.1, 1.0, sums);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out, VectorIn<B> vector, VectorOut<B> vector_out, double* sums) {
           readout_cross_entropy(device, in, in, vector, TokenView{}, 0.1, 1.0, sums, out, out, vector_out);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out, VectorIn<B> vector, VectorOut<B> vector_out, double* sums) {
           readout_cross_entropy(device, in, in, vector, TokenView{}, 0.1, 1.0, sums, out, out, vector_out, vector,
                                 vector_out);
       }
    && requires(B& device, MatrixIn<B> in, VectorIn<B> vector, double* sums) {
           readout_divergence(device, in, in, in, vector, 1.0, sums);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out, VectorIn<B> vector, VectorOut<B> vector_out, double* sums) {
           readout_divergence(device, in, in, in, vector, 1.0, sums, out, out, out, vector_out, vector, vector_out);
       }
    && requires(B& device, MatrixIn<B> in, VectorIn<B> vector) {
           readout_argmax(device, in, in, vector, VectorView<Token>{});
       }
    && requires(B& device, MatrixIn<B> in, VectorIn<B> vector, VectorOut<B> vector_out) {
           readout_argmax(device, in, in, vector, VectorView<Token>{}, vector_out);
       }
    && requires(B& device, MatrixIn<B> in, VectorIn<B> vector, VectorOut<B> vector_out) {
           readout_log_probabilities(device, in, in, vector, TokenView{}, vector_out);
       }
    && requires(B& device, MatrixIn<B> in, VectorIn<B> vector, MatrixOut<B> out) {
           readout_top(device, in, in, vector, MatrixView<Token>{}, out);
       }
    && requires(B& device, VectorIn<B> vector, double* sums) { squared_norm(device, vector, sums); }
    && requires(B& device, MatrixIn<B> in, double* sums) { squared_error(device, in, in, 1.0, sums); }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out, double* sums) {
           squared_error(device, in, in, 1.0, sums, out, out);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out, VectorIn<B> vector, VectorOut<B> vector_out, double* sums) {
           squared_error(device, in, in, 1.0, sums, out, out, vector, vector_out);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out, VectorIn<B> vector, VectorOut<B> vector_out, double* sums) {
           cosine_similarity(device, in, in, 1.0, sums, out, out, vector, vector_out);
       }
    && requires(B& device, MatrixIn<B> in, MatrixOut<B> out, VectorIn<B> vector, VectorOut<B> vector_out, double* sums) {
           bent_error(device, in, in, 1.0, 1.0, sums, out, out, vector, vector_out);
       }
    && requires(B& device, MatrixIn<B> in, double* sums) { nearest_other_distance(device, in, sums); }
    && requires(B& device, VectorIn<B> vector, VectorOut<B> vector_out) {
           adam_step(device, AdamStep{}, vector, vector_out, vector_out, vector_out);
       }
    && requires(B& device, VectorIn<B> vector, VectorOut<B> vector_out) { average(device, 0.5, vector, vector_out); };

/// What a backend may have besides: products that are faster where the right factor was laid out for them beforehand.
/// Packed memory is counted in Scalars, each of which holds packed_density elements of the matrix.
template <class B>
concept PacksFactors =
    requires(B& device, MatrixIn<B> in, MatrixOut<B> out, VectorIn<B> vector, typename B::Scalar* to) {
        { can_pack(device, Index{}, Index{}) } -> std::same_as<bool>;
        { packed_density(device) } -> std::same_as<Index>;
        pack(device, in, to);
        product_with_packed(device, in, static_cast<typename B::Scalar const*>(to), out, vector);
    };

/// What a backend may have besides: result = activation(left right + bias) in one go, which pays where each verb is a
/// launch. nn::Linear takes it before packed factors.
template <class B>
concept FusesActivations =
    requires(B& device, Activation activation, MatrixIn<B> in, MatrixOut<B> out, VectorIn<B> vector) {
        activated_product(device, activation, in, Orientation::plain, in, Orientation::transposed, out, vector);
    };

/// What a backend may have besides: dropout, a residual and its layer norm in one go, with the bits of the three verbs
/// one after the other. The sum may lie over the part, which is named first.
template <class B>
concept FusesResiduals = requires(B& device, MatrixIn<B> in, MatrixOut<B> out, VectorIn<B> vector) {
    dropout_add_layer_norm(device, RandomStream{}, 0.1, in, in, vector, vector, 1e-5, out, out);
    dropout_add_layer_norm(device, RandomStream{}, 0.1, in, in, vector, vector, 1e-5, out, out, out);
};

/// What a backend may have besides: to record what it is told, in place of doing it, and to do all of that as one, as
/// often as it is told to (a CUDA graph).
///
/// `records(device)` tells whether it is to. `record(device, work)` calls work(), which has run before: it moves nothing
/// between device and host, asks for no memory, and decides nothing that another time it would decide otherwise. What
/// is returned is of use as long as the memory that it is about.
template <class B>
concept RecordsWork = requires(B& device, void (*work)()) {
    { records(device) } -> std::same_as<bool>;
    replay(device, record(device, work));
};

/// What a backend may have besides: threads that had better each take some rows through a whole model than share every
/// verb, where there are many rows: the threads wait for each other once, and what few rows become stays in their caches.
///
/// `threads()` are the handle's, `one_thread()` the options of a handle for one of them, and `parallel(count, block,
/// body)` runs body(begin, end, thread) over [0, count) on them. A thread is worth `least_thread_rows` and does best
/// with no more than `most_thread_rows` at a time.
template <class B>
concept SplitsBatches = requires(B const& device, void (*body)(Index begin, Index end, int thread)) {
    { device.threads() } -> std::same_as<int>;
    { device.one_thread() } -> std::same_as<typename B::Options>;
    { B::least_thread_rows } -> std::convertible_to<Index>;
    { B::most_thread_rows } -> std::convertible_to<Index>;
    device.parallel(Index{}, Index{}, body);
};

/// What a backend may have besides: several devices, one of which is current in each thread, and has its memory.
template <class B>
concept HasCurrentDevice = requires(B& device) { device.make_current(); };

/// Makes a device the one that the calling thread has memory of, where there is a choice.
template <class B>
void make_current(B& device) {
    if constexpr (HasCurrentDevice<B>) device.make_current();
}

/// Waits until memory of a device holds what the device was told to put there. Whoever reads it next may then do so by
/// another handle of the device, whose work has no order with that of this one.
/// @param memory  of one element at least
template <class B, class T>
void synchronize(B& device, T const* memory) {
    T first{};
    download(device, memory, std::span<T>(&first, 1));
}

}  // namespace backend

/// Storage and verbs of one kind of device. Models: backend::Cpu, ThrustHost, Cuda.
///
/// A verb is a free function found beside the backend's type (by argument-dependent lookup) that takes the device
/// first, reads and writes memory it is given, and keeps nothing but the device's own scratch. To add a backend, define
/// a type with `Scalar`, `Options` and `Buffer<T>`, and the verbs below beside it: a missing one does not compile.
///
/// Every pointer and view is to the device's memory: the `double*` that sums are written to as well, `VectorView<Index
/// const>` and `VectorView<double const>` too.
template <class B>
concept Backend = std::movable<B>
    && requires { typename B::Scalar; }                             // has 'Scalar'
    && std::floating_point<typename B::Scalar>                      // ... float or double
    && requires { typename B::Options; }                            // has 'Options', settings of a device
    && std::constructible_from<B, typename B::Options const&>       // ... which it is made with
    && std::default_initializable<typename B::Options>              // ... and which have defaults
    && backend::Holds<B, typename B::Scalar>
    && backend::Holds<B, double>
    && backend::Holds<B, Index>
    && backend::Holds<B, Token>
    && requires { typename B::template Buffer<std::byte>; }
    && backend::Memory<typename B::template Buffer<std::byte>, std::byte>
    && backend::HasProducts<B>
    && backend::HasElementwise<B>
    && backend::HasLayers<B>
    && backend::HasReadouts<B>;
// clang-format on

}  // namespace inkling
