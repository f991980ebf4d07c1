#pragma once

/// \file
/// The whole training room: optimiser, learning rates, clipping, averages, checkpoints, and what a run reports.

#include <inkling/train/adamw.hpp>
#include <inkling/train/best_checkpoints.hpp>
#include <inkling/train/budget.hpp>
#include <inkling/train/checkpoint.hpp>
#include <inkling/train/clipping.hpp>
#include <inkling/train/concept.hpp>
#include <inkling/train/constant.hpp>
#include <inkling/train/cosine.hpp>
#include <inkling/train/health.hpp>
#include <inkling/train/interrupt.hpp>
#include <inkling/train/inverse_square_root.hpp>
#include <inkling/train/linear.hpp>
#include <inkling/train/metrics_log.hpp>
#include <inkling/train/moving_average.hpp>
#include <inkling/train/named_number.hpp>
#include <inkling/train/progress.hpp>
#include <inkling/train/range.hpp>
#include <inkling/train/recoverability.hpp>
#include <inkling/train/snapshot.hpp>
