#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <cmath>

namespace inkling::denoiser::detail {

/// @param denoiser  names it in the message
/// @throws Error unless the size is in [least, most]
inline void check_size(char const* denoiser, char const* name, Index value, Index least = 1,
                       Index most = Index{1} << 20) {
    require(value >= least && value <= most, "inkling::denoiser::", denoiser, ": ", name, " is ", value, ", expected ",
            least, " to ", most);
}

/// @throws Error unless it is in [0, 1)
inline void check_dropout(char const* denoiser, double dropout) {
    require(dropout >= 0.0 && dropout < 1.0, "inkling::denoiser::", denoiser, ": dropout is ", dropout,
            ", expected a number in [0, 1)");
}

/// @throws Error unless it is finite
inline void check_finite(char const* denoiser, char const* name, double value) {
    require(std::isfinite(value), "inkling::denoiser::", denoiser, ": ", name, " is ", value,
            ", expected a finite number");
}

/// @param side  of the sentence: "source" or "target"
/// @throws Error when a sentence has more rows than there are positions
inline void require_fits(char const* denoiser, char const* side, Index rows, Index longest) {
    require(rows <= longest, "inkling::denoiser::", denoiser, ": a ", side, " sentence has ", rows,
            " tokens, expected at most ", longest, ", for which there are positions");
}

}  // namespace inkling::denoiser::detail
