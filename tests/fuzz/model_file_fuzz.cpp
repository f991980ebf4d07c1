#include "parsers.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    (void)parsers::model_file(std::as_bytes(std::span(data, size)));
    return 0;
}
