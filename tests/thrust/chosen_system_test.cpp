// Compiled without a word on Thrust's device system; chosen_system_cpp.cpp and chosen_system_omp.cpp each name another.
#include "chosen_system.hpp"

#include <doctest/doctest.h>

ChosenSystems chosen_systems_where_the_default_is_cpp();
ChosenSystems chosen_systems_where_the_default_is_omp();

TEST_CASE("a device runs on the system of its type, whatever THRUST_DEVICE_SYSTEM says in this unit or another") {
    for (ChosenSystems const& chosen :
         {chosen_systems(), chosen_systems_where_the_default_is_cpp(), chosen_systems_where_the_default_is_omp()}) {
        CHECK(chosen.cpp == 1);
        CHECK(chosen.omp == 3);
    }
}

TEST_CASE("ThrustOmp leaves the number of OpenMP's threads as it was") {
    int const before = omp_get_max_threads();
    inkling::backend::ThrustOmp const system({.threads = before + 2});
    CHECK(largest_team(system) == before + 2);
    CHECK(omp_get_max_threads() == before);
}
