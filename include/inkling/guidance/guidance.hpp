#pragma once

/// \file
/// The whole guidance room: denoisers made of denoisers.

#include <inkling/guidance/classifier_free.hpp>
