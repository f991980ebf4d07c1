// Eigen comes first, as it may in a user's unit: EIGEN_NO_CUDA is set for the whole unit.
#include <Eigen/Core>

#include <inkling/backend/cpu.hpp>
#include <inkling/backend/cuda.hpp>

#include <inkling/testing/backend_conformance.hpp>

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <string>
#include <type_traits>
#include <vector>

using namespace inkling;

TEST_CASE("Eigen does not know that a CUDA compiler reads it") {
#ifdef EIGEN_GPUCC
    FAIL("EIGEN_GPUCC is defined");
#endif
#ifdef EIGEN_VECTORIZE
    CHECK(EIGEN_MAX_ALIGN_BYTES >= 16);
#endif
}

TEST_CASE_TEMPLATE("every backend keeps the laws of the verbs: CUDA", Device, backend::Cuda<float>,
                   backend::Cuda<double>) {
    Device device;
    for (auto const& law : testing::backend_laws<Device>()) {
        // cuBLAS chooses how it sums by the shape
        if (std::string(law.name) == "a row of a product does not depend on the others") continue;
        CAPTURE(law.name);
        CHECK(law.broken(device) == "");
    }
}

TEST_CASE("one unit may have both backends") {
    std::vector<float> const x{-1, 0, 0.5F, 3};
    auto const activated = [&](auto device) {
        testing::DeviceArray<decltype(device)> values(device, x);
        activate(device, backend::Activation::silu, values.matrix(4), values.matrix(4));
        return values.get(device);
    };
    auto const on_cpu = activated(backend::Cpu<>{}), on_device = activated(backend::Cuda<>{});
    for (std::size_t i = 0; i < x.size(); ++i) CHECK(on_device[i] == doctest::Approx(on_cpu[i]).epsilon(1e-6));
}

TEST_CASE("Cuda: a device that is not there is refused") {
    CHECK_THROWS_AS(backend::Cuda<>({.device = -1}), Error);
    CHECK_THROWS_AS(backend::Cuda<>({.device = 1000}), Error);
}

TEST_CASE("Cuda: memory that cannot be had is an error that names its size, and leaves the device usable") {
    backend::Cuda<> device;
    CHECK_THROWS_WITH_AS(backend::CudaBuffer<double>(Index{1} << 40),
                         "inkling::backend::CudaBuffer: out of memory, 8796093022208 bytes asked for", Error);
    CHECK_THROWS_AS(backend::CudaBuffer<double>(-1), Error);
    testing::DeviceArray<backend::Cuda<>> x(device, std::vector<float>{1, 2, 3, 4});
    scale(device, 2.0F, x.matrix(2), x.matrix(2));
    CHECK(x.get(device) == std::vector<float>{2, 4, 6, 8});
}

TEST_CASE("Cuda: a call that fails is told with its name, its place and what CUDA says") {
    try {
        backend::detail::check_cuda(cudaErrorInvalidValue, "cudaSomething");
        FAIL("no error");
    } catch (Error const& error) {
        std::string const text = error.what();
        CHECK(text.find("cudaSomething failed at cuda_test.cu:") != std::string::npos);
        CHECK(text.find("invalid argument (cudaErrorInvalidValue)") != std::string::npos);
    }
}

int main(int count, char** words) {
    try {
        backend::Cuda<> const device;
    } catch (Error const& error) {
        if (std::string(error.what()).find("no CUDA device") == std::string::npos) throw;
        std::printf("skipped: %s\n", error.what());
        return 77;
    }
    return doctest::Context(count, words).run();
}
