#include <inkling/io/safetensors.hpp>

#include "golden.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include "io/temporary_folder.hpp"

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

using namespace inkling;

TEST_CASE("golden: files of the reference writer are read, and written again they hold the same") {
    TemporaryFolder const folder;
    auto const copy = folder / "copy.safetensors";
    std::set<std::string> seen;
    golden::Row row("every .safetensors file", "arrays and metadata after writing", 0.0);
    auto const index = golden::json("index.json");
    for (auto const& entry : index.at("cases"))
        for (char const* const key : {"file", "weights"}) {
            std::string const name = entry.value(key, "");
            if (!name.ends_with(".safetensors") || !seen.insert(name).second) continue;
            auto const original = golden::tensors(name);
            std::vector<io::TensorToWrite> tensors;
            for (auto const& tensor : original.tensors())
                tensors.push_back({tensor.name(), tensor.type(), tensor.shape(), tensor.bytes()});
            io::write_safetensors(copy, tensors, original.metadata());
            auto const again = io::Safetensors::open(copy);
            row.add_exact(name + " metadata", again.metadata() == original.metadata());
            row.add_exact(name + " count", again.tensors().size() == original.tensors().size());
            for (auto const& tensor : original.tensors()) {
                auto const& other = again.at(tensor.name());
                row.add_exact(name + " " + tensor.name(),
                              other.type() == tensor.type() && other.shape() == tensor.shape()
                                  && std::ranges::equal(other.bytes(), tensor.bytes()));
            }
        }
}
