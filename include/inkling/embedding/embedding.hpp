#pragma once

/// \file
/// The whole embedding room: where tokens live.

#include <inkling/embedding/concept.hpp>
#include <inkling/embedding/layer_normed.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/embedding/nearest.hpp>
#include <inkling/embedding/noisy_learned.hpp>
#include <inkling/embedding/pretrained.hpp>
#include <inkling/embedding/unit_sphere.hpp>
#include <inkling/embedding/vector_table.hpp>
