#pragma once

/// \file
/// The whole recipe room: published systems as named bundles of policies, and importers of their checkpoints.

#include <inkling/recipe/difformer.hpp>
#include <inkling/recipe/difformer_choices.hpp>
#include <inkling/recipe/difformer_import.hpp>
#include <inkling/recipe/difformer_settings.hpp>
#include <inkling/recipe/diffuseq.hpp>
#include <inkling/recipe/diffuseq_import.hpp>
#include <inkling/recipe/diffuseq_settings.hpp>
#include <inkling/recipe/dinoiser.hpp>
#include <inkling/recipe/dinoiser_import.hpp>
#include <inkling/recipe/dinoiser_settings.hpp>
#include <inkling/recipe/sed.hpp>
#include <inkling/recipe/state_dict.hpp>
#include <inkling/recipe/text_features.hpp>
