#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/core/error.hpp>
#include <inkling/core/random.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace inkling::testing::laws {

using backend::Activation;
using backend::AttentionShape;
using backend::Orientation;

template <Backend B>
using ScalarOf = typename B::Scalar;

/// Rounding unit of the backend's scalar.
template <Backend B>
[[nodiscard]] constexpr double unit() {
    return static_cast<double>(std::numeric_limits<ScalarOf<B>>::epsilon());
}

/// The values in double, in which all references are computed.
template <class Real>
[[nodiscard]] std::vector<double> exact(std::vector<Real> const& values) {
    return {values.begin(), values.end()};
}

/// Empty where every |got - want| is within its tolerance: one for all, or one each.
template <class Real>
[[nodiscard]] std::string far_apart(std::string const& what, std::vector<Real> const& got,
                                    std::vector<double> const& want, std::vector<double> const& tolerance) {
    if (got.size() != want.size()) return message(what, ": ", got.size(), " elements, expected ", want.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        double const allowed = tolerance.size() == 1 ? tolerance[0] : tolerance[i];
        if (!(std::abs(static_cast<double>(got[i]) - want[i]) <= allowed)) {
            std::ostringstream line;
            line.precision(17);
            line << what << ": element " << i << " is " << got[i] << ", expected " << want[i] << " within " << allowed;
            return line.str();
        }
    }
    return {};
}

/// Empty where the two hold the same bits.
template <class Real>
[[nodiscard]] std::string not_same(std::string const& what, std::span<Real const> got, std::span<Real const> want) {
    if (got.size() != want.size()) return message(what, ": ", got.size(), " elements, expected ", want.size());
    for (std::size_t i = 0; i < got.size(); ++i)
        if (std::memcmp(&got[i], &want[i], sizeof(Real)) != 0) {
            std::ostringstream line;
            line.precision(17);
            line << what << ": element " << i << " is " << got[i] << ", expected the very same bits as " << want[i];
            return line.str();
        }
    return {};
}

template <class Real>
[[nodiscard]] std::string not_same(std::string const& what, std::vector<Real> const& got,
                                   std::vector<Real> const& want) {
    return not_same(what, std::span<Real const>(got), std::span<Real const>(want));
}

/// The first of several findings.
[[nodiscard]] inline std::string first_of(std::initializer_list<std::string> findings) {
    for (std::string const& finding : findings)
        if (!finding.empty()) return finding;
    return {};
}

/// A matrix [rows, cols] on the device with `gap` unused elements behind every row; they hold 77 and must keep it.
template <Backend B>
class Padded {
public:
    using Real = ScalarOf<B>;
    static constexpr Real guard = Real{77};

    Padded(B& device, std::vector<Real> const& values, Index cols, Index gap = 0)
        : rows_(cols > 0 ? static_cast<Index>(values.size()) / cols : 0), cols_(cols), gap_(gap) {
        std::vector<Real> all(static_cast<std::size_t>(rows_ * (cols + gap) + 1), guard);
        for (Index i = 0; i < rows_; ++i) std::copy_n(values.begin() + i * cols, cols, all.begin() + i * (cols + gap));
        memory_ = {device, all};
    }
    [[nodiscard]] MatrixView<Real> view() { return {memory_.data(), rows_, cols_, cols_ + gap_}; }
    /// The values of the rows; fails where a guard was written over.
    [[nodiscard]] std::vector<Real> get(B& device) const {
        auto const all = memory_.get(device);
        std::vector<Real> values;
        for (Index i = 0; i < rows_; ++i) {
            auto const row = all.begin() + i * (cols_ + gap_);
            values.insert(values.end(), row, row + cols_);
            for (Index j = 0; j < gap_; ++j)
                require(row[cols_ + j] == guard, "an element between the rows was written over, behind row ", i);
        }
        require(all.back() == guard, "the element behind the last row was written over");
        return values;
    }

private:
    DeviceArray<B> memory_;
    Index rows_;
    Index cols_;
    Index gap_;
};

template <Backend B>
[[nodiscard]] std::vector<ScalarOf<B>> random(Index count, std::uint32_t sequence, double deviation = 1.0) {
    return random_values<ScalarOf<B>>(count, sequence, deviation);
}

}  // namespace inkling::testing::laws
