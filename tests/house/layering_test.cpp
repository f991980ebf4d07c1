#include "source_text.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace {

using house::Header;

/// The rooms from the top floor down: a header includes only its own room and those after it.
constexpr std::array<std::string_view, 17> rooms{
    "recipe",    "pipeline", "train", "decode",   "sampler", "objective", "features", "guidance", "denoiser",
    "embedding", "io",       "nn",    "schedule", "metric",  "text",      "backend",  "core"};

/// Outside of the order: helpers for tests of user code, and the umbrella header.
bool stands_outside(std::string_view room) { return room.empty() || room == "testing"; }

std::size_t floor_of(std::string_view room) {
    return static_cast<std::size_t>(std::find(rooms.begin(), rooms.end(), room) - rooms.begin());
}

constexpr std::string_view own = "inkling/";

/// One line for each include that looks up, out of the house, or at another room's private parts.
std::vector<std::string> wrong_includes(std::vector<Header> const& headers) {
    std::vector<std::string> found;
    for (Header const& header : headers) {
        std::string const room = house::room_of(header.path);
        if (stands_outside(room)) continue;
        for (std::string const& name : house::includes_of(header.text)) {
            if (!name.starts_with(own)) continue;
            std::string const target = name.substr(own.size());
            std::string const target_room = house::room_of(target);
            if (stands_outside(target_room) || floor_of(target_room) < floor_of(room))
                found.push_back(header.path + " includes " + target + ", which is above it");
            else if (target_room != room && target.find("/detail/") != std::string::npos)
                found.push_back(header.path + " includes " + target + ", which is private to " + target_room);
        }
    }
    return found;
}

/// One line for each include of a denoiser or an embedding space by its own name: only recipe/ joins policies, all
/// others work with any.
std::vector<std::string> policy_includes(std::vector<Header> const& headers) {
    std::vector<std::string> found;
    for (Header const& header : headers) {
        std::string const room = house::room_of(header.path);
        if (stands_outside(room) || room == "recipe") continue;
        for (std::string const& name : house::includes_of(header.text)) {
            if (!name.starts_with(own)) continue;
            std::string const target = name.substr(own.size());
            std::string const target_room = house::room_of(target);
            if ((target_room == "denoiser" || target_room == "embedding") && target_room != room
                && target != target_room + "/concept.hpp")
                found.push_back(header.path + " includes " + target + ", and should need only its concept");
        }
    }
    return found;
}

/// One line for each include by which pipeline/ would know a schedule, a sampler, an objective or a learning rate by
/// its own name. trainer_defaults.hpp is there to name some; schedule/discrete.hpp is the table of any schedule,
/// schedule/gaussian.hpp the maths of any level, and objective/levels.hpp what says how levels are drawn.
std::vector<std::string> pipeline_includes(std::vector<Header> const& headers) {
    constexpr std::array<std::string_view, 9> no_policies{"schedule/concept.hpp",
                                                          "schedule/discrete.hpp",
                                                          "schedule/gaussian.hpp",
                                                          "sampler/concept.hpp",
                                                          "sampler/plan.hpp",
                                                          "objective/concept.hpp",
                                                          "objective/diffusion_loss.hpp",
                                                          "objective/next_token_loss.hpp",
                                                          "objective/levels.hpp"};
    constexpr std::array<std::string_view, 4> rates{"train/constant.hpp", "train/cosine.hpp",
                                                    "train/inverse_square_root.hpp", "train/linear.hpp"};
    std::vector<std::string> found;
    for (Header const& header : headers) {
        if (house::room_of(header.path) != "pipeline" || header.path == "pipeline/trainer_defaults.hpp") continue;
        for (std::string const& name : house::includes_of(header.text)) {
            if (!name.starts_with(own)) continue;
            std::string const target = name.substr(own.size());
            std::string const room = house::room_of(target);
            bool const axis = room == "schedule" || room == "sampler" || room == "objective";
            if ((axis && std::find(no_policies.begin(), no_policies.end(), target) == no_policies.end())
                || std::find(rates.begin(), rates.end(), target) != rates.end())
                found.push_back(header.path + " includes " + target + ", and should need only its concept");
        }
    }
    return found;
}

/// One line for each include of a third-party library where only some rooms may know it.
std::vector<std::string> foreign_includes(std::vector<Header> const& headers) {
    std::vector<std::string> found;
    for (Header const& header : headers) {
        std::string const room = house::room_of(header.path);
        for (std::string const& name : house::includes_of(header.text)) {
            bool const computes = name.starts_with("Eigen/") || name.starts_with("thrust/") || name.starts_with("cub/")
                || name.starts_with("cublas") || name.starts_with("cuda") || name == "omp.h";
            bool const standard = name.find_first_of("/.") == std::string::npos || name.starts_with(own);
            if (computes && room != "backend")
                found.push_back(header.path + " includes " + name + ", which only backend/ may know");
            if (!standard && (room == "core" || room == "schedule"))
                found.push_back(header.path + " includes " + name + ", but " + room
                                + "/ has only the standard library");
        }
    }
    return found;
}

/// One line for each word by which one backend knows another's library or headers.
std::vector<std::string> backends_that_mix(std::vector<Header> const& headers) {
    std::vector<std::string> found;
    for (Header const& header : headers) {
        bool const on_thrust = header.path.starts_with("backend/thrust") || header.path.starts_with("backend/cuda");
        bool const on_cpu = header.path.starts_with("backend/cpu");
        for (std::string const& name : house::includes_of(header.text)) {
            if (on_thrust && (name.starts_with("Eigen/") || name.starts_with("inkling/backend/cpu")))
                found.push_back(header.path + " includes " + name + ": Eigen comes into no kernel");
            if (on_cpu && (name.starts_with("thrust/") || name.starts_with("inkling/backend/thrust")))
                found.push_back(header.path + " includes " + name + ": Cpu needs no Thrust");
        }
        std::string const code = house::code_of(header.text);
        if (code.find("THRUST_DEVICE_SYSTEM") != std::string::npos)
            found.push_back(header.path + " has THRUST_DEVICE_SYSTEM: the system is a type");
        bool const calls = header.path == "backend/thrust_host.hpp" || header.path == "backend/cuda/device.hpp";
        if (!calls && code.find("::thrust::") != std::string::npos)
            found.push_back(header.path + " names ::thrust::, and only systems do");
    }
    return found;
}

std::vector<Header> library() { return house::read_headers(INKLING_TESTS_SOURCE_DIR "/include/inkling"); }

}  // namespace

TEST_CASE("every header includes only its own room and the rooms below it") {
    for (std::string const& line : wrong_includes(library())) FAIL_CHECK(line);
}

TEST_CASE("only recipe/ knows denoisers and embedding spaces by name") {
    for (std::string const& line : policy_includes(library())) FAIL_CHECK(line);
}

TEST_CASE("pipeline/ knows no schedule, sampler, objective or learning rate by name, but for a trainer's defaults") {
    for (std::string const& line : pipeline_includes(library())) FAIL_CHECK(line);
}

TEST_CASE("only backend/ knows Eigen, Thrust, CUDA and OpenMP; core/ and schedule/ know only the standard library") {
    for (std::string const& line : foreign_includes(library())) FAIL_CHECK(line);
}

TEST_CASE("Thrust's backends know no Eigen, Cpu knows no Thrust, and nobody asks for Thrust's device system") {
    for (std::string const& line : backends_that_mix(library())) FAIL_CHECK(line);
}

TEST_CASE("every header stands in a room of the house, and is included as <inkling/...>") {
    for (Header const& header : library()) {
        std::string const room = house::room_of(header.path);
        CAPTURE(header.path);
        CHECK((stands_outside(room) || floor_of(room) < rooms.size()));
        CHECK(header.text.find("#include \"") == std::string::npos);
        CHECK(header.text.find("#pragma once") != std::string::npos);
    }
}

TEST_CASE("the layering check sees an upward edge, and lets a downward one pass") {
    std::string const up = "#include <inkling/sampler/ddim.hpp>\n";
    std::string const down = "  #  include <inkling/core/error.hpp> // why\n";
    CHECK(wrong_includes({{"schedule/sqrt.hpp", down}}).empty());
    CHECK(wrong_includes({{"schedule/sqrt.hpp", "#include <inkling/schedule/detail/check.hpp>\n"}}).empty());
    CHECK(wrong_includes({{"schedule/sqrt.hpp", down + up}})
          == std::vector<std::string>{"schedule/sqrt.hpp includes sampler/ddim.hpp, which is above it"});
    CHECK(wrong_includes({{"nn/linear.hpp", "#include <inkling/inkling.hpp>"}}).size() == 1);
    CHECK(wrong_includes({{"nn/linear.hpp", "#include <inkling/backend/detail/arena.hpp>"}}).size() == 1);
    CHECK(policy_includes({{"sampler/ddim.hpp", "#include <inkling/denoiser/empirical.hpp>"}}).size() == 1);
    CHECK(policy_includes({{"sampler/ddim.hpp", "#include <inkling/denoiser/concept.hpp>"}}).empty());
    CHECK(pipeline_includes({{"pipeline/trainer.hpp", "#include <inkling/objective/anchor.hpp>"}}).size() == 1);
    CHECK(pipeline_includes({{"pipeline/trainer.hpp", "#include <inkling/train/cosine.hpp>"}}).size() == 1);
    CHECK(pipeline_includes({{"pipeline/trainer.hpp", "#include <inkling/objective/concept.hpp>"}}).empty());
    CHECK(foreign_includes({{"nn/linear.hpp", "#include <Eigen/Core>"}}).size() == 1);
    CHECK(foreign_includes({{"core/error.hpp", "#include <nlohmann/json.hpp>"}}).size() == 1);
    CHECK(foreign_includes({{"backend/cpu.hpp", "#include <Eigen/Core>"}, {"core/error.hpp", "#include <string>"}})
              .empty());
    CHECK(backends_that_mix({{"backend/thrust/product.hpp", "#include <Eigen/Core>"}}).size() == 1);
    CHECK(backends_that_mix({{"backend/cpu/product.hpp", "#include <thrust/for_each.h>"}}).size() == 1);
    CHECK(backends_that_mix({{"backend/thrust_host.hpp", "#define THRUST_DEVICE_SYSTEM 1\n"}}).size() == 1);
    CHECK(backends_that_mix({{"backend/thrust/product.hpp", "::thrust::tuple<int> x;"}}).size() == 1);
    CHECK(backends_that_mix({{"backend/thrust_host.hpp", "// THRUST_DEVICE_SYSTEM\n::thrust::cpp::par;"}}).empty());
}
