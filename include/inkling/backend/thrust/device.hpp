#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

namespace inkling::backend {

/// Where Thrust runs, and in whose memory: a policy of ThrustDevice. Models: ThrustCpp, ThrustOmp, CudaSystem.
///
/// `for_each(count, body)` calls body(0) .. body(count - 1), in any order and side by side, and may return before they
/// are done; later calls come after them. A system of one device among several has `make_current()` besides, which has
/// the calling thread's memory and launches be that device's. One that records (RecordsWork) has `records()`,
/// `record(work)` and `replay(recording)`.
template <class S>
concept ThrustSystem =
    std::movable<S>
    && requires { typename S::Options; }                        // has 'Options', settings of a device
    && std::default_initializable<typename S::Options>          // ... which have defaults
    && std::constructible_from<S, typename S::Options const&>   // ... and make a system
    && requires { typename S::template Buffer<std::byte>; }     // has 'Buffer<T>', which owns memory
    && requires(S const& system) { { system.options() } -> std::same_as<typename S::Options const&>; }
    && requires { { S::fine } -> std::convertible_to<bool>; }   // whether a call a number is best, or a call a row
    && requires(S& system, void (*body)(Index)) { system.for_each(Index{}, body); }
    && requires(S& system, void const* from, void* to) { system.upload(from, to, std::size_t{}); }
    && requires(S& system, void const* from, void* to) { system.download(from, to, std::size_t{}); }
    && requires(S& system, void const* from, void* to) { system.copy(from, to, std::size_t{}); }
    && requires(S& system, void* to) { system.clear(to, std::size_t{}); };

/// Verbs by Thrust; Real is float or double (double for gradient checks). Used by the names ThrustHost and Cuda.
///
/// A device is one worker's handle: it owns the scratch memory of its verbs, so one device serves one caller at a
/// time. Copies share nothing. Results do not depend on the number of threads.
template <class Real, ThrustSystem OwnSystem>
class ThrustDevice {
public:
    using Scalar = Real;
    using System = OwnSystem;
    using Options = typename System::Options;
    template <class T>
    using Buffer = typename System::template Buffer<T>;

    ThrustDevice() : ThrustDevice(Options{}) {}
    /// @throws Error when the system cannot be had with such options
    explicit ThrustDevice(Options const& options) : system_(options) {}
    ThrustDevice(ThrustDevice const& other) : ThrustDevice(other.options()) {}
    ThrustDevice& operator=(ThrustDevice const& other) { return *this = ThrustDevice(other); }
    ThrustDevice(ThrustDevice&&) = default;
    ThrustDevice& operator=(ThrustDevice&&) = default;

    [[nodiscard]] Options const& options() const { return system_.options(); }
    [[nodiscard]] System& system() { return system_; }
    /// Has the calling thread's memory and launches be this device's, as making it did for the thread that made it.
    void make_current()
        requires HasCurrentDevice<System>
    {
        system_.make_current();
    }

    /// Memory of a verb; lost when a verb asks for more.
    [[nodiscard]] Real* scratch(Index size) { return grow(scratch_, size); }
    /// The same for other values than numbers; lost with the next scratch of any kind.
    template <class T>
    [[nodiscard]] T* scratch_of(Index count) {
        static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= alignof(std::max_align_t));
        Index const size = (count * Index{sizeof(T)} + Index{sizeof(Real)} - 1) / Index{sizeof(Real)};
        return reinterpret_cast<T*>(scratch(size));
    }
    /// The same for a verb that calls verbs, which take scratch for themselves.
    [[nodiscard]] Real* outer_scratch(Index size) { return grow(outer_scratch_, size); }
    /// The same for sums kept in double.
    [[nodiscard]] double* sums(Index size) { return grow(sums_, size); }

private:
    template <class T>
    T* grow(Buffer<T>& buffer, Index size) {
        if (buffer.size() >= size) return buffer.data();
        backend::make_current(system_);
        buffer = Buffer<T>(std::max(size, 2 * buffer.size()));
        return buffer.data();
    }

    System system_;
    Buffer<Real> scratch_;
    Buffer<Real> outer_scratch_;
    Buffer<double> sums_;
};

/// A ThrustDevice itself. Verbs that stand for several are for these alone: a backend derived from one may have replaced
/// one of the several.
template <class D>
concept OwnThrustDevice = std::same_as<D, ThrustDevice<typename D::Scalar, typename D::System>>;

/// A system that records what its calls are told.
template <class S>
concept RecordingSystem = ThrustSystem<S>
    && requires(S const& system) { { system.records() } -> std::same_as<bool>; }              // has 'records()'
    && requires(S& system, void (*work)()) { system.replay(system.record(work)); };           // ... 'record', 'replay'

/// Whether what is repeated is to be recorded, as the device's options say.
template <OwnThrustDevice Device>
    requires RecordingSystem<typename Device::System>
[[nodiscard]] bool records(Device& device) {
    return device.system().records();
}
/// What work() tells the device, which does none of it. @throws Error when something of it cannot be recorded
template <OwnThrustDevice Device, class Work>
    requires RecordingSystem<typename Device::System>
[[nodiscard]] auto record(Device& device, Work const& work) {
    return device.system().record(work);
}
/// Does what was recorded, as long as the memory that it is about is there.
template <OwnThrustDevice Device, class Recording>
    requires RecordingSystem<typename Device::System>
void replay(Device& device, Recording const& recording) {
    device.system().replay(recording);
}

/// Copies host values to the device's memory.
template <class Real, class System, class T>
void upload(ThrustDevice<Real, System>& device, std::span<T const> source, T* destination) {
    if (!source.empty()) device.system().upload(source.data(), destination, source.size_bytes());
}

/// Copies values of the device's memory to the host, and waits for them.
template <class Real, class System, class T>
void download(ThrustDevice<Real, System>& device, T const* source, std::span<T> destination) {
    if (!destination.empty()) device.system().download(source, destination.data(), destination.size_bytes());
}

/// Copies within the device's memory; the two do not overlap.
template <class Real, class System, class T>
void copy(ThrustDevice<Real, System>& device, T const* source, T* destination, Index count) {
    if (count > 0) device.system().copy(source, destination, static_cast<std::size_t>(count) * sizeof(T));
}

/// Sets elements to zero.
template <class Real, class System, class T>
void clear(ThrustDevice<Real, System>& device, T* destination, Index count) {
    if (count > 0) device.system().clear(destination, static_cast<std::size_t>(count) * sizeof(T));
}

}  // namespace inkling::backend
