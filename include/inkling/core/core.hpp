#pragma once

/// \file
/// The values that all rooms share: indices and offsets, random keys, errors, the version. The standard library only.

#include <inkling/core/error.hpp>
#include <inkling/core/hash.hpp>
#include <inkling/core/host_device.hpp>
#include <inkling/core/index.hpp>
#include <inkling/core/random.hpp>
#include <inkling/core/shape.hpp>
#include <inkling/core/version.hpp>
