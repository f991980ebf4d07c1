#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/denoiser/detail/checks.hpp>

namespace inkling::denoiser::detail {

/// What denoisers have in common that read source and target as rows of one sequence: nothing is made of a source
/// before it is joined to a target, and there is one class of lengths, the place that there is.
template <Backend B>
struct Joined {
    using View = MatrixView<typename B::Scalar>;

    /// Source and target are rows of one sequence.
    static constexpr bool joins_source = true;

    /// A source, as it is.
    struct Encoded {
        PackedSequences source;
        View output{};                     ///< empty
        View keys_values{};                ///< empty
        Index const* source_of = nullptr;  ///< not read
    };

    /// Remembers where the source is; nothing is saved.
    [[nodiscard]] Encoded encode(nn::Pass<B>&, PackedSequences const& source, void const* = nullptr) const {
        return {source};
    }
    /// Does nothing, as nothing was done.
    void encode_backward(nn::Pass<B>&, Encoded const&, auto const&, View, View) const {}

    /// There is one class of lengths: the place that there is.
    void predict_lengths(nn::Pass<B>& pass, Encoded const&, VectorView<Token> classes) const {
        clear(pass.device, classes.data, classes.size);
    }
    /// Nothing is to be learned of lengths. @param losses [2] is set to 0
    void length_loss(nn::Pass<B>& pass, Encoded const&, TokenView, double, double* losses, View) const {
        clear(pass.device, losses, Index{2});
    }
    /// Every target is of the one class.
    [[nodiscard]] Token length_class(Index, Index) const { return 0; }
};

}  // namespace inkling::denoiser::detail
