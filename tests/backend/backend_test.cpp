#include <inkling/testing/backend_conformance.hpp>

#include <inkling/backend/cpu.hpp>

#include <doctest/doctest.h>

using namespace inkling;

TEST_CASE_TEMPLATE("every backend keeps the laws of the verbs", Device, backend::Cpu<float>, backend::Cpu<double>) {
    for (int const threads : {1, 3}) {
        Device device({.threads = threads});
        CAPTURE(threads);
        for (auto const& law : testing::backend_laws<Device>()) {
            CAPTURE(law.name);
            CHECK(law.broken(device) == "");
        }
    }
}
