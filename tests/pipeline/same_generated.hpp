#pragma once

#include <inkling/pipeline/generated.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <vector>

/// Texts, tokens and the very bits of the log-probabilities.
inline void check_same(std::vector<inkling::Generated> const& got, std::vector<inkling::Generated> const& want) {
    REQUIRE(got.size() == want.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        CHECK(got[i].text == want[i].text);
        CHECK(got[i].tokens == want[i].tokens);
        CHECK(got[i].mean_log_probability == want[i].mean_log_probability);
        CHECK(got[i].finished == want[i].finished);
    }
}
