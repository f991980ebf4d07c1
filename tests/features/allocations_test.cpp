// Counts what this program allocates.
#include "counted_allocations.hpp"
