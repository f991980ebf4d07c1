#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

namespace inkling::train {

/// How spread out the vectors of a vocabulary are. A collapsing embedding shows early here: the distances shrink, or
/// the norms drift apart, while the loss still looks well.
struct EmbeddingHealth {
    double nearest_distance = 0.0;  ///< mean over a sample of rows of the Euclidean distance to the nearest other row
    double norm_mean = 0.0;         ///< mean Euclidean norm of the rows
    double norm_spread = 0.0;       ///< standard deviation of the norms, divided by their mean
};

/// Settings of embedding_health.
struct EmbeddingHealthOptions {
    double scale = 1.0;  ///< multiplies the table first: √D where embeddings are used so
    Index sample = 512;  ///< rows whose nearest neighbour is looked for; all of them when there are fewer
    std::span<Token const> excluded{};  ///< rows that do not count: special tokens, often untrained
};

namespace detail {

/// min(limit, ‖a - b‖²); it gives up once the sum has passed the limit.
[[nodiscard]] inline float squared_distance(float const* a, float const* b, Index width, float limit) {
    constexpr Index lanes = 16;
    float total = 0.0F;
    Index begin = 0;
    for (; begin + lanes <= width && total < limit; begin += lanes) {
        std::array<float, lanes> part;
        for (Index lane = 0; lane < lanes; ++lane) {
            float const difference = a[begin + lane] - b[begin + lane];
            part[static_cast<std::size_t>(lane)] = difference * difference;
        }
        for (Index half = lanes / 2; half > 0; half /= 2)
            for (Index lane = 0; lane < half; ++lane)
                part[static_cast<std::size_t>(lane)] += part[static_cast<std::size_t>(lane + half)];
        total += part[0];
    }
    for (; begin < width && total < limit; ++begin) total += (a[begin] - b[begin]) * (a[begin] - b[begin]);
    return std::min(total, limit);
}

}  // namespace detail

/// Measures a table of embeddings, [V, D] row-major in the host's memory.
///
/// The sample is every (rows / sample)-th row: no randomness. All three numbers are NaN when the table has a NaN or an
/// infinity in a row that counts.
/// @param width  D
/// @throws Error when the table is not a whole number of rows, a setting is out of its range, or fewer than two rows
///         count
[[nodiscard]] inline EmbeddingHealth embedding_health(std::span<float const> table, Index width,
                                                      EmbeddingHealthOptions options = {}) {
    Index const elements = static_cast<Index>(table.size());
    require(width > 0 && elements % width == 0, "inkling::train::embedding_health: the table has ", elements,
            " elements, expected rows of width ", width);
    require(options.sample > 0, "inkling::train::embedding_health: sample is ", options.sample, ", expected 1 or more");
    Index const vocabulary = elements / width;
    std::vector<char> counts(static_cast<std::size_t>(vocabulary), 1);
    for (Token const token : options.excluded) {
        require(token >= 0 && token < vocabulary, "inkling::train::embedding_health: excluded token ", token,
                " is not one of the ", vocabulary, " rows");
        counts[static_cast<std::size_t>(token)] = 0;
    }
    std::vector<float const*> rows;
    for (Index row = 0; row < vocabulary; ++row)
        if (counts[static_cast<std::size_t>(row)] != 0) rows.push_back(table.data() + row * width);
    require(rows.size() >= 2, "inkling::train::embedding_health: ", rows.size(), " rows count, expected 2 or more");

    double const number = static_cast<double>(rows.size());
    std::vector<double> norms;
    norms.reserve(rows.size());
    double mean = 0.0;
    for (float const* row : rows) {
        double square = 0.0;
        for (Index col = 0; col < width; ++col) square += static_cast<double>(row[col]) * static_cast<double>(row[col]);
        norms.push_back(std::abs(options.scale) * std::sqrt(square));
        mean += norms.back() / number;
    }
    double variance = 0.0;
    for (double const norm : norms) variance += (norm - mean) * (norm - mean) / number;
    double const nan = std::numeric_limits<double>::quiet_NaN();
    if (!std::isfinite(mean)) return {nan, nan, nan};

    std::size_t const sampled = std::min(rows.size(), static_cast<std::size_t>(options.sample));
    double distances = 0.0;
    for (std::size_t i = 0; i < sampled; ++i) {
        std::size_t const own = i * rows.size() / sampled;
        float nearest = std::numeric_limits<float>::infinity();
        for (std::size_t other = 0; other < rows.size(); ++other)
            if (other != own) nearest = detail::squared_distance(rows[own], rows[other], width, nearest);
        distances += std::sqrt(static_cast<double>(nearest));
    }
    return {std::abs(options.scale) * distances / static_cast<double>(sampled), mean,
            mean > 0.0 ? std::sqrt(variance) / mean : 0.0};
}

}  // namespace inkling::train
