#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/nn/pass.hpp>

#include <string>

namespace inkling::denoiser {

/// How a row knows its place in its sentence.
enum class Positions { learned, sinusoidal };

/// A row for every place of a sentence, added to what stands there.
///
/// fairseq's tables start behind the padding row: place i of a sentence is row 2 + i.
struct PositionTable {
    /// Standard deviation that learned positions start with: of the size of what they are added to. With BERT's 0.02,
    /// as in the official code of Difformer, the source stays unread for thousands of updates.
    static constexpr double start = 0.25;

    nn::Parameter table;  ///< [longest + 2, width]

    PositionTable() = default;
    /// Registers `side`.embed_positions, with rows for `longest` places.
    PositionTable(nn::ParameterLayout& layout, std::string const& side, Positions kind, Index longest, Index width)
        : table(kind == Positions::learned ? layout.add_matrix(side + ".embed_positions.weight", longest + first, width,
                                                               nn::Initializer::normal(start))
                                           : layout.add_matrix(side + ".embed_positions.fixed", longest + first, width,
                                                               nn::Initializer::sinusoidal(first - 1))) {}

    /// hidden [N, width] += the rows of its places.
    template <Backend B>
    void forward(nn::Pass<B>& pass, PackedSequences const& sequences, MatrixView<typename B::Scalar> hidden) const {
        gather(pass.device, pass.matrix(from_first()), sequences.positions, typename B::Scalar{1}, hidden, true);
    }
    /// Adds the gradient to that of the table.
    template <Backend B>
    void backward(nn::Pass<B>& pass, PackedSequences const& sequences,
                  MatrixView<typename B::Scalar const> dhidden) const {
        scatter_add(pass.device, dhidden, sequences.positions, typename B::Scalar{1},
                    pass.matrix_gradient(from_first()));
    }
    /// hidden [N, width] += the row of one place that all of its rows have.
    template <Backend B>
    void forward_at(nn::Pass<B>& pass, Index place, MatrixView<typename B::Scalar> hidden) const {
        auto const row = pass.matrix(from_first()).row(place);
        add(pass.device, hidden, MatrixView<typename B::Scalar const>(row, hidden.rows, hidden.cols, 0), hidden);
    }

private:
    static constexpr Token first = 2;

    [[nodiscard]] nn::Parameter from_first() const {
        return {table.offset + first * table.cols, table.rows - first, table.cols};
    }
};

}  // namespace inkling::denoiser
