#include "dinoiser_golden.hpp"
#include "device.hpp"

#include <doctest/doctest.h>

TEST_CASE_TEMPLATE("golden: DINOISER's encoder, decoder with and without a source, read-out and length head", Device,
                   tests::Device<float>, tests::Device<double>) {
    for (auto const& entry : golden::cases("dinoiser_forward")) golden::dinoiser::check_forward<Device>(entry);
}

TEST_CASE_TEMPLATE("golden: DINOISER's training step of both estimates, and every gradient of it", Device,
                   tests::Device<float>, tests::Device<double>) {
    for (auto const& entry : golden::cases("dinoiser_loss")) golden::dinoiser::check_loss<Device>(entry);
}

TEST_CASE_TEMPLATE("golden: the second stage of DINOISER's training, which is of lengths alone", Device,
                   tests::Device<float>, tests::Device<double>) {
    for (auto const& entry : golden::cases("dinoiser_length_loss")) golden::dinoiser::check_length_loss<Device>(entry);
}

TEST_CASE_TEMPLATE("golden: which times DINOISER's training draws, by a table, a scheduler and the number of updates",
                   Device, tests::Device<float>, tests::Device<double>) {
    for (auto const& entry : golden::cases("dinoiser_time_samplers"))
        golden::dinoiser::check_time_samplers<Device>(entry);
}

TEST_CASE_TEMPLATE("golden: DINOISER's decoding, from noise to the chosen candidate", Device, tests::Device<float>,
                   tests::Device<double>) {
    for (auto const& entry : golden::cases("dinoiser_sampling")) golden::dinoiser::check_sampling<Device>(entry);
}
