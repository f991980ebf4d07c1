#pragma once

#include <inkling/core/error.hpp>
#include <inkling/io/safetensors.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <span>
#include <string>
#include <vector>

/// Numbers computed by the official implementations, and the means to compare with them.
namespace golden {

/// @return the folder with index.json: the environment's INKLING_GOLDEN_DIR, else the one this project carries
inline std::filesystem::path folder() {
    if (char const* const named = std::getenv("INKLING_GOLDEN_DIR"); named != nullptr && *named != '\0') return named;
#ifdef INKLING_TESTS_GOLDEN_DIR
    std::filesystem::path const own = INKLING_TESTS_GOLDEN_DIR;
#else
    std::filesystem::path const own = std::filesystem::path(__FILE__).parent_path();
#endif
    return std::filesystem::exists(own / "index.json") ? own : own / "data";
}

/// @param file  as index.json names it, below folder()
inline nlohmann::json json(std::string const& file) {
    auto const path = folder() / file;
    std::ifstream stream(path);
    inkling::require(stream.good(), "golden: file '", path.string(), "' cannot be opened");
    return nlohmann::json::parse(stream);
}

/// @return the entries of index.json of one kind, in its order; the project's own folder has some of every kind
inline std::vector<nlohmann::json> cases(std::string const& kind) {
    std::vector<nlohmann::json> found;
    auto index = json("index.json");
    for (auto& entry : index.at("cases"))
        if (entry.at("kind") == kind) found.push_back(std::move(entry));
    inkling::require(!found.empty() || std::getenv("INKLING_GOLDEN_DIR") != nullptr,
                     "golden: there is no case of kind '", kind, "'");
    return found;
}

/// @param file  as index.json names it, below folder()
inline inkling::io::Safetensors tensors(std::string const& file) {
    return inkling::io::Safetensors::open(folder() / file);
}

/// @return the values of a file's `__metadata__`, each of which is JSON
inline nlohmann::json metadata(inkling::io::Safetensors const& file) {
    nlohmann::json all = nlohmann::json::object();
    for (auto const& [key, text] : file.metadata()) {
        auto value = nlohmann::json::parse(text, nullptr, false);
        all[key] = value.is_discarded() ? nlohmann::json(text) : std::move(value);
    }
    return all;
}

namespace detail {

inline double distance(double got, double want) {
    if (got == want) return 0.0;
    double const difference = std::abs(got - want);
    return std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;  // NaN is never right
}

inline double against(double difference, double size) { return size > 0.0 ? difference / size : difference; }

}  // namespace detail

/// The largest |got - want| over the largest |want|. Infinite when the sizes differ or a number is NaN on either side.
/// @param mask  as many elements, or each standing for a row of got.size() / mask.size() elements: where it is false
///   nothing is compared
template <class Got, class Want, class Mask = std::vector<bool>>
double worst_relative_error(Got const& got, Want const& want, Mask const& mask = {}) {
    if (std::size(got) != std::size(want)) return std::numeric_limits<double>::infinity();
    std::size_t const marks = std::size(mask);
    std::size_t const row = marks == 0 ? 1 : std::size(got) / marks;
    if (marks != 0 && row * marks != std::size(got)) return std::numeric_limits<double>::infinity();
    double worst = 0.0, largest = 0.0;
    for (std::size_t i = 0; i < std::size(got); ++i) {
        if (marks != 0 && !mask[i / row]) continue;
        auto const g = static_cast<double>(got[i]), w = static_cast<double>(want[i]);
        worst = std::max(worst, detail::distance(g, w));
        largest = std::max(largest, std::abs(w));
    }
    return detail::against(worst, largest);
}

/// The largest |got - want| / |want| of any element, |got| where want is 0. Infinite as above.
template <class Got, class Want>
double worst_relative_error_by_element(Got const& got, Want const& want) {
    if (std::size(got) != std::size(want)) return std::numeric_limits<double>::infinity();
    double worst = 0.0;
    for (std::size_t i = 0; i < std::size(got); ++i) {
        auto const g = static_cast<double>(got[i]), w = static_cast<double>(want[i]);
        worst = std::max(worst, detail::against(detail::distance(g, w), std::abs(w)));
    }
    return worst;
}

/// The largest |got - want|. Infinite as above.
template <class Got, class Want>
double worst_absolute_error(Got const& got, Want const& want) {
    if (std::size(got) != std::size(want)) return std::numeric_limits<double>::infinity();
    double worst = 0.0;
    for (std::size_t i = 0; i < std::size(got); ++i)
        worst = std::max(worst, detail::distance(static_cast<double>(got[i]), static_cast<double>(want[i])));
    return worst;
}

/// Prints one row of the golden table: golden | file | what | worst error | tolerance | ok.
inline void print_row(std::string const& file, std::string const& what, double error, double tolerance) {
    std::printf("golden | %-50s | %-52s | %9.2e | %9.2e | %s\n", file.c_str(), what.c_str(), error, tolerance,
                error <= tolerance ? "ok" : "FAILED");
    std::fflush(stdout);
}

/// CHECKs that an error is within its tolerance (0: exact) and prints one row of the golden table.
inline void check(std::string const& file, std::string const& what, double error, double tolerance) {
    print_row(file, what, error, tolerance);
    CAPTURE(file);
    CAPTURE(what);
    CHECK(error <= tolerance);
}

/// The same for many arrays or cases that share a file and a tolerance: one row with the worst of them.
///
///     golden::Row row(file, "alphas_cumprod", 1e-12);
///     for (...) row.add(entry, golden::worst_relative_error_by_element(got, want));
class Row {
public:
    Row(std::string file, std::string what, double tolerance)
        : file_(std::move(file)), what_(std::move(what)), tolerance_(tolerance) {}
    Row(Row const&) = delete;
    Row& operator=(Row const&) = delete;

    /// Prints the row; a row to which nothing was added has compared nothing, and fails.
    ~Row() {
        if (count_ == 0) worst_ = std::numeric_limits<double>::infinity();
        print_row(file_, what_ + " (" + std::to_string(count_) + ")", worst_, tolerance_);
        CAPTURE(file_);
        CAPTURE(what_);
        CHECK(count_ > 0);
    }

    /// CHECKs one error.
    void add(std::string const& name, double error) {
        ++count_;
        worst_ = std::max(worst_, error);
        CAPTURE(file_);
        CAPTURE(what_);
        CAPTURE(name);
        CHECK(error <= tolerance_);
    }

    /// CHECKs one thing that must be equal.
    void add_exact(std::string const& name, bool equal) {
        add(name, equal ? 0.0 : std::numeric_limits<double>::infinity());
    }

private:
    std::string file_, what_;
    double tolerance_;
    double worst_ = 0.0;
    std::size_t count_ = 0;
};

}  // namespace golden
