#pragma once

#include <inkling/core/error.hpp>
#include <inkling/io/model_file.hpp>
#include <inkling/nn/parameters.hpp>
#include <inkling/pipeline/held_tokenizer.hpp>
#include <inkling/text/any_tokenizer.hpp>
#include <inkling/text/concept.hpp>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace inkling::pipeline {

/// Writes weights (in single precision), settings and tokenizer to one file, atomically.
/// @throws Error when it cannot be written
inline void save_weights(std::filesystem::path const& path, nlohmann::json const& configuration,
                         HeldTokenizer const& tokenizer, nn::ParameterLayout const& layout,
                         std::span<float const> weights) {
    std::vector<io::NamedTensor> tensors;
    for (auto const& entry : layout.entries())
        if (entry.stored) tensors.push_back({entry.name, entry.shape, weights.data() + entry.parameter.offset});
    io::save_model(path, {configuration.dump(1), std::string(tokenizer.kind()), tokenizer.serialise()}, tensors);
}

/// @throws Error naming the first tensor that misses or has another shape. To be called before memory is asked for,
///         whose size the file might lie about
inline void require_weights(io::ModelFile const& file, nn::ParameterLayout const& layout) {
    for (auto const& entry : layout.entries())
        if (entry.stored) file.contents().at(entry.name).require_shape(entry.shape);
}

/// The tokenizer that a model file holds.
/// @param where  begins the message
/// @throws Error when it is of none of these kinds, or damaged
template <Tokenizer... Tokenizers>
[[nodiscard]] text::AnyTokenizer<Tokenizers...> load_tokenizer(io::ModelFile const& file, std::string const& where) {
    try {
        return text::AnyTokenizer<Tokenizers...>::deserialise(file.description().tokenizer);
    } catch (Error const& problem) { fail(where, ", the tokenizer: ", problem.what()); }
}

/// All weights of the layout, those that files do not hold (fixed tables) among them.
/// @throws Error when the file is damaged, or has a tensor more
[[nodiscard]] inline std::vector<float> load_weights(io::ModelFile const& file, nn::ParameterLayout const& layout) {
    std::vector<float> values(static_cast<std::size_t>(layout.size()));
    layout.initialize_not_stored<float>(values);
    std::vector<io::TensorDestination> destinations;
    for (auto const& entry : layout.entries())
        if (entry.stored) destinations.push_back({entry.name, entry.shape, values.data() + entry.parameter.offset});
    file.load_weights(destinations);
    return values;
}

}  // namespace inkling::pipeline
