#pragma once

/// How often `operator new` has been called in this program, one unit of which includes counted_allocations.hpp.
long allocations();
