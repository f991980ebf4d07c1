// expect: ThrustSystem
// expect: for_each
// expect: thrust_device_with_a_system_that_is_none.cpp:19:
#include <inkling/backend/host_buffer.hpp>
#include <inkling/backend/thrust/device.hpp>

/// Has all of a system but 'for_each'.
struct Idle {
    struct Options {};
    template <class T>
    using Buffer = inkling::backend::HostBuffer<T>;
    static constexpr bool fine = false;
    explicit Idle(Options const&) {}
    [[nodiscard]] Options const& options() const;
    static void upload(void const*, void*, unsigned long) {}
    static void download(void const*, void*, unsigned long) {}
    static void copy(void const*, void*, unsigned long) {}
};
using Broken = inkling::backend::ThrustDevice<float, Idle>;
