#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <sstream>
#include <string>

namespace inkling::testing {

/// What check_gradient allows and how much it looks at.
struct GradientCheckOptions {
    double step = 7.4e-4;  ///< first distance to the neighbours, ε^(1/5); smaller ones follow where this one disagrees
    double relative = 1e-7;    ///< of the gradient: what the four points leave out of the series
    double rounding = 256.0;   ///< rounding errors of the function, in units of ε times its magnitude
    double magnitude = 1.0;    ///< of the function's terms, where they are larger than their sum
    Index most_elements = -1;  ///< looks at that many, evenly spread; -1: all
};

/// How far an analytic gradient lies from central differences.
struct GradientReport {
    Index checked = 0;   ///< elements looked at
    double worst = 0.0;  ///< largest |analytic - numeric| / tolerance; the gradient is right when at most 1
    Index worst_element = -1;
    double analytic = 0.0;  ///< at worst_element
    double numeric = 0.0;
    double tolerance = 0.0;
    double largest = 0.0;  ///< the largest |analytic|: a gradient of nothing but zeros proves little

    [[nodiscard]] bool passed() const { return checked > 0 && worst <= 1.0; }
    /// One line for a test's message.
    [[nodiscard]] std::string text() const {
        std::ostringstream line;
        line.precision(12);
        line << (passed() ? "right" : "WRONG") << " at " << checked << " elements, worst error " << worst
             << " tolerances at element " << worst_element << ": analytic " << analytic << ", numeric " << numeric
             << ", tolerance " << tolerance;
        return line.str();
    }
};

namespace detail {

/// Slope of f in `value`, from four points; the truncation error is step^4 / 30 of the fifth derivative.
template <class Function>
[[nodiscard]] double slope_of(Function const& f, double& value, double step, double& magnitude) {
    double const centre = value;
    auto const at = [&](double distance) {
        value = centre + distance;
        double const result = f();
        value = centre;
        magnitude = std::max(magnitude, std::abs(result));
        return result;
    };
    double const near = (at(step) - at(-step)) / (2.0 * step);
    double const far = (at(2.0 * step) - at(-2.0 * step)) / (4.0 * step);
    return (4.0 * near - far) / 3.0;
}

}  // namespace detail

/// Compares an analytic gradient with central differences of f in double precision.
///
/// An element is right when |analytic - numeric| is at most relative * |numeric| + rounding * ε * |f| / step. Where the
/// first step disagrees, steps 16 and 256 times smaller are tried, each with its own, larger tolerance: a kink (relu)
/// or a steep curve inside the first step disturbs the numbers, a wrong gradient stays wrong.
/// @param values    what f reads; changed and restored one by one
/// @param analytic  df / dvalues, as many
/// @param f         a pure function of `values`, called without arguments, in double
/// @throws Error when the sizes differ
template <class Function>
[[nodiscard]] GradientReport check_gradient(std::span<double> values, std::span<double const> analytic,
                                            Function const& f, GradientCheckOptions const& options = {}) {
    require(values.size() == analytic.size(), "inkling::testing::check_gradient: ", values.size(), " values and ",
            analytic.size(), " slopes, expected as many of both");
    GradientReport report;
    std::size_t const size = values.size();
    std::size_t const wanted =
        options.most_elements < 0 ? size : std::min(size, static_cast<std::size_t>(options.most_elements));
    for (std::size_t index = 0; index < wanted; ++index) {
        std::size_t const element = index * size / wanted;
        double best = std::numeric_limits<double>::infinity();
        double numeric = 0.0;
        double tolerance = 0.0;
        double step = options.step * std::max(1.0, std::abs(values[element]));
        for (int attempt = 0; attempt < 3 && !(best <= 1.0); ++attempt, step /= 16.0) {
            double magnitude = options.magnitude;
            double const slope = detail::slope_of(f, values[element], step, magnitude);
            double const allowed = options.relative * std::abs(slope)
                + options.rounding * std::numeric_limits<double>::epsilon() * magnitude / step;
            double const error = std::abs(analytic[element] - slope) / allowed;
            if (error < best || attempt == 0) best = error, numeric = slope, tolerance = allowed;
        }
        ++report.checked;
        report.largest = std::max(report.largest, std::abs(analytic[element]));
        if (report.worst_element < 0 || !(best <= report.worst)) {
            report.worst = std::isnan(best) ? std::numeric_limits<double>::infinity() : best;
            report.worst_element = static_cast<Index>(element);
            report.analytic = analytic[element];
            report.numeric = numeric;
            report.tolerance = tolerance;
        }
    }
    return report;
}

}  // namespace inkling::testing
