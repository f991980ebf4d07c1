#pragma once

#include <inkling/embedding/concept.hpp>
#include <inkling/embedding/layer_normed.hpp>
#include <inkling/embedding/learned.hpp>
