#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/backend/cpu/attention.hpp>
#include <inkling/backend/cpu/device.hpp>
#include <inkling/backend/cpu/elementwise.hpp>
#include <inkling/backend/cpu/embedding.hpp>
#include <inkling/backend/cpu/normalization.hpp>
#include <inkling/backend/cpu/optimizer.hpp>
#include <inkling/backend/cpu/packed_product.hpp>
#include <inkling/backend/cpu/product.hpp>
#include <inkling/backend/cpu/random.hpp>
#include <inkling/backend/cpu/readout.hpp>
#include <inkling/backend/cpu/reduction.hpp>
#include <inkling/backend/cpu/residual.hpp>

namespace inkling {

static_assert(Backend<backend::Cpu<float>>);
static_assert(Backend<backend::Cpu<double>>);

}  // namespace inkling
