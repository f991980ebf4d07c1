#pragma once

/// \file
/// Everything but the backends and the parts that need a further library: include the backend you run on beside it,
/// and text/sentencepiece_tokenizer.hpp or decode/listener.hpp (xtensor) where you want them.

#include <inkling/decode/beams.hpp>
#include <inkling/decode/selection.hpp>
#include <inkling/denoiser.hpp>
#include <inkling/embedding.hpp>
#include <inkling/io/lines.hpp>
#include <inkling/metric/metric.hpp>
#include <inkling/objective.hpp>
#include <inkling/pipeline/pipeline.hpp>
#include <inkling/sampler/sampler.hpp>
#include <inkling/schedule/schedule.hpp>
#include <inkling/text/text.hpp>
#include <inkling/train/train.hpp>
