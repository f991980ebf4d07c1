#pragma once

#include <inkling/core/error.hpp>
#include <inkling/io/detail/posix.hpp>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace inkling::io {

/// Keeps a file to one user at a time, of all programs that ask in this way: for as long as the object lives.
///
/// What is locked is a file of its own, the name with ".lock" behind it (of a symbolic link, that of what it points
/// to), which is removed in the end. The system gives the lock back however a program ends, once its children have as
/// well; the empty file may then stay, and locks nobody out. On a file system without locks everybody has one. POSIX
/// only.
class FileLock {
public:
    /// @throws Error when somebody else has the file, or the lock cannot be made
    explicit FileLock(std::filesystem::path const& path) : owner_(::getpid()) {
        std::error_code problem;
        auto const target = detail::followed(path, "inkling::io::FileLock");
        path_ = std::filesystem::weakly_canonical(std::filesystem::absolute(target), problem);
        require(!problem, "inkling::io::FileLock: file '", path.string(), "': ", problem.message());
        path_ += ".lock";
        for (int attempt = 0; attempt < 100; ++attempt) {  // whoever had the lock may remove its file under our hands
            file_ = detail::FileDescriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666));
            require(file_.is_open(), "inkling::io::FileLock: file '", path_.string(),
                    "' cannot be made: ", detail::last_error());
            int const reason = ::flock(file_.get(), LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
            require(reason != EWOULDBLOCK, "inkling::io::FileLock: file '", path.string(),
                    "' is in use by another run");
            require(reason == 0 || reason == ENOLCK || reason == EOPNOTSUPP, "inkling::io::FileLock: file '",
                    path_.string(), "' cannot be locked: ", std::generic_category().message(reason));
            if (is_in_place()) return;
        }
        fail("inkling::io::FileLock: file '", path_.string(), "' is another one each time it is opened");
    }
    FileLock(FileLock const&) = delete;
    FileLock& operator=(FileLock const&) = delete;
    ~FileLock() {
        if (::getpid() == owner_ && is_in_place()) (void)::unlink(path_.c_str());  // a forked child leaves it
    }

private:
    /// Whether the name is still that of the file that is open.
    [[nodiscard]] bool is_in_place() const noexcept {
        struct ::stat own {};
        struct ::stat there {};
        return ::fstat(file_.get(), &own) == 0 && ::stat(path_.c_str(), &there) == 0 && own.st_dev == there.st_dev
            && own.st_ino == there.st_ino;
    }

    std::filesystem::path path_;
    ::pid_t owner_;
    detail::FileDescriptor file_;
};

}  // namespace inkling::io
