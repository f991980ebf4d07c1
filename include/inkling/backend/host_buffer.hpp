#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>

#include <cstddef>
#include <limits>
#include <new>
#include <type_traits>
#include <utility>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace inkling::backend {

/// Owns elements in the host's memory, aligned for any vector instruction, in huge pages where there are many of them
/// and the system has such; movable, not copyable.
template <class T>
class HostBuffer {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    HostBuffer() = default;
    /// Elements are not initialised. @throws Error when the memory cannot be had; the message names the size.
    explicit HostBuffer(Index size) : size_(size) {
        require(size >= 0 && size <= std::numeric_limits<Index>::max() / Index{sizeof(T)},
                "inkling::backend::HostBuffer: ", size, " elements asked for, expected a count that memory can hold");
        if (size == 0) return;
        data_ = static_cast<T*>(::operator new(bytes(), alignment(), std::nothrow));
        require(data_ != nullptr, "inkling::backend::HostBuffer: out of memory, ", bytes(), " bytes asked for");
#ifdef MADV_HUGEPAGE  // a wish: where it is not granted, pages are small
        if (is_large()) ::madvise(data_, bytes() / huge_page * huge_page, MADV_HUGEPAGE);
#endif
    }
    HostBuffer(HostBuffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    HostBuffer& operator=(HostBuffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~HostBuffer() { ::operator delete(data_, alignment()); }

    [[nodiscard]] T* data() { return data_; }
    [[nodiscard]] T const* data() const { return data_; }
    [[nodiscard]] Index size() const { return size_; }

private:
    static constexpr std::size_t huge_page = std::size_t{2} << 20;

    [[nodiscard]] bool is_large() const { return bytes() >= 2 * huge_page; }
    [[nodiscard]] std::align_val_t alignment() const { return std::align_val_t{is_large() ? huge_page : 64}; }
    [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }

    T* data_ = nullptr;
    Index size_ = 0;
};

}  // namespace inkling::backend
