#pragma once

/// \file
/// The whole pipeline room: TextDiffusion, TextAutoregression, the Trainer of both, distillation, and
/// TextClassifier with its trainer.

#include <inkling/pipeline/candidate_lengths.hpp>
#include <inkling/pipeline/classifier_trainer.hpp>
#include <inkling/pipeline/configuration.hpp>
#include <inkling/pipeline/denoise.hpp>
#include <inkling/pipeline/distillation.hpp>
#include <inkling/pipeline/held_tokenizer.hpp>
#include <inkling/pipeline/text_autoregression.hpp>
#include <inkling/pipeline/text_classifier.hpp>
#include <inkling/pipeline/text_diffusion.hpp>
#include <inkling/pipeline/trainer.hpp>
#include <inkling/pipeline/trainer_defaults.hpp>
