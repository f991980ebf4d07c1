// expect-gcc: schedule.alpha_bar(t)' is invalid
// expect-clang: 'schedule.alpha_bar(t)' would be invalid: no member named 'alpha_bar' in 'Misspelt'
// expect: NoiseSchedule
// expect: schedule_without_alpha_bar.cpp:10:
#include <inkling/schedule/schedule.hpp>

struct Misspelt {
    double alphabar(double t) const { return 1.0 - t; }
};
using Broken = inkling::schedule::Rescaled<Misspelt>;
