#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/nn/parameters.hpp>

#include <algorithm>
#include <iterator>
#include <utility>
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
            if (memory_.size() < layout.size()) memory_ = typename B::template Buffer<Scalar>(layout.size());
            ranges_.clear();
            for (auto const& entry : layout.entries()) {
                Parameter const& own = entry.parameter;
                if (!entry.multiplied || !can_pack(device, own.rows)) continue;
                pack(device, MatrixView<Scalar const>(weights + own.offset, own.rows, own.cols),
                     memory_.data() + own.offset);
                if (!ranges_.empty() && ranges_.back().second == own.offset)
                    ranges_.back().second += own.size();
                else
                    ranges_.emplace_back(own.offset, own.offset + own.size());
            }
        }
    }

    /// A matrix, or several that lie one behind the other, as packed; null where they are not.
    [[nodiscard]] Scalar const* find(Parameter const& matrix) const {
        auto const behind = std::upper_bound(ranges_.begin(), ranges_.end(), matrix.offset,
                                             [](Index offset, auto const& range) { return offset < range.first; });
        bool const there = behind != ranges_.begin() && matrix.offset + matrix.size() <= std::prev(behind)->second;
        return there ? memory_.data() + matrix.offset : nullptr;
    }

private:
    typename B::template Buffer<Scalar> memory_{};
    std::vector<std::pair<Index, Index>> ranges_{};  ///< [begin, end) of the flat buffer
};

}  // namespace inkling::nn
