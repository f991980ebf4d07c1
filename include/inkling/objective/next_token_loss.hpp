#pragma once

#include <inkling/objective/concept.hpp>

namespace inkling::objective {

/// One batch of pairs, for a model that writes one token after the other.
template <Backend B>
struct NextTokenBatch {
    PackedSequences source;
    PackedSequences target;  ///< what is read: bos and the target's tokens
    TokenView next;          ///< [Nt], what comes next in each row: the target's tokens and eos
};

/// Memory that training steps share: sized by the first, allocated no more.
template <class Space, class Model>
struct NextTokenSaved {
    using Device = typename Model::Device;
    typename Space::template Saved<Device> embedding;
    typename Model::Saved model;
};

/// Loss of one batch, and where pass.gradients is set its gradient, added there. The objective sees the outputs as
/// Prediction::z0_hat; there is no z0.
template <EmbeddingSpace Space, TrainableNextTokenModel Model, class Objective_>
    requires Objective<Objective_, Space, typename Model::Device>
Losses<typename Model::Device> next_token_loss(nn::Pass<typename Model::Device>& pass, Space const& space,
                                               Model const& model, Objective_ const& objective,
                                               NextTokenBatch<typename Model::Device> const& batch,
                                               NextTokenSaved<Space, Model>& saved) {
    using B = typename Model::Device;
    using View = MatrixView<typename B::Scalar>;
    using ConstView = MatrixView<typename B::Scalar const>;
    bool const training = pass.gradients != nullptr;
    Index const rows = batch.target.segments.rows;
    Index const latent = space.width();
    auto* const keep = training ? &saved.model : nullptr;
    Losses<B> losses(pass);

    auto const encoded = model.encode(pass, batch.source, keep);
    View const z = pass.take(rows, latent);
    space.embed(pass, batch.target.tokens, z, training ? &saved.embedding : nullptr);
    View const out = pass.take(rows, latent);
    model.predict(pass, batch.target, encoded, ConstView(z), out, keep);
    View const dout = training ? pass.take_zeros(rows, latent) : View{};
    Prediction<B> prediction{batch.next, batch.target.segments, {}, out, {}, dout};
    objective.evaluate(pass, space, prediction, losses);
    if (!training) return losses;

    View const dz = pass.take_zeros(rows, latent);
    View const dkeys_values = pass.take(encoded.keys_values.rows, encoded.keys_values.cols);
    View const doutput = pass.take_zeros(encoded.output.rows, encoded.output.cols);
    model.predict_backward(pass, batch.target, encoded, saved.model, ConstView(dout), dz, dkeys_values);
    model.encode_backward(pass, encoded, saved.model, doutput, dkeys_values);
    space.embed_backward(pass, batch.target.tokens, saved.embedding, dz);
    return losses;
}

}  // namespace inkling::objective
