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
    bool train_first = false;         ///< ... whose own loss is added
    bool without_source = false;      ///< the denoiser is given no source, and no length is learned
    bool follow_rows = false;         ///< losses are to tell what each row adds, the length loss left out
    Segments spans{};  ///< the P parts that have a noise level each, such as a source that stays clean and
                       ///< what is to be written to it; without offsets: the S sentences
    /// [Nt, D], standard normal, for a space that adds noise to make z0; or empty
    MatrixView<Scalar const> start_noise{};
    MatrixView<Scalar const> goals{};  ///< see Prediction, as all below
    VectorView<Scalar const> row_weights{};
    VectorView<Scalar const> pair_weights{};
    double pair_weight_sum = 1.0;
    MatrixView<Scalar const> pair_order{};
    double last_signal = 0.0;
    MatrixView<Scalar const> error_factors{};
    VectorView<Scalar const> error_weights{};
    /// [P, 3], ToEstimate of each part's level, for a denoiser whose output is not z0
    MatrixView<Scalar const> to_estimate{};

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
    MatrixView<typename B::Scalar> first_output, output;       ///< [Nt, D or 2 D], what the network said
};

/// Memory that training steps share: sized by the first, allocated no more.
template <class Space, class Model>
struct DiffusionSaved {
    using Device = typename Model::Device;
    typename Space::template Saved<Device> embedding;
    typename Model::Saved denoiser;
};

namespace detail {

/// The batch's source, read; or what stands for none.
template <TrainableDenoiser Model>
[[nodiscard]] typename Model::Encoded read_source(nn::Pass<typename Model::Device>& pass, Model const& denoiser,
                                                  NoisedBatch<typename Model::Device> const& batch,
                                                  typename Model::Saved* saved) {
    if (!batch.without_source) return denoiser.encode(pass, batch.source, saved);
    if constexpr (UnconditionalDenoiser<Model>)
        return denoiser.encode_nothing(pass, batch.target.segments.count);
    else
        fail(
            "inkling::objective::diffusion_loss: the batch is to have no source, expected one, as the denoiser has no "
            "'encode_nothing(pass, sentences) const'");
}

/// From what a network says to z0_hat, and back with the gradient. Where it says z0 there is nothing to do.
template <Backend B>
struct OutputMap {
    using View = MatrixView<typename B::Scalar>;
    inkling::denoiser::Output kind;
    Segments const& parts;
    MatrixView<typename B::Scalar const> factors;  ///< [P, 3]

    /// Where the network writes.
    [[nodiscard]] View room(nn::Pass<B>& pass, View z0_hat) const {
        if (kind == inkling::denoiser::Output::z0) return z0_hat;
        require(!factors.empty(),
                "inkling::objective::diffusion_loss: the batch has no to_estimate, expected some, as the denoiser's "
                "output is not z0");
        return pass.take(z0_hat.rows, inkling::denoiser::output_width(kind, z0_hat.cols));
    }
    void forward(nn::Pass<B>& pass, View output, View z_t, View z0_hat) const {
        if (kind == inkling::denoiser::Output::z0) return;
        Index const latent = z0_hat.cols;
        combine(pass.device, parts, factors, output.columns(0, latent), z_t, second(output, latent), z0_hat);
    }
    /// The gradient of the output; that of z_t is added to dz_t.
    [[nodiscard]] View backward(nn::Pass<B>& pass, View dz0_hat, View dz_t) const {
        if (kind == inkling::denoiser::Output::z0) return dz0_hat;
        Index const rows = dz0_hat.rows, latent = dz0_hat.cols;
        View const doutput = pass.take(rows, inkling::denoiser::output_width(kind, latent));
        View const zeros = pass.take_zeros(rows, latent), own = pass.take(rows, latent);
        combine(pass.device, parts, factors, dz0_hat, {}, {}, doutput.columns(0, latent));
        combine(pass.device, parts, factors, zeros, dz0_hat, {}, own);
        add(pass.device, dz_t, own, dz_t);
        if (kind == inkling::denoiser::Output::mixed)
            combine(pass.device, parts, factors, zeros, {}, dz0_hat, second(doutput, latent));
        return doutput;
    }

private:
    [[nodiscard]] View second(View output, Index latent) const {
        return kind == inkling::denoiser::Output::mixed ? output.columns(latent, latent) : View{};
    }
};

}  // namespace detail

/// Loss of one batch, and where pass.gradients is set its gradient, added there.
///
/// z0 = the embedding, plus the space's own noise; z_t = a z0 + F s noise, by levels of whole sentences or of parts of
/// them; where the batch is self-conditioned a first estimate is made and fed to the second as a constant, and either
/// has no gradient or, where both are trained, a loss of its own; total = objective + length_weight * length.
/// Source: Gao et al. 2022, "Difformer", arXiv:2212.09412, section 3; Chen et al. 2022, "Analog Bits", arXiv:2208.04202
/// (self-conditioning); Ye et al. 2023, "DINOISER", arXiv:2302.10025, code (both estimates trained).
/// @throws Error when a batch without source is given to a denoiser that must have one
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
    if (batch.follow_rows) losses.follow_rows(pass, rows);

    auto const encoded = detail::read_source(pass, denoiser, batch, keep);
    View doutput, dkeys_values, dz0, dz_t;
    if (training) {
        doutput = pass.take_zeros(encoded.output.rows, encoded.output.cols);
        dkeys_values = pass.take(encoded.keys_values.rows, encoded.keys_values.cols);
    }
    if constexpr (reads_estimates<Objective_>) {
        View const embedded = pass.take(rows, latent);
        space.embed(pass, batch.target.tokens, embedded, training ? &saved.embedding : nullptr);
        View z0 = embedded;
        if (!batch.start_noise.empty()) {
            z0 = pass.take(rows, latent);
            copy(pass.device, static_cast<typename B::Scalar const*>(embedded.data), z0.data, z0.size());
            scale(pass.device, static_cast<typename B::Scalar>(embedding::start_noise(space)), batch.start_noise, z0,
                  true);
        }
        View const z_t = pass.take(rows, latent);
        combine(pass.device, batch.noised_parts(), batch.levels, z0, {}, batch.noise, z_t);
        View const time = denoiser.embed_times(pass, batch.labels, keep);
        View const zeros = pass.take_zeros(rows, latent);
        View const previous = batch.self_condition ? pass.take(rows, latent) : zeros;
        View const z0_hat = pass.take(rows, latent);
        View dtime;
        if (training) {
            dz0 = pass.take_zeros(rows, latent);
            dz_t = pass.take_zeros(rows, latent);
            dtime = pass.take(time.rows, time.cols);
        }

        detail::OutputMap<B> const output_map{inkling::denoiser::output_of(denoiser), batch.noised_parts(),
                                              batch.to_estimate};
        auto const estimate = [&](View before, View result, typename Model::Saved* own) {
            View const output = output_map.room(pass, result);
            denoiser.predict(pass, batch.target, encoded, ConstView(z_t), ConstView(time), ConstView(before), output,
                             own);
            output_map.forward(pass, output, z_t, result);
            return output;
        };
        bool first_backward = true;
        bool const mixed = output_map.kind == inkling::denoiser::Output::mixed;
        auto const learn = [&](View result, View output) {  // what the last `estimate` kept is read here
            View const dresult = training ? pass.take_zeros(rows, latent) : View{};
            View const said = mixed ? output : View{};
            View const dsaid = training && mixed ? pass.take_zeros(said.rows, said.cols) : View{};
            objective.evaluate(pass, space,
                               Prediction<B>{batch.target.tokens, batch.target.segments, z0, result, dz0, dresult,
                                             embedded, batch.goals, batch.row_weights, batch.pair_weights,
                                             batch.pair_weight_sum, batch.pair_order, batch.last_signal,
                                             batch.error_factors, batch.error_weights, batch.noise, said, dsaid},
                               losses);
            if (!training) return;
            nn::Scope<B> const scope(pass.workspace);
            auto const room = [&](View sum) { return first_backward ? sum : pass.take(sum.rows, sum.cols); };
            View const own_dtime = room(dtime), own_dkeys_values = room(dkeys_values);
            View const doutput_of_all = output_map.backward(pass, dresult, dz_t);
            if (mixed) add(pass.device, doutput_of_all, dsaid, doutput_of_all);
            denoiser.predict_backward(pass, batch.target, encoded, saved.denoiser, ConstView(doutput_of_all), dz_t,
                                      own_dtime, own_dkeys_values);
            if (!first_backward) {
                add(pass.device, dtime, own_dtime, dtime);
                add(pass.device, dkeys_values, own_dkeys_values, dkeys_values);
            }
            first_backward = false;
        };

        View first_output;
        if (batch.self_condition) {
            auto const mark = pass.workspace.mark();
            first_output = estimate(zeros, previous, batch.train_first ? keep : nullptr);
            if (batch.train_first) learn(previous, first_output);
            if (!values) pass.workspace.release(mark);
        }
        View const output = estimate(previous, z0_hat, keep);
        if (values) *values = {z0, z_t, previous, z0_hat, embedded, first_output, output};
        learn(z0_hat, output);
        if (training) denoiser.embed_times_backward(pass, saved.denoiser, ConstView(dtime));
    } else if (training) {
        clear(pass.device, dkeys_values.data, dkeys_values.size());
    }

    double const share = 1.0 / static_cast<double>(batch.source.segments.count);
    double* const length_sums = losses.add({{"length", 0.0, options.length_weight}, {"", 0.0, 0.0}}, share);
    if (!batch.without_source)
        denoiser.length_loss(pass, encoded, batch.length_classes, options.length_weight * share, length_sums, doutput);
    if (!training) return losses;

    denoiser.encode_backward(pass, encoded, saved.denoiser, doutput, dkeys_values);
    if constexpr (reads_estimates<Objective_>) {
        combine(pass.device, batch.noised_parts(), batch.levels, dz_t, dz0, {}, dz0);
        space.embed_backward(pass, batch.target.tokens, saved.embedding, dz0);
    }
    return losses;
}

}  // namespace inkling::objective
