#pragma once

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace inkling::backend::detail {

/// While it lives, the calling thread takes subnormal numbers (below 1.2e-38 in float) as 0: x86 processors take
/// many times as long for them, and a softmax that is nearly sure is full of them. Elsewhere it does nothing.
class [[maybe_unused]] SubnormalsAreZero {
public:
    SubnormalsAreZero(SubnormalsAreZero const&) = delete;
    SubnormalsAreZero& operator=(SubnormalsAreZero const&) = delete;
#if defined(__SSE2__)
    SubnormalsAreZero() : before_(_mm_getcsr()) { _mm_setcsr(before_ | results_are_zero | operands_are_zero); }
    ~SubnormalsAreZero() { _mm_setcsr(before_); }

private:
    static constexpr unsigned results_are_zero = 0x8000, operands_are_zero = 0x0040;
    unsigned before_;
#else
    SubnormalsAreZero() = default;
#endif
};

}  // namespace inkling::backend::detail
