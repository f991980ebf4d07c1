#pragma once

/// \file
/// The whole room of features: what a frozen denoiser knows of lines, for other tasks.

#include <inkling/features/attention_pool.hpp>
#include <inkling/features/classifier.hpp>
#include <inkling/features/concept.hpp>
#include <inkling/features/denoiser_states.hpp>
#include <inkling/features/embeddings.hpp>
#include <inkling/features/feedback.hpp>
#include <inkling/features/mean_pool.hpp>
