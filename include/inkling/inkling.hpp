#pragma once

/// \file
/// Everything but the backends and the parts that need a further library: include the backend you run on beside it,
/// and text/sentencepiece_tokenizer.hpp, io/npy.hpp or decode/listener.hpp (both xtensor) where you want them.

#include <inkling/core/core.hpp>
#include <inkling/decode/decode.hpp>
#include <inkling/denoiser/denoiser.hpp>
#include <inkling/embedding/embedding.hpp>
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
