#pragma once

/// \file
/// The whole schedule room: alpha_bar(t) and all that follows from it. Pure scalar maths.

#include <inkling/schedule/cdcd.hpp>
#include <inkling/schedule/concept.hpp>
#include <inkling/schedule/cosine.hpp>
#include <inkling/schedule/diffuseq.hpp>
#include <inkling/schedule/discrete.hpp>
#include <inkling/schedule/edm.hpp>
#include <inkling/schedule/gaussian.hpp>
#include <inkling/schedule/geometric.hpp>
#include <inkling/schedule/inverse.hpp>
#include <inkling/schedule/linear_beta.hpp>
#include <inkling/schedule/quadratic_beta.hpp>
#include <inkling/schedule/rescaled.hpp>
#include <inkling/schedule/respacing.hpp>
#include <inkling/schedule/sigma_linear.hpp>
#include <inkling/schedule/sigma_sqrt.hpp>
#include <inkling/schedule/sqrt.hpp>
