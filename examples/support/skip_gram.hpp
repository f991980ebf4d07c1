#pragma once

#include <inkling/core/random.hpp>
#include <inkling/embedding/vector_table.hpp>
#include <inkling/text/concept.hpp>
#include <inkling/text/parallel_corpus.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace support {

/// How word vectors are learned.
struct SkipGramOptions {
    inkling::Index width = 128;    ///< of the vectors
    inkling::Index window = 5;     ///< tokens to either side that a token is to foretell, at most
    inkling::Index negatives = 5;  ///< drawn tokens that each of them is told from
    inkling::Index epochs = 5;     ///< times that the text is read
    double learning_rate = 0.05;   ///< of the first word; falls to 0 along a line
    double pads = 0.1;             ///< share of pad tokens that come in between, so that the pad has a place too
    std::uint64_t seed = 1;
    /// Called after every line with (lines done, lines in all); false ends the learning early.
    std::function<bool(inkling::Index, inkling::Index)> on_progress{};
};

/// A vector for each token, by how well it tells the tokens around it from others: tokens that are used alike come to
/// lie alike. Single-threaded, and the same for the same seed.
///
/// Source: Mikolov et al. 2013, "Distributed Representations of Words and Phrases and their Compositionality",
/// arXiv:1310.4546, section 2.2.
/// @param lines  their targets are read, each between bos and eos
class SkipGram {
public:
    SkipGram(inkling::Index vocabulary, inkling::text::SpecialTokens specials, SkipGramOptions options)
        : specials_(specials),
          options_(std::move(options)),
          counts_(static_cast<std::size_t>(vocabulary)),
          own_{options_.width, std::vector<float>(static_cast<std::size_t>(vocabulary * options_.width))},
          around_(own_.values.size()),
          slope_(static_cast<std::size_t>(options_.width)) {
        inkling::RandomStream const stream{options_.seed, inkling::Purpose::initial_weights, 0, 0};
        for (std::size_t i = 0; i < own_.values.size(); ++i)
            own_.values[i] = static_cast<float>((stream.uniform(static_cast<std::uint32_t>(i)) - 0.5)
                                                / static_cast<double>(options_.width));
    }

    [[nodiscard]] inkling::embedding::VectorTable train(inkling::text::ParallelCorpus const& lines) {
        count(lines);
        inkling::Index const total = lines.size() * options_.epochs;
        for (inkling::Index done = 0; done < total; ++done) {
            inkling::Index const line = done % lines.size();
            inkling::RandomStream const stream{options_.seed, inkling::Purpose::user, static_cast<std::uint32_t>(line),
                                               static_cast<std::uint32_t>(1 + done / lines.size())};
            std::uint32_t draw = read(lines.target(line), stream);
            auto const rate = static_cast<float>(options_.learning_rate * static_cast<double>(total - done)
                                                 / static_cast<double>(total));
            learn(stream, draw, rate);
            if (options_.on_progress && !options_.on_progress(done + 1, total)) break;
        }
        return own_;
    }

private:
    /// Negatives are drawn by counts to the power 3/4.
    void count(inkling::text::ParallelCorpus const& lines) {
        for (inkling::Index i = 0; i < lines.size(); ++i)
            for (inkling::Token const token : lines.target(i)) counts_[static_cast<std::size_t>(token)] += 1.0;
        counts_[static_cast<std::size_t>(specials_.pad)] +=
            options_.pads / (1.0 - options_.pads) * static_cast<double>(lines.target_tokens());
        double sum = 0.0;
        for (double& so_far : counts_) so_far = sum += std::pow(so_far, 0.75);
    }

    /// Puts a line into line_, bos, eos and some pads with it. @return how many numbers were drawn
    std::uint32_t read(std::span<inkling::Token const> tokens, inkling::RandomStream const& stream) {
        std::uint32_t draw = 0;
        line_.assign(1, specials_.bos);
        for (inkling::Token const token : tokens) {
            while (stream.uniform(draw++) < options_.pads) line_.push_back(specials_.pad);
            line_.push_back(token);
        }
        line_.push_back(specials_.eos);
        return draw;
    }

    void learn(inkling::RandomStream const& stream, std::uint32_t draw, float rate) {
        auto const length = static_cast<inkling::Index>(line_.size());
        for (inkling::Index centre = 0; centre < length; ++centre) {
            auto const window =
                1 + static_cast<inkling::Index>(stream.uniform(draw++) * static_cast<double>(options_.window));
            for (inkling::Index other = std::max<inkling::Index>(0, centre - window);
                 other < std::min(length, centre + window + 1); ++other) {
                if (other == centre) continue;
                float* const own = row(own_.values, line_[static_cast<std::size_t>(centre)]);
                std::fill(slope_.begin(), slope_.end(), 0.0f);
                inkling::Token const beside = line_[static_cast<std::size_t>(other)];
                pull(own, row(around_, beside), 1.0f, rate);
                for (inkling::Index n = 0; n < options_.negatives; ++n) {
                    auto const found =
                        std::upper_bound(counts_.begin(), counts_.end(), stream.uniform(draw++) * counts_.back());
                    auto const drawn = static_cast<inkling::Token>(found - counts_.begin());
                    if (drawn != beside) pull(own, row(around_, drawn), 0.0f, rate);
                }
                for (std::size_t i = 0; i < slope_.size(); ++i) own[i] += slope_[i];
            }
        }
    }

    /// One step for sigmoid(own . around) towards `truth`; what own moves by is added to slope_.
    void pull(float const* own, float* around, float truth, float rate) {
        float product = 0.0f;
        for (std::size_t i = 0; i < slope_.size(); ++i) product += own[i] * around[i];
        float const step = rate * (truth - 1.0f / (1.0f + std::exp(-product)));
        for (std::size_t i = 0; i < slope_.size(); ++i) {
            slope_[i] += step * around[i];
            around[i] += step * own[i];
        }
    }

    [[nodiscard]] float* row(std::vector<float>& table, inkling::Token token) const {
        return table.data() + static_cast<std::ptrdiff_t>(token) * options_.width;
    }

    inkling::text::SpecialTokens specials_;
    SkipGramOptions options_;
    std::vector<double> counts_;  // [V], summed up to each token, to the power 3/4
    inkling::embedding::VectorTable own_;
    std::vector<float> around_;  // [V, width], of the tokens that are foretold
    std::vector<float> slope_;
    std::vector<inkling::Token> line_;
};

}  // namespace support
