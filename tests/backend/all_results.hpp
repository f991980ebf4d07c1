#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/core/random.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

/// The results of every verb at sizes that are shared out among threads, by name.
template <inkling::Backend Device>
std::vector<std::pair<std::string, std::vector<typename Device::Scalar>>> all_results(Device& device) {
    using namespace inkling;
    using backend::Orientation;
    using Real = typename Device::Scalar;
    using View = MatrixView<Real>;
    std::vector<std::pair<std::string, std::vector<Real>>> results;
    std::vector<Index> lengths;
    for (Index i = 0; i < 40; ++i) lengths.push_back(1 + i * 7 % 33);
    Index const vocabulary = 700;
    Index const cols = 66;
    testing::RaggedBatch<Device> const batch(device, lengths, vocabulary);
    Index const rows = batch.rows();
    auto const values = [&](Index count, std::uint32_t sequence) {
        return testing::DeviceArray<Device>(device, testing::random_values<Real>(count, sequence));
    };
    auto const keep = [&](char const* name, auto const& verb) {
        auto out = values(rows * cols, 1);
        verb(out.matrix(cols));
        results.emplace_back(name, out.get(device));
    };
    auto const x = values(rows * cols, 2), y = values(rows * cols, 3), e = values(rows * cols, 4);
    auto const table = values(vocabulary * cols, 5), gain = values(cols, 6), bias = values(cols, 7),
               square = values(cols * cols, 8);
    auto const coefficients = values(batch.sentences() * 3, 9), per_sentence = values(batch.sentences() * cols, 10);
    auto const in = x.matrix(cols), other = y.matrix(cols), third = e.matrix(cols);
    auto const segments = batch.segments();
    backend::AttentionShape const shape{segments, segments, 3, nullptr, false};
    Index const saved_cols = attention_saved_cols(device, shape);
    auto saved = values(rows * saved_cols, 11), mixed = values(rows * cols, 29);
    auto const kept = saved.matrix(saved_cols);
    auto statistics = values(rows * 2, 12);
    testing::DeviceArray<Device, double> sums(device, 2);
    auto const keep_sums = [&](char const* name) {
        auto const got = sums.get(device);
        results.emplace_back(name, std::vector<Real>(got.begin(), got.end()));
    };

    keep("product", [&](View out) {
        product(device, in, Orientation::plain, square.matrix(cols), Orientation::transposed, out, true, bias.vector());
    });
    auto wide = values(cols * cols, 13);
    product(device, in, Orientation::transposed, other, Orientation::plain, wide.matrix(cols), true);
    results.emplace_back("product of transposed rows", wide.get(device));
    Index const wider_cols = 200;  // so many columns that rows are copied
    auto const factor = values(rows * wider_cols, 22);
    auto wider = values(cols * wider_cols, 23);
    product(device, in, Orientation::transposed, factor.matrix(wider_cols), Orientation::plain,
            wider.matrix(wider_cols));
    results.emplace_back("product of transposed rows, wide", wider.get(device));
    keep("add", [&](View out) { add(device, in, other, out); });
    keep("scale", [&](View out) { scale(device, Real(0.3), in, out, true); });
    for (auto const activation :
         {backend::Activation::relu, backend::Activation::gelu, backend::Activation::silu, backend::Activation::tanh}) {
        keep("activate", [&](View out) { activate(device, activation, in, out); });
        keep("activate_backward", [&](View out) { activate_backward(device, activation, in, other, out); });
    }
    keep("combine", [&](View out) { combine(device, segments, coefficients.matrix(3), in, other, third, out); });
    keep("add_per_sentence", [&](View out) { add_per_sentence(device, segments, per_sentence.matrix(cols), out); });
    keep("sum_per_sentence",
         [&](View out) { sum_per_sentence(device, segments, in, out.row_range(0, segments.count), true); });
    keep("mean_per_sentence_backward",
         [&](View out) { mean_per_sentence_backward(device, segments, per_sentence.matrix(cols), out); });
    keep("fill_normal", [&](View out) {
        std::vector<Index> numbers;
        for (Index s = 0; s < segments.count; ++s) numbers.push_back(s * 3);
        testing::DeviceArray<Device, Index> const sequences(device, numbers);
        fill_normal(device, RandomStream{}, segments, sequences.vector(), out);
    });
    keep("dropout", [&](View out) { dropout(device, RandomStream{}, 0.2, in, out); });
    keep("time_features", [&](View out) {
        std::vector<double> labels;
        for (Index i = 0; i < rows; ++i) labels.push_back(static_cast<double>(i) * 0.7);
        testing::DeviceArray<Device, double> const times(device, labels);
        time_features(device, times.vector(), out);
    });
    keep("layer_norm",
         [&](View out) { layer_norm(device, in, gain.vector(), bias.vector(), 1e-5, out, statistics.matrix(2)); });
    auto sum = values(rows * cols, 20), sum_statistics = values(rows * 2, 21);
    keep("dropout_add_layer_norm", [&](View out) {
        dropout_add_layer_norm(device, RandomStream{}, 0.2, in, other, gain.vector(), bias.vector(), 1e-5,
                               sum.matrix(cols), out, sum_statistics.matrix(2));
    });
    results.emplace_back("dropout_add_layer_norm, sum", sum.get(device));
    results.emplace_back("dropout_add_layer_norm, statistics", sum_statistics.get(device));
    auto dgain = values(cols, 14), dbias = values(cols, 15);
    keep("layer_norm_backward", [&](View out) {
        layer_norm_backward(device, other, in, statistics.matrix(2), gain.vector(), out, dgain.vector(),
                            dbias.vector());
    });
    results.emplace_back("layer_norm_backward, gain", dgain.get(device));
    results.emplace_back("layer_norm_backward, bias", dbias.get(device));
    sum_rows(device, in, dbias.vector());
    results.emplace_back("sum_rows", dbias.get(device));
    keep("gather", [&](View out) { gather(device, table.matrix(cols), batch.tokens(), Real(1.5), out, true); });
    auto dtable = values(vocabulary * cols, 16);
    scatter_add(device, in, batch.tokens(), Real(1.5), dtable.matrix(cols));
    results.emplace_back("scatter_add", dtable.get(device));
    keep("attention", [&](View out) { attention(device, shape, in, other, third, out); });
    attention(device, shape, in, other, third, mixed.matrix(cols), kept);
    auto dk = values(rows * cols, 17), dv = values(rows * cols, 18);
    keep("attention_backward", [&](View out) {
        attention_backward(device, shape, in, other, third, mixed.matrix(cols), kept, in, out, dk.matrix(cols),
                           dv.matrix(cols));
    });
    results.emplace_back("attention_backward, keys", dk.get(device));
    results.emplace_back("attention_backward, values", dv.get(device));
    auto const by_distance = values(shape.heads * 5, 21);
    auto dby_distance = values(shape.queries.count * shape.heads * 5, 22);
    keep("attention by distance",
         [&](View out) { attention(device, shape, in, other, third, out, {}, by_distance.matrix(5)); });
    attention(device, shape, in, other, third, mixed.matrix(cols), kept, by_distance.matrix(5));
    keep("attention_backward by distance", [&](View out) {
        attention_backward(device, shape, in, other, third, mixed.matrix(cols), kept, in, out, dk.matrix(cols),
                           dv.matrix(cols), by_distance.matrix(5), dby_distance.matrix(shape.heads * 5));
    });
    results.emplace_back("attention_backward, distances", dby_distance.get(device));
    auto dz = values(rows * cols, 19);
    auto dlogits = values(vocabulary, 20);
    auto of_rows = values(rows, 26);
    readout_cross_entropy(device, in, table.matrix(cols), {}, batch.tokens(), 0.1, 0.01, sums.data(), dz.matrix(cols),
                          dtable.matrix(cols), dlogits.vector(), {}, of_rows.vector());
    results.emplace_back("readout_cross_entropy, rows", of_rows.get(device));
    keep_sums("readout_cross_entropy");
    results.emplace_back("readout_cross_entropy, z", dz.get(device));
    results.emplace_back("readout_cross_entropy, table", dtable.get(device));
    results.emplace_back("readout_cross_entropy, bias", dlogits.get(device));
    auto dother = values(rows * cols, 27);
    readout_divergence(device, in, other, table.matrix(cols), {}, 0.01, sums.data(), dz.matrix(cols),
                       dother.matrix(cols), dtable.matrix(cols), dlogits.vector(), {}, of_rows.vector());
    keep_sums("readout_divergence");
    results.emplace_back("readout_divergence, x", dz.get(device));
    results.emplace_back("readout_divergence, y", dother.get(device));
    results.emplace_back("readout_divergence, table", dtable.get(device));
    results.emplace_back("readout_divergence, bias", dlogits.get(device));
    results.emplace_back("readout_divergence, rows", of_rows.get(device));
    testing::DeviceArray<Device, Token> tokens(device, rows);
    auto log_probabilities = values(rows, 21);
    readout_argmax(device, in, table.matrix(cols), {}, tokens.vector(), log_probabilities.vector());
    auto argmax = log_probabilities.get(device);
    for (Token const token : tokens.get(device)) argmax.push_back(static_cast<Real>(token));
    results.emplace_back("readout_argmax", argmax);
    Index const many = 5000;  // more than is looked at at once
    auto const long_table = values(many * cols, 22);
    readout_argmax(device, in, long_table.matrix(cols), {}, tokens.vector(), log_probabilities.vector());
    argmax = log_probabilities.get(device);
    for (Token const token : tokens.get(device)) argmax.push_back(static_cast<Real>(token));
    results.emplace_back("readout_argmax of many tokens", argmax);
    testing::DeviceArray<Device, Token> best(device, rows * 3);
    auto scores = values(rows * 3, 24);
    readout_top(device, in, table.matrix(cols), {}, best.matrix(3), scores.matrix(3));
    auto top = scores.get(device);
    for (Token const token : best.get(device)) top.push_back(static_cast<Real>(token));
    results.emplace_back("readout_top", top);
    readout_log_probabilities(device, in, table.matrix(cols), {}, batch.tokens(), log_probabilities.vector());
    results.emplace_back("readout_log_probabilities", log_probabilities.get(device));
    keep("normalize_rows", [&](View out) { normalize_rows(device, in, Real(3), out); });
    keep("normalize_rows_backward", [&](View out) { normalize_rows_backward(device, other, in, Real(3), out); });
    keep("fourier_features", [&](View out) {
        std::vector<double> labels;
        for (Index i = 0; i < rows; ++i) labels.push_back(static_cast<double>(i) / static_cast<double>(rows));
        testing::DeviceArray<Device, double> const times(device, labels);
        auto const frequencies = values(cols / 2, 25);
        fourier_features(device, times.vector(), frequencies.vector(), out);
    });
    bent_error(device, in, other, 1.0, 0.3, sums.data(), dz.matrix(cols), dk.matrix(cols), {}, of_rows.vector());
    results.emplace_back("bent_error, rows", of_rows.get(device));
    nearest_other_distance(device, table.matrix(cols), sums.data() + 1);
    keep_sums("bent_error, nearest_other_distance");
    results.emplace_back("bent_error, x", dz.get(device));
    results.emplace_back("bent_error, y", dk.get(device));
    squared_norm(device, x.vector(), sums.data());
    squared_error(device, in, other, 0.3, sums.data() + 1, dz.matrix(cols), dk.matrix(cols), {}, of_rows.vector());
    results.emplace_back("squared_error, rows", of_rows.get(device));
    keep_sums("squared_norm, squared_error");
    results.emplace_back("squared_error, x", dz.get(device));
    results.emplace_back("squared_error, y", dk.get(device));
    cosine_similarity(device, in, other, 0.3, sums.data(), dz.matrix(cols), dk.matrix(cols), {}, of_rows.vector());
    results.emplace_back("cosine_similarity, rows", of_rows.get(device));
    keep_sums("cosine_similarity");
    results.emplace_back("cosine_similarity, x", dz.get(device));
    results.emplace_back("cosine_similarity, y", dk.get(device));
    auto weights = values(rows * cols, 22), m = values(rows * cols, 23);
    testing::DeviceArray<Device> v(device, rows * cols);
    adam_step(device, {.learning_rate = 0.1}, x.vector(), weights.vector(), m.vector(), v.vector());
    average(device, 0.9, weights.vector(), m.vector());
    results.emplace_back("adam_step", weights.get(device));
    results.emplace_back("average", m.get(device));
    return results;
}

/// Checks that a run on so many threads gave the bits of another.
template <class Results>
void check_same_bits(Results const& got, Results const& want, int threads) {
    REQUIRE(got.size() == want.size());
    for (std::size_t i = 0; i < want.size(); ++i) {
        CAPTURE(threads);
        CAPTURE(want[i].first);
        REQUIRE(got[i].second.size() == want[i].second.size());
        bool const same = std::memcmp(got[i].second.data(), want[i].second.data(),
                                      want[i].second.size() * sizeof(want[i].second.front()))
            == 0;
        CHECK(same);
    }
}
