#pragma once

/// \file
/// Everything but the backends, text/sentencepiece_tokenizer.hpp (SentencePiece), text/wordpiece_tokenizer.hpp
/// (utf8proc), io/npy.hpp and decode/listener.hpp (both xtensor): include the backend you run on, and what you want of
/// these, beside it. It needs nlohmann-json (model files, safetensors) and zlib (compressed text); schedules, metrics,
/// samplers and text alone need the standard library only.

#include <inkling/core/core.hpp>
#include <inkling/decode/decode.hpp>
#include <inkling/denoiser/denoiser.hpp>
#include <inkling/embedding/embedding.hpp>
#include <inkling/features/features.hpp>
#include <inkling/guidance/guidance.hpp>
#include <inkling/io/io.hpp>
#include <inkling/metric/metric.hpp>
#include <inkling/nn/nn.hpp>
#include <inkling/objective/objective.hpp>
#include <inkling/pipeline/pipeline.hpp>
#include <inkling/recipe/recipe.hpp>
#include <inkling/sampler/sampler.hpp>
#include <inkling/schedule/schedule.hpp>
#include <inkling/text/text.hpp>
#include <inkling/train/train.hpp>
