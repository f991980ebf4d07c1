#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <Eigen/Eigenvalues>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace inkling::backend {

/// The rows of x [N, D], less their mean, along the `wanted` directions in which they vary most; [N, wanted].
///
/// Of all linear maps to so few dimensions this one keeps most of the squared distances between rows, it has one
/// answer, and nothing is trained: what a table of vectors that are to be told apart asks of a bottleneck. The
/// directions are those of the largest eigenvalues of the covariance, in falling order; of each, the coordinate of
/// largest magnitude is positive, so that the result does not depend on the solver's choice. Computed in double, on the
/// host. It is no verb: include this header by its own name.
/// Source: Jolliffe 2002, "Principal Component Analysis", section 1.1.
/// @param x  rows one behind the other
/// @throws Error when x is no matrix of that width, has fewer than two rows or an element that is not finite, or
///         `wanted` is outside of 1 to the width
[[nodiscard]] inline std::vector<float> principal_components(std::span<float const> x, Index width, Index wanted) {
    constexpr char const* where = "inkling::backend::principal_components: ";
    auto const size = static_cast<Index>(x.size());
    require(width >= 1 && size % width == 0 && size >= 2 * width, where, size, " elements and a width of ", width,
            ", expected at least two whole rows");
    require(wanted >= 1 && wanted <= width, where, wanted, " components wanted, expected 1 to ", width, ", the width");
    using Rows = ::Eigen::Matrix<float, ::Eigen::Dynamic, ::Eigen::Dynamic, ::Eigen::RowMajor>;
    ::Eigen::Map<Rows const> const rows(x.data(), size / width, width);
    require(rows.allFinite(), where, "an element is not finite, expected numbers");

    ::Eigen::RowVectorXd mean = ::Eigen::RowVectorXd::Zero(width);
    ::Eigen::MatrixXd covariance = ::Eigen::MatrixXd::Zero(width, width);
    constexpr Index block = 1024;  // rows that are there in double at once
    auto const each_block = [&](auto const& use) {
        for (Index first = 0; first < rows.rows(); first += block) {
            Index const count = std::min(block, static_cast<Index>(rows.rows()) - first);
            use(first, count, ::Eigen::MatrixXd(rows.middleRows(first, count).cast<double>().rowwise() - mean));
        }
    };
    ::Eigen::RowVectorXd sum = mean;
    each_block([&](Index, Index, ::Eigen::MatrixXd const& some) { sum += some.colwise().sum(); });
    mean = sum / static_cast<double>(rows.rows());
    each_block([&](Index, Index, ::Eigen::MatrixXd const& some) { covariance.noalias() += some.transpose() * some; });
    ::Eigen::SelfAdjointEigenSolver<::Eigen::MatrixXd> const solver(covariance);
    require(solver.info() == ::Eigen::Success, where, "the eigenvalues were not found");
    ::Eigen::MatrixXd directions = solver.eigenvectors().rightCols(wanted).rowwise().reverse();  // [width, wanted]
    for (Index i = 0; i < wanted; ++i) {
        Index top = 0;
        directions.col(i).cwiseAbs().maxCoeff(&top);
        if (directions(top, i) < 0.0) directions.col(i) *= -1.0;
    }

    std::vector<float> result(static_cast<std::size_t>(rows.rows() * wanted));
    ::Eigen::Map<Rows> out(result.data(), rows.rows(), wanted);
    each_block([&](Index first, Index count, ::Eigen::MatrixXd const& some) {
        out.middleRows(first, count) = (some * directions).cast<float>();
    });
    return result;
}

}  // namespace inkling::backend
