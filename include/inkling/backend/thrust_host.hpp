#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/backend/host_buffer.hpp>
#include <inkling/backend/thrust/attention.hpp>
#include <inkling/backend/thrust/device.hpp>
#include <inkling/backend/thrust/elementwise.hpp>
#include <inkling/backend/thrust/embedding.hpp>
#include <inkling/backend/thrust/normalization.hpp>
#include <inkling/backend/thrust/optimizer.hpp>
#include <inkling/backend/thrust/product.hpp>
#include <inkling/backend/thrust/random.hpp>
#include <inkling/backend/thrust/readout.hpp>
#include <inkling/backend/thrust/reduction.hpp>
#include <inkling/backend/thrust/residual.hpp>
#include <inkling/core/error.hpp>

#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/system/cpp/execution_policy.h>

#ifdef _OPENMP
#include <omp.h>
#include <thrust/system/omp/execution_policy.h>
#endif

#include <cstddef>
#include <cstring>

namespace inkling {

namespace backend {

/// The memory of systems that run on the host's processor.
class ThrustHostMemory {
public:
    template <class T>
    using Buffer = HostBuffer<T>;
    static constexpr bool fine = false;

    static void upload(void const* source, void* destination, std::size_t bytes) { copy(source, destination, bytes); }
    static void download(void const* source, void* destination, std::size_t bytes) { copy(source, destination, bytes); }
    static void copy(void const* source, void* destination, std::size_t bytes) {
        std::memcpy(destination, source, bytes);
    }
    static void clear(void* destination, std::size_t bytes) { std::memset(destination, 0, bytes); }
};

/// The host's processor, one thread, by Thrust's CPP system.
class ThrustCpp : public ThrustHostMemory {
public:
    /// Settings of a device.
    struct Options {
        int threads = 0;  ///< threads of one verb: 0 or 1, which are the same
    };
    /// @throws Error when there are to be other threads than one
    explicit ThrustCpp(Options const& options) : options_(options) {
        require(options.threads == 0 || options.threads == 1, "inkling::backend::ThrustCpp: threads is ",
                options.threads, ", expected 0 or 1, as this system runs on one");
        options_.threads = 1;
    }
    [[nodiscard]] Options const& options() const { return options_; }

    template <class Body>
    void for_each(Index count, Body const& body) const {
        ::thrust::for_each_n(::thrust::cpp::par, ::thrust::counting_iterator<Index>(0), count, body);
    }

private:
    Options options_;
};
static_assert(ThrustSystem<ThrustCpp>);

#ifdef _OPENMP
/// The host's processor, many threads, by Thrust's OMP system. Needs a compiler that is told to use OpenMP.
class ThrustOmp : public ThrustHostMemory {
public:
    /// Settings of a device.
    struct Options {
        int threads = 0;  ///< threads of one verb, 1 to most_threads; 0 takes as many as OpenMP offers
    };
    static constexpr int most_threads = 1024;  ///< OpenMP ends the program where the system has no room for more

    /// @throws Error when there are to be fewer than 0 or more than most_threads threads
    explicit ThrustOmp(Options const& options) : options_(options) {
        require(options.threads >= 0, "inkling::backend::ThrustOmp: threads is ", options.threads,
                ", expected 0 or more");
        require(options.threads <= most_threads, "inkling::backend::ThrustOmp: threads is ", options.threads,
                ", expected at most ", most_threads);
        if (options_.threads == 0) options_.threads = std::min(omp_get_max_threads(), most_threads);
    }
    [[nodiscard]] Options const& options() const { return options_; }

    template <class Body>
    void for_each(Index count, Body const& body) const {
        ::thrust::counting_iterator<Index> const first(0);
        if (options_.threads == 1 || count <= 1) {
            ::thrust::for_each_n(::thrust::cpp::par, first, count, body);
            return;
        }
        Threads const threads(options_.threads);
        ::thrust::for_each_n(::thrust::omp::par, first, count, body);
    }

private:
    /// Thrust takes as many threads as OpenMP would: for the calling thread, and as long as this lives, so many.
    class Threads {
    public:
        explicit Threads(int count) : before_(omp_get_max_threads()) { omp_set_num_threads(count); }
        Threads(Threads const&) = delete;
        Threads& operator=(Threads const&) = delete;
        ~Threads() { omp_set_num_threads(before_); }

    private:
        int before_;
    };

    Options options_;
};
static_assert(ThrustSystem<ThrustOmp>);
#endif

/// The host's processor through Thrust: the code that CUDA devices run, where there is none. System is ThrustCpp or
/// ThrustOmp.
template <class Real = float, ThrustSystem System = ThrustCpp>
using ThrustHost = ThrustDevice<Real, System>;

}  // namespace backend

static_assert(Backend<backend::ThrustHost<float>>);
static_assert(Backend<backend::ThrustHost<double>>);

}  // namespace inkling
