#pragma once

#include <inkling/core/index.hpp>
#include <inkling/metric/detail/unicode.hpp>

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace inkling::metric::detail {

/// Gives each distinct word a number, so that n-grams are counted over integers. It keeps copies of the words.
class WordNumbers {
public:
    [[nodiscard]] Token number(std::string_view word) {
        return numbers_.try_emplace(std::string(word), static_cast<Token>(numbers_.size())).first->second;
    }

    /// @return the words of a text, by white space, as numbers
    [[nodiscard]] std::vector<Token> numbers(std::string_view text) {
        std::vector<Token> result;
        for (std::string_view const word : split(text)) result.push_back(number(word));
        return result;
    }

private:
    std::unordered_map<std::string, Token> numbers_;
};

}  // namespace inkling::metric::detail
