#pragma once

#include <inkling/backend/concept.hpp>

#include <optional>
#include <utility>

namespace inkling::pipeline {

/// What a device is told over and over, always of the same memory: a step of a loop, without what changes from one to
/// the next.
///
/// The first time it runs as it stands, and its verbs find the scratch that they need; where the backend records, the
/// second time is recorded, and replayed from then on.
template <Backend B, class Work>
class Repeated {
public:
    /// @param recordable  whether it may be recorded at all: see backend::RecordsWork
    /// @param work        called as work(); its verbs are those of `device`, which outlives this
    Repeated(B& device, bool recordable, Work work)
        : device_(&device), recordable_(recordable), work_(std::move(work)) {}

    void operator()() {
        if constexpr (backend::RecordsWork<B>) {
            if (has_run_ && recordable_ && records(*device_)) {
                if (!recording_) recording_.emplace(record(*device_, work_));
                replay(*device_, *recording_);
                return;
            }
            has_run_ = true;
        }
        work_();
    }

private:
    struct Nothing {};
    template <class Device>
    struct RecordingOf {
        using Type = Nothing;
    };
    template <backend::RecordsWork Device>
    struct RecordingOf<Device> {
        using Type = decltype(record(std::declval<Device&>(), std::declval<Work const&>()));
    };

    B* device_;
    bool recordable_;
    Work work_;
    bool has_run_ = false;
    std::optional<typename RecordingOf<B>::Type> recording_{};
};

}  // namespace inkling::pipeline
