#pragma once

/// \file
/// The whole decode room but for listener.hpp, which brings xtensor: beams of candidates, choosing one of them,
/// and what is seen on the way.

#include <inkling/decode/beam_search.hpp>
#include <inkling/decode/beams.hpp>
#include <inkling/decode/concept.hpp>
#include <inkling/decode/estimate_change.hpp>
#include <inkling/decode/selection.hpp>
#include <inkling/decode/step_data.hpp>
