#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/core/error.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <limits>

/// How fast a backend multiplies at best: what its other work is held against.
namespace backends {

using namespace inkling;

/// Seconds of the fastest of some runs.
template <Backend Device, class Run>
[[nodiscard]] double fastest(Device& device, typename Device::Scalar const* written, int times, Run const& run) {
    run();
    backend::synchronize(device, written);
    double best = std::numeric_limits<double>::infinity();
    for (int i = 0; i < times; ++i) {
        auto const start = std::chrono::steady_clock::now();
        run();
        backend::synchronize(device, written);
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
}

/// Operations a second of the product of two square matrices.
/// @param side       of the matrices, a multiple of 16
/// @param tolerance  of some elements, against double on the host
template <Backend Device>
[[nodiscard]] double product_rate(typename Device::Options const& options, Index side, double tolerance) {
    using Real = typename Device::Scalar;
    Device device(options);
    auto const values = testing::random_values<Real>(side * side, 1);
    testing::DeviceArray<Device> const factor(device, values);
    testing::DeviceArray<Device> out(device, side * side);
    double const seconds = fastest(device, out.data(), 5, [&] {
        product(device, factor.matrix(side), backend::Orientation::plain, factor.matrix(side),
                backend::Orientation::transposed, out.matrix(side));
    });
    auto const got = out.get(device);
    auto const at = [&](Index row, Index col) { return static_cast<std::size_t>(row * side + col); };
    for (Index i = 0; i < side; i += side / 16) {  // row i by itself
        double sum = 0.0;
        for (Index k = 0; k < side; ++k) sum += std::pow(static_cast<double>(values[at(i, k)]), 2);
        require(std::abs(static_cast<double>(got[at(i, i)]) - sum) < tolerance * sum, "product_rate: element ", i,
                " of the diagonal of a product is ", got[at(i, i)], ", expected ", sum);
    }
    double const edge = static_cast<double>(side);
    return 2.0 * edge * edge * edge / seconds;
}

}  // namespace backends
