#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/core/random.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace inkling::testing {

/// Elements in a device's memory that the host can set and read back: what tests hand to verbs.
template <Backend B, class T = typename B::Scalar>
class DeviceArray {
public:
    DeviceArray() = default;
    DeviceArray(B& device, std::span<T const> values) : memory_(static_cast<Index>(values.size())) {
        set(device, values);
    }
    DeviceArray(B& device, std::vector<T> const& values) : DeviceArray(device, std::span<T const>(values)) {}
    /// `size` zeros.
    DeviceArray(B& device, Index size) : DeviceArray(device, std::vector<T>(static_cast<std::size_t>(size))) {}

    void set(B& device, std::span<T const> values) { upload(device, values, memory_.data()); }
    [[nodiscard]] std::vector<T> get(B& device) const {
        std::vector<T> values(static_cast<std::size_t>(size()));
        download(device, data(), std::span<T>(values));
        return values;
    }

    [[nodiscard]] Index size() const { return memory_.size(); }
    [[nodiscard]] T* data() { return memory_.data(); }
    [[nodiscard]] T const* data() const { return memory_.data(); }
    [[nodiscard]] VectorView<T> vector() { return {data(), size()}; }
    [[nodiscard]] VectorView<T const> vector() const { return {data(), size()}; }
    /// The elements as rows of `cols`.
    [[nodiscard]] MatrixView<T> matrix(Index cols) { return {data(), size() / cols, cols}; }
    [[nodiscard]] MatrixView<T const> matrix(Index cols) const { return {data(), size() / cols, cols}; }

private:
    typename B::template Buffer<T> memory_;
};

/// Standard normal numbers times `deviation`; every `sequence` gives others.
template <class Real>
[[nodiscard]] std::vector<Real> random_values(Index count, std::uint32_t sequence, double deviation = 1.0) {
    RandomStream const stream{1, Purpose::user, sequence, 0};
    std::vector<Real> values(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < values.size(); i += 4) {
        auto const four = normals<double>(stream.bits(static_cast<std::uint32_t>(i / 4)));
        for (std::size_t lane = 0; lane < std::min<std::size_t>(4, values.size() - i); ++lane)
            values[i + lane] = static_cast<Real>(deviation * four[lane]);
    }
    return values;
}

/// Sentences of the given lengths with tokens in [0, vocabulary).
[[nodiscard]] inline std::vector<std::vector<Token>> random_sentences(std::vector<Index> const& lengths,
                                                                      Index vocabulary, std::uint32_t sequence = 0) {
    RandomStream const stream{2, Purpose::user, sequence, 0};
    std::vector<std::vector<Token>> sentences;
    std::uint32_t element = 0;
    for (Index const length : lengths) {
        auto& sentence = sentences.emplace_back();
        while (static_cast<Index>(sentence.size()) < length)
            sentence.push_back(static_cast<Token>(stream.below(static_cast<std::uint64_t>(vocabulary), element++)));
    }
    return sentences;
}

/// Sentences laid end to end in a device's memory, with the places of their tokens.
template <Backend B>
class RaggedBatch {
public:
    RaggedBatch(B& device, std::vector<Index> const& lengths, Index vocabulary = 1, std::uint32_t sequence = 0)
        : RaggedBatch(of(device, random_sentences(lengths, vocabulary, sequence))) {}

    [[nodiscard]] static RaggedBatch of(B& device, std::vector<std::vector<Token>> const& sentences) {
        RaggedBatch result;
        std::vector<Index> offsets{0};
        std::vector<Token> tokens;
        std::vector<Token> positions;
        for (auto const& sentence : sentences) {
            tokens.insert(tokens.end(), sentence.begin(), sentence.end());
            for (std::size_t place = 0; place < sentence.size(); ++place)
                positions.push_back(static_cast<Token>(place));
            offsets.push_back(static_cast<Index>(tokens.size()));
            result.longest_ = std::max(result.longest_, static_cast<Index>(sentence.size()));
        }
        result.offsets_ = {device, offsets};
        result.tokens_ = {device, tokens};
        result.positions_ = {device, positions};
        return result;
    }

    [[nodiscard]] Segments segments() const { return {offsets_.data(), offsets_.size() - 1, tokens_.size(), longest_}; }
    [[nodiscard]] Index rows() const { return tokens_.size(); }
    [[nodiscard]] Index sentences() const { return offsets_.size() - 1; }
    [[nodiscard]] TokenView tokens() const { return tokens_.vector(); }
    [[nodiscard]] TokenView positions() const { return positions_.vector(); }

private:
    RaggedBatch() = default;

    DeviceArray<B, Index> offsets_;
    DeviceArray<B, Token> tokens_;
    DeviceArray<B, Token> positions_;
    Index longest_ = 0;
};

}  // namespace inkling::testing
