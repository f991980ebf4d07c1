#pragma once

/// \file
/// The whole room of layers: parameters, and blocks with forward and backward side by side, over any backend.

#include <inkling/nn/attention.hpp>
#include <inkling/nn/feed_forward.hpp>
#include <inkling/nn/layer_norm.hpp>
#include <inkling/nn/linear.hpp>
#include <inkling/nn/parameters.hpp>
#include <inkling/nn/pass.hpp>
#include <inkling/nn/transformer_layer.hpp>
#include <inkling/nn/transformer_stack.hpp>
#include <inkling/nn/workspace.hpp>
