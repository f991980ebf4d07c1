#pragma once

#include "translation.hpp"

namespace support {

/// Settings of writing word after word.
struct SearchSettings : WriteSettings {
    std::string target;
    decode::BeamSearch search{};
    Index piece = 1000;
};

inline void add_search(CLI::App& command, SearchSettings& settings) {
    add_writing(command, settings);
    command.add_option("--beam", settings.search.width, "beginnings that are continued side by side; 1: greedy")
        ->capture_default_str();
    command
        .add_option("--length-penalty", settings.search.length_penalty,
                    "texts are scored by log p / tokens^this; above 1 favours longer ones")
        ->capture_default_str();
}

inline void add_distillation(CLI::App& command, SearchSettings& settings) {
    add_search(command, settings);
    command.add_option("--source", settings.source, "source lines")->required();
    command.add_option("--output", settings.output, "file of as many lines")->required();
    command.add_option("--piece", settings.piece, "lines after which what is done is kept")->capture_default_str();
}

}  // namespace support
