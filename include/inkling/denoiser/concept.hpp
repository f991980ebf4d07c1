#pragma once

#include <inkling/backend/view.hpp>
#include <inkling/denoiser/output.hpp>
#include <inkling/nn/pass.hpp>

#include <concepts>
#include <span>
#include <utility>

namespace inkling {

/// One side of a packed batch in the backend's memory.
struct PackedSequences {
    Segments segments;    ///< S sentences, N rows
    TokenView tokens;     ///< [N]; empty where only places are known, as for a sentence yet to be generated
    TokenView positions;  ///< [N], the place of each row in its sentence, from 0
};

/// How noisy a z_t is.
struct NoiseLevel {
    double time = 1.0;       ///< in [0, 1]: what a network is told
    double alpha_bar = 0.0;  ///< in [0, 1]: the share of z_t's variance that is signal
};

/// What removes noise. Models: denoiser::EncoderDecoder, denoiser::EncoderOnly, denoiser::BottleneckDecoder,
/// denoiser::Infiller, denoiser::Empirical; denoiser::Parameterized around the first two and Infiller.
///
/// `encode` makes of a source what all steps share; `embed_times` makes of the plan's levels, each first turned into a
/// number by `time_label`, one row each; `predict` writes its estimate of z0 from z_t, such a row, and the estimate of
/// the step before. `predict_lengths` chooses a class for each source, and `length_of` tells the target length that it
/// stands for. A denoiser may also have `output()`, where what `predict` writes is not z0 (see output_of), and
/// `encode_nothing(pass, sentences)`, which stands for no source at all: guidance asks it.
// clang-format off
template <class D>
concept Denoiser = std::copyable<D>
    && requires { typename D::Device; }   // has 'Device', the backend it runs on
    && requires { typename D::Options; }  // has 'Options'
    && requires { typename D::Encoded; }  // has 'Encoded', what a source becomes
    && Backend<typename D::Device>
    && requires(D const& denoiser, nn::Pass<typename D::Device>& pass, PackedSequences source) {
           { denoiser.encode(pass, source) } -> std::same_as<typename D::Encoded>;  // has 'encode(pass, source) const'
       }
    && requires(typename D::Encoded encoded, Index const* sources) {
           encoded.source_of = sources;  // Encoded has 'source_of', [S]: which source each target belongs to; null: its own number
       }
    && requires(D const& denoiser, NoiseLevel level) {
           { denoiser.time_label(level) } -> std::same_as<double>;  // has 'time_label(level) const', and it returns double
       }
    && requires(D const& denoiser, nn::Pass<typename D::Device>& pass, VectorView<double const> labels) {
           { denoiser.embed_times(pass, labels) } -> std::same_as<MatrixView<typename D::Device::Scalar>>;  // has 'embed_times(pass, labels) const'
       }
    && requires(D const& denoiser, nn::Pass<typename D::Device>& pass, PackedSequences target,
                typename D::Encoded const& source, MatrixView<typename D::Device::Scalar> z) {
           denoiser.predict(pass, target, source, z, z, z, z);  // has 'predict(pass, target, source, z_t, time, previous, z0_hat) const'
       }
    && requires(D const& denoiser, nn::Pass<typename D::Device>& pass, typename D::Encoded const& source,
                VectorView<Token> classes) {
           denoiser.predict_lengths(pass, source, classes);  // has 'predict_lengths(pass, source, classes) const'
       }
    && requires(D const& denoiser, Index source_length, Token length_class) {
           { denoiser.length_of(source_length, length_class) } -> std::same_as<Index>;  // has 'length_of(source_length, length_class) const'
       }
    && requires(D const& denoiser) { { denoiser.longest_source() } -> std::same_as<Index>; }   // has 'longest_source()', in rows
    && requires(D const& denoiser) { { denoiser.longest_target() } -> std::same_as<Index>; };  // has 'longest_target()', in rows

/// Whether a source has bos in front. A denoiser says so by `static constexpr bool begins_source`.
template <class D>
inline constexpr bool begins_source = [] {
    if constexpr (requires { D::begins_source; })
        return bool{D::begins_source};
    else
        return false;
}();

/// Whether a beam of lengths is of the likeliest classes, in place of the neighbours of the first. A denoiser says so
/// by `static constexpr bool ranks_lengths`, and has `length_logits(pass, source) const`, [S, classes].
template <class D>
inline constexpr bool ranks_lengths = [] {
    if constexpr (requires { D::ranks_lengths; })
        return bool{D::ranks_lengths};
    else
        return false;
}();

/// Whether a denoiser reads source and target as one sequence: then what it is given as target, z and all, are the rows
/// of both, those of the source first, and whoever noises keeps these clean. It says so by `static constexpr bool
/// joins_source`.
template <class D>
inline constexpr bool joins_source = [] {
    if constexpr (requires { D::joins_source; })
        return bool{D::joins_source};
    else
        return false;
}();

/// Whether a target goes on where its source ends, as a line does behind its beginning, so that nothing separates the
/// two. A denoiser that joins them says so by `static constexpr bool continues_source`.
template <class D>
inline constexpr bool continues_source = [] {
    if constexpr (requires { D::continues_source; })
        return bool{D::continues_source};
    else
        return false;
}();

/// Whether a denoiser's `predict` tells the device the same at every step, of the same memory, and moves nothing between
/// device and host, so that a backend may record it once and replay it (backend::RecordsWork). It says so by `static
/// constexpr bool recordable`.
template <class D>
inline constexpr bool is_recordable = [] {
    if constexpr (requires { D::recordable; })
        return bool{D::recordable};
    else
        return false;
}();

/// A denoiser that can be made for an embedding space: it places its weights in the layout behind those of the space.
/// One with a table for sources also takes the size of their vocabulary behind the space, a std::optional<Index>, empty
/// where it is the space's.
template <class D, class Space>
concept DenoiserOver = Denoiser<D>
    && requires(nn::ParameterLayout& layout, typename D::Options const& options, Space const& space) {
           D(layout, options, space);  // has a constructor (layout, options, space)
       };

/// A denoiser that learns. `Saved` is what its backward passes need of the forward ones.
/// Models: denoiser::EncoderDecoder, denoiser::EncoderOnly, denoiser::BottleneckDecoder, denoiser::Infiller.
template <class D>
concept TrainableDenoiser = Denoiser<D>
    && requires { typename D::Saved; }  // has 'Saved'
    && std::default_initializable<typename D::Saved>
    && requires(typename D::Encoded const& encoded) {
           { encoded.output } -> std::convertible_to<MatrixView<typename D::Device::Scalar const>>;       // Encoded has 'output'
           { encoded.keys_values } -> std::convertible_to<MatrixView<typename D::Device::Scalar const>>;  // ... and 'keys_values': encode_backward takes gradients of their shapes
       }
    && requires(D const& denoiser, nn::Pass<typename D::Device>& pass, PackedSequences source, typename D::Saved* saved) {
           { denoiser.encode(pass, source, saved) } -> std::same_as<typename D::Encoded>;  // has 'encode(pass, source, saved) const'
       }
    && requires(D const& denoiser, nn::Pass<typename D::Device>& pass, VectorView<double const> labels,
                typename D::Saved* saved) {
           denoiser.embed_times(pass, labels, saved);  // has 'embed_times(pass, labels, saved) const'
       }
    && requires(D const& denoiser, nn::Pass<typename D::Device>& pass, PackedSequences target,
                typename D::Encoded const& source, MatrixView<typename D::Device::Scalar> z, typename D::Saved* saved) {
           denoiser.predict(pass, target, source, z, z, z, z, saved);  // has 'predict(..., z0_hat, saved) const'
       }
    && requires(D const& denoiser, nn::Pass<typename D::Device>& pass, PackedSequences target,
                typename D::Encoded const& source, MatrixView<typename D::Device::Scalar> z,
                typename D::Saved const& saved) {
           denoiser.predict_backward(pass, target, source, saved, z, z, z, z);  // has 'predict_backward(pass, target, source, saved, dz0_hat, dz_t, dtime, dkeys_values) const'
           denoiser.embed_times_backward(pass, saved, z);       // has 'embed_times_backward(pass, saved, dtime) const'
           denoiser.encode_backward(pass, source, saved, z, z);  // has 'encode_backward(pass, source, saved, doutput, dkeys_values) const'
       }
    && requires(D const& denoiser, nn::Pass<typename D::Device>& pass, typename D::Encoded const& source, TokenView classes,
                double* sums, MatrixView<typename D::Device::Scalar> doutput) {
           denoiser.length_loss(pass, source, classes, 0.1, sums, doutput);  // has 'length_loss(pass, source, classes, factor, sums, doutput) const'
       }
    && requires(D const& denoiser, Index rows) {
           { denoiser.length_class(rows, rows) } -> std::same_as<Token>;  // has 'length_class(source_length, target_length) const'
       }
    && requires(D const& denoiser) { { denoiser.self_conditioned() } -> std::same_as<bool>; }  // has 'self_conditioned()': it reads the last estimate
    && requires(D const& denoiser) { { denoiser.dropout() } -> std::same_as<double>; };        // has 'dropout()', in [0, 1)

/// A denoiser that can be asked without a source: what classifier-free guidance and training without sources want.
/// Models: denoiser::EncoderDecoder, denoiser::BottleneckDecoder.
template <class D>
concept UnconditionalDenoiser = Denoiser<D>
    && requires(D const& denoiser, nn::Pass<typename D::Device>& pass, Index sentences) {
           denoiser.encode_nothing(pass, sentences);  // has 'encode_nothing(pass, sentences) const'
       };
// clang-format on

/// What stands in the rows between the layers of a denoiser, [N, width] each, and what is put there: state 0 goes into
/// the first layer, state i leaves layer i, of 1 to depth.
template <Backend B>
struct HiddenStates {
    /// [depth + 1], where each state is written, rows that lie together; an empty one is not asked for
    std::span<MatrixView<typename B::Scalar> const> read{};
    /// [depth + 1], or none at all: what is added to each state before it is read and goes on; an empty one is nothing
    std::span<MatrixView<typename B::Scalar const> const> added{};

    /// The last state that is asked for; -1: none.
    [[nodiscard]] Index deepest() const {
        auto last = static_cast<Index>(read.size()) - 1;
        while (last >= 0 && read[static_cast<std::size_t>(last)].empty()) --last;
        return last;
    }
};

/// Gradients of HiddenStates.
template <Backend B>
struct HiddenSlopes {
    std::span<MatrixView<typename B::Scalar const> const> read{};  ///< [depth + 1], of what was read; empty: none
    std::span<MatrixView<typename B::Scalar> const> added{};       ///< [depth + 1], of what was added; overwritten
};

/// A denoiser that shows what lies between its layers: features for other tasks.
/// Models: denoiser::EncoderOnly, denoiser::Infiller.
///
/// `hidden_states` runs it as `predict` does, up to the last layer that is asked for; `predict` itself keeps nothing of
/// them. `hidden_states_backward` leads gradients of what was read to what was added, through layers whose weights may
/// be frozen.
// clang-format off
template <class D>
concept LayeredDenoiser = TrainableDenoiser<D>
    && requires(D const& denoiser) { { denoiser.depth() } -> std::same_as<Index>; }         // has 'depth()', its layers
    && requires(D const& denoiser) { { denoiser.hidden_width() } -> std::same_as<Index>; }  // has 'hidden_width()', columns of a hidden state
    && requires(D const& denoiser, nn::Pass<typename D::Device>& pass, PackedSequences target,
                typename D::Encoded const& source, MatrixView<typename D::Device::Scalar> z,
                HiddenStates<typename D::Device> const& states, typename D::Saved* saved) {
           denoiser.hidden_states(pass, target, source, z, z, z, states, saved);  // has 'hidden_states(pass, target, source, z_t, time, previous, states, saved) const'
       }
    && requires(D const& denoiser, nn::Pass<typename D::Device>& pass, PackedSequences target,
                typename D::Encoded const& source, typename D::Saved const& saved,
                HiddenSlopes<typename D::Device> const& slopes) {
           denoiser.hidden_states_backward(pass, target, source, saved, slopes);  // has 'hidden_states_backward(pass, target, source, saved, slopes) const'
       };
// clang-format on

/// The rows that one step adds to sequences that grow side by side, each by one row.
///
/// Sequence j of source s is row s * each + j of what is read and written, and has slot s * slots + j of the cache.
struct NextRows {
    Index place = 0;    ///< of the new rows in their sequences, from 0
    Index sources = 1;  ///< S
    Index each = 1;     ///< sequences of each source
    Index slots = 1;    ///< of the cache for each source, as many as `each`, or more where that is 1
};

/// What says of each row of a target, from the rows up to it, what comes next. Models: denoiser::Autoregressive.
///
/// `encode` makes of a source what all steps share; `predict` writes the outputs [N, D], from which the next tokens are
/// read, of all rows of the target at once; `predict_next` the same of one new row a sequence, from a cache of the
/// rows before it, which `make_cache` makes room for and `copy_sequence` copies where a sequence is continued in two
/// ways.
// clang-format off
template <class M>
concept NextTokenModel = std::copyable<M>
    && requires { typename M::Device; }   // has 'Device', the backend it runs on
    && requires { typename M::Options; }  // has 'Options'
    && requires { typename M::Encoded; }  // has 'Encoded', what a source becomes
    && requires { typename M::Cache; }    // has 'Cache', what is kept of the rows so far
    && Backend<typename M::Device>
    && requires(M const& model, nn::Pass<typename M::Device>& pass, PackedSequences source) {
           { model.encode(pass, source) } -> std::same_as<typename M::Encoded>;  // has 'encode(pass, source) const'
       }
    && requires(typename M::Encoded encoded, Index const* sources) {
           encoded.source_of = sources;  // Encoded has 'source_of', [S]: which source each target, or group of them, belongs to; null: its own number
       }
    && requires(M const& model, nn::Pass<typename M::Device>& pass, PackedSequences target,
                typename M::Encoded const& source, MatrixView<typename M::Device::Scalar> z) {
           model.predict(pass, target, source, z, z);  // has 'predict(pass, target, source, z, out) const'
       }
    && requires(M const& model, nn::Pass<typename M::Device>& pass, Index size) {
           { model.make_cache(pass, size, size) } -> std::same_as<typename M::Cache>;  // has 'make_cache(pass, slots, rows) const'
       }
    && requires(M const& model, nn::Pass<typename M::Device>& pass, typename M::Encoded const& source,
                typename M::Cache& cache, NextRows rows, MatrixView<typename M::Device::Scalar> z) {
           model.predict_next(pass, source, cache, rows, z, z);  // has 'predict_next(pass, source, cache, rows, z, out) const'
       }
    && requires(M const& model, nn::Pass<typename M::Device>& pass, typename M::Cache& cache, Index index) {
           model.copy_sequence(pass, cache, index, index, index);  // has 'copy_sequence(pass, cache, from, to, rows) const'
       }
    && requires(M const& model) { { model.longest_source() } -> std::same_as<Index>; }   // has 'longest_source()', in rows
    && requires(M const& model) { { model.longest_target() } -> std::same_as<Index>; };  // has 'longest_target()', in rows

/// A model of the next token that can be made for an embedding space: it places its weights in the layout behind those
/// of the space, and may take a vocabulary of the sources as DenoiserOver says.
template <class M, class Space>
concept NextTokenModelOver = NextTokenModel<M>
    && requires(nn::ParameterLayout& layout, typename M::Options const& options, Space const& space) {
           M(layout, options, space);  // has a constructor (layout, options, space)
       };

/// A model of the next token that learns. Models: denoiser::Autoregressive.
template <class M>
concept TrainableNextTokenModel = NextTokenModel<M>
    && requires { typename M::Saved; }  // has 'Saved'
    && std::default_initializable<typename M::Saved>
    && requires(typename M::Encoded const& encoded) {
           { encoded.output } -> std::convertible_to<MatrixView<typename M::Device::Scalar const>>;       // Encoded has 'output'
           { encoded.keys_values } -> std::convertible_to<MatrixView<typename M::Device::Scalar const>>;  // ... and 'keys_values': encode_backward takes gradients of their shapes
       }
    && requires(M const& model, nn::Pass<typename M::Device>& pass, PackedSequences source, typename M::Saved* saved) {
           { model.encode(pass, source, saved) } -> std::same_as<typename M::Encoded>;  // has 'encode(pass, source, saved) const'
       }
    && requires(M const& model, nn::Pass<typename M::Device>& pass, PackedSequences target,
                typename M::Encoded const& source, MatrixView<typename M::Device::Scalar> z, typename M::Saved* saved) {
           model.predict(pass, target, source, z, z, saved);  // has 'predict(..., out, saved) const'
       }
    && requires(M const& model, nn::Pass<typename M::Device>& pass, PackedSequences target,
                typename M::Encoded const& source, MatrixView<typename M::Device::Scalar> z,
                typename M::Saved const& saved) {
           model.predict_backward(pass, target, source, saved, z, z, z);  // has 'predict_backward(pass, target, source, saved, dout, dz, dkeys_values) const'
           model.encode_backward(pass, source, saved, z, z);  // has 'encode_backward(pass, source, saved, doutput, dkeys_values) const'
       }
    && requires(M const& model) { { model.dropout() } -> std::same_as<double>; };  // has 'dropout()', in [0, 1)
// clang-format on

}  // namespace inkling
