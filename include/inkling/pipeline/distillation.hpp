#pragma once

#include <inkling/core/error.hpp>
#include <inkling/core/hash.hpp>
#include <inkling/io/append.hpp>
#include <inkling/io/atomic_file.hpp>
#include <inkling/io/file_lock.hpp>
#include <inkling/io/json.hpp>
#include <inkling/pipeline/configuration.hpp>
#include <inkling/pipeline/fingerprint.hpp>
#include <inkling/text/concept.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace inkling {

/// How a corpus is distilled.
template <class Generate>
struct DistillOptions {
    Generate generate{};           ///< how the teacher writes
    Index lines_per_piece = 1000;  ///< after so many lines what is done survives the end of the program; at least 1
    std::function<void(Index)> on_progress{};  ///< called with the lines done, after each piece and when it goes on
};

/// What came of a distillation.
struct DistillReport {
    Index lines = 0;        ///< written, or, where it was stopped, kept for the next time
    Index left_out = 0;     ///< of them empty, as the source was, or as the teacher has no positions for it
    bool finished = false;  ///< the output is there; false when it was stopped
};

namespace pipeline::detail {

/// Tells one teacher, its settings included, from another.
template <class Pipeline, class Generate>
[[nodiscard]] std::uint64_t teacher_hash(Pipeline const& teacher, Generate const& generate) {
    Hash hash(1);
    add_text(hash, teacher.configuration().dump());
    add_text(hash, teacher.tokenizer().serialise());
    add_text(hash, to_json(generate).dump());
    if constexpr (Described<typename Pipeline::Device::Options>)
        add_text(hash, to_json(teacher.options().device).dump());
    add_weights<double>(hash, teacher);
    return hash.value();
}

/// A file that grows by pieces: what is in it, and of what, stands in a second one, written atomically.
class Pieces {
public:
    /// @param teacher  what the pieces must be of
    /// @throws Error when there are pieces of another teacher, or they are damaged
    Pieces(std::filesystem::path const& output, std::uint64_t teacher)
        : text_(output.string() + ".part"), state_(output.string() + ".state"), teacher_(std::to_string(teacher)) {
        if (!std::filesystem::exists(state_)) return;
        std::ifstream in(state_);
        std::string const content{std::istreambuf_iterator<char>(in), {}};
        auto const json = io::parse_json(content);
        bool const whole = json.is_object() && json.contains("teacher") && json["teacher"].is_string()
            && json.contains("sources") && json["sources"].is_string() && json.contains("lines")
            && json["lines"].is_number_unsigned() && json.contains("left_out") && json["left_out"].is_number_unsigned()
            && json.contains("bytes") && json["bytes"].is_number_unsigned();
        require(whole, "inkling::distill: file '", state_.string(), "' is damaged; remove it to begin anew");
        require(json["teacher"] == teacher_, "inkling::distill: file '", state_.string(),
                "': what is there was written by another model or with other settings; remove it to begin anew");
        lines_ = json["lines"].get<Index>();
        left_out_ = json["left_out"].get<Index>();
        sources_ = json["sources"].get<std::string>();
        bytes_ = json["bytes"].get<std::uintmax_t>();
        std::error_code problem;
        auto const size = std::filesystem::file_size(text_, problem);
        require(!problem && size >= bytes_, "inkling::distill: file '", text_.string(), "' lacks lines that '",
                state_.string(), "' counts; remove both to begin anew");
    }

    [[nodiscard]] Index lines() const { return lines_; }
    [[nodiscard]] Index left_out() const { return left_out_; }
    /// Whether the sources so far are those that the pieces were written of.
    [[nodiscard]] bool of_sources(std::uint64_t hash) const { return sources_ == std::to_string(hash); }
    [[nodiscard]] std::filesystem::path const& state_path() const { return state_; }

    /// @throws Error when it cannot be written; what was there stays
    void append(std::string const& text, Index lines, Index left_out, std::uint64_t sources) {
        io::append_behind(text_, bytes_, text);
        bytes_ += text.size();
        lines_ += lines;
        left_out_ += left_out;
        sources_ = std::to_string(sources);
        io::AtomicFile state(state_);
        state.write(nlohmann::json{
            {"teacher", teacher_}, {"sources", sources_}, {"lines", lines_}, {"left_out", left_out_}, {"bytes", bytes_}}
                        .dump(1));
        state.commit();
    }

    /// Puts all pieces into the output's place, wholly or not at all, and removes what was kept beside it.
    void finish(std::filesystem::path const& output) {
        io::AtomicFile file(output);
        if (bytes_ > 0) {
            std::ifstream in(text_, std::ios::binary);
            std::vector<char> block(std::size_t{1} << 16);
            for (std::uintmax_t left = bytes_; left > 0;) {
                auto const wanted = static_cast<std::streamsize>(std::min<std::uintmax_t>(left, block.size()));
                in.read(block.data(), wanted);
                require(in.gcount() == wanted, "inkling::distill: file '", text_.string(), "' cannot be read");
                file.write(std::string_view(block.data(), static_cast<std::size_t>(wanted)));
                left -= static_cast<std::uintmax_t>(wanted);
            }
        }
        file.commit();
        std::filesystem::remove(state_);
        std::filesystem::remove(text_);
    }

private:
    std::filesystem::path text_, state_;
    std::string teacher_, sources_;
    Index lines_ = 0;
    Index left_out_ = 0;
    std::uintmax_t bytes_ = 0;
};

}  // namespace pipeline::detail

/// Sequence-level knowledge distillation: writes to `output`, line for line, what a trained model makes of each source,
/// as the targets that another model is trained on.
///
/// An empty source, or one that the teacher has no positions for, gives an empty line. What is done is kept in pieces
/// beside the output (OUTPUT.part, OUTPUT.state): a run that was ended goes on from there, and gives the same file. The
/// output itself is there only when it is whole. Of two runs to one output the second is refused.
/// Source: Kim & Rush 2016, "Sequence-Level Knowledge Distillation", arXiv:1606.07947, section 3.2.
/// @param teacher  a TextAutoregression, or what generates as one does
/// @throws Error when a file cannot be read or written, an option is out of range, or what is kept is of another
///         teacher, of other settings or of other sources
template <class Pipeline, LineSource Lines>
    requires pipeline::Described<typename Pipeline::GenerateOptionsType>
DistillReport distill(Pipeline const& teacher, Lines& sources, std::filesystem::path const& output,
                      DistillOptions<typename Pipeline::GenerateOptionsType> const& options = {}) {
    require(options.lines_per_piece >= 1, "inkling::distill: lines_per_piece is ", options.lines_per_piece,
            ", expected at least 1");
    options.generate.check();
    { io::AtomicFile const could_be_written(output); }
    io::FileLock const alone(output);
    pipeline::detail::Pieces pieces(output, pipeline::detail::teacher_hash(teacher, options.generate));
    Hash read(1);
    std::string line;
    auto const next = [&] {
        if (!sources.next(line)) return false;
        pipeline::detail::add_text(read, line);
        return true;
    };
    for (Index i = 0; i < pieces.lines(); ++i)
        require(next(), "inkling::distill: there are ", i, " sources, but ", pieces.lines(),
                " are done already; remove '", pieces.state_path().string(), "' to begin anew");
    require(pieces.lines() == 0 || pieces.of_sources(read.value()), "inkling::distill: the first ", pieces.lines(),
            " sources are not those that are done already; remove '", pieces.state_path().string(), "' to begin anew");
    auto const report = [&](bool finished) { return DistillReport{pieces.lines(), pieces.left_out(), finished}; };
    if (options.on_progress && pieces.lines() > 0) options.on_progress(pieces.lines());
    Index const places = teacher.model().longest_source() - teacher.wrapping().source_length(0);
    for (bool more = true; more;) {
        std::vector<std::vector<Token>> tokens;
        std::vector<std::size_t> numbers;
        std::size_t count = 0;
        for (; count < static_cast<std::size_t>(options.lines_per_piece) && (more = next()); ++count) {
            auto own = text::encode_source(teacher.tokenizer(), line);
            if (own.empty() || static_cast<Index>(own.size()) > places) continue;
            tokens.push_back(std::move(own));
            numbers.push_back(count);
        }
        if (count == 0) break;
        std::vector<std::string> lines(count);
        auto generate = options.generate;
        if constexpr (requires { generate.first_source; })  // noise is keyed by the number of the source
            generate.first_source += pieces.lines() - pieces.left_out();
        auto const generated = teacher.generate_tokens(tokens, generate);
        for (std::size_t i = 0; i < generated.size(); ++i) {
            if (!generated[i].finished) return report(false);
            lines[numbers[i]] = generated[i].line();
        }
        std::string text;
        for (std::string const& one : lines) text += one + '\n';
        pieces.append(text, static_cast<Index>(count), static_cast<Index>(count - tokens.size()), read.value());
        if (options.on_progress) options.on_progress(pieces.lines());
        if (options.generate.stop.stop_requested()) return report(false);
    }
    auto const whole = report(true);
    pieces.finish(output);
    return whole;
}

}  // namespace inkling
