#pragma once

/// \file
/// The device that tests of layers, denoisers, objectives, pipelines and golden numbers run on: each is compiled for
/// Cpu, and once more for Thrust on OpenMP.

#ifdef INKLING_TESTS_ON_THRUST
#include <inkling/backend/thrust_host.hpp>
#else
#include <inkling/backend/cpu.hpp>
#endif

namespace tests {

#ifdef INKLING_TESTS_ON_THRUST
template <class Real = float>
using Device = inkling::backend::ThrustHost<Real, inkling::backend::ThrustOmp>;
#else
template <class Real = float>
using Device = inkling::backend::Cpu<Real>;
#endif

}  // namespace tests
