#pragma once

#include <cstddef>

#include <sys/ioctl.h>
#include <unistd.h>

namespace support {

/// Whether a person looks at this file descriptor.
inline bool is_terminal(int descriptor) { return isatty(descriptor) == 1; }

/// Characters in a line of the terminal; 79 where there is none.
inline std::size_t columns(int descriptor) {
    winsize size{};
    return ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - std::size_t{1} : 79;
}

}  // namespace support
