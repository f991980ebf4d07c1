#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/io/detail/posix.hpp>
#include <inkling/text/utf8.hpp>

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <ios>
#include <istream>
#include <memory>
#include <span>
#include <streambuf>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace inkling::io {

/// Settings of a LineReader.
struct LineOptions {
    std::size_t longest_line = std::size_t{1} << 20;  ///< bytes a line may have, its end not counted
    bool check_utf8 = true;                           ///< refuse lines that are no well-formed UTF-8
};

/// Reads text line by line in bounded memory, from a file or a stream, plain or compressed with gzip.
///
/// Lines end with "\n" or "\r\n"; the last one needs no end. What is compressed is told by its first bytes, not by its
/// name; several gzip members in a row are read as one text. A byte order mark at the very start is dropped. From a
/// terminal or a pipe each line is handed out as soon as it is there. A model of LineSource.
///
///     io::LineReader lines("train.de.gz");
///     for (std::string line; lines.next(line);) …
class LineReader {
public:
    /// @throws Error when the file cannot be opened
    explicit LineReader(std::filesystem::path const& path, LineOptions options = {})
        : name_("file '" + path.string() + "'"), options_(options), file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
        if (!file_.is_open()) fail("inkling::io::LineReader: ", name_, ": cannot be opened: ", detail::last_error());
    }

    /// @param stream  read as far as it is needed; must outlive the reader
    /// @param name    what messages call it: "standard input", say
    explicit LineReader(std::istream& stream, std::string name, LineOptions options = {})
        : name_(std::move(name)), options_(options), stream_(&stream) {}

    /// Overwrites `line` with the next line, without its end.
    /// @return false when there are no more
    /// @throws Error, naming the line, when it is too long or no UTF-8, and when the input cannot be read or is
    ///         gzip that is damaged or ends too early; no line is handed out then, and calling again throws again
    [[nodiscard]] bool next(std::string& line) {
        line.clear();
        if (broken_) fail_("nothing can be read after a failure");
        broken_ = true;  // until this call has gone well
        bool const found = next_(line);
        broken_ = false;
        return found;
    }

    /// @return the number of the line handed out last, counted from 1; 0 before the first
    [[nodiscard]] Index line_number() const noexcept { return number_; }

    /// @return what messages call the input
    [[nodiscard]] std::string const& name() const noexcept { return name_; }

private:
    static constexpr std::size_t block = std::size_t{1} << 16;

    struct InflateEnd {
        void operator()(z_stream* stream) const {
            inflateEnd(stream);
            delete stream;
        }
    };

    template <class... Parts>
    [[noreturn]] void fail_(Parts const&... parts) const {
        fail("inkling::io::LineReader: ", name_, ": ", parts...);
    }

    bool next_(std::string& line) {
        for (;;) {
            auto const end = text_.find('\n');
            auto const part = text_.substr(0, end);
            line.append(part);
            if (line.size() > options_.longest_line && line.size() - options_.longest_line > 1)  // one may be a "\r"
                fail_("line ", number_ + 1, " has more than ", options_.longest_line, " bytes");
            if (end != std::string_view::npos) {
                text_.remove_prefix(end + 1);
                break;
            }
            text_ = {};
            if (!fill_()) {
                if (line.empty()) return false;
                break;
            }
        }
        if (line.ends_with('\r')) line.pop_back();
        if (number_ == 0 && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
        if (line.size() > options_.longest_line)
            fail_("line ", number_ + 1, " has more than ", options_.longest_line, " bytes");
        if (options_.check_utf8) {
            auto const valid = text::valid_utf8_prefix(line);
            if (valid != line.size()) fail_("line ", number_ + 1, ": byte ", valid + 1, " is not valid UTF-8");
        }
        ++number_;
        return true;
    }

    /// Makes text_ the next piece of plain text; false at the end of the input.
    bool fill_() {
        if (!started_) start_();
        if (!inflating_) {
            if (raw_.empty() && !read_()) return false;
            text_ = std::exchange(raw_, {});
            return true;
        }
        z_stream& z = *inflating_;
        for (;;) {
            if (raw_.empty() && !read_()) {
                if (within_member_) fail_("the gzip data ends too early, after line ", number_);
                return false;
            }
            if (!within_member_) {
                raw_.remove_prefix(
                    std::min(raw_.find_first_not_of('\0'), raw_.size()));  // gzip allows zeros as filling
                if (raw_.empty()) continue;
                if (raw_.front() != '\x1f')
                    fail_("something that is no gzip data follows the gzip data, after line ", number_);
                inflateReset(&z);
                within_member_ = true;
            }
            plain_.resize(block);
            z.next_in = const_cast<Bytef*>(reinterpret_cast<Bytef const*>(raw_.data()));  // zlib does not write to it
            z.avail_in = static_cast<uInt>(raw_.size());
            z.next_out = reinterpret_cast<Bytef*>(plain_.data());
            z.avail_out = static_cast<uInt>(plain_.size());
            int const result = inflate(&z, Z_NO_FLUSH);
            if (result != Z_OK && result != Z_STREAM_END)
                fail_("the gzip data is damaged after line ", number_, ": ", z.msg != nullptr ? z.msg : zError(result));
            raw_.remove_prefix(raw_.size() - z.avail_in);
            within_member_ = result != Z_STREAM_END;
            text_ = std::string_view(plain_.data(), plain_.size() - z.avail_out);
            if (!text_.empty()) return true;
        }
    }

    /// Looks at the first bytes: 1f 8b is gzip.
    void start_() {
        started_ = true;
        if (!read_() || raw_.front() != '\x1f') return;
        begin_.assign(raw_.begin(), raw_.end());
        if (begin_.size() == 1 && read_()) begin_.insert(begin_.end(), raw_.begin(), raw_.end());
        raw_ = std::string_view(begin_.data(), begin_.size());
        if (begin_.size() < 2 || begin_[1] != '\x8b') return;
        auto stream = std::make_unique<z_stream>();
        int const result = inflateInit2(stream.get(), 16 + MAX_WBITS);
        if (result != Z_OK) fail_("gzip data cannot be read: ", zError(result));
        inflating_.reset(stream.release());
        within_member_ = true;
    }

    /// Makes raw_ the next bytes of the input; false at its end.
    bool read_() {
        buffer_.resize(block);
        std::size_t count = 0;
        if (stream_ != nullptr) {  // no further than the end of a line: somebody may be typing it
            if (stream_->bad() || (stream_->fail() && !stream_->eof())) fail_("cannot be read after line ", number_);
            if (stream_->eof()) return false;
            try {
                count = read_line_(*stream_->rdbuf());
            } catch (std::ios_base::failure const& error) {
                fail_("cannot be read after line ", number_, ": ", error.what());
            }
        } else {
            ::ssize_t got = 0;
            do got = ::read(file_.get(), buffer_.data(), buffer_.size());
            while (got < 0 && errno == EINTR);
            if (got < 0) fail_("cannot be read after line ", number_, ": ", detail::last_error());
            count = static_cast<std::size_t>(got);
        }
        raw_ = std::string_view(buffer_.data(), count);
        return count != 0;
    }

    /// Fills buffer_ up to the end of a line, and tells the stream where it ends.
    std::size_t read_line_(std::streambuf& source) {
        using Traits = std::istream::traits_type;
        std::size_t count = 0;
        while (count < buffer_.size()) {
            auto const next = source.sbumpc();
            if (Traits::eq_int_type(next, Traits::eof())) {
                try {
                    stream_->setstate(std::ios::eofbit);
                } catch (std::ios_base::failure const&) {
                }  // it may be told to throw then; the state is set all the same
                break;
            }
            buffer_[count++] = Traits::to_char_type(next);
            if (buffer_[count - 1] == '\n') break;
        }
        return count;
    }

    std::string name_;
    LineOptions options_;
    detail::FileDescriptor file_;
    std::istream* stream_ = nullptr;
    std::vector<char> buffer_, plain_;  // what was read, and what was inflated
    std::vector<char> begin_;           // the first bytes, when they came in pieces
    std::string_view raw_, text_;       // what is left of them: raw input, and plain text
    std::unique_ptr<z_stream, InflateEnd> inflating_;
    bool started_ = false, within_member_ = false, broken_ = false;
    Index number_ = 0;
};

}  // namespace inkling::io
