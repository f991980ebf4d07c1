#pragma once

#include <inkling/denoiser/detail/checks.hpp>
#include <inkling/denoiser/source_encoder.hpp>
#include <inkling/embedding/concept.hpp>

#include <optional>

namespace inkling::denoiser::detail {

/// Holds what options of an encoder and decoder in fairseq's form have in common, EncoderDecoder's and
/// Autoregressive's, against their ranges.
///
/// @param latent  D, called `latent_name` in messages
/// @throws Error naming the first option that is out of its range; 0 may stand for another option
template <class Options>
void check_transformer_pair(char const* denoiser, Options const& options, char const* latent_name, Index latent) {
    auto const size = [&](auto const&... what) { check_size(denoiser, what...); };
    size(latent_name, latent);
    size("width", options.width);
    size("layers", options.layers, 1, 1024);
    size("heads", options.heads);
    size("hidden", options.hidden, 0);
    size("encoder_layers", options.encoder_layers, 0, 1024);
    size("encoder_heads", options.encoder_heads, 0);
    size("encoder_hidden", options.encoder_hidden, 0);
    size("longest_source", options.longest_source);
    size("longest_target", options.longest_target);
    check_dropout(denoiser, options.dropout);
}

/// Puts in the place of sizes of 0 what they stand for.
template <class Options>
void fill_transformer_pair(Options& options) {
    auto const fallback = [](Index& value, Index other) {
        if (value == 0) value = other;
    };
    fallback(options.hidden, 4 * options.width);
    fallback(options.encoder_layers, options.layers);
    fallback(options.encoder_heads, options.heads);
    fallback(options.encoder_hidden, options.hidden);
}

/// The half of such options that the encoder has, none of them 0.
template <class Options>
[[nodiscard]] SourceEncoderOptions source_encoder_options(Options const& options) {
    return {.width = options.width,
            .layers = options.encoder_layers,
            .heads = options.encoder_heads,
            .hidden = options.encoder_hidden,
            .longest = options.longest_source,
            .activation = options.activation,
            .positions = options.encoder_positions,
            .share_embedding = options.share_embedding,
            .embedding_norm = options.encoder_embedding_norm,
            .normalize_before = options.encoder_normalize_before};
}

/// @throws Error when the source is to share a table that is of another vocabulary than its own, or that its space does
///         not read as it is
template <EmbeddingSpace Space, Backend B>
void require_shareable(char const* denoiser, bool share_embedding, std::optional<Index> source_vocabulary) {
    require(!(share_embedding && source_vocabulary), "inkling::denoiser::", denoiser,
            ": share_embedding is true, but the source has a vocabulary of its own; expected false");
    require(
        !(share_embedding && embedding::makes_readout<Space, B>), "inkling::denoiser::", denoiser,
        ": share_embedding is true, but the embedding space does not read its table as it is; expected false beside "
        "embedding::UnitSphere");
}

}  // namespace inkling::denoiser::detail
