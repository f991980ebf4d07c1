#pragma once

#include <inkling/backend/thrust_host.hpp>

#include <omp.h>

#include <array>

/// How many threads each call of a body found beside itself, itself among them.
struct Teams {
    int* seen;
    void operator()(inkling::Index index) const { seen[index] = omp_get_num_threads(); }
};

/// The largest team that a system runs a body in.
template <class System>
int largest_team(System const& system) {
    std::array<int, 64> seen{};
    system.for_each(64, Teams{seen.data()});
    int largest = 0;
    for (int const threads : seen) largest = threads > largest ? threads : largest;
    return largest;
}

/// The teams of ThrustCpp, and of ThrustOmp with three threads.
struct ChosenSystems {
    int cpp;
    int omp;
};
inline ChosenSystems chosen_systems() {
    using namespace inkling;
    return {largest_team(backend::ThrustCpp({.threads = 1})), largest_team(backend::ThrustOmp({.threads = 3}))};
}
