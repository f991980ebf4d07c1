#pragma once

#include <inkling/core/index.hpp>

#include <string>

namespace inkling::train {

/// The weights of one moment in a run, kept in a file of their own because they scored well.
struct Snapshot {
    Index step = 0;      ///< updates done then
    double score = 0.0;  ///< of the validation
    std::string file{};  ///< its name, without a folder: it lies beside the checkpoint
};

}  // namespace inkling::train
