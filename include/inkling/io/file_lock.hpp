#pragma once

#include <inkling/core/error.hpp>
#include <inkling/io/detail/posix.hpp>

#include <cerrno>
#include <filesystem>
#include <string>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace inkling::io {

/// Keeps a file's name to one user at a time, of all programs of the machine: for as long as the object lives.
///
/// What is locked is a file of its own, the name with ".lock" behind it, which is removed in the end. The system gives
/// the lock back however a program ends; the empty file may then stay, and locks nobody out. On a file system without
/// locks everybody has one. POSIX only.
class FileLock {
public:
    /// @throws Error when somebody else has the name, or the lock's file cannot be made
    explicit FileLock(std::filesystem::path const& path) : path_(path) {
        path_ += ".lock";
        for (;;) {
            file_ = detail::FileDescriptor(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666));
            require(file_.is_open(), "inkling::io::FileLock: file '", path_.string(),
                    "' cannot be made: ", detail::last_error());
            require(::flock(file_.get(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK,
                    "inkling::io::FileLock: file '", path.string(), "' is in use by another run");
            struct ::stat own {
            }, there{};  // whoever had it may have removed it since it was opened
            if (::fstat(file_.get(), &own) == 0 && ::stat(path_.c_str(), &there) == 0 && own.st_dev == there.st_dev
                && own.st_ino == there.st_ino)
                return;
        }
    }
    FileLock(FileLock const&) = delete;
    FileLock& operator=(FileLock const&) = delete;
    ~FileLock() { (void)::unlink(path_.c_str()); }

private:
    std::filesystem::path path_;
    detail::FileDescriptor file_;
};

}  // namespace inkling::io
