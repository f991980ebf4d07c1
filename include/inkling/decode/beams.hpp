#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

namespace inkling::decode {

/// How many candidates are generated for a source: every length beside the predicted one, each from several noises.
///
/// Source: Difformer (arXiv:2212.09412), which publishes 7 x 3 for translation and 5 x 2 for paraphrase.
struct Beams {
    static constexpr Index most_candidates = Index{1} << 20;  ///< for one source

    Index length_beam = 1;  ///< lengths for one source, at least 1
    Index noise_beam = 1;   ///< noises for one length, at least 1
    Index shortest = 2;     ///< no candidate is shorter, in tokens with bos and eos; at least 1
    Index longest = std::numeric_limits<Index>::max();  ///< nor longer: what the denoiser has places for

    /// Candidates for one source: candidate c of source s is number s · candidates() + c.
    [[nodiscard]] constexpr Index candidates() const { return length_beam * noise_beam; }
    /// Which of its source's lengths a candidate has, in [0, length_beam).
    [[nodiscard]] constexpr Index group(Index candidate) const { return candidate % candidates() / noise_beam; }

    /// @throws Error when a setting is out of its range
    void check() const {
        require(length_beam >= 1, "inkling::decode::Beams: length_beam is ", length_beam, ", expected at least 1");
        require(noise_beam >= 1, "inkling::decode::Beams: noise_beam is ", noise_beam, ", expected at least 1");
        require(length_beam <= most_candidates / noise_beam, "inkling::decode::Beams: length_beam is ", length_beam,
                " and noise_beam ", noise_beam, ", expected at most ", most_candidates, " candidates in all");
        require(shortest >= 1, "inkling::decode::Beams: shortest is ", shortest, ", expected at least 1");
        require(longest >= shortest, "inkling::decode::Beams: longest is ", longest, ", expected at least shortest, ",
                shortest);
    }
};

/// Lengths of all candidates: predicted + {0 .. length_beam - 1} - length_beam / 2, held to [shortest, longest], each
/// noise_beam times; ordered by source, then length, then noise.
/// @param predicted  [S] lengths, one a source
/// @return           [S · candidates()]
/// @throws Error when the beams are out of their range
[[nodiscard]] inline std::vector<Index> candidate_lengths(std::span<Index const> predicted, Beams const& beams) {
    beams.check();
    std::vector<Index> lengths;
    lengths.reserve(predicted.size() * static_cast<std::size_t>(beams.candidates()));
    for (Index const length : predicted)
        for (Index i = 0; i < beams.length_beam; ++i)
            lengths.insert(lengths.end(), static_cast<std::size_t>(beams.noise_beam),
                           std::clamp(length + i - beams.length_beam / 2, beams.shortest, beams.longest));
    return lengths;
}

/// The same for one source.
[[nodiscard]] inline std::vector<Index> candidate_lengths(Index predicted, Beams const& beams) {
    return candidate_lengths(std::span<Index const>(&predicted, 1), beams);
}

/// Lengths of all candidates from lengths that were chosen already, as from top_classes: held to [shortest, longest],
/// each noise_beam times.
/// @param lengths  [S · length_beam]
/// @return         [S · candidates()]
/// @throws Error when the beams are out of their range, or lengths is no multiple of length_beam
[[nodiscard]] inline std::vector<Index> candidate_lengths_of(std::span<Index const> lengths, Beams const& beams) {
    beams.check();
    require(static_cast<Index>(lengths.size()) % beams.length_beam == 0,
            "inkling::decode::candidate_lengths_of: there are ", lengths.size(),
            " lengths, expected a multiple of length_beam, which is ", beams.length_beam);
    return candidate_lengths(lengths, {1, beams.noise_beam, beams.shortest, beams.longest});
}

/// The classes with the highest scores, best first; the lower number of two equal ones. DINOISER's length beam.
/// @param scores  one a class
/// @throws Error unless 1 <= count <= number of classes
template <class Score>
[[nodiscard]] std::vector<Index> top_classes(std::span<Score const> scores, Index count) {
    require(count >= 1 && count <= static_cast<Index>(scores.size()), "inkling::decode::top_classes: count is ", count,
            ", expected 1 to ", scores.size(), ", the number of classes");
    std::vector<Index> classes(scores.size());
    std::iota(classes.begin(), classes.end(), Index{0});
    auto const better = [scores](Index a, Index b) {
        Score const left = scores[static_cast<std::size_t>(a)];
        Score const right = scores[static_cast<std::size_t>(b)];
        return left > right || (left == right && a < b);
    };
    std::partial_sort(classes.begin(), classes.begin() + count, classes.end(), better);
    classes.resize(static_cast<std::size_t>(count));
    return classes;
}

}  // namespace inkling::decode
