#pragma once

/// \file
/// The whole denoiser room: what removes noise, on any backend.

#include <inkling/denoiser/concept.hpp>
#include <inkling/denoiser/empirical.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/denoiser/encoder_only.hpp>
#include <inkling/denoiser/infiller.hpp>
