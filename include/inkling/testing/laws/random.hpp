#pragma once

#include <inkling/testing/laws/support.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace inkling::testing::laws {

template <Backend B>
[[nodiscard]] std::string fill_normal_draws_what_the_stream_says(B& device) {
    using Real = ScalarOf<B>;
    RaggedBatch<B> const batch(device, {3, 1, 0, 4});
    Index const cols = 5;
    std::vector<Index> const numbers{7, 1000, 2, 0};
    std::vector<std::size_t> const sentence_of{0, 0, 0, 1, 3, 3, 3, 3};
    std::vector<Index> const first{0, 3, 4, 4};
    DeviceArray<B, Index> const sequences(device, numbers);
    RandomStream const stream{5, Purpose::initial_noise, 0, 9};
    Padded<B> out(device, random<B>(8 * cols, 1), cols, 2);
    fill_normal(device, stream, batch.segments(), sequences.vector(), out.view());
    std::vector<double> want;
    for (Index row = 0; row < 8; ++row)
        for (Index j = 0; j < cols; ++j) {
            auto const sentence = sentence_of[static_cast<std::size_t>(row)];
            RandomStream own = stream;
            own.sequence = static_cast<std::uint32_t>(numbers[sentence]);
            auto const element = static_cast<std::uint32_t>((row - first[sentence]) * cols + j);
            want.push_back(normals<double>(own.bits(element / 4))[element % 4]);
        }
    return far_apart<Real>("fill_normal", out.get(device), want, {64 * unit<B>()});
}

template <Backend B>
[[nodiscard]] std::string dropout_keeps_its_share_and_draws_the_same_mask_again(B& device) {
    using Real = ScalarOf<B>;
    Index const rows = 300, cols = 100;
    auto const n = static_cast<double>(rows * cols);
    for (double const rate : {0.0, 0.1, 0.5, 0.9}) {
        std::vector<Real> const ones(static_cast<std::size_t>(rows * cols), Real{1});
        auto const other = random<B>(rows * cols, 1);
        RandomStream const stream{5, Purpose::dropout, 3, 9};
        RandomStream next = stream;
        ++next.sequence;
        Padded<B> a(device, ones, cols, 3), b(device, other, cols), c(device, ones, cols);
        dropout(device, stream, rate, a.view(), a.view());
        dropout(device, stream, rate, b.view(), b.view());
        dropout(device, next, rate, c.view(), c.view());
        auto const mask = a.get(device), again = b.get(device), different = c.get(device);
        double dropped = 0.0, both = 0.0;
        Real const keep = static_cast<Real>(1.0 / (1.0 - rate));
        for (std::size_t i = 0; i < mask.size(); ++i) {
            if (mask[i] != Real{0} && mask[i] != keep)
                return message("dropout: element ", i, " is ", mask[i], ", expected 0 or ", keep);
            if (again[i] != (mask[i] == Real{0} ? Real{0} : other[i] * keep))
                return message("dropout: element ", i, " is not dropped alike in a second call with the same stream");
            dropped += mask[i] == Real{0} ? 1.0 : 0.0;
            both += mask[i] == Real{0} && different[i] == Real{0} ? 1.0 : 0.0;
        }
        double const deviation = std::sqrt(n * rate * (1.0 - rate));
        double const pair = rate * rate;
        if (std::abs(dropped - n * rate) > 5 * deviation)
            return message("dropout: ", dropped, " of ", n, " elements dropped, expected a share of ", rate);
        if (std::abs(both - n * pair) > 5 * std::sqrt(n * pair * (1.0 - pair)))
            return message("dropout: ", both, " elements dropped under two streams, expected about ", n * pair);
    }
    return {};
}

}  // namespace inkling::testing::laws
