#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/decode/beams.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <type_traits>

namespace inkling {

/// How text is generated. Everything here is optional.
struct GenerateOptions {
    std::uint64_t seed = 0;  ///< the same seed gives the same text, whatever the threads and the batches
    Index first_source = 0;  ///< number of the first source: random numbers are keyed by it, so that a long list can be
                             ///< generated in pieces
    decode::Beams beams{};   ///< candidates a sentence: lengths x noises
    /// rows cleaned at once, at least 1, each candidate counted as long as its source and 2; a source whose candidates
    /// are more has a batch of its own. Where a backend splits batches among its threads (Cpu does), each cleans one
    /// within its share of them, unless a listener watches
    Index tokens_per_batch = 4096;
    std::stop_token stop{};  ///< asked between steps; a stopped run returns what is finished
    /// Called on the caller's thread with (sentences done, sentences in all) after every batch, or every round of those
    /// that are cleaned side by side; empty: nobody is told.
    std::function<void(Index, Index)> on_progress{};

    /// @throws Error when an option is out of its range, naming it
    void check() const {
        beams.check();
        require(tokens_per_batch >= 1, "inkling::GenerateOptions: tokens_per_batch is ", tokens_per_batch,
                ", expected at least 1");
        constexpr Index most = Index{1} << 32;
        require(first_source >= 0 && first_source <= most, "inkling::GenerateOptions: first_source is ", first_source,
                ", expected 0 to 2^32");
    }
};

/// Names every setting that the text depends on once, for whoever compares what was written.
template <class Options, class Visit>
    requires std::same_as<std::remove_const_t<Options>, GenerateOptions>
void describe(Options& options, Visit const& visit) {
    visit("seed", options.seed);
    visit("first_source", options.first_source);
    visit("length_beam", options.beams.length_beam);
    visit("noise_beam", options.beams.noise_beam);
    visit("shortest", options.beams.shortest);
    visit("longest", options.beams.longest);
}

}  // namespace inkling
