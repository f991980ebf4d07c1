#pragma once

#include <inkling/schedule/detail/check.hpp>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

namespace inkling::schedule::detail {

/// sigma^(1/rho) is linear in t from sigma_min^(1/rho) to sigma_max^(1/rho); sigma = s / a. Shared by Edm and Cdcd.
struct PowerLaw {
    std::string_view where;
    double sigma_min, sigma_max, rho;

    [[nodiscard]] double alpha_bar(double t) const {
        require_time(where, t);
        auto const [least, most] = ends();
        return 1.0 / (std::pow(most + (1.0 - t) * (least - most), 2.0 * rho) + 1.0);
    }

    [[nodiscard]] double time_at_noise(double s) const {
        require_noise(where, s);
        auto const [least, most] = ends();
        if (s == 1.0) return 1.0;
        double const sigma = s / std::sqrt((1.0 - s) * (1.0 + s));
        return std::clamp((std::pow(sigma, 1.0 / rho) - least) / (most - least), 0.0, 1.0);
    }

    /// Both ends to the power of 1 / rho.  @throws Error naming the setting that is out of its range
    [[nodiscard]] std::pair<double, double> ends() const {
        require_positive(where, "sigma_min", sigma_min);
        require_positive(where, "rho", rho);
        require(sigma_max > sigma_min && std::isfinite(sigma_max), where, ": sigma_max is ", sigma_max,
                ", expected a finite number above sigma_min = ", sigma_min);
        double const least = std::pow(sigma_min, 1.0 / rho);
        double const most = std::pow(sigma_max, 1.0 / rho);
        require(least > 0.0 && most > least && std::isfinite(most), where, ": rho is ", rho,
                ", with which sigma^(1/rho) goes from ", least, " to ", most,
                ", expected rising positive finite numbers");
        return {least, most};
    }
};

}  // namespace inkling::schedule::detail
