#pragma once

#include "../support/search.hpp"

#include <string>
#include <vector>

/// What seq2seq asks an autoregressive model for, apart from choosing among its own candidates.
namespace seq2seq {

/// Settings of choosing among lines that other programs wrote.
struct RescoreSettings : support::DeviceSettings {
    std::string scorer, source;
    std::vector<std::string> candidates;
};

/// Writes a line for each source: the candidate that the scorer finds likeliest.
void rescore(RescoreSettings const& settings);

/// Writes new targets to a file: what the model says to every source.
void distill(support::SearchSettings const& settings);

}  // namespace seq2seq
