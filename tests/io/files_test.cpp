#include <inkling/io/append.hpp>
#include <inkling/io/atomic_file.hpp>
#include <inkling/io/file_lock.hpp>
#include <inkling/io/lines.hpp>
#include <inkling/io/model_file.hpp>
#include <inkling/io/npy.hpp>
#include <inkling/text/concept.hpp>

#include "gzip.hpp"
#include "temporary_folder.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace inkling;

static_assert(LineSource<io::LineReader>);

namespace {

std::vector<std::string> all_lines(io::LineReader reader) {
    std::vector<std::string> lines;
    for (std::string line; reader.next(line);) lines.push_back(line);
    CHECK(reader.line_number() == static_cast<Index>(lines.size()));
    return lines;
}

std::vector<std::string> lines_of(std::string const& content, io::LineOptions options = {}) {
    TemporaryFolder const folder;
    put(folder / "f", content);
    auto const from_file = all_lines(io::LineReader(folder / "f", options));
    std::istringstream stream(content);
    CHECK(all_lines(io::LineReader(stream, "standard input", options)) == from_file);
    return from_file;
}

using Lines = std::vector<std::string>;

/// What refuses to grow a file beyond so many bytes, for the time of a scope: a full disk, to the program that writes.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &before_);
        rlimit limited = before_;
        limited.rlim_cur = bytes;
        ::setrlimit(RLIMIT_FSIZE, &limited);
    }
    FileSizeLimit(FileSizeLimit const&) = delete;
    FileSizeLimit& operator=(FileSizeLimit const&) = delete;
    ~FileSizeLimit() {
        ::setrlimit(RLIMIT_FSIZE, &before_);
        std::signal(SIGXFSZ, handler_);
    }

private:
    rlimit before_{};
    void (*handler_)(int);
};

}  // namespace

TEST_CASE("AtomicFile: the old file is there until commit, and the new one after it") {
    TemporaryFolder const folder;
    put(folder / "a", "old");
    io::AtomicFile file(folder / "a");
    file.write("new ");
    file.write(bytes_of("text"));
    CHECK(contents_of(folder / "a") == "old");
    CHECK(folder.files() == 2);
    file.commit();
    CHECK(contents_of(folder / "a") == "new text");
    CHECK(folder.files() == 1);
    CHECK_THROWS_WITH_AS(file.write("more"), doctest::Contains("nothing can be written after commit"), Error);
    CHECK_THROWS_AS(file.commit(), Error);
}

TEST_CASE("AtomicFile: without commit nothing has happened") {
    TemporaryFolder const folder;
    put(folder / "a", "old");
    {
        io::AtomicFile file(folder / "a");
        file.write(std::string(1 << 20, 'x'));
    }
    CHECK(contents_of(folder / "a") == "old");
    CHECK(folder.files() == 1);
}

TEST_CASE("AtomicFile: on a full disk the old file stays, the temporary one goes, and the message names the file") {
    TemporaryFolder const folder;
    put(folder / "a", "old");
    std::string message;
    {
        FileSizeLimit const limit(100'000);
        try {
            io::AtomicFile file(folder / "a");
            for (int i = 0; i < 10; ++i) file.write(std::string(30'000, 'x'));
            file.commit();
        } catch (Error const& error) { message = error.what(); }
    }
    CHECK(message.starts_with("inkling::io::AtomicFile: file '" + (folder / "a").string() + "': cannot write: "));
    CHECK(contents_of(folder / "a") == "old");
    CHECK(folder.files() == 1);
}

TEST_CASE("AtomicFile: what a killed program left is removed when its target is next written, and nothing else is") {
    TemporaryFolder const folder;
    ::pid_t const child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        io::AtomicFile file(folder / "a");
        file.write("half");
        ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(folder.files() == 1);
    std::string const dead = std::to_string(child);
    std::string const left = std::filesystem::directory_iterator(folder.path())->path().filename().string();
    CHECK(left == ".a." + dead + "-0.inkling-tmp");

    std::string const locked =
        ".a." + dead + "-7.inkling-tmp";  // its process lives on another machine or in another container
    Lines const others{".b." + dead + "-0.inkling-tmp",
                       ".a.txt." + dead + "-0.inkling-tmp",
                       ".a." + dead + "-0.tmp",
                       ".a.-" + dead + "-0.inkling-tmp",
                       ".a.0-0.inkling-tmp",
                       ".a.1-0.inkling-tmp",
                       ".a..inkling-tmp",
                       "a." + dead};
    for (auto const& name : others) put(folder / name, "mine");
    put(folder / locked, "theirs");
    int const lock = ::open((folder / locked).c_str(), O_RDONLY);
    REQUIRE(::flock(lock, LOCK_EX) == 0);

    io::AtomicFile first(folder / "a");
    io::AtomicFile second(folder / "a");  // does not take the first one's for left
    CHECK_FALSE(std::filesystem::exists(folder / left));
    CHECK(std::filesystem::exists(folder / locked));
    for (auto const& name : others) {
        CAPTURE(name);
        CHECK(std::filesystem::exists(folder / name));
    }
    first.commit();
    second.commit();
    ::close(lock);
    { io::AtomicFile third(folder / "a"); }
    CHECK_FALSE(std::filesystem::exists(folder / locked));
    CHECK(folder.files() == static_cast<std::ptrdiff_t>(others.size()) + 1);
}

TEST_CASE("AtomicFile: a name may be as long as the system allows") {
    TemporaryFolder const folder;
    std::string const name = std::string(199, 'x') + "äöü" + std::string(50, 'x');
    REQUIRE(name.size() == 255);
    io::AtomicFile file(folder / name);
    file.write("text");
    file.commit();
    CHECK(contents_of(folder / name) == "text");
    CHECK(folder.files() == 1);
}

TEST_CASE("AtomicFile: bytes arrive in order, whatever the sizes of the pieces") {
    TemporaryFolder const folder;
    std::string all;
    io::AtomicFile file(folder / "a");
    for (std::size_t size : {1u, 65535u, 2u, 65536u, 70'000u, 0u, 3u, 200'000u}) {
        std::string const piece(size, static_cast<char>('a' + all.size() % 26));
        file.write(piece);
        all += piece;
    }
    file.commit();
    CHECK(contents_of(folder / "a") == all);
}

TEST_CASE("AtomicFile: a symbolic link stays one, and permissions are kept") {
    TemporaryFolder const folder;
    std::filesystem::create_directory(folder / "elsewhere");
    put(folder / "elsewhere/a", "old");
    std::filesystem::permissions(folder / "elsewhere/a", std::filesystem::perms(0640));
    std::filesystem::create_symlink("elsewhere/a", folder / "link");
    io::AtomicFile file(folder / "link");
    file.write("new");
    file.commit();
    CHECK(std::filesystem::is_symlink(folder / "link"));
    CHECK(contents_of(folder / "elsewhere/a") == "new");
    CHECK(std::filesystem::status(folder / "elsewhere/a").permissions() == std::filesystem::perms(0640));
}

TEST_CASE("append_behind: what is counted stays, what lies behind is cut away, and a file that lacks some is refused") {
    TemporaryFolder const folder;
    io::append_behind(folder / "a", 0, "one\n");
    io::append_behind(folder / "a", 4, "two\n");
    put(folder / "a", contents_of(folder / "a") + "half a li");
    io::append_behind(folder / "a", 8, "three\n");
    CHECK(contents_of(folder / "a") == "one\ntwo\nthree\n");
    CHECK_THROWS_WITH_AS(io::append_behind(folder / "a", 15, "four"),
                         doctest::Contains("has 14 bytes, expected at least 15"), Error);
    CHECK_THROWS_WITH_AS(io::append_behind(folder / "missing/a", 0, "x"), doctest::Contains("cannot be opened"), Error);
    CHECK(contents_of(folder / "a") == "one\ntwo\nthree\n");
}

TEST_CASE("AtomicFile: what cannot be a file is refused at once") {
    TemporaryFolder const folder;
    CHECK_THROWS_WITH_AS(io::AtomicFile(folder / "missing/a"),
                         doctest::Contains("cannot create a temporary file in its folder"), Error);
    CHECK_THROWS_WITH_AS(io::AtomicFile(folder.path()), doctest::Contains("is no regular file"), Error);
    CHECK_THROWS_WITH_AS(io::AtomicFile("/dev/null"), doctest::Contains("is no regular file"), Error);
    std::filesystem::create_symlink("loop", folder / "loop");
    CHECK_THROWS_AS(io::AtomicFile(folder / "loop"), Error);
    CHECK_THROWS_AS(io::AtomicFile(""), Error);
}

TEST_CASE("AtomicFile: threads that write the same file leave one whole version of it") {
    TemporaryFolder const folder;
    std::vector<std::thread> threads;
    for (char const letter : {'a', 'b', 'c', 'd'})
        threads.emplace_back([&, letter] {
            for (int round = 0; round < 5; ++round) {
                io::AtomicFile file(folder / "f");
                file.write(std::string(100'000, letter));
                file.commit();
            }
        });
    for (auto& thread : threads) thread.join();
    auto const content = contents_of(folder / "f");
    CHECK(content == std::string(100'000, content.at(0)));
    CHECK(folder.files() == 1);
}

TEST_CASE("LineReader: lines end with \\n or \\r\\n, and the last one needs no end") {
    CHECK(lines_of("") == Lines{});
    CHECK(lines_of("\n") == Lines{""});
    CHECK(lines_of("one\ntwo\r\nthree") == Lines{"one", "two", "three"});
    CHECK(lines_of("one\n\n\r\nfour\n") == Lines{"one", "", "", "four"});
    CHECK(lines_of("a\rb\r\n") == Lines{"a\rb"});
    CHECK(lines_of("\xEF\xBB\xBFstart\n\xEF\xBB\xBF\n")
          == Lines{"start", "\xEF\xBB\xBF"});  // only the very first mark is none of the text
    CHECK(lines_of(std::string("a\0b\n", 4)) == Lines{std::string("a\0b", 3)});
    CHECK(lines_of("\x1f") == Lines{"\x1f"});
    CHECK(lines_of("\x1fx\ny") == Lines{"\x1fx", "y"});
}

TEST_CASE("LineReader: gzip is told by its first bytes, and members in a row are one text") {
    CHECK(lines_of(gzip("eins\nzwei\n")) == Lines{"eins", "zwei"});
    CHECK(lines_of(gzip("eins\nzw") + gzip("") + gzip("ei\ndrei")) == Lines{"eins", "zwei", "drei"});
    CHECK(lines_of(gzip("eins\n") + std::string(1000, '\0')) == Lines{"eins"});
    CHECK(lines_of(gzip("")) == Lines{});
}

TEST_CASE("LineReader: a large compressed text comes back line by line, lines across blocks included") {
    std::string text;
    Lines want;
    for (int i = 0; i < 20'000; ++i) {
        want.push_back("line " + std::to_string(i) + std::string(static_cast<std::size_t>(i % 97), 'x'));
        text += want.back() + "\n";
    }
    CHECK(lines_of(gzip(text)) == want);
    CHECK(lines_of(text) == want);
}

TEST_CASE("LineReader: gzip that ends too early is refused at every length but the empty one") {
    auto const packed = gzip("The kettle is on.\nThe cat is out.\n");
    TemporaryFolder const folder;
    for (std::size_t size = 2; size < packed.size(); ++size) {
        put(folder / "f", packed.substr(0, size));
        CHECK_THROWS_WITH_AS(all_lines(io::LineReader(folder / "f")), doctest::Contains("the gzip data ends too early"),
                             Error);
    }
}

TEST_CASE("LineReader: damaged gzip and whatever follows gzip are refused") {
    auto packed = gzip("The kettle is on.\nThe cat is out.\n");
    CHECK_THROWS_WITH_AS(lines_of(packed + "x"), doctest::Contains("something that is no gzip data follows"), Error);
    packed[packed.size() - 6] ^= 1;  // the check sum
    CHECK_THROWS_WITH_AS(lines_of(packed), doctest::Contains("the gzip data is damaged"), Error);
    CHECK_THROWS_WITH_AS(lines_of("\x1f\x8bnonsense\n"), doctest::Contains("the gzip data is damaged after line 0"),
                         Error);
}

TEST_CASE("LineReader: a line that is no UTF-8 is refused with the file, the line and the byte") {
    TemporaryFolder const folder;
    put(folder / "f", "good\nbad \xC3(\n");
    io::LineReader reader(folder / "f");
    std::string line;
    CHECK(reader.next(line));
    CHECK_THROWS_WITH_AS(
        reader.next(line),
        ("inkling::io::LineReader: file '" + (folder / "f").string() + "': line 2: byte 5 is not valid UTF-8").c_str(),
        Error);
    CHECK_THROWS_WITH_AS(reader.next(line), doctest::Contains("nothing can be read after a failure"), Error);
    CHECK(lines_of("\xff\n", {.check_utf8 = false}) == Lines{"\xff"});
}

TEST_CASE("LineReader: a line may be as long as the limit and no longer") {
    CHECK(lines_of("12345\r\n12345", {.longest_line = 5}) == Lines{"12345", "12345"});
    CHECK_THROWS_WITH_AS(lines_of("1\n123456\n", {.longest_line = 5}),
                         doctest::Contains("line 2 has more than 5 bytes"), Error);
    CHECK_THROWS_WITH_AS(lines_of(gzip(std::string(10'000'000, 'x'))),
                         doctest::Contains("line 1 has more than 1048576 bytes"), Error);
    CHECK(lines_of("123456", {.longest_line = std::numeric_limits<std::size_t>::max()}) == Lines{"123456"});
}

TEST_CASE("LineReader: a line from a stream is handed out before the next one is there") {
    struct Typist : std::streambuf {  // hands out one line at a time, and remembers how far it got
        std::vector<std::string> lines{"\n", "first\n", "second\n"};
        std::size_t typed = 0;
        int_type underflow() override {
            if (typed == lines.size()) return traits_type::eof();
            auto& line = lines[typed++];
            setg(line.data(), line.data(), line.data() + line.size());
            return traits_type::to_int_type(line[0]);
        }
    } typist;
    std::istream stream(&typist);
    io::LineReader reader(stream, "keyboard");
    std::string line;
    for (std::size_t i = 0; i < typist.lines.size(); ++i) {
        CHECK(reader.next(line));
        CHECK(typist.typed == i + 1);
    }
    CHECK_FALSE(reader.next(line));
}

TEST_CASE("LineReader: a stream that failed before is no empty text, and one at its end is") {
    std::ifstream missing("/there/is/no/such/file");
    io::LineReader reader(missing, "the file");
    std::string line;
    CHECK_THROWS_WITH_AS((void)reader.next(line), doctest::Contains("the file: cannot be read after line 0"), Error);
    std::istringstream read_already("one");
    std::getline(read_already, line);
    CHECK(all_lines(io::LineReader(read_already, "text")) == Lines{});
    std::istringstream nothing;
    CHECK(all_lines(io::LineReader(nothing, "text")) == Lines{});
}

TEST_CASE("LineReader: what a stream throws at its end or in failure is not passed on") {
    std::istringstream stream("one\ntwo");
    stream.exceptions(std::ios::eofbit | std::ios::failbit | std::ios::badbit);
    CHECK(all_lines(io::LineReader(stream, "text")) == Lines{"one", "two"});
    CHECK(stream.eof());
    TemporaryFolder const folder;
    std::ifstream directory(folder.path());  // opens, and fails when it is read
    io::LineReader reader(directory, "a folder");
    std::string line;
    CHECK_THROWS_WITH_AS((void)reader.next(line), doctest::Contains("a folder: cannot be read after line 0"), Error);
}

TEST_CASE("LineReader: what cannot be read is named") {
    TemporaryFolder const folder;
    CHECK_THROWS_WITH_AS(io::LineReader(folder / "missing"), doctest::Contains("cannot be opened: No such file"),
                         Error);
    CHECK_THROWS_WITH_AS(all_lines(io::LineReader(folder.path())), doctest::Contains("cannot be read after line 0"),
                         Error);
}

TEST_CASE("npy: arrays come back as they were written") {
    TemporaryFolder const folder;
    xt::xarray<float> const floats{{1.0f, 2.0f, 3.0f}, {4.0f, 5.0f, 6.0f}};
    io::write_npy(folder / "a.npy", floats);
    CHECK(io::read_npy<float>(folder / "a.npy") == floats);
    CHECK(io::read_npy<double>(folder / "a.npy") == xt::xarray<double>(floats));
    CHECK(contents_of(folder / "a.npy").size() == 128 + 24);
    CHECK(contents_of(folder / "a.npy")
              .starts_with(std::string("\x93NUMPY\x01\x00\x76\x00", 10)
                           + "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"));

    io::write_npy(folder / "a.npy", 2.0f * floats);  // an expression; and the file is replaced
    CHECK(io::read_npy<float>(folder / "a.npy")(1, 2) == 12.0f);

    xt::xarray<double, xt::layout_type::column_major> columns = xt::xarray<double>{{1.0, 2.0}, {3.0, 4.0}};
    io::write_npy(folder / "a.npy", columns);
    CHECK(io::read_npy<double>(folder / "a.npy") == columns);

    xt::xarray<std::int64_t> const line{-1, 1, std::numeric_limits<std::int64_t>::max()};
    io::write_npy(folder / "a.npy", line);
    CHECK(io::read_npy<std::int64_t>(folder / "a.npy") == line);
    CHECK(contents_of(folder / "a.npy").find("'shape': (3,), }") != std::string::npos);

    io::write_npy(folder / "a.npy", xt::xarray<bool>{true, false});
    CHECK(io::read_npy<bool>(folder / "a.npy") == xt::xarray<bool>{true, false});

    xt::xarray<std::uint8_t> const scalar(std::uint8_t{7});
    io::write_npy(folder / "a.npy", scalar);
    CHECK(io::read_npy<int>(folder / "a.npy").dimension() == 0);
    CHECK(io::read_npy<int>(folder / "a.npy")() == 7);

    io::write_npy(folder / "a.npy", xt::xarray<float>::from_shape({3, 0, 2}));
    CHECK(io::read_npy<float>(folder / "a.npy").shape() == xt::xarray<float>::shape_type{3, 0, 2});
}

TEST_CASE("npy: version 2, keys in any order and half precision are read") {
    TemporaryFolder const folder;
    std::string const header = "{\"shape\": (2,), 'fortran_order': False, 'descr': '<f2'}\n";
    put(folder / "a.npy",
        std::string("\x93NUMPY\x02\x00", 8) + std::string{static_cast<char>(header.size()), 0, 0, 0} + header
            + std::string("\x00\x3C\x00\xC0", 4));
    CHECK(io::read_npy<float>(folder / "a.npy") == xt::xarray<float>{1.0f, -2.0f});
}

TEST_CASE("npy: hostile files are refused, and the message says why") {
    TemporaryFolder const folder;
    auto const refusal = [&](std::string const& content) -> std::string {
        put(folder / "a.npy", content);
        try {
            (void)io::read_npy<float>(folder / "a.npy");
            return "";
        } catch (Error const& error) { return error.what(); }
    };
    auto const file_of = [](std::string const& header, std::size_t data) {
        return std::string("\x93NUMPY\x01\x00", 8)
            + std::string{static_cast<char>(header.size() % 256), static_cast<char>(header.size() / 256)} + header
            + std::string(data, '\0');
    };
    auto const good = file_of("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }", 8);
    CHECK(refusal(good).empty());
    for (std::size_t size = 0; size < good.size(); ++size) CHECK_FALSE(refusal(good.substr(0, size)).empty());

    struct Case {
        std::string header, message;
    };
    for (Case const& hostile : std::vector<Case>{
             {"", "makes no sense at byte 10"},
             {"{}", "makes no sense"},
             {"{'descr': '<f4', 'fortran_order': False}", "makes no sense"},
             {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "makes no sense"},
             {"{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", "makes no sense"},
             {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}", "makes no sense"},
             {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "makes no sense"},
             {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,", "makes no sense"},
             {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", "makes no sense"},
             {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", "makes no sense"},
             {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", "makes no sense"},
             {"{'descr': '<f4", "makes no sense"},
             {"{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}", "elements of type '>f4', expected one of <f8"},
             {"{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", "elements of type '|O'"},
             {"{'descr': '', 'fortran_order': False, 'shape': (2,)}", "elements of type ''"},
             {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1)}", "is in Fortran's order, expected C's"},
             {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", "which take 12 bytes; 8 are there"},
             {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "which take 4 bytes; 8 are there"},
             {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", "too large"},
             {"{'descr': '<f8', 'fortran_order': False, 'shape': (2305843009213693953,)}", "too large"},
         }) {
        auto const seen = refusal(file_of(hostile.header, 8));
        CHECK_MESSAGE(seen.find(hostile.message) != std::string::npos, "seen: ", seen, "; wanted: ", hostile.message);
    }
    CHECK(refusal("no such file at all").find("does not begin with its mark") != std::string::npos);
    CHECK(refusal(std::string("\x93NUMPY\x03\x00\x00\x00\x00\x00", 12)).find("version 3.0, expected 1.0 or 2.0")
          != std::string::npos);
    CHECK(refusal(std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12)).find("4294967295 bytes, but only 0 follow")
          != std::string::npos);
}

TEST_CASE("model file: description and weights come back as they were written") {
    TemporaryFolder const folder;
    std::vector<float> const flat{1, 2, 3, 4, 5, 6};
    std::vector<io::NamedTensor> const weights{{"a", {2, 2}, flat.data()}, {"b", {2}, flat.data() + 4}};
    std::string const tokenizer("any\0bytes\xff", 10);
    io::save_model(folder / "m", {R"({"width": 2})", "word", tokenizer}, weights);

    auto const file = io::ModelFile::open(folder / "m");
    CHECK(file.description().configuration == R"({"width": 2})");
    CHECK(file.description().tokenizer_kind == "word");
    CHECK(file.description().tokenizer == tokenizer);
    CHECK(file.weights().size() == 2);
    std::vector<float> filled(6);
    file.load_weights(std::vector<io::TensorDestination>{{"a", {2, 2}, filled.data()}, {"b", {2}, filled.data() + 4}});
    CHECK(filled == flat);
    CHECK(io::Safetensors::open(folder / "m").metadata().at("inkling_format") == "1");
}

TEST_CASE("model file: weights that do not fit are named with both shapes, and nothing is changed") {
    TemporaryFolder const folder;
    std::vector<float> const flat{1, 2, 3, 4, 5, 6};
    io::save_model(folder / "m", {"{}", "word", ""},
                   std::vector<io::NamedTensor>{{"a", {2, 2}, flat.data()}, {"b", {2}, flat.data() + 4}});
    auto const file = io::ModelFile::open(folder / "m");
    std::vector<float> filled(6, -1.0f);
    using Destinations = std::vector<io::TensorDestination>;
    CHECK_THROWS_WITH_AS(file.load_weights(Destinations{{"a", {2, 2}, filled.data()}, {"b", {3}, filled.data()}}),
                         doctest::Contains("tensor 'b' has shape [2], expected [3]"), Error);
    CHECK_THROWS_WITH_AS(file.load_weights(Destinations{
                             {"a", {2, 2}, filled.data()}, {"b", {2}, filled.data()}, {"c", {2}, filled.data()}}),
                         doctest::Contains("there is no tensor 'c'"), Error);
    CHECK_THROWS_WITH_AS(file.load_weights(Destinations{{"a", {2, 2}, filled.data()}}),
                         doctest::Contains("1 of its tensors have no place in this model: 'b'"), Error);
    CHECK(filled == std::vector<float>(6, -1.0f));
}

TEST_CASE("model file: what is no model, or a newer one, is refused") {
    TemporaryFolder const folder;
    std::vector<std::uint8_t> const bytes{1};
    std::vector<float> const floats{1};
    std::vector<double> const doubles{1};
    auto const tokenizer = io::tensor_to_write<std::uint8_t>("inkling.tokenizer", {1}, bytes);
    using Metadata = std::map<std::string, std::string>;
    auto const refusal = [&](Metadata const& metadata, std::vector<io::TensorToWrite> const& tensors) -> std::string {
        io::write_safetensors(folder / "m", tensors, metadata);
        try {
            (void)io::ModelFile::open(folder / "m");
            return "";
        } catch (Error const& error) { return error.what(); }
    };
    auto const with = [](std::string const& key, std::string const& value) {
        Metadata metadata{{"inkling_format", "1"}, {"inkling_configuration", "{}"}, {"inkling_tokenizer_kind", "word"}};
        metadata[key] = value;
        return metadata;
    };
    auto const says = [](std::string const& message, std::string const& part) {
        return message.find(part) != std::string::npos;
    };
    CHECK(refusal(with("more", "is fine"), {tokenizer}).empty());
    CHECK(says(refusal({}, {tokenizer}), "is no model of inkling: its metadata lack 'inkling_format'"));
    CHECK(says(refusal(with("inkling_format", "2"), {tokenizer}),
               "is of format 2, which is newer than the 1 that this version of inkling reads"));
    for (char const* const odd : {"", "x", "1x", "0", "-1", " 1", "99999999999"})
        CHECK(says(refusal(with("inkling_format", odd), {tokenizer}), "expected a whole number of 1 or more"));
    CHECK(says(refusal(with("inkling_configuration", "{"), {tokenizer}), "'inkling_configuration' is no valid JSON"));
    CHECK(
        says(refusal(with("inkling_configuration", "{}" + std::string(1, '\0') + "{"), {tokenizer}), "no valid JSON"));
    CHECK(says(refusal(with("inkling_configuration", std::string(2'000'000, '[')), {tokenizer}),
               "'inkling_configuration' has 2000000 bytes, expected at most 1048576"));
    CHECK(says(refusal({{"inkling_format", "1"}}, {tokenizer}), "its metadata lack 'inkling_configuration'"));
    CHECK(says(refusal(with("", ""), {}), "lacks the tensor 'inkling.tokenizer'"));
    CHECK(says(refusal(with("", ""), {io::tensor_to_write<float>("inkling.tokenizer", {1}, floats)}),
               "is of type F32 and shape [1], expected U8"));
    CHECK(says(refusal(with("", ""), {tokenizer, io::tensor_to_write<double>("w", {1}, doubles)}),
               "tensor 'w' is of type F64, expected F32"));
}

TEST_CASE("model file: any changed byte, a weight that is no number, and the checkpoint of a training are refused") {
    TemporaryFolder const folder;
    std::vector<float> flat{1, 2, 3, 4};
    using Weights = std::vector<io::NamedTensor>;
    io::save_model(folder / "m", {"{}", "word", "words"}, Weights{{"a", {4}, flat.data()}});
    std::string const whole = contents_of(folder / "m");
    for (std::size_t at = 0; at < whole.size(); ++at) {
        std::string changed = whole;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        put(folder / "m", changed);
        CAPTURE(at);
        // But for the names of the checksum itself and of what nobody reads: without a checksum a file is taken as it
        // is.
        bool const of_the_key = at >= whole.find("inkling_checksum") && at < whole.find("inkling_checksum") + 16;
        if (!of_the_key) CHECK_THROWS_AS((void)io::ModelFile::open(folder / "m"), Error);
    }
    flat[2] = std::numeric_limits<float>::quiet_NaN();
    io::save_model(folder / "m", {"{}", "word", ""}, Weights{{"a", {4}, flat.data()}});
    std::vector<float> filled(4, -1.0f);
    CHECK_THROWS_WITH_AS(
        io::ModelFile::open(folder / "m").load_weights(std::vector<io::TensorDestination>{{"a", {4}, filled.data()}}),
        doctest::Contains("weight 'a' has nan as element 2, expected finite numbers"), Error);
    CHECK(filled == std::vector<float>(4, -1.0f));
    io::write_safetensors(folder / "m", {}, {{"inkling_checkpoint", "1"}});
    CHECK_THROWS_WITH_AS((void)io::ModelFile::open(folder / "m"),
                         doctest::Contains("is no model of inkling but the checkpoint of a training"), Error);
}

TEST_CASE("model file: a model that cannot be written leaves the old file") {
    TemporaryFolder const folder;
    put(folder / "m", "old");
    std::vector<float> const flat(100'000);
    using Weights = std::vector<io::NamedTensor>;
    CHECK_THROWS_WITH_AS(io::save_model(folder / "m", {"no JSON", "word", ""}, {}),
                         doctest::Contains("the configuration is no valid JSON"), Error);
    CHECK_THROWS_WITH_AS(io::save_model(folder / "m", {std::string(2'000'000, ' ') + "{}", "word", ""}, {}),
                         doctest::Contains("the configuration has 2000002 bytes, expected at most 1048576"), Error);
    CHECK_THROWS_WITH_AS(
        io::save_model(folder / "m", {"{}", "word", ""}, Weights{{"inkling.tokenizer", {1}, flat.data()}}),
        doctest::Contains("no weight can be called"), Error);
    {
        FileSizeLimit const limit(100'000);
        CHECK_THROWS_AS(io::save_model(folder / "m", {"{}", "word", ""}, Weights{{"w", {100'000}, flat.data()}}),
                        Error);
    }
    CHECK(contents_of(folder / "m") == "old");
    CHECK(folder.files() == 1);
}

TEST_CASE("FileLock: a name is one user's at a time, and nothing is left of it") {
    TemporaryFolder const folder;
    auto const path = folder / "run";
    std::string const refusal = "inkling::io::FileLock: file '" + path.string() + "' is in use by another run";
    {
        io::FileLock const first(path);
        CHECK_THROWS_WITH_AS(io::FileLock{path}, refusal.c_str(), Error);
        io::FileLock const other(folder / "another");
        CHECK_THROWS_WITH_AS(io::FileLock{path}, refusal.c_str(), Error);  // a refusal gives nothing up
        pid_t const child = ::fork();
        if (child == 0) {
            try {
                io::FileLock const second(path);
            } catch (Error const&) { ::_exit(3); }
            ::_exit(0);
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 3);
    }
    CHECK(std::filesystem::is_empty(folder.path()));
    put(folder / "run.lock", "");  // what a program that was killed has left locks nobody out
    { io::FileLock const again(path); }
    CHECK(std::filesystem::is_empty(folder.path()));
    CHECK_THROWS_AS(io::FileLock(folder / "none" / "run"), Error);
}

TEST_CASE("FileLock: a symbolic link is what it points to, whether that is there or not") {
    TemporaryFolder const folder;
    std::filesystem::create_symlink("run", folder / "link");
    io::FileLock const through_link(folder / "link");
    CHECK_THROWS_AS(io::FileLock(folder / "run"), Error);
    put(folder / "run", "");
    CHECK_THROWS_AS(io::FileLock(folder / "link"), Error);
    CHECK_THROWS_AS(io::FileLock(folder / "run"), Error);
}
