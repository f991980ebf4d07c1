// What a stranger's program looks like: it uses inkling, and answers for the parts it was linked with.
#include <inkling/io/safetensors.hpp>
#include <inkling/schedule/schedule.hpp>

#include <Eigen/Core>

#include <iostream>

int main() {
    inkling::schedule::Sqrt const schedule;
    static_assert(inkling::NoiseSchedule<inkling::schedule::Sqrt>);
    Eigen::Vector2d const levels(schedule.alpha_bar(0.0), schedule.alpha_bar(1.0));
    std::cout << "consumer: alpha_bar falls from " << levels[0] << " to " << levels[1] << '\n';
    return levels[0] > 0.9 && levels[1] == 0.0 ? 0 : 1;
}
