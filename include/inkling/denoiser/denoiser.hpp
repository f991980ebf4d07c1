#pragma once

/// \file
/// The whole denoiser room: what removes noise, on any backend.

#include <inkling/denoiser/autoregressive.hpp>
#include <inkling/denoiser/bottleneck_decoder.hpp>
#include <inkling/denoiser/concept.hpp>
#include <inkling/denoiser/empirical.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
#include <inkling/denoiser/encoder_only.hpp>
#include <inkling/denoiser/infiller.hpp>
#include <inkling/denoiser/length_target.hpp>
#include <inkling/denoiser/output.hpp>
#include <inkling/denoiser/parameterized.hpp>
#include <inkling/denoiser/positions.hpp>
#include <inkling/denoiser/source_encoder.hpp>
