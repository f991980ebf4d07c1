#include <inkling/testing/backend_conformance.hpp>

#include <inkling/backend/cpu.hpp>

#include <doctest/doctest.h>

#include <vector>

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

TEST_CASE("Cpu: a layer norm has gain and bias or neither, and their gradients come together") {
    using Device = backend::Cpu<float>;
    using Vector = VectorView<float const>;
    Device device({.threads = 1});
    std::vector<float> values{1, 2, 3, 4}, statistics(4), slopes(2);
    MatrixView<float> const x(values.data(), 2, 2), kept(statistics.data(), 2, 2);
    VectorView<float> const d(slopes.data(), 2);
    CHECK_THROWS_WITH_AS(layer_norm(device, x, Vector(d), {}, 1e-5, x),
                         "inkling::backend::layer_norm: gain alone, expected gain and bias or neither", Error);
    CHECK_THROWS_WITH_AS(layer_norm(device, x, {}, Vector(d), 1e-5, x),
                         "inkling::backend::layer_norm: bias alone, expected gain and bias or neither", Error);
    CHECK_THROWS_WITH_AS(dropout_add_layer_norm(device, {}, 0.0, x, x, Vector(d), {}, 1e-5, x, x),
                         "inkling::backend::dropout_add_layer_norm: gain alone, expected gain and bias or neither",
                         Error);
    CHECK_THROWS_WITH_AS(layer_norm_backward(device, x, x, kept, Vector(d), x, d),
                         "inkling::backend::layer_norm_backward: dgain alone, expected dgain and dbias or neither",
                         Error);
    CHECK_THROWS_WITH_AS(layer_norm_backward(device, x, x, kept, Vector(d), x, {}, d),
                         "inkling::backend::layer_norm_backward: dbias alone, expected dgain and dbias or neither",
                         Error);
    CHECK(values == std::vector<float>{1, 2, 3, 4});
}
