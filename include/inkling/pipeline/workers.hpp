#pragma once

#include <inkling/backend/concept.hpp>
#include <inkling/io/named_tensors.hpp>
#include <inkling/nn/packed_weights.hpp>
#include <inkling/nn/parameters.hpp>
#include <inkling/nn/workspace.hpp>
#include <inkling/text/packing.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace inkling::pipeline {

/// Copies values to a device's memory, and waits until any handle of the device may read them.
template <Backend B>
void store(B& device, std::span<typename B::Scalar const> values, typename B::Scalar* memory) {
    if (values.empty()) return;
    upload(device, values, memory);
    backend::synchronize(device, static_cast<typename B::Scalar const*>(memory));
}

/// The same in memory of its own, of the device that such options make.
/// @throws Error when an option is out of range, or naming the size where there is no memory
template <Backend B>
[[nodiscard]] typename B::template Buffer<typename B::Scalar> stored(typename B::Options const& options,
                                                                     std::span<typename B::Scalar const> values) {
    B device(options);  // which the calling thread's memory is of from now on
    typename B::template Buffer<typename B::Scalar> memory(static_cast<Index>(values.size()));
    store(device, values, memory.data());
    return memory;
}

/// @throws Error naming a weight that is not finite
template <class Real>
void require_finite(nn::ParameterLayout const& layout, std::span<Real const> values, std::string_view where) {
    for (auto const& entry : layout.entries())
        io::require_finite(values.subspan(static_cast<std::size_t>(entry.parameter.offset),
                                          static_cast<std::size_t>(entry.parameter.size())),
                           entry.name, where);
}

/// Starting weights: a pure function of the seed.
/// @throws Error when `options` are out of range, there is no memory, or naming a weight that does not start as a
///   finite number
template <Backend B>
[[nodiscard]] typename B::template Buffer<typename B::Scalar> fresh_weights(typename B::Options const& options,
                                                                            nn::ParameterLayout const& layout,
                                                                            std::uint64_t seed) {
    B device(options);  // which the calling thread's memory is of from now on
    typename B::template Buffer<typename B::Scalar> memory(layout.size());
    std::vector<typename B::Scalar> start(static_cast<std::size_t>(layout.size()));
    layout.template initialize<typename B::Scalar>(seed, start);
    require_finite<typename B::Scalar>(layout, start, "inkling::pipeline: starting weights: ");
    store(device, start, memory.data());
    return memory;
}

/// What one caller needs to run a model: a device, its memory, and host buffers, all reused from batch to batch.
template <Backend B>
struct Worker {
    B device;
    nn::Workspace<B> workspace{};
    nn::PackedWeights<B> packed{};
    text::PackedBatch batch{};
    std::vector<Token> places{};
    std::vector<Token> tokens{};          ///< what a step is read out as, for listeners
    std::vector<typename B::Scalar> z{};  ///< the same of its vectors
    std::vector<typename B::Scalar> z0_hat{};
};

/// Workers at rest, so that callers on many threads each have their own and none is made twice. All of one pool have
/// the same device options.
template <Backend B>
class Workers {
public:
    /// Returns the worker to the pool when the caller is done.
    class Loan {
    public:
        Loan(Workers& pool, std::unique_ptr<Worker<B>> worker) : pool_(&pool), worker_(std::move(worker)) {}
        Loan(Loan&&) = default;
        Loan& operator=(Loan&&) = delete;
        ~Loan() {
            if (worker_) pool_->give_back(std::move(worker_));
        }
        [[nodiscard]] Worker<B>& operator*() const { return *worker_; }
        [[nodiscard]] Worker<B>* operator->() const { return worker_.get(); }

    private:
        Workers* pool_;
        std::unique_ptr<Worker<B>> worker_;
    };

    Workers() : shared_(std::make_unique<Shared>()) {}

    /// A worker of the pool, or a new one, whose device is now the calling thread's.
    [[nodiscard]] Loan borrow(typename B::Options const& options) {
        std::lock_guard const lock(shared_->mutex);
        if (shared_->resting.empty()) {
            auto worker = std::make_unique<Worker<B>>(Worker<B>{B(options)});
            shared_->resting.reserve(shared_->made + 1);  // so that giving back takes no memory, and cannot fail
            ++shared_->made;
            return Loan(*this, std::move(worker));
        }
        auto worker = std::move(shared_->resting.back());
        shared_->resting.pop_back();
        backend::make_current(worker->device);
        return Loan(*this, std::move(worker));
    }

private:
    struct Shared {
        std::mutex mutex;
        std::vector<std::unique_ptr<Worker<B>>> resting;
        std::size_t made = 0;
    };

    void give_back(std::unique_ptr<Worker<B>> worker) noexcept {
        std::lock_guard const lock(shared_->mutex);
        shared_->resting.push_back(std::move(worker));
    }

    std::unique_ptr<Shared> shared_;
};

}  // namespace inkling::pipeline
