#include "difformer_golden.hpp"
#include "device.hpp"

#include <doctest/doctest.h>

TEST_CASE_TEMPLATE("golden: Difformer's encoder, decoder, read-out and length head", Device, tests::Device<float>,
                   tests::Device<double>) {
    for (auto const& entry : golden::cases("difformer_forward")) golden::difformer::check_forward<Device>(entry);
}

TEST_CASE_TEMPLATE("golden: Difformer's training step and every gradient of it", Device, tests::Device<float>,
                   tests::Device<double>) {
    for (auto const& entry : golden::cases("difformer_loss")) golden::difformer::check_loss<Device>(entry);
}

TEST_CASE_TEMPLATE("golden: Difformer's decoding, from noise to the chosen candidate", Device, tests::Device<float>,
                   tests::Device<double>) {
    for (auto const& entry : golden::cases("difformer_sampling")) golden::difformer::check_sampling<Device>(entry);
}
