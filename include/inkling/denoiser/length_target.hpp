#pragma once

#include <inkling/core/index.hpp>

#include <algorithm>

namespace inkling::denoiser {

/// What a length head's classes mean: target rows less source rows, shifted by half the classes; or target rows.
enum class LengthTarget { offset, absolute };

/// The class that stands for a target of `target` rows to a source of `source` rows; the first or the last where the
/// classes do not reach it.
[[nodiscard]] inline Token length_class(LengthTarget kind, Index classes, Index source, Index target) {
    Index const raw = kind == LengthTarget::offset ? target - source + classes / 2 : target;
    return static_cast<Token>(std::clamp<Index>(raw, 0, classes - 1));
}

/// The target length, at least 2, that a class stands for.
[[nodiscard]] inline Index length_of(LengthTarget kind, Index classes, Index source, Token length_class) {
    Index const raw = kind == LengthTarget::offset ? source + length_class - classes / 2 : Index{length_class};
    return std::max<Index>(2, raw);
}

}  // namespace inkling::denoiser
