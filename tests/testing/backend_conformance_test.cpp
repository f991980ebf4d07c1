#include <inkling/testing/backend_conformance.hpp>

#include <inkling/backend/cpu.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace broken {

using namespace inkling;
using Cpu = backend::Cpu<float>;
using In = MatrixView<float const>;
using Out = MatrixView<float>;
using InVector = VectorView<float const>;
using OutVector = VectorView<float>;

/// A Cpu one of whose verbs is wrong in one way; the laws must see it.
struct Device : Cpu {
    using Cpu::Cpu;
    std::string wrong;
};

template <class T>
void copy(Device& device, T const* from, T* to, Index count) {
    copy(static_cast<Cpu&>(device), from, to, device.wrong == "copy forgets the last" ? count - 1 : count);
}
void product(Device& device, In left, backend::Orientation left_orientation, In right,
             backend::Orientation right_orientation, Out out, bool accumulate = false, InVector bias = {}) {
    bool const forgets = device.wrong == "product forgets the bias";
    product(static_cast<Cpu&>(device), left, left_orientation, right, right_orientation, out, accumulate,
            forgets ? InVector{} : bias);
    if (device.wrong == "product looks at the number of rows" && out.rows > 1) out.row(0)[0] *= 1.0f + 0x1p-23f;
}
void add(Device& device, In x, In y, Out out) {
    add(static_cast<Cpu&>(device), x, y, out);
    if (device.wrong == "add writes behind its rows" && out.stride > out.cols) out.row(0)[out.cols] = 0.0f;
    if (device.wrong == "add gives what is no number") out.row(0)[0] = 0.0f / (out.row(0)[0] - out.row(0)[0]);
}
void layer_norm(Device& device, In x, InVector gain, InVector bias, double epsilon, Out out, Out statistics = {}) {
    layer_norm(static_cast<Cpu&>(device), x, gain, bias,
               device.wrong == "layer_norm takes another epsilon" ? 1e-2 : epsilon, out, statistics);
}
void sum_rows(Device& device, In x, OutVector out) {
    if (device.wrong == "sum_rows overwrites") clear(device, out.data, out.size);
    sum_rows(static_cast<Cpu&>(device), x, out);
}
void attention(Device& device, backend::AttentionShape shape, In q, In k, In v, Out out, Out saved = {}, In bias = {}) {
    if (device.wrong == "attention sees the future") shape.causal = false;
    if (device.wrong == "attention sees no distance") bias = {};
    attention(static_cast<Cpu&>(device), shape, q, k, v, out, saved, bias);
}
void fill_normal(Device& device, RandomStream stream, Segments const& segments, VectorView<Index const> sequences,
                 Out out) {
    if (device.wrong == "fill_normal takes another step") ++stream.step;
    fill_normal(static_cast<Cpu&>(device), stream, segments, sequences, out);
}
void dropout(Device& device, RandomStream stream, double rate, In x, Out out) {
    if (device.wrong == "dropout draws one mask for all") stream.sequence = 0;
    dropout(static_cast<Cpu&>(device), stream, device.wrong == "dropout drops too much" ? rate * 1.1 : rate, x, out);
}
void readout_divergence(Device& device, In x, In y, In table, InVector bias, double factor, double* sum, Out dx = {},
                        Out dy = {}, Out dtable = {}, OutVector dbias = {}, InVector row_weights = {},
                        OutVector row_sums = {}) {
    if (device.wrong == "readout_divergence goes the other way") {
        std::swap(x, y);
        std::swap(dx, dy);
    }
    readout_divergence(static_cast<Cpu&>(device), x, y, table, bias, factor, sum, dx, dy, dtable, dbias, row_weights,
                       row_sums);
}
void readout_argmax(Device& device, In z, In table, InVector bias, VectorView<Token> tokens,
                    OutVector log_probabilities = {}) {
    readout_argmax(static_cast<Cpu&>(device), z, table, bias, tokens, log_probabilities);
    if (device.wrong == "readout_argmax names the next token" && tokens.size > 0) ++tokens.data[0];
}
void readout_top(Device& device, In z, In table, InVector bias, MatrixView<Token> tokens, Out log_probabilities) {
    readout_top(static_cast<Cpu&>(device), z, table, bias, tokens, log_probabilities);
    if (device.wrong == "readout_top forgets an order" && tokens.cols > 1)
        std::swap(tokens.row(0)[0], tokens.row(0)[1]);
}
void readout_log_probabilities(Device& device, In z, In table, InVector bias, TokenView tokens,
                               OutVector log_probabilities) {
    readout_log_probabilities(static_cast<Cpu&>(device), z, table, bias, tokens, log_probabilities);
    if (device.wrong == "readout_log_probabilities gives a probability")
        log_probabilities.data[0] = std::exp(log_probabilities.data[0]);
}
void squared_norm(Device& device, InVector x, double* sum) {
    squared_norm(static_cast<Cpu&>(device), x, sum);
    if (device.wrong == "squared_norm sums in single precision") *sum = static_cast<double>(static_cast<float>(*sum));
}
void normalize_rows_backward(Device& device, In dout, In x, float length, Out dx, bool accumulate = false) {
    normalize_rows_backward(static_cast<Cpu&>(device), dout, x, length, dx,
                            device.wrong == "normalize_rows_backward overwrites" ? false : accumulate);
}
void fourier_features(Device& device, VectorView<double const> labels, InVector frequencies, Out out) {
    fourier_features(static_cast<Cpu&>(device), labels, frequencies, out);
    if (device.wrong == "fourier_features swaps sines and cosines") std::swap(out.row(0)[0], out.row(0)[out.cols - 1]);
}
void bent_error(Device& device, In x, In y, double bend, double factor, double* sum, Out dx = {}, Out dy = {},
                InVector row_weights = {}, OutVector row_sums = {}) {
    bent_error(static_cast<Cpu&>(device), x, y, device.wrong == "bent_error never bends" ? 0.0 : bend, factor, sum, dx,
               dy, row_weights, row_sums);
}
void nearest_other_distance(Device& device, In table, double* sum) {
    nearest_other_distance(static_cast<Cpu&>(device), table, sum);
    if (device.wrong == "nearest_other_distance finds each row itself") *sum = 0.0;
}
void adam_step(Device& device, backend::AdamStep step, InVector gradients, OutVector weights, OutVector m,
               OutVector v) {
    if (device.wrong == "adam_step forgets the decay") step.weight_decay = 0.0;
    adam_step(static_cast<Cpu&>(device), step, gradients, weights, m, v);
}

/// Whether a device that is wrong in that way keeps the law of that name.
bool keeps(std::string const& law_name, std::string const& wrong) {
    Device device({.threads = 1});
    device.wrong = wrong;
    for (auto const& law : testing::backend_laws<Device>())
        if (law.name == law_name) try {
                return law.broken(device).empty();
            } catch (Error const&) { return false; }
    fail("there is no law '", law_name, "'");
}

}  // namespace broken

TEST_CASE("backend laws: each way in which a verb is wrong breaks the law that is about it") {
    for (auto const& broken_law : std::vector<std::pair<std::string, std::string>>{
             {"copy forgets the last", "copies keep every bit"},
             {"product forgets the bias", "product is the naive sum"},
             {"product forgets the bias", "product of no terms is the bias"},
             {"product looks at the number of rows", "a row of a product does not depend on the others"},
             {"add writes behind its rows", "add and scale are element by element"},
             {"add gives what is no number", "add and scale are element by element"},
             {"layer_norm takes another epsilon", "layer norm has mean 0 and variance 1"},
             {"sum_rows overwrites", "sums and errors are their formulas"},
             {"squared_norm sums in single precision", "sums and errors are their formulas"},
             {"attention sees the future", "attention is its formula over ragged batches"},
             {"attention sees no distance", "attention by distance is its formula"},
             {"fill_normal takes another step", "fill_normal draws what the stream says"},
             {"dropout draws one mask for all", "dropout keeps its share, and draws the same mask again"},
             {"dropout drops too much", "dropout keeps its share, and draws the same mask again"},
             {"normalize_rows_backward overwrites", "normalized rows have one length, and the gradient across it"},
             {"fourier_features swaps sines and cosines", "Fourier features are sines, then cosines"},
             {"readout_divergence goes the other way", "read-out divergence is its formula"},
             {"bent_error never bends", "bent errors are squares near 0 and lines beyond"},
             {"nearest_other_distance finds each row itself", "the nearest other row is not the row itself"},
             {"readout_argmax names the next token", "read-out argmax names the most probable token"},
             {"attention sees the future", "causal rows see no later row"},
             {"readout_top forgets an order", "read-out top names the most probable tokens"},
             {"readout_log_probabilities gives a probability", "read-out top names the most probable tokens"},
             {"adam_step forgets the decay", "Adam's step and averages are their formulas"}}) {
        std::string const &wrong = broken_law.first, &law = broken_law.second;  // clang captures no structured bindings
        CAPTURE(wrong);
        CAPTURE(law);
        CHECK(broken::keeps(law, ""));
        CHECK_FALSE(broken::keeps(law, wrong));
    }
}
