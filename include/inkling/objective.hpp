#pragma once

#include <inkling/objective/anchor.hpp>
#include <inkling/objective/concept.hpp>
#include <inkling/objective/diffusion_loss.hpp>
#include <inkling/objective/regression.hpp>
