#pragma once

/// \file
/// The whole objective room: what training lowers, and the loss of one batch.

#include <inkling/objective/anchor.hpp>
#include <inkling/objective/annealed_levels.hpp>
#include <inkling/objective/clipped_levels.hpp>
#include <inkling/objective/concept.hpp>
#include <inkling/objective/cross_entropy.hpp>
#include <inkling/objective/diffuseq.hpp>
#include <inkling/objective/diffusion_loss.hpp>
#include <inkling/objective/distance_penalty.hpp>
#include <inkling/objective/infilling.hpp>
#include <inkling/objective/length_only.hpp>
#include <inkling/objective/level_pairs.hpp>
#include <inkling/objective/level_weight.hpp>
#include <inkling/objective/levels.hpp>
#include <inkling/objective/loss_aware_levels.hpp>
#include <inkling/objective/next_token_loss.hpp>
#include <inkling/objective/regression.hpp>
#include <inkling/objective/time_warping.hpp>
