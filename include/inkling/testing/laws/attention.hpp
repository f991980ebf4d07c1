#pragma once

#include <inkling/testing/laws/support.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

namespace inkling::testing::laws {

/// Everything attention and its backward pass give, in double.
struct NaiveAttention {
    std::vector<double> out, dq, dk, dv;
    std::vector<double> dbias;  ///< [sentences, heads * distances]
};

template <class Real>
[[nodiscard]] NaiveAttention naive_attention(std::vector<Index> const& queries, std::vector<Index> const& keys,
                                             std::vector<Index> const& key_sentence, Index heads, bool causal,
                                             Index cols, std::vector<Real> const& q, std::vector<Real> const& k,
                                             std::vector<Real> const& v, std::vector<Real> const& dout,
                                             std::vector<Real> const& bias = {}) {
    NaiveAttention result{std::vector<double>(q.size()), std::vector<double>(q.size()), std::vector<double>(k.size()),
                          std::vector<double>(v.size()), std::vector<double>(queries.size() * bias.size())};
    Index const distances = static_cast<Index>(bias.size()) / heads;
    Index const width = cols / heads;
    std::vector<Index> query_offsets{0}, key_offsets{0};
    for (Index const length : queries) query_offsets.push_back(query_offsets.back() + length);
    for (Index const length : keys) key_offsets.push_back(key_offsets.back() + length);
    for (std::size_t s = 0; s < queries.size(); ++s)
        for (Index h = 0; h < heads; ++h)
            for (Index i = 0; i < queries[s]; ++i) {
                auto const source = static_cast<std::size_t>(key_sentence[s]);
                Index const seen = causal ? std::min(keys[source], i + 1) : keys[source];
                if (seen == 0) continue;
                auto const at_q = [&](Index d) {
                    return static_cast<std::size_t>((query_offsets[s] + i) * cols + h * width + d);
                };
                auto const at_k = [&](Index j, Index d) {
                    return static_cast<std::size_t>((key_offsets[source] + j) * cols + h * width + d);
                };
                std::vector<double> p(static_cast<std::size_t>(seen)), dp(p.size());
                double const factor = 1.0 / std::sqrt(static_cast<double>(width));
                auto const at_bias = [&](Index j) {
                    Index const reach = (distances - 1) / 2;
                    return static_cast<std::size_t>(h * distances + std::clamp(j - i, -reach, reach) + reach);
                };
                for (Index j = 0; j < seen && distances > 0; ++j)
                    p[static_cast<std::size_t>(j)] = static_cast<double>(bias[at_bias(j)]);
                for (Index j = 0; j < seen; ++j)
                    for (Index d = 0; d < width; ++d) {
                        p[static_cast<std::size_t>(j)] +=
                            factor * static_cast<double>(q[at_q(d)]) * static_cast<double>(k[at_k(j, d)]);
                        dp[static_cast<std::size_t>(j)] +=
                            static_cast<double>(dout[at_q(d)]) * static_cast<double>(v[at_k(j, d)]);
                    }
                double const top = *std::max_element(p.begin(), p.end());
                double total = 0.0, along = 0.0;
                for (double& value : p) total += value = std::exp(value - top);
                for (std::size_t j = 0; j < p.size(); ++j) along += (p[j] /= total) * dp[j];
                for (Index j = 0; j < seen && distances > 0; ++j)
                    result.dbias[s * bias.size() + at_bias(j)] +=
                        p[static_cast<std::size_t>(j)] * (dp[static_cast<std::size_t>(j)] - along);
                for (Index j = 0; j < seen; ++j)
                    for (Index d = 0; d < width; ++d) {
                        double const probability = p[static_cast<std::size_t>(j)];
                        double const slope = probability * (dp[static_cast<std::size_t>(j)] - along) * factor;
                        result.out[at_q(d)] += probability * static_cast<double>(v[at_k(j, d)]);
                        result.dq[at_q(d)] += slope * static_cast<double>(k[at_k(j, d)]);
                        result.dk[at_k(j, d)] += slope * static_cast<double>(q[at_q(d)]);
                        result.dv[at_k(j, d)] += probability * static_cast<double>(dout[at_q(d)]);
                    }
            }
    return result;
}

template <Backend B>
[[nodiscard]] std::string attention_is_its_formula_over_ragged_batches(B& device) {
    using Real = ScalarOf<B>;
    struct Case {
        std::vector<Index> queries, keys, key_sentence;
        Index heads;
        bool causal;
        Index width;
    };
    std::vector<Case> const cases{
        {{3, 1, 70, 2}, {3, 1, 70, 2}, {0, 1, 2, 3}, 2, false, 5},
        {{3, 1, 70, 2}, {3, 1, 70, 2}, {0, 1, 2, 3}, 3, true, 4},
        {{1, 130}, {40, 9}, {0, 1}, 1, false, 33},
        {{64, 65, 200}, {64, 65, 200}, {0, 1, 2}, 2, true, 6},  // as many as a block of rows may have, and more
        {{2, 70, 90}, {5, 66, 3}, {0, 1, 2}, 1, true, 5},       // keys that nobody sees, and queries that see all
        {{2, 3, 4}, {5, 6}, {1, 0, 1}, 2, false, 7},            // several targets of one source
        {{2, 0, 3}, {4, 2, 0}, {0, 1, 2}, 2, false, 3},         // nothing to ask, and nothing to see
    };
    for (Case const& c : cases) {
        RaggedBatch<B> const queries(device, c.queries), keys(device, c.keys);
        Index const cols = c.heads * c.width;
        auto const q = random<B>(queries.rows() * cols, 1), k = random<B>(keys.rows() * cols, 2);
        auto const v = random<B>(keys.rows() * cols, 3), dout = random<B>(queries.rows() * cols, 4);
        Padded<B> dq(device, q, cols, 3), dk(device, k, cols, 1), dv(device, v, cols, 5), dy(device, dout, cols, 0);
        Padded<B> out(device, dout, cols, 2), again(device, dout, cols, 0);
        DeviceArray<B, Index> const key_sentence(device, c.key_sentence);
        bool own = c.queries.size() == c.keys.size();
        for (std::size_t s = 0; s < c.key_sentence.size(); ++s) own = own && c.key_sentence[s] == static_cast<Index>(s);
        AttentionShape const shape{queries.segments(), keys.segments(), c.heads, own ? nullptr : key_sentence.data(),
                                   c.causal};
        Index const kept = attention_saved_cols(device, shape);
        Padded<B> saved(device, random<B>(queries.rows() * kept, 5), kept, 1);
        attention(device, shape, dq.view(), dk.view(), dv.view(), out.view(), saved.view());
        attention(device, shape, dq.view(), dk.view(), dv.view(), again.view(), {});
        auto const want =
            naive_attention<Real>(c.queries, c.keys, c.key_sentence, c.heads, c.causal, cols, q, k, v, dout);
        double const rounding = unit<B>() * 256 * std::sqrt(static_cast<double>(c.width));
        auto const name =
            message("attention of ", c.queries.size(), " sentences, ", c.heads, " heads, causal ", c.causal);
        auto found = first_of({far_apart(name, out.get(device), want.out, {rounding}),
                               not_same(name + ", nothing saved", again.get(device), out.get(device))});
        if (found.empty() && own) {
            Padded<B> sq(device, q, cols, 1), sk(device, k, cols, 2), sv(device, v, cols, 0);
            attention_backward(device, shape, dq.view(), dk.view(), dv.view(), out.view(), saved.view(), dy.view(),
                               sq.view(), sk.view(), sv.view());
            double const sums = rounding * 16;  // keys gather the slopes of many queries
            found = first_of({far_apart(name + ", dq", sq.get(device), want.dq, {sums}),
                              far_apart(name + ", dk", sk.get(device), want.dk, {sums}),
                              far_apart(name + ", dv", sv.get(device), want.dv, {sums})});
        }
        if (!found.empty()) return found;
    }
    return {};
}

/// Of a causal sentence, row i is what row i of attention without a mask gives on the first i + 1 rows, and nothing in
/// a later row changes a bit of it; nor does a slope of an earlier row reach a later one.
template <Backend B>
[[nodiscard]] std::string causal_rows_see_no_later_row(B& device) {
    using Real = ScalarOf<B>;
    Index const rows = 150, heads = 2, width = 7, cols = heads * width;
    auto q = random<B>(rows * cols, 1), k = random<B>(rows * cols, 2), v = random<B>(rows * cols, 3);
    auto dout = random<B>(rows * cols, 4);
    auto const run = [&](Index length, bool causal, std::vector<Real>* slopes) {
        RaggedBatch<B> const batch(device, {length});
        auto const first = [&](std::vector<Real> const& all) {
            return DeviceArray<B>(device, std::vector<Real>(all.begin(), all.begin() + length * cols));
        };
        DeviceArray<B> const in_q = first(q), in_k = first(k), in_v = first(v), slope = first(dout);
        DeviceArray<B> out(device, length * cols), dq(device, length * cols);
        DeviceArray<B> dk(device, length * cols), dv(device, length * cols);
        AttentionShape const shape{batch.segments(), batch.segments(), heads, nullptr, causal};
        Index const kept = attention_saved_cols(device, shape);
        DeviceArray<B> saved(device, length * kept);
        attention(device, shape, in_q.matrix(cols), in_k.matrix(cols), in_v.matrix(cols), out.matrix(cols),
                  saved.matrix(kept));
        if (slopes != nullptr) {
            attention_backward(device, shape, in_q.matrix(cols), in_k.matrix(cols), in_v.matrix(cols), out.matrix(cols),
                               saved.matrix(kept), slope.matrix(cols), dq.matrix(cols), dk.matrix(cols),
                               dv.matrix(cols));
            for (auto const* part : {&dq, &dk, &dv})
                for (Real const value : part->get(device)) slopes->push_back(value);
        }
        return out.get(device);
    };
    auto const whole = run(rows, true, nullptr);
    auto const row_of = [&](std::vector<Real> const& all, Index row) {
        return std::vector<Real>(all.begin() + row * cols, all.begin() + (row + 1) * cols);
    };
    double const rounding = unit<B>() * 256 * std::sqrt(static_cast<double>(width));
    for (Index const length : {1, 2, 63, 64, 65, 128, 129}) {
        auto const found =
            far_apart(message("causal attention, row ", length - 1, " against attention to its prefix"),
                      row_of(whole, length - 1), exact(row_of(run(length, false, nullptr), length - 1)), {rounding});
        if (!found.empty()) return found;
    }
    for (Index const length : {1, 40, 64, 100}) {  // the rows from there on are others, and their slopes are 0
        std::vector<Real> want, got;
        std::fill(dout.begin() + length * cols, dout.end(), Real{0});
        auto const prefix = run(length, true, &want);
        for (auto* values : {&q, &k, &v})
            for (std::size_t i = static_cast<std::size_t>(length * cols); i < values->size(); ++i)
                (*values)[i] = (*values)[i] * Real{-3} + Real{1};
        auto out = run(rows, true, &got);
        out.resize(prefix.size());
        auto found = not_same(message("causal attention, the rows before row ", length), out, prefix);
        auto const part = static_cast<std::size_t>(rows * cols);
        for (std::size_t i = 0; i < 3 && found.empty(); ++i) {
            auto const begin = got.begin() + static_cast<std::ptrdiff_t>(i * part);
            std::vector<Real> const early(begin, begin + length * cols),
                late(begin + length * cols, begin + rows * cols);
            auto const from = want.begin() + static_cast<std::ptrdiff_t>(i) * length * cols;
            auto const name = message("slope ", i, " of q, k, v before row ", length);
            found =
                first_of({far_apart(name, early, exact(std::vector<Real>(from, from + length * cols)), {rounding * 16}),
                          far_apart(name + ", behind it", late, std::vector<double>(late.size()), {0.0})});
        }
        if (!found.empty()) return found;
        q = random<B>(rows * cols, 1), k = random<B>(rows * cols, 2), v = random<B>(rows * cols, 3);
        dout = random<B>(rows * cols, 4);
    }
    return {};
}

/// Distances within reach have a number each, and those beyond it share the outermost.
template <Backend B>
[[nodiscard]] std::string attention_by_distance_is_its_formula(B& device) {
    using Real = ScalarOf<B>;
    constexpr Index heads = 2, width = 5, cols = heads * width;
    std::vector<Index> const lengths{4, 1, 0, 70}, own{0, 1, 2, 3};
    RaggedBatch<B> const batch(device, lengths);
    auto const q = random<B>(batch.rows() * cols, 1), k = random<B>(batch.rows() * cols, 2);
    auto const v = random<B>(batch.rows() * cols, 3), dout = random<B>(batch.rows() * cols, 4);
    Padded<B> dq(device, q, cols, 3), dk(device, k, cols, 1), dv(device, v, cols, 5), dy(device, dout, cols, 0);
    for (bool const causal : {false, true})
        for (Index const reach : {0, 1, 3, 100}) {
            Index const distances = 2 * reach + 1;
            auto const bias = random<B>(heads * distances, 6);
            auto const name = message("attention by distance, reach ", reach, ", causal ", causal);
            AttentionShape const shape{batch.segments(), batch.segments(), heads, nullptr, causal};
            Padded<B> by_distance(device, bias, distances, 2), out(device, dout, cols, 2), again(device, dout, cols, 0);
            Index const kept = attention_saved_cols(device, shape);
            Padded<B> saved(device, random<B>(batch.rows() * kept, 5), kept, 1);
            attention(device, shape, dq.view(), dk.view(), dv.view(), out.view(), saved.view(), by_distance.view());
            attention(device, shape, dq.view(), dk.view(), dv.view(), again.view(), {}, by_distance.view());
            auto const want = naive_attention<Real>(lengths, lengths, own, heads, causal, cols, q, k, v, dout, bias);
            Padded<B> sq(device, q, cols, 1), sk(device, k, cols, 2), sv(device, v, cols, 0);
            Padded<B> sb(device, random<B>(4 * heads * distances, 7), heads * distances, 3);
            attention_backward(device, shape, dq.view(), dk.view(), dv.view(), out.view(), saved.view(), dy.view(),
                               sq.view(), sk.view(), sv.view(), by_distance.view(), sb.view());
            double const rounding = unit<B>() * 256 * std::sqrt(static_cast<double>(width));
            double const sums = rounding * 16;  // keys and distances gather the slopes of many queries
            auto const found = first_of({far_apart(name, out.get(device), want.out, {rounding}),
                                         not_same(name + ", nothing saved", again.get(device), out.get(device)),
                                         far_apart(name + ", dq", sq.get(device), want.dq, {sums}),
                                         far_apart(name + ", dk", sk.get(device), want.dk, {sums}),
                                         far_apart(name + ", dv", sv.get(device), want.dv, {sums}),
                                         far_apart(name + ", dbias", sb.get(device), want.dbias, {sums * 4})});
            if (!found.empty()) return found;
        }
    return {};
}

}  // namespace inkling::testing::laws
