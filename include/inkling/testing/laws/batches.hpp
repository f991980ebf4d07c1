#pragma once

#include <inkling/testing/laws/support.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace inkling::testing::laws {

/// Each verb that works on rows or sentences, run over a packed batch and over each sentence alone, must give the same
/// bits.
template <Backend B>
[[nodiscard]] std::string a_batch_gives_the_bits_of_its_sentences_alone(B& device) {
    using Real = ScalarOf<B>;
    std::vector<Index> const lengths{3, 1, 7, 40, 2};
    for (Index const cols : {6, 10, 32, 34}) {  // rows that start anywhere in a vector register
        RaggedBatch<B> const batch(device, lengths);
        Index const rows = batch.rows();
        auto const x = random<B>(rows * cols, 1, 2.0), y = random<B>(rows * cols, 2), z = random<B>(rows * cols, 3);
        DeviceArray<B> const gain(device, random<B>(cols, 4)), bias(device, random<B>(cols, 5));
        Index const vocabulary = 77;
        DeviceArray<B> const table(device, random<B>(vocabulary * cols, 6));
        std::vector<Index> const numbers{12, 5, 99, 3, 7};
        constexpr int verbs = 15;
        auto const run = [&](int verb, Index first, Index count, RaggedBatch<B> const& part, Index sentence) {
            auto const cut = [&](std::vector<Real> const& values) {
                return std::vector<Real>(values.begin() + first * cols, values.begin() + (first + count) * cols);
            };
            Padded<B> a(device, cut(x), cols), b(device, cut(y), cols), c(device, cut(z), cols);
            Padded<B> out(device, cut(z), cols), dk(device, cut(z), cols), dv(device, cut(z), cols);
            Padded<B> statistics(device, std::vector<Real>(static_cast<std::size_t>(count * 2)), 2);
            AttentionShape const shape{part.segments(), part.segments(), 2, nullptr, verb == 7 || verb == 12};
            Index const kept = attention_saved_cols(device, shape);
            Padded<B> saved(device, std::vector<Real>(static_cast<std::size_t>(count * kept)), kept);
            Padded<B> mixed(device, cut(z), cols);
            DeviceArray<B, Index> const sequences(
                device, sentence < 0 ? numbers : std::vector<Index>{numbers[static_cast<std::size_t>(sentence)]});
            std::vector<Real> repeated;
            for (Index s = 0; s < part.sentences(); ++s)
                repeated.insert(repeated.end(), {Real(0.3), Real(0.7), Real(1.1)});
            DeviceArray<B> const weights(device, repeated);
            DeviceArray<B, Token> tokens(device, count);
            DeviceArray<B> log_probabilities(device, count);
            switch (verb) {
                case 0: activate(device, Activation::gelu, a.view(), out.view()); break;
                case 1: activate(device, Activation::silu, a.view(), out.view()); break;
                case 2: activate(device, Activation::tanh, a.view(), out.view()); break;
                case 3: layer_norm(device, a.view(), gain.vector(), bias.vector(), 1e-5, out.view()); break;
                case 4:
                    layer_norm(device, a.view(), {}, {}, 1e-5, out.view(), statistics.view());
                    layer_norm_backward(device, b.view(), a.view(), statistics.view(), gain.vector(), out.view());
                    break;
                case 5:
                    combine(device, part.segments(), weights.matrix(3), a.view(), b.view(), c.view(), out.view());
                    break;
                case 6:
                case 7: attention(device, shape, a.view(), b.view(), c.view(), out.view(), {}); break;
                case 8:
                case 12:
                    attention(device, shape, a.view(), b.view(), c.view(), mixed.view(), saved.view());
                    attention_backward(device, shape, a.view(), b.view(), c.view(), mixed.view(), saved.view(),
                                       c.view(), out.view(), dk.view(), dv.view());
                    add(device, out.view(), dk.view(), out.view());
                    add(device, out.view(), dv.view(), out.view());
                    break;
                case 9: fill_normal(device, RandomStream{}, part.segments(), sequences.vector(), out.view()); break;
                case 10:
                    readout_argmax(device, a.view(), table.matrix(cols), {}, tokens.vector(),
                                   log_probabilities.vector());
                    scale(device, Real{0}, a.view(), out.view());
                    copy(device, static_cast<Real const*>(log_probabilities.data()), out.view().data, count);
                    break;
                case 11: activate_backward(device, Activation::silu, a.view(), b.view(), out.view()); break;
                case 13: {
                    DeviceArray<B, Token> best(device, count * 3);
                    DeviceArray<B> scores(device, count * 3);
                    readout_top(device, a.view(), table.matrix(cols), {}, best.matrix(3), scores.matrix(3));
                    return scores.get(device);
                }
                case 14:
                    readout_log_probabilities(device, a.view(), table.matrix(cols), {}, tokens.vector(),
                                              log_probabilities.vector());
                    break;
                default: break;
            }
            return verb == 10 || verb == 14 ? log_probabilities.get(device) : out.get(device);
        };
        for (int verb = 0; verb < verbs; ++verb) {
            auto const want = run(verb, 0, rows, batch, -1);
            std::vector<Real> alone;
            Index first = 0;
            for (std::size_t s = 0; s < lengths.size(); ++s) {
                auto const part =
                    run(verb, first, lengths[s], RaggedBatch<B>(device, {lengths[s]}), static_cast<Index>(s));
                alone.insert(alone.end(), part.begin(), part.end());
                first += lengths[s];
            }
            constexpr char const* names[verbs] = {"gelu",
                                                  "silu",
                                                  "tanh",
                                                  "layer_norm",
                                                  "layer_norm_backward",
                                                  "combine",
                                                  "attention",
                                                  "causal attention",
                                                  "attention_backward",
                                                  "fill_normal",
                                                  "readout_argmax",
                                                  "silu's slope",
                                                  "causal attention_backward",
                                                  "readout_top",
                                                  "readout_log_probabilities"};
            auto const found =
                not_same(message(names[verb], " of ", cols, " columns, sentence by sentence"), alone, want);
            if (!found.empty()) return found;
        }
    }
    return {};
}

}  // namespace inkling::testing::laws
