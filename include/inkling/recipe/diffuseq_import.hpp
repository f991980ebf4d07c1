#pragma once

#include <inkling/embedding/noisy_learned.hpp>
#include <inkling/io/safetensors.hpp>
#include <inkling/pipeline/text_diffusion.hpp>
#include <inkling/recipe/diffuseq.hpp>
#include <inkling/recipe/diffuseq_settings.hpp>
#include <inkling/recipe/state_dict.hpp>
#include <inkling/text/vocabulary.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inkling::recipe {

/// DiffuSeq or Bridge with every option of the official programs, chosen at run time: any of their schedules as a table
/// of T levels, and either of their samplers.
template <Backend B>
using OfficialDiffuSeq =
    TextDiffusion<schedule::Discrete, embedding::NoisyLearned, denoiser::EncoderOnly<B>, DiffuSeqSampler>;

namespace detail {

/// Which tensors of an official state_dict are no weights: the places 0, 1, 2 ... that Hugging Face's BERT keeps.
[[nodiscard]] inline bool is_no_weight_of_diffuseq(std::string_view name) { return name == "position_ids"; }

}  // namespace detail

/// Weights of an official DiffuSeq or Bridge: its state_dict, saved as safetensors, laid out for our model.
///
/// @return [P]
/// @throws Error naming the tensors that are missing, of another shape, unequal though shared, or of no use here
template <std::floating_point Real>
[[nodiscard]] std::vector<Real> read_diffuseq_weights(io::Safetensors const& file, nn::ParameterLayout const& layout) {
    return read_state_dict<Real>(file, layout, detail::is_no_weight_of_diffuseq,
                                 "inkling::recipe::read_diffuseq_weights");
}

/// Options for a pipeline that an official model is to be read into.
/// @throws Error when the settings' schedule has no such table
template <Backend B>
[[nodiscard]] typename OfficialDiffuSeq<B>::Options diffuseq_options(DiffuSeqSettings const& settings,
                                                                     DiffuSeqDecoding const& decoding) {
    return {.schedule = settings.table(),
            .embedding = settings.embedding,
            .denoiser = settings.denoiser,
            .sampler = decoding.sampler};
}

/// Words of a vocabulary that is not BERT's: the official code writes it to vocab.json beside its checkpoints. Tokens 0
/// to 3 are [START], [END], [UNK] and [PAD], which become bos, eos, unk and pad.
///
/// @param json  the number of every word
/// @throws Error when it is no object of numbers, the first four tokens are others, a number comes twice or is too
///         large for so many words, and as text::Vocabulary does
[[nodiscard]] inline text::Vocabulary read_diffuseq_vocabulary(nlohmann::json const& json) {
    constexpr char const* where = "inkling::recipe::read_diffuseq_vocabulary: ";
    constexpr std::array specials{"[START]", "[END]", "[UNK]", "[PAD]"};
    require(json.is_object(), where, "the vocabulary is no JSON object, expected the number of every word");
    std::vector<std::string> words(json.size());
    for (auto const& [word, number] : json.items()) {
        auto const token = number.is_number_unsigned() ? number.get<std::size_t>() : words.size();
        require(token < words.size(), where, "word '", word, "' has the number ", number.dump(), ", expected 0 to ",
                words.size() - 1, ", as there are so many words");
        require(words[token].empty(), where, "words '", words[token], "' and '", word, "' both have the number ", token,
                ", expected one of its own");
        require(!word.empty(), where, "the word of number ", token, " is empty");
        words[token] = word;
    }
    for (std::size_t i = 0; i < specials.size(); ++i)
        require(i < words.size() && words[i] == specials[i], where, "number ", i, " is ",
                i < words.size() ? "'" + words[i] + "'" : "missing", ", expected ", specials[i]);
    words.erase(words.begin(), words.begin() + text::Vocabulary::special_count);
    return text::Vocabulary(std::move(words), {.bos = 0, .pad = 3, .eos = 1, .unk = 2});
}

/// An official model, ready to generate or to be trained on.
///
///     auto const settings = recipe::DiffuSeqSettings::read(training_args);
///     auto const decoding = recipe::DiffuSeqDecoding::read({{"respacing", "adp_20"}}, settings);
///     auto const model = recipe::import_diffuseq<backend::Cpu<>>(settings, decoding, file, tokenizer);
///
/// @param weights  the state_dict as a safetensors file
/// @throws Error when the tokenizer is of another vocabulary or has other special tokens, or gives sources a vocabulary
///         of their own and the model has no table for it, a weight is not finite, and as read_diffuseq_weights does
template <Backend B>
[[nodiscard]] OfficialDiffuSeq<B> import_diffuseq(DiffuSeqSettings const& settings, DiffuSeqDecoding const& decoding,
                                                  std::filesystem::path const& weights,
                                                  pipeline::HeldTokenizer tokenizer) {
    require_tokenizer(settings.vocabulary, settings.specials, tokenizer.vocabulary_size(), tokenizer.specials(),
                      "inkling::recipe::import_diffuseq");
    OfficialDiffuSeq<B> pipeline(std::move(tokenizer), diffuseq_options<B>(settings, decoding));
    using Scalar = typename B::Scalar;
    pipeline.set_weights(read_diffuseq_weights<Scalar>(io::Safetensors::open(weights), pipeline.layout()));
    return pipeline;
}

}  // namespace inkling::recipe
