#define THRUST_DEVICE_SYSTEM THRUST_DEVICE_SYSTEM_OMP
#include "chosen_system.hpp"

ChosenSystems chosen_systems_where_the_default_is_omp();
ChosenSystems chosen_systems_where_the_default_is_omp() { return chosen_systems(); }
