#include "rescoring.hpp"

#include "../support/autoregression.hpp"

#include <iostream>

namespace seq2seq {

using namespace inkling;

namespace {

std::vector<std::string> lines_of(std::string const& file) {
    io::LineReader reader(file);
    std::vector<std::string> lines;
    for (std::string line; reader.next(line);) lines.push_back(line);
    return lines;
}

}  // namespace

void distill(support::SearchSettings const& settings) { support::distill(settings); }

void rescore(RescoreSettings const& settings) {
    auto const scorer = support::load_autoregression(settings.scorer, settings);
    decode::LowestPerplexity<support::Autoregression> const selection{&scorer};
    auto const sources = lines_of(settings.source);
    std::vector<std::vector<std::string>> answers;
    for (std::string const& file : settings.candidates) {
        answers.push_back(lines_of(file));
        require(answers.back().size() == sources.size(), "'", file, "' has ", answers.back().size(),
                " lines, expected as many as '", settings.source, "', ", sources.size());
    }
    std::string text;
    for (std::size_t i = 0; i < sources.size(); ++i) {
        std::vector<decode::Candidate> candidates;
        for (auto const& lines : answers) candidates.push_back({.text = lines[i], .source = sources[i]});
        try {
            text += candidates[static_cast<std::size_t>(selection.select(candidates))].text + '\n';
        } catch (Error const& problem) { fail("'", settings.source, "': line ", i + 1, ": ", problem.what()); }
    }
    std::cout << text << std::flush;
    require(std::cout.good(), "standard output cannot be written");
}

}  // namespace seq2seq
