#include "diffuseq_golden.hpp"
#include "device.hpp"

#include <doctest/doctest.h>

TEST_CASE_TEMPLATE("golden: DiffuSeq's encoder, read-out and distances to the embeddings", Device, tests::Device<float>,
                   tests::Device<double>) {
    for (auto const& entry : golden::cases("diffuseq_forward")) golden::diffuseq::check_forward<Device>(entry);
}

TEST_CASE_TEMPLATE("golden: DiffuSeq's training step and every gradient of it", Device, tests::Device<float>,
                   tests::Device<double>) {
    for (auto const& entry : golden::cases("diffuseq_loss")) golden::diffuseq::check_loss<Device>(entry);
}

TEST_CASE_TEMPLATE(
    "golden: Bridge's training step, with every penalty on the distance of two estimates, and every gradient", Device,
    tests::Device<float>, tests::Device<double>) {
    for (auto const& entry : golden::cases("bridgegap_loss")) golden::diffuseq::check_loss<Device>(entry);
}

TEST_CASE("golden: the window of noise in which Bridge looks for a second level") {
    for (auto const& entry : golden::cases("bridgegap_noise_map")) golden::diffuseq::check_noise_map(entry);
}

TEST_CASE_TEMPLATE("golden: DiffuSeq's and Bridge's decoding, from noise to tokens, beside a source that stays clean",
                   Device, tests::Device<float>, tests::Device<double>) {
    for (auto const& entry : golden::cases("diffuseq_sampling")) golden::diffuseq::check_sampling<Device>(entry);
}

TEST_CASE_TEMPLATE("golden: DiffuSeq's nearest embeddings, and steps beside a source that stays clean", Device,
                   tests::Device<float>, tests::Device<double>) {
    for (auto const& entry : golden::cases("diffuseq_steps")) golden::diffuseq::check_steps<Device>(entry);
}
