#pragma once

#include <inkling/core/index.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace inkling {

/// One generated sentence.
struct Generated {
    std::string text{};
    std::vector<Token> tokens{};      ///< as read out, special tokens included
    double mean_log_probability = 0;  ///< of the read-out, natural logarithm, mean over tokens
    bool finished = false;            ///< false when the run was stopped before this sentence was done

    /// The text, for a file of lines: a newline in it, which SentencePiece may write byte by byte, is a space.
    [[nodiscard]] std::string line() const {
        std::string one = text;
        std::replace(one.begin(), one.end(), '\n', ' ');
        return one;
    }
};

}  // namespace inkling
