#define THRUST_DEVICE_SYSTEM THRUST_DEVICE_SYSTEM_CPP
#include "chosen_system.hpp"

ChosenSystems chosen_systems_where_the_default_is_cpp();
ChosenSystems chosen_systems_where_the_default_is_cpp() { return chosen_systems(); }
