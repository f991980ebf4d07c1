#pragma once

/// \file
/// The whole decode room but for listener.hpp, which brings xtensor: beams of candidates, and choosing one of them.

#include <inkling/decode/beam_search.hpp>
#include <inkling/decode/beams.hpp>
#include <inkling/decode/concept.hpp>
#include <inkling/decode/selection.hpp>
#include <inkling/decode/step_data.hpp>
