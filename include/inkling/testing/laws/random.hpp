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

/// Of backends that have dropout_add_layer_norm; of others there is nothing to say.
template <Backend B>
[[nodiscard]] std::string a_fused_residual_is_its_parts(B& device) {
    if constexpr (backend::FusesResiduals<B>) {
        using Real = ScalarOf<B>;
        RandomStream const stream{5, Purpose::dropout, 3, 9};
        for (Index const cols : {1, 16, 70, 300})
            for (double const rate : {0.0, 0.3})
                for (bool const affine : {false, true}) {
                    Index const rows = 9;
                    auto const values = random<B>(rows * cols, 1), others = random<B>(rows * cols, 2);
                    DeviceArray<B> const g(device, random<B>(cols, 3)), b(device, random<B>(cols, 4));
                    VectorView<Real const> const gain = affine ? g.vector() : VectorView<Real const>{};
                    VectorView<Real const> const bias = affine ? b.vector() : VectorView<Real const>{};
                    auto const space = random<B>(rows * 2, 5);
                    Padded<B> x(device, values, cols, 3), sum(device, others, cols), norm(device, values, cols);
                    Padded<B> statistics(device, space, 2);
                    if (rate > 0.0) dropout(device, stream, rate, sum.view(), sum.view());
                    add(device, x.view(), sum.view(), sum.view());
                    layer_norm(device, sum.view(), gain, bias, 1e-5, norm.view(), statistics.view());

                    Padded<B> part(device, others, cols, 1), own_sum(device, values, cols, 2);
                    Padded<B> own_statistics(device, space, 2, 1);
                    dropout_add_layer_norm(device, stream, rate, part.view(), x.view(), gain, bias, 1e-5,
                                           own_sum.view(), x.view(), own_statistics.view());  // over x
                    if (own_sum.get(device) != sum.get(device) || x.get(device) != norm.get(device)
                        || own_statistics.get(device) != statistics.get(device))
                        return message("dropout_add_layer_norm: ", cols, " columns, rate ", rate,
                                       affine ? ", gain and bias" : "",
                                       ": not what dropout, add and layer_norm give one after the other");
                    Padded<B> again(device, values, cols), out(device, values, cols, 5), room(device, values, cols);
                    Padded<B> second(device, others, cols, 2), third(device, others, cols);
                    dropout_add_layer_norm(device, stream, rate, second.view(), again.view(), gain, bias, 1e-5,
                                           room.view(), second.view());  // over its part
                    dropout_add_layer_norm(device, stream, rate, third.view(), again.view(), gain, bias, 1e-5,
                                           third.view(), third.view());  // over its sum, which is over its part
                    dropout_add_layer_norm(device, stream, rate, part.view(), again.view(), gain, bias, 1e-5,
                                           part.view(), out.view());
                    if (part.get(device) != sum.get(device) || out.get(device) != norm.get(device)
                        || second.get(device) != norm.get(device) || third.get(device) != norm.get(device))
                        return message("dropout_add_layer_norm: ", cols, " columns, rate ", rate,
                                       ": another result where matrices lie over each other");
                }
    }
    return {};
}

}  // namespace inkling::testing::laws
