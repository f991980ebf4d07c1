#pragma once

#include <inkling/backend/cpu/detail/subnormals.hpp>
#include <inkling/backend/host_buffer.hpp>
#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace inkling::backend {

/// How products multiply floats, in generating and in training. Sums are single precision, and so are attention, what a
/// read-out says of tokens, and whatever is kept: weights, activations, slopes.
enum class CpuPrecision {
    single,  ///< 24 bits of a factor count
    bf16,  ///< 8 bits: packed weights take half the memory, products half the time with AVX512-BF16, far less with AMX
};

/// The CPU, through Eigen and our own products; Real is float or double (double for gradient checks).
///
/// A device is one worker's handle: it owns the scratch memory of its verbs, so one device serves one caller at a
/// time. Copies share nothing. Results do not depend on `threads`.
template <class Real = float>
class Cpu {
public:
    using Scalar = Real;
    template <class T>
    using Buffer = HostBuffer<T>;

    /// Settings of a device.
    struct Options {
        int threads = 0;                                ///< 1 to most_threads; 0 takes as many as OpenMP offers
        CpuPrecision precision = CpuPrecision::single;  ///< of products of floats; doubles are doubles

        /// Names what numbers depend on, for the checks of checkpoints.
        template <class Visit>
        friend void describe(Options const& options, Visit const& visit) {
            visit("precision", options.precision, {"single", "bf16"});
        }
    };
    /// Rows that one thread cleans fastest at once: of 512 the hidden numbers of a feed-forward part, 1 MB at a width
    /// of 512, lie in a processor's second cache.
    static constexpr Index most_thread_rows = 512;
    /// With fewer a thread reads the weights for as long as it uses them, and threads had better share each verb.
    static constexpr Index least_thread_rows = 64;
    static constexpr int most_threads = 1024;  ///< OpenMP ends the program where the system has no room for more

    Cpu() : Cpu(Options{}) {}
    /// @throws Error when there are to be fewer than 0 or more than most_threads threads
    explicit Cpu(Options options) : options_(options) {
        require(options.threads >= 0, "inkling::backend::Cpu: threads is ", options.threads, ", expected 0 or more");
        require(options.threads <= most_threads, "inkling::backend::Cpu: threads is ", options.threads,
                ", expected at most ", most_threads);
#ifdef _OPENMP
        if (options_.threads == 0) options_.threads = std::min(omp_get_max_threads(), most_threads);
#else
        options_.threads = 1;
#endif
        scratch_.resize(static_cast<std::size_t>(options_.threads));
    }
    Cpu(Cpu const& other) : Cpu(other.options_) {}
    Cpu& operator=(Cpu const& other) { return *this = Cpu(other); }
    Cpu(Cpu&&) = default;
    Cpu& operator=(Cpu&&) = default;

    [[nodiscard]] Options const& options() const { return options_; }
    [[nodiscard]] int threads() const { return options_.threads; }
    /// Options of a device that does the same with one thread.
    [[nodiscard]] Options one_thread() const {
        Options one = options_;
        one.threads = 1;
        return one;
    }

    /// Gives every thread scratch of at least `size` elements; ask before the threads start, as they cannot throw.
    void reserve_scratch(Index size) {
        for (HostBuffer<Real>& buffer : scratch_) grow(buffer, size);
    }
    /// Memory that thread `thread` of a verb may write, of the size asked for last; lost when a verb asks for more.
    [[nodiscard]] Real* scratch(int thread) { return scratch_[static_cast<std::size_t>(thread)].data(); }
    /// Memory that all threads of a verb share; ask before they start.
    [[nodiscard]] Real* shared_scratch(Index size) { return grow(shared_scratch_, size); }
    /// The same for a verb that calls product, which takes shared_scratch for itself.
    [[nodiscard]] Real* outer_scratch(Index size) { return grow(outer_scratch_, size); }
    /// The same for sums kept in double.
    [[nodiscard]] double* sums(Index size) { return grow(sums_, size); }

    /// Runs body(begin, end, thread) over [0, count) in pieces of `block`; the pieces do not depend on the threads.
    template <class Body>
    void parallel(Index count, Index block, Body const& body) const {
        if (count == 0) return;
        Index const blocks = (count + block - 1) / block;
#ifdef _OPENMP
        if (threads() > 1 && blocks > 1) {
#pragma omp parallel num_threads(threads())
            {
                detail::SubnormalsAreZero const quick;
#pragma omp for schedule(dynamic) nowait
                for (Index index = 0; index < blocks; ++index)
                    body(index * block, std::min(count, (index + 1) * block), omp_get_thread_num());
            }
            return;
        }
#endif
        detail::SubnormalsAreZero const quick;
        for (Index index = 0; index < blocks; ++index) body(index * block, std::min(count, (index + 1) * block), 0);
    }

private:
    template <class T>
    static T* grow(HostBuffer<T>& buffer, Index size) {
        if (buffer.size() < size) buffer = HostBuffer<T>(std::max(size, 2 * buffer.size()));
        return buffer.data();
    }

    Options options_;
    std::vector<HostBuffer<Real>> scratch_;
    HostBuffer<Real> shared_scratch_;
    HostBuffer<Real> outer_scratch_;
    HostBuffer<double> sums_;
};

/// Copies host values to the device's memory.
template <class Real, class T>
void upload(Cpu<Real>&, std::span<T const> source, T* destination) {
    if (!source.empty()) std::memcpy(destination, source.data(), source.size_bytes());
}

/// Copies values of the device's memory to the host, and waits for them.
template <class Real, class T>
void download(Cpu<Real>&, T const* source, std::span<T> destination) {
    if (!destination.empty()) std::memcpy(destination.data(), source, destination.size_bytes());
}

/// Copies within the device's memory; the two do not overlap.
template <class Real, class T>
void copy(Cpu<Real>&, T const* source, T* destination, Index count) {
    if (count > 0) std::memcpy(destination, source, static_cast<std::size_t>(count) * sizeof(T));
}

/// Sets elements to zero.
template <class Real, class T>
void clear(Cpu<Real>&, T* destination, Index count) {
    if (count > 0) std::memset(destination, 0, static_cast<std::size_t>(count) * sizeof(T));
}

}  // namespace inkling::backend
