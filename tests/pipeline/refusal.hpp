#pragma once

#include <inkling/core/error.hpp>

#include <doctest/doctest.h>

#include <string>

/// What the Error says that the call throws.
template <class Call>
std::string refusal(Call const& call) {
    try {
        (void)call();
    } catch (inkling::Error const& error) { return error.what(); }
    return "(nothing was thrown)";
}
#define CHECK_SAYS(call, text)                                     \
    do {                                                           \
        std::string const said = refusal([&] { return call; });    \
        CHECK_MESSAGE(said.find(text) != std::string::npos, said); \
    } while (false)
