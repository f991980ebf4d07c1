#include <inkling/backend/thrust_host.hpp>

#include <inkling/testing/backend_conformance.hpp>

#include <doctest/doctest.h>

using namespace inkling;

TEST_CASE_TEMPLATE("every backend keeps the laws of the verbs: Thrust on one thread", Device,
                   backend::ThrustHost<float>, backend::ThrustHost<double>) {
    Device device;
    for (auto const& law : testing::backend_laws<Device>()) {
        CAPTURE(law.name);
        CHECK(law.broken(device) == "");
    }
}

#ifdef _OPENMP
TEST_CASE_TEMPLATE("every backend keeps the laws of the verbs: Thrust on OpenMP", Device,
                   backend::ThrustHost<float, backend::ThrustOmp>, backend::ThrustHost<double, backend::ThrustOmp>) {
    Device device({.threads = 3});
    for (auto const& law : testing::backend_laws<Device>()) {
        CAPTURE(law.name);
        CHECK(law.broken(device) == "");
    }
}
#endif
