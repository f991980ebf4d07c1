// expect-gcc: schedule.alpha_bar(t)' does not satisfy return-type-requirement
// expect-clang: because type constraint 'std::same_as<float, double>' was not satisfied
// expect: NoiseSchedule
// expect: schedule_in_single_precision.cpp:10:
#include <inkling/schedule/schedule.hpp>

struct Single {
    float alpha_bar(double t) const { return 1.0F - static_cast<float>(t); }
};
using Broken = inkling::schedule::Rescaled<Single>;
