#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/core/shape.hpp>
#include <inkling/io/npy_file.hpp>
#include <inkling/io/safetensors.hpp>

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inkling::embedding {

/// Vectors that were made elsewhere, one a token, [V, D], row t that of token t.
struct VectorTable {
    Index width = 0;            ///< D
    std::vector<float> values;  ///< [V * D], row by row

    /// V; 0 where there is no width.
    [[nodiscard]] Index rows() const { return width > 0 ? static_cast<Index>(values.size()) / width : 0; }
};

/// Reads a table from a .npy file, or from a safetensors file (of any other name) the tensor `name`.
///
/// Elements of other types than float are converted as io::TensorView::copy_to does.
/// @param name  may be empty where the safetensors file has one tensor of two dimensions
/// @throws Error when the file cannot be read, lacks the tensor, or holds no matrix there
[[nodiscard]] inline VectorTable read_vectors(std::filesystem::path const& path, std::string_view name = {}) {
    std::string const where = "inkling::embedding::read_vectors: file '" + path.string() + "': ";
    auto const read = [&](io::TensorView const& found) {
        require(found.shape().size() == 2, where, "'", found.name(), "' has shape ", shape_text(found.shape()),
                ", expected [tokens, width]");
        return VectorTable{found.shape()[1], found.to<float>()};
    };
    if (path.extension() == ".npy") return read(io::NpyFile::open(path).array());
    auto const file = io::Safetensors::open(path);
    if (!name.empty()) return read(file.at(name));
    io::TensorView const* only = nullptr;
    for (io::TensorView const& tensor : file.tensors()) {
        if (tensor.shape().size() != 2) continue;
        require(only == nullptr, where, "holds the matrices '", only ? only->name() : "", "', '", tensor.name(),
                "' and maybe more, expected the name of one");
        only = &tensor;
    }
    require(only != nullptr, where, "holds no matrix, expected one of shape [tokens, width]");
    return read(*only);
}

/// The table with every row stretched to norm sqrt(D), as long as noise of D dimensions is on average: every token then
/// drowns at the same time. To be handed to Pretrained, whose options share it.
/// Source: Strudel et al. 2022, "Self-conditioned Embedding Diffusion", arXiv:2211.04236, section 3.
/// @throws Error naming the row when one has no direction (its norm is 0) or is not finite, and when there is none
[[nodiscard]] inline std::shared_ptr<VectorTable const> normalized(VectorTable table) {
    require(table.rows() > 0, "inkling::embedding::normalized: the table has no rows, expected at least one");
    double const wanted = std::sqrt(static_cast<double>(table.width));
    for (Index row = 0; row < table.rows(); ++row) {
        float* const values = table.values.data() + row * table.width;
        double squares = 0.0;
        for (Index i = 0; i < table.width; ++i)
            squares += static_cast<double>(values[i]) * static_cast<double>(values[i]);
        require(squares > 0.0 && std::isfinite(squares), "inkling::embedding::normalized: row ", row, " has the norm ",
                std::sqrt(squares), ", expected a positive finite one");
        double const factor = wanted / std::sqrt(squares);
        for (Index i = 0; i < table.width; ++i) values[i] = static_cast<float>(factor * static_cast<double>(values[i]));
    }
    return std::make_shared<VectorTable const>(std::move(table));
}

}  // namespace inkling::embedding
