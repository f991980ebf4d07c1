#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/nn/parameters.hpp>

#include <algorithm>
#include <iterator>
#include <vector>

namespace inkling::nn {

/// The matrices of linear maps, laid out for the backend's products: they read the same weights many times over, and a
/// few rows of text cost little more than that.
///
/// A copy: whoever changes the weights packs them again. Empty, and of no use, where the backend has nothing of the
/// kind.
template <Backend B>
class PackedWeights {
public:
    using Scalar = typename B::Scalar;

    /// Packs the weights of a model; once it has had such a layout it allocates nothing.
    void update(B& device, ParameterLayout const& layout, Scalar const* weights) {
        if constexpr (backend::PacksFactors<B>) {
            ranges_.clear();
            density_ = packed_density(device);
            Index size = 0;  // in Scalars of packed memory
            for (auto const& entry : layout.entries()) {
                Parameter const& own = entry.parameter;
                if (!entry.multiplied || !can_pack(device, own.rows, own.cols)) continue;
                if (!ranges_.empty() && ranges_.back().end == own.offset)
                    ranges_.back().end += own.size();
                else
                    ranges_.push_back({own.offset, own.offset + own.size(), size});
                size += own.size() / density_;
            }
            if (memory_.size() < size) memory_ = typename B::template Buffer<Scalar>(size);
            Scalar* to = memory_.data();
            for (auto const& entry : layout.entries()) {
                Parameter const& own = entry.parameter;
                if (!entry.multiplied || !can_pack(device, own.rows, own.cols)) continue;
                pack(device, MatrixView<Scalar const>(weights + own.offset, own.rows, own.cols), to);
                to += own.size() / density_;
            }
        }
    }

    /// Whether there is nothing packed, be it that nothing can be.
    [[nodiscard]] bool empty() const { return ranges_.empty(); }

    /// A matrix, or several that lie one behind the other, as packed; null where they are not.
    /// @param matrix  begins where a weight of the layout does
    [[nodiscard]] Scalar const* find(Parameter const& matrix) const {
        auto const behind = std::upper_bound(ranges_.begin(), ranges_.end(), matrix.offset,
                                             [](Index offset, auto const& range) { return offset < range.begin; });
        bool const there = behind != ranges_.begin() && matrix.offset + matrix.size() <= std::prev(behind)->end;
        return there ? memory_.data() + std::prev(behind)->place + (matrix.offset - std::prev(behind)->begin) / density_
                     : nullptr;
    }

private:
    /// Weights that lie one behind the other, in the flat buffer and here.
    struct Range {
        Index begin, end;  ///< in the flat buffer
        Index place;       ///< of the first of them here
    };
    typename B::template Buffer<Scalar> memory_{};
    std::vector<Range> ranges_{};
    Index density_ = 1;  ///< elements that a Scalar of memory_ holds
};

}  // namespace inkling::nn
