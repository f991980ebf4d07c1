#pragma once

/// \file
/// The whole sampler room: ways to walk noise back, each a value that turns a schedule into a plan of scalars.

#include <inkling/sampler/cedi.hpp>
#include <inkling/sampler/concept.hpp>
#include <inkling/sampler/continuous_ddim.hpp>
#include <inkling/sampler/ddim.hpp>
#include <inkling/sampler/ddpm.hpp>
#include <inkling/sampler/dpm_solver.hpp>
#include <inkling/sampler/guided.hpp>
#include <inkling/sampler/plan.hpp>
#include <inkling/sampler/rescheduled.hpp>
#include <inkling/sampler/step_plan.hpp>
#include <inkling/sampler/time_grid.hpp>
