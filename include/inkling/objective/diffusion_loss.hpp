#pragma once

#include <inkling/objective/concept.hpp>

namespace inkling::objective {

/// One batch with everything random already drawn.
template <Backend B>
struct NoisedBatch {
    using Scalar = typename B::Scalar;
    PackedSequences source;
    PackedSequences target;
    TokenView length_classes;         ///< [S]
    MatrixView<Scalar const> levels;  ///< [P, 3] = (signal a, 1, noise factor * noise s); (1, 1, 0) keeps clean
    VectorView<double const> labels;  ///< [S], the denoiser's time labels
    MatrixView<Scalar const> noise;   ///< [Nt, D], standard normal
    bool self_condition = false;      ///< this batch gets a first estimate of z0 as input
    Segments spans{};  ///< the P parts that have a noise level each, such as a source that stays clean and
                       ///< what is to be written to it; without offsets: the S sentences
    /// [Nt, D], standard normal, for a space that adds noise to make z0; or empty
    MatrixView<Scalar const> start_noise{};
    MatrixView<Scalar const> goals{};  ///< see Prediction, as all below
    VectorView<Scalar const> row_weights{};
    VectorView<Scalar const> pair_weights{};
    double pair_weight_sum = 1.0;
    double last_signal = 0.0;

    /// What `levels` are of.
    [[nodiscard]] Segments const& noised_parts() const { return spans.offsets ? spans : target.segments; }
};

/// Weights of the parts that every objective shares.
struct DiffusionLossOptions {
    double length_weight = 0.1;
};

/// Values of one forward pass, for tests and diagnostics; views into the workspace.
template <Backend B>
struct DiffusionValues {
    MatrixView<typename B::Scalar> z0, z_t, previous, z0_hat;  ///< [Nt, D]
    MatrixView<typename B::Scalar> embedded;                   ///< [Nt, D], z0 without its space's noise
};

/// Memory that training steps share: sized by the first, allocated no more.
template <class Space, class Model>
struct DiffusionSaved {
    using Device = typename Model::Device;
    typename Space::template Saved<Device> embedding;
    typename Model::Saved denoiser;
};

/// Loss of one batch, and where pass.gradients is set its gradient, added there.
///
/// z0 = the embedding, plus the space's own noise; z_t = a z0 + F s noise, by levels of whole sentences or of parts of
/// them; where the batch is self-conditioned a first estimate of z0 is made without gradient and fed to the second;
/// total = objective + length_weight * length.
/// Source: Gao et al. 2022, "Difformer", arXiv:2212.09412, section 3; Chen et al. 2022, "Analog Bits", arXiv:2208.04202
/// (self-conditioning).
template <EmbeddingSpace Space, TrainableDenoiser Model, class Objective_>
    requires Objective<Objective_, Space, typename Model::Device>
Losses<typename Model::Device> diffusion_loss(nn::Pass<typename Model::Device>& pass, Space const& space,
                                              Model const& denoiser, Objective_ const& objective,
                                              NoisedBatch<typename Model::Device> const& batch,
                                              DiffusionSaved<Space, Model>& saved,
                                              DiffusionLossOptions const& options = {},
                                              DiffusionValues<typename Model::Device>* values = nullptr) {
    using B = typename Model::Device;
    using View = MatrixView<typename B::Scalar>;
    using ConstView = MatrixView<typename B::Scalar const>;
    bool const training = pass.gradients != nullptr;
    Index const rows = batch.target.segments.rows;
    Index const latent = space.width();
    auto* const keep = training ? &saved.denoiser : nullptr;
    Losses<B> losses(pass);

    auto const encoded = denoiser.encode(pass, batch.source, keep);
    View const embedded = pass.take(rows, latent);
    space.embed(pass, batch.target.tokens, embedded, training ? &saved.embedding : nullptr);
    View z0 = embedded;
    if (!batch.start_noise.empty()) {
        z0 = pass.take(rows, latent);
        copy(pass.device, static_cast<typename B::Scalar const*>(embedded.data), z0.data, z0.size());
        scale(pass.device, static_cast<typename B::Scalar>(embedding::start_noise(space)), batch.start_noise, z0, true);
    }
    View const z_t = pass.take(rows, latent);
    combine(pass.device, batch.noised_parts(), batch.levels, z0, {}, batch.noise, z_t);
    View const time = denoiser.embed_times(pass, batch.labels, keep);
    View const previous = pass.take_zeros(rows, latent);
    View const z0_hat = pass.take(rows, latent);
    if (batch.self_condition) {
        View const zeros = pass.take_zeros(rows, latent);
        denoiser.predict(pass, batch.target, encoded, ConstView(z_t), ConstView(time), ConstView(zeros), previous);
    }
    denoiser.predict(pass, batch.target, encoded, ConstView(z_t), ConstView(time), ConstView(previous), z0_hat, keep);
    if (values) *values = {z0, z_t, previous, z0_hat, embedded};

    View dz0, dz0_hat, doutput;
    if (training) {
        dz0 = pass.take_zeros(rows, latent);
        dz0_hat = pass.take_zeros(rows, latent);
        doutput = pass.take_zeros(encoded.output.rows, encoded.output.cols);
    }
    objective.evaluate(
        pass, space,
        Prediction<B>{batch.target.tokens, batch.target.segments, z0, z0_hat, dz0, dz0_hat, embedded, batch.goals,
                      batch.row_weights, batch.pair_weights, batch.pair_weight_sum, batch.last_signal},
        losses);
    double const share = 1.0 / static_cast<double>(batch.source.segments.count);
    double* const length_sums = losses.add({{"length", 0.0, options.length_weight}, {"", 0.0, 0.0}}, share);
    denoiser.length_loss(pass, encoded, batch.length_classes, options.length_weight * share, length_sums, doutput);
    if (!training) return losses;

    View const dz_t = pass.take_zeros(rows, latent);
    View const dtime = pass.take(time.rows, time.cols);
    View const dkeys_values = pass.take(encoded.keys_values.rows, encoded.keys_values.cols);
    denoiser.predict_backward(pass, batch.target, encoded, saved.denoiser, ConstView(dz0_hat), dz_t, dtime,
                              dkeys_values);
    denoiser.embed_times_backward(pass, saved.denoiser, ConstView(dtime));
    denoiser.encode_backward(pass, encoded, saved.denoiser, doutput, dkeys_values);
    combine(pass.device, batch.noised_parts(), batch.levels, dz_t, dz0, {}, dz0);
    space.embed_backward(pass, batch.target.tokens, saved.embedding, dz0);
    return losses;
}

}  // namespace inkling::objective
