#include "difformer_golden.hpp"

#include <inkling/backend/cpu.hpp>

#include <doctest/doctest.h>

using inkling::backend::Cpu;

TEST_CASE_TEMPLATE("golden: Difformer's encoder, decoder, read-out and length head", Device, Cpu<float>, Cpu<double>) {
    for (auto const& entry : golden::cases("difformer_forward")) golden::difformer::check_forward<Device>(entry);
}

TEST_CASE_TEMPLATE("golden: Difformer's training step and every gradient of it", Device, Cpu<float>, Cpu<double>) {
    for (auto const& entry : golden::cases("difformer_loss")) golden::difformer::check_loss<Device>(entry);
}

TEST_CASE_TEMPLATE("golden: Difformer's decoding, from noise to the chosen candidate", Device, Cpu<float>,
                   Cpu<double>) {
    for (auto const& entry : golden::cases("difformer_sampling")) golden::difformer::check_sampling<Device>(entry);
}
