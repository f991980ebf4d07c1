#pragma once

#include <inkling/backend/cpu/detail/map.hpp>
#include <inkling/core/random.hpp>

#include <array>

namespace inkling::backend {

/// out [N, D] = standard normal numbers; row i of sentence s takes elements i * D .. of the stream whose sequence is
/// sequences[s]: what a sentence draws does not depend on the batch it is in.
template <class Real>
void fill_normal(Cpu<Real>& device, RandomStream stream, Segments const& segments, VectorView<Index const> sequences,
                 Out<Real> out) {
    Index const block = std::max<Index>(1, segments.count / 16);
    device.parallel(segments.count, block, [&](Index begin, Index end, int) {
        for (Index sentence = begin; sentence < end; ++sentence) {
            RandomStream own = stream;
            own.sequence = static_cast<std::uint32_t>(sequences.data[sentence]);
            Index const first = segments.offsets[sentence];
            Index const count = (segments.offsets[sentence + 1] - first) * out.cols;
            for (Index element = 0; element < count; element += 4) {
                auto const values = normals<Real>(own.bits(static_cast<std::uint32_t>(element / 4)));
                for (Index lane = 0; lane < std::min<Index>(4, count - element); ++lane)
                    out.row(first + (element + lane) / out.cols)[(element + lane) % out.cols] =
                        values[static_cast<std::size_t>(lane)];
            }
        }
    });
}

namespace detail {

/// Sixteen Philox calls side by side, so that the compiler can vectorise them: word w of call c is result[w][c].
inline void philox_lanes(RandomStream const& stream, std::uint32_t first_block, std::uint32_t (&result)[4][16]) {
    std::uint32_t x0[16];
    std::uint32_t x1[16];
    std::uint32_t x2[16];
    std::uint32_t x3[16];
    for (std::uint32_t c = 0; c < 16; ++c) {
        x0[c] = first_block + c;
        x1[c] = stream.step;
        x2[c] = stream.sequence;
        x3[c] = static_cast<std::uint32_t>(stream.purpose);
    }
    std::uint32_t key0 = static_cast<std::uint32_t>(stream.seed);
    std::uint32_t key1 = static_cast<std::uint32_t>(stream.seed >> 32);
    for (int round = 0; round < 10; ++round) {
        for (int c = 0; c < 16; ++c) {
            std::uint64_t const product0 = std::uint64_t{0xD2511F53u} * x0[c];
            std::uint64_t const product1 = std::uint64_t{0xCD9E8D57u} * x2[c];
            x0[c] = static_cast<std::uint32_t>(product1 >> 32) ^ x1[c] ^ key0;
            x2[c] = static_cast<std::uint32_t>(product0 >> 32) ^ x3[c] ^ key1;
            x1[c] = static_cast<std::uint32_t>(product1);
            x3[c] = static_cast<std::uint32_t>(product0);
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    for (int c = 0; c < 16; ++c) {
        result[0][c] = x0[c];
        result[1][c] = x1[c];
        result[2][c] = x2[c];
        result[3][c] = x3[c];
    }
}

}  // namespace detail

/// out = x with each element dropped with probability `rate`, the others divided by 1 - rate; out may be x.
///
/// Which elements are dropped depends on the stream and on the element's place alone: the backward pass is the same call on the
/// gradient. @param rate in [0, 1)
template <class Real>
void dropout(Cpu<Real>& device, RandomStream stream, double rate, In<Real> x, Out<Real> out) {
    auto const threshold = static_cast<std::uint32_t>(rate * 0x1p32);
    Real const keep = static_cast<Real>(1.0 / (1.0 - rate));
    Index const cols = out.cols;
    constexpr Index group = 64;  // elements of sixteen Philox calls
    Index const groups = (cols + group - 1) / group;
    detail::for_each_row(device, out.rows, cols, [&](Index row) {
        std::uint32_t words[4][16];
        Real const* const from = x.row(row);
        Real* const to = out.row(row);
        for (Index g = 0; g < groups; ++g) {
            detail::philox_lanes(stream, static_cast<std::uint32_t>((row * groups + g) * 16), words);
            Index const first = g * group;
            Index const count = std::min(group, cols - first);
            auto const* const flat = &words[0][0];
            for (Index j = 0; j < count; ++j) to[first + j] = flat[j] < threshold ? Real{0} : from[first + j] * keep;
        }
    });
}

}  // namespace inkling::backend
