#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/core/error.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace inkling::nn {

/// Memory for the values of one pass through a model: taken from the front, given back all at once.
///
/// After the first pass of the largest shape it asks the device for nothing more.
template <Backend B>
class Workspace {
public:
    using Scalar = typename B::Scalar;

    /// A place to return to; what was taken since is given back.
    struct Mark {
        std::size_t chunk = 0;
        Index used = 0;
    };

    /// `count` elements, not initialised, aligned to 64 bytes.
    template <class T>
    [[nodiscard]] T* take(Index count) {
        Index const bytes = (count * Index{sizeof(T)} + 63) / 64 * 64;
        while (current_ < chunks_.size() && used_ + bytes > chunks_[current_].size()) {
            ++current_;
            used_ = 0;
        }
        if (current_ == chunks_.size()) {
            Index const smallest = chunks_.empty() ? Index{1} << 20 : 2 * chunks_.back().size();
            chunks_.emplace_back(std::max(bytes, smallest));
            used_ = 0;
        }
        std::byte* const memory = chunks_[current_].data() + used_;
        used_ += bytes;
        return reinterpret_cast<T*>(memory);
    }
    /// A matrix [rows, cols] of the backend's scalars, not initialised.
    [[nodiscard]] MatrixView<Scalar> matrix(Index rows, Index cols) { return {take<Scalar>(rows * cols), rows, cols}; }
    /// The same, filled with 0.
    [[nodiscard]] MatrixView<Scalar> zeros(B& device, Index rows, Index cols) {
        MatrixView<Scalar> const result = matrix(rows, cols);
        clear(device, result.data, result.size());
        return result;
    }

    [[nodiscard]] Mark mark() const { return {current_, used_}; }
    void release(Mark mark) {
        current_ = mark.chunk;
        used_ = mark.used;
    }
    /// Gives all back, and joins the memory into one piece for the next pass.
    void reset() {
        if (chunks_.size() > 1) {
            Index total = 0;
            for (auto const& chunk : chunks_) total += chunk.size();
            chunks_.clear();
            chunks_.emplace_back(total);
        }
        release({});
    }
    /// Bytes held.
    [[nodiscard]] Index capacity() const {
        Index total = 0;
        for (auto const& chunk : chunks_) total += chunk.size();
        return total;
    }

private:
    std::vector<typename B::template Buffer<std::byte>> chunks_;
    std::size_t current_ = 0;
    Index used_ = 0;
};

/// Gives back at the end of a block what was taken inside it.
template <Backend B>
class Scope {
public:
    explicit Scope(Workspace<B>& workspace) : workspace_(&workspace), mark_(workspace.mark()) {}
    Scope(Scope const&) = delete;
    Scope& operator=(Scope const&) = delete;
    ~Scope() { workspace_->release(mark_); }

private:
    Workspace<B>* workspace_;
    typename Workspace<B>::Mark mark_;
};

}  // namespace inkling::nn
