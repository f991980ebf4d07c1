#pragma once

#include <inkling/denoiser/concept.hpp>
#include <inkling/denoiser/empirical.hpp>
#include <inkling/denoiser/encoder_decoder.hpp>
