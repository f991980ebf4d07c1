#pragma once

#include <inkling/core/error.hpp>
#include <inkling/io/lines.hpp>
#include <inkling/io/model_file.hpp>
#include <inkling/io/npy.hpp>
#include <inkling/io/safetensors.hpp>

#include <cstddef>
#include <span>
#include <sstream>
#include <string>
#include <vector>

/// What is done with input from anywhere: each function reads it to the end and touches every byte handed out. An Error
/// is a fair answer; a crash, another exception or a sanitizer's report is not.
namespace parsers {

/// @return whether the input was accepted
template <class Use>
bool accepted(Use const& use) {
    try {
        use();
        return true;
    } catch (inkling::Error const&) { return false; }
}

inline bool safetensors(std::span<std::byte const> input) {
    return accepted([&] {
        auto const file = inkling::io::Safetensors::parse({input.begin(), input.end()});
        for (auto const& tensor : file.tensors()) {
            (void)file.at(tensor.name());
            accepted([&] { (void)tensor.to<double>(); });
            accepted([&] { (void)tensor.to<std::int32_t>(); });
            accepted([&] { (void)tensor.as<float>(); });
        }
    });
}

inline bool model_file(std::span<std::byte const> input) {
    return accepted([&] {
        auto const file = inkling::io::ModelFile::parse({input.begin(), input.end()});
        for (auto const& weight : file.weights()) {
            std::vector<float> room(static_cast<std::size_t>(weight.size()));
            accepted([&] {
                file.load_weights(
                    std::vector<inkling::io::TensorDestination>{{weight.name(), weight.shape(), room.data()}});
            });
        }
    });
}

inline bool npy(std::span<std::byte const> input) {
    return accepted([&] {
        auto const view = inkling::io::detail::parse_npy(input, "(memory)");
        accepted([&] { (void)inkling::io::detail::to_xarray<float>(view); });
        accepted([&] { (void)inkling::io::detail::to_xarray<std::int64_t>(view); });
    });
}

inline bool lines(std::span<std::byte const> input) {
    return accepted([&] {
        std::istringstream stream(std::string(reinterpret_cast<char const*>(input.data()), input.size()));
        inkling::io::LineReader reader(stream, "(memory)", {.longest_line = 1000});
        for (std::string line; reader.next(line);) {}
    });
}

}  // namespace parsers
