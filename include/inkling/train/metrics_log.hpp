#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/index.hpp>
#include <inkling/io/atomic_file.hpp>
#include <inkling/train/named_number.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace inkling::train {

/// Settings of MetricsLog.
struct MetricsLogOptions {
    Index resumed_step = 0;              ///< rows up to this step are kept, later ones removed; 0 starts anew
    std::vector<std::string> columns{};  ///< of a CSV file, beside the step; empty: the names of the first row
};

/// A file with the numbers of a run, one row at a time: CSV for a name that ends in .csv, JSON lines for .jsonl and
/// .json.
///
/// Each row is handed to the system whole before `append` returns; a row that cannot be written (a full disk) leaves no
/// part of itself. Numbers are the shortest text that reads back as the same double. NaN and infinities are null in
/// JSON, which has no word for them, and "nan", "inf", "-inf" in CSV.
///
///     step,loss,bleu              {"step":100,"loss":2.5}
///     100,2.5,                    {"step":200,"loss":2.25,"bleu":17.1}
///     200,2.25,17.1
class MetricsLog {
public:
    using Options = MetricsLogOptions;

    /// Opens the file; what is in it of a resumed run stays.
    /// @throws Error when the name has another ending, the file is there and is no such log, or it cannot be written
    explicit MetricsLog(std::filesystem::path path, Options options = {}) : path_(std::move(path)) {
        std::string const ending = path_.extension().string();
        csv_ = ending == ".csv";
        if (!csv_ && ending != ".jsonl" && ending != ".json")
            fail_("the name ends in '", ending, "', expected .csv, .jsonl or .json");
        for (std::string const& name : options.columns) check_name_(name);
        std::error_code problem;
        bool const there = std::filesystem::exists(path_, problem);
        if (there) keep_until_(options.resumed_step);
        if (!options.columns.empty() && csv_) {
            if (columns_.empty())
                columns_ = std::move(options.columns);
            else if (columns_ != options.columns)
                fail_("has the columns ", list_(columns_), ", expected ", list_(options.columns));
        }
        stream_.open(path_, std::ios::binary | std::ios::app);
        if (!stream_) fail_("cannot be opened for writing");
    }

    /// Adds a row.
    /// @throws Error when a name is used twice or is none, a CSV file has no such column, or the row cannot be written
    void append(Index step, std::span<NamedNumber const> numbers) {
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            check_name_(numbers[i].name);
            for (std::size_t j = 0; j < i; ++j)
                if (numbers[i].name == numbers[j].name)
                    fail_("the name '", numbers[i].name, "' is used twice in a row");
        }
        row_.clear();
        if (csv_) {
            bool const first = columns_.empty();
            if (first)
                for (NamedNumber const& number : numbers) columns_.emplace_back(number.name);
            for (NamedNumber const& number : numbers)
                if (std::find(columns_.begin(), columns_.end(), number.name) == columns_.end())
                    fail_("has no column '", number.name, "', its columns are ", list_(columns_));
            if (!header_written_) {
                row_ = "step";
                for (std::string const& name : columns_) row_ += "," + name;
                row_ += '\n';
            }
            row_ += std::to_string(step);
            for (std::string const& name : columns_) {
                row_ += ',';
                for (NamedNumber const& number : numbers)
                    if (number.name == name) row_ += text_(number.value);
            }
            row_ += '\n';
        } else {
            row_ = "{\"step\":" + std::to_string(step);
            for (NamedNumber const& number : numbers) {
                row_ += ",\"";
                row_ += number.name;
                row_ += "\":" + (std::isfinite(number.value) ? text_(number.value) : std::string("null"));
            }
            row_ += "}\n";
        }
        write_row_();
        header_written_ = true;
    }

private:
    /// The step of a complete line of ours, or nothing.
    [[nodiscard]] std::optional<Index> step_of_(std::string_view line) const {
        constexpr std::string_view opening = "{\"step\":";
        if (!csv_) {
            if (!line.starts_with(opening) || !line.ends_with('}')) return std::nullopt;
            line.remove_prefix(opening.size());
        }
        Index step = 0;
        auto const [stop, problem] = std::from_chars(line.data(), line.data() + line.size(), step);
        if (problem != std::errc{}) return std::nullopt;
        bool const ends = stop == line.data() + line.size() || *stop == ',' || (!csv_ && *stop == '}');
        return ends ? std::optional<Index>(step) : std::nullopt;
    }

    void keep_until_(Index resumed_step) {
        std::ifstream in(path_, std::ios::binary);
        if (!in) fail_("cannot be opened for reading");
        std::string const content{std::istreambuf_iterator<char>(in), {}};
        if (in.bad()) fail_("cannot be read");
        std::string kept;
        std::size_t number = 0;
        for (std::size_t begin = 0; begin < content.size();) {
            std::size_t const end = content.find('\n', begin);
            ++number;
            if (end == std::string::npos) break;  // half a line: the run before ended in the middle of it
            std::string const line = content.substr(begin, end - begin);
            begin = end + 1;
            if (csv_ && number == 1) {
                if (line != "step" && !line.starts_with("step,"))
                    fail_("is there, and is no log of training: its first line does not begin with 'step'");
                if (resumed_step <= 0) continue;
                for (std::size_t from = 4; from < line.size();) {
                    std::size_t const to = std::min(line.find(',', from + 1), line.size());
                    columns_.push_back(line.substr(from + 1, to - from - 1));
                    from = to;
                }
                header_written_ = true;
                kept += line + '\n';
                continue;
            }
            auto const step = step_of_(line);
            if (!step) fail_("is there, and is no log of training: line ", number, " has no step");
            if (*step <= resumed_step && resumed_step > 0) kept += line + '\n';
        }
        if (number == 1 && content.find('\n') == std::string::npos
            && !content.starts_with(csv_ ? "step" : "{\"step\":"))
            fail_("is there, and is no log of training");
        if (kept == content) return;
        io::AtomicFile file(path_);
        file.write(kept);
        file.commit();
    }

    void check_name_(std::string_view name) const {
        bool good = !name.empty() && name != "step";
        for (char const character : name)
            good = good && static_cast<unsigned char>(character) >= 0x20 && character != '"' && character != '\\'
                && character != ',';
        if (!good)
            fail_("'", name,
                  "' cannot be a name: it is empty, 'step', or has a quote, comma, backslash or control character");
    }

    [[nodiscard]] static std::string text_(double value) {
        if (std::isnan(value)) return "nan";
        if (std::isinf(value)) return value > 0.0 ? "inf" : "-inf";
        std::array<char, 40> room;
        auto const written = std::to_chars(room.data(), room.data() + room.size(), value);
        return {room.data(), written.ptr};
    }

    void write_row_() {
        std::error_code problem;
        std::uintmax_t const before = std::filesystem::file_size(path_, problem);
        stream_.write(row_.data(), static_cast<std::streamsize>(row_.size()));
        stream_.flush();
        if (stream_) return;
        stream_.close();
        if (!problem) std::filesystem::resize_file(path_, before, problem);
        stream_.clear();
        stream_.open(path_, std::ios::binary | std::ios::app);
        fail_("a row cannot be written; is the disk full?");
    }

    [[nodiscard]] static std::string list_(std::vector<std::string> const& names) {
        std::string text;
        for (std::string const& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
        return text;
    }

    template <class... Parts>
    [[noreturn]] void fail_(Parts const&... parts) const {
        fail("inkling::train::MetricsLog: file '", path_.string(), "': ", parts...);
    }

    std::filesystem::path path_;
    bool csv_ = false;
    bool header_written_ = false;
    std::vector<std::string> columns_;
    std::string row_;
    std::ofstream stream_;
};

}  // namespace inkling::train
