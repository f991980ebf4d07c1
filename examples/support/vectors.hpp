#pragma once

#include <inkling/core/index.hpp>

#include <CLI/CLI.hpp>

#include <cstdint>
#include <string>

namespace support {

using inkling::Index;

/// Where a table of vectors comes from, and what becomes of it.
struct VectorSettings {
    std::string file{};  ///< .npy or .safetensors to import; empty: vectors are learned
    std::string name{};  ///< of the matrix in a safetensors file of several
    std::string
        kept{};         ///< beginning of the name of a file that learned vectors are kept in, for a run that is resumed
    bool anew = false;  ///< learned vectors that were kept are forgotten
    bool random = false;   ///< vectors that know nothing, to hold others against
    bool trained = false;  ///< vectors are trained on with the model
    Index latent = 32;     ///< numbers that are left of each vector
    Index width = 128;     ///< of vectors that are learned
    Index epochs = 5;      ///< times they read the lines
    double pads = 0.1;     ///< share of pad tokens between them
    std::uint64_t seed = 1;
};

/// @param group  what help calls them
inline void add_vectors(CLI::App& command, VectorSettings& settings, std::string const& group) {
    auto* const file =
        command.add_option("--vectors", settings.file, "vectors of the tokens, .npy or .safetensors, a row for each")
            ->group(group);
    command.add_option("--vectors-name", settings.name, "their name in a safetensors file of several matrices")
        ->group(group);
    command.add_flag("--random-vectors", settings.random, "vectors that know nothing, to hold others against")
        ->excludes(file)
        ->group(group);
    command.add_flag("--train-vectors", settings.trained, "vectors are no more than where the model's own begin")
        ->group(group);
    command.add_option("--vector-width", settings.width, "of vectors that are learned")
        ->capture_default_str()
        ->group(group);
    command.add_option("--vector-epochs", settings.epochs, "times they read the lines")
        ->capture_default_str()
        ->group(group);
}

}  // namespace support
