#include <inkling/io/safetensors.hpp>

#include <inkling/io/named_tensors.hpp>

#include "temporary_folder.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

using namespace inkling;

namespace {

/// A safetensors file of that header, and `data` bytes of value 1 after it.
std::string file_of(std::string const& header, std::size_t data = 0) {
    std::string file(8, '\0');
    std::uint64_t const length = header.size();
    std::memcpy(file.data(), &length, 8);
    return file + header + std::string(data, '\1');
}

io::Safetensors parse(std::string_view file) { return io::Safetensors::parse(bytes_of(file), "x"); }

/// The message with which a file is refused; empty when it is not.
std::string refusal(std::string_view file) {
    try {
        (void)parse(file);
        return "";
    } catch (Error const& error) { return error.what(); }
}

std::string tensor(std::string const& dtype, std::string const& shape, std::string const& offsets) {
    return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

template <class T>
std::vector<T> converted(io::ElementType type, auto const& elements) {
    auto const bytes = std::as_bytes(std::span(elements));
    return io::TensorView("x", "t", type, {static_cast<Index>(elements.size())}, bytes).template to<T>();
}

}  // namespace

TEST_CASE("safetensors: arrays and metadata come back as they were written") {
    TemporaryFolder const folder;
    std::vector<double> const doubles{1.5, -0.0, std::numeric_limits<double>::denorm_min()};
    std::vector<float> const floats{1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f};
    std::vector<std::int64_t> const integers{std::numeric_limits<std::int64_t>::min(), -1, 0};
    std::vector<std::uint8_t> const bytes{0, 255};
    std::array<bool, 2> const truths{true, false};
    std::vector<float> const none;
    io::write_safetensors(
        folder / "a",
        {io::tensor_to_write<std::uint8_t>("bytes", {2}, bytes), io::tensor_to_write<float>("floats", {2, 3}, floats),
         io::tensor_to_write<double>("doubles", {3}, doubles),
         io::tensor_to_write<std::int64_t>("Größe \"n\"", {3, 1}, integers),
         io::tensor_to_write<bool>("truths", {2}, truths), io::tensor_to_write<float>("none", {4, 0}, none),
         io::tensor_to_write<float>("scalar", {}, std::span(floats).first(1))},
        {{"made by", "a test"}, {"empty", ""}});

    auto const file = io::Safetensors::open(folder / "a");
    CHECK(file.metadata() == std::map<std::string, std::string>{{"made by", "a test"}, {"empty", ""}});
    CHECK(file.tensors().size() == 7);
    CHECK(file.get<double>("doubles", {3}) == doubles);
    CHECK(std::signbit(file.get<double>("doubles")[1]));
    CHECK(file.get<float>("floats", {2, 3}) == floats);
    CHECK(file.get<std::int64_t>("Größe \"n\"", {3, 1}) == integers);
    CHECK(file.get<std::uint8_t>("bytes") == bytes);
    CHECK(file.get<float>("none", {4, 0}).empty());
    CHECK(file.get<float>("scalar", {}) == std::vector{1.0f});
    CHECK(file.get<int>("truths") == std::vector{1, 0});
    CHECK(file.at("truths").type() == io::ElementType::BOOL);
    CHECK(std::ranges::equal(file.at("floats").as<float>(), floats));
    CHECK(file.contains("bytes"));
    CHECK_FALSE(file.contains("byte"));
}

TEST_CASE("safetensors: an opened file outlives what opened it, and its copies share the bytes") {
    TemporaryFolder const folder;
    std::vector<float> const floats{7.0f};
    io::write_safetensors(folder / "a", {io::tensor_to_write<float>("w", {1}, floats)});
    auto copy = [&] {
        auto const file = io::Safetensors::open(folder / "a");
        return file;
    }();
    io::write_safetensors(folder / "a", {});  // replaced whole: the mapping keeps the old one
    CHECK(copy.at("w").as<float>()[0] == 7.0f);
}

TEST_CASE(
    "safetensors: the header is padded and wide elements come first, so that every array is aligned in the file") {
    TemporaryFolder const folder;
    std::vector<std::uint8_t> const bytes{1, 2, 3};
    std::vector<float> const floats{1.0f};
    std::vector<double> const doubles{2.0};
    io::write_safetensors(
        folder / "a",
        {io::tensor_to_write<std::uint8_t>("b", {3}, bytes), io::tensor_to_write<float>("f", {1}, floats),
         io::tensor_to_write<double>("d", {1}, doubles)});
    auto const content = contents_of(folder / "a");
    std::uint64_t length = 0;
    std::memcpy(&length, content.data(), 8);
    CHECK(length % 8 == 0);
    CHECK(content.size() == 8 + length + 8 + 4 + 3);
    std::string header = content.substr(8, length);
    header.resize(header.find_last_not_of(' ') + 1);
    CHECK(
        header
        == R"({"d":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"f":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},"b":{"dtype":"U8","shape":[3],"data_offsets":[12,15]}})");
    auto const file = io::Safetensors::open(folder / "a");
    CHECK(file.at("d").as<double>()[0] == 2.0);
    CHECK(file.at("f").as<float>()[0] == 1.0f);
}

TEST_CASE("safetensors: fields may come in any order and arrays in any order") {
    auto const file = parse(file_of(
        R"({"z":{"shape":[1],"data_offsets":[2,3],"dtype":"U8"},"__metadata__":{},"a":{"data_offsets":[0,2],"dtype":"U8","shape":[2]}})",
        3));
    CHECK(file.tensors()[0].name() == "a");
    CHECK(file.get<int>("z") == std::vector{1});
}

TEST_CASE("safetensors: every file that ends too early is refused") {
    auto const whole = file_of(R"({"a":)" + tensor("F32", "[2]", "[0,8]") + "}", 8);
    CHECK(refusal(whole).empty());
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK_FALSE(refusal(std::string_view(whole).substr(0, size)).empty());
    CHECK(refusal(whole + "x").find("ends with 1 bytes that no tensor uses") != std::string::npos);
    CHECK(refusal("").find("holds 0 bytes, expected at least the 8") != std::string::npos);
    CHECK(refusal(std::string(8, '\0') + "{}").find("has a bad header") != std::string::npos);  // of no bytes
}

TEST_CASE("safetensors: hostile headers are refused, and the message says why") {
    struct Case {
        std::string header, message;
        std::size_t data = 8;
    };
    std::string const good = tensor("F32", "[2]", "[0,8]");
    for (Case const& hostile : std::vector<Case>{
             {"", "does not begin with '{'"},
             {" {}", "does not begin with '{'"},
             {"[]", "does not begin with '{'"},
             {"{", "no valid JSON at byte"},
             {"{}x", "no valid JSON at byte", 0},
             {"{}{}", "no valid JSON at byte", 0},
             {"{\"\xff\":" + good + "}", "no valid JSON at byte"},
             {R"({"a":)" + good + R"(,"a":)" + good + "}", "the name 'a' is there twice"},
             {R"({"__metadata__":{},"__metadata__":{}})", "the name '__metadata__' is there twice", 0},
             {R"({"__metadata__":{"a":"1","a":"2"}})", "the metadata key 'a' is there twice", 0},
             {R"({"__metadata__":{"a":1}})", "the number 1 stands at 'a' where metadata as text is expected", 0},
             {R"({"__metadata__":{"a":{}}})", "an object stands at 'a'", 0},
             {R"({"__metadata__":[]})", "a list stands at '__metadata__'", 0},
             {R"({"a":[]})", "a list stands at 'a' where a tensor as an object is expected", 0},
             {R"({"a":null})", "null stands at 'a'", 0},
             {R"({"a":{}})", "tensor 'a' lacks its field 'dtype'", 0},
             {R"({"a":{"dtype":"F32","shape":[2]}})", "tensor 'a' lacks its field 'data_offsets'"},
             {R"({"a":{"dtype":"F32","data_offsets":[0,8]}})", "tensor 'a' lacks its field 'shape'"},
             {R"({"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "its field 'dtype' twice"},
             {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}})", "unknown field 'more'"},
             {R"({"a":)" + tensor("F33", "[2]", "[0,8]") + "}", "unknown element type 'F33'"},
             {R"({"a":{"dtype":5,"shape":[2],"data_offsets":[0,8]}})", "the number 5 stands at 'dtype'"},
             {R"({"a":)" + tensor("F32", "2", "[0,8]") + "}",
              "the number 2 stands at 'shape' where a list of sizes is expected"},
             {R"({"a":)" + tensor("F32", "[-2]", "[0,8]") + "}", "the number -2 stands at 'shape'"},
             {R"({"a":)" + tensor("F32", "[2.0]", "[0,8]") + "}", "the number 2.0 stands at 'shape'"},
             {R"({"a":)" + tensor("F32", "[1e999]", "[0,8]") + "}",
              "a number too large for anything stands at 'shape'"},
             {R"({"a":)" + tensor("F32", "[[2]]", "[0,8]") + "}", "a list stands at 'shape'"},
             {R"({"a":)" + tensor("F32", "[true]", "[0,8]") + "}", "a truth value stands at 'shape'"},
             {R"({"a":)" + tensor("F32", "[18446744073709551615]", "[0,8]") + "}", "which is too large"},
             {R"({"a":)" + tensor("F32", "[4294967296,4294967296]", "[0,8]") + "}", "which is too large"},
             {R"({"a":)" + tensor("F32", "[0,4294967296,4294967296]", "[0,0]") + "}", "which is too large", 0},
             {R"({"a":)" + tensor("F64", "[2305843009213693953]", "[0,8]") + "}",
              "is too large"},  // times 8 it is 8 again
             {R"({"a":)" + tensor("F32", "[3]", "[0,8]") + "}", "lies in 8 bytes, expected 12"},
             {R"({"a":)" + tensor("F32", "[2]", "[0,7]") + "}", "lies in 7 bytes, expected 8"},
             {R"({"a":)" + tensor("F32", "[2]", "[8,0]") + "}", "lies at bytes 8 to 0"},
             {R"({"a":)" + tensor("F32", "[2]", "[0,9]") + "}", "lies at bytes 0 to 9 of 8"},
             {R"({"a":)" + tensor("F32", "[2]", "[18446744073709551608,0]") + "}", "lies at bytes"},
             {R"({"a":)" + tensor("F32", "[2]", "[0]") + "}", "lacks a data offset"},
             {R"({"a":)" + tensor("F32", "[2]", "[0,8,9]") + "}", "more than two data offsets"},
             {R"({"a":)" + tensor("F32", "[2]", "[0,-8]") + "}", "the number -8 stands at 'data_offsets'"},
             {R"({"a":)" + tensor("U8", "[6]", "[0,6]") + R"(,"b":)" + tensor("U8", "[4]", "[4,8]") + "}",
              "tensor 'b' overlaps"},
             {R"({"a":)" + tensor("U8", "[3]", "[0,3]") + R"(,"b":)" + tensor("U8", "[4]", "[4,8]") + "}",
              "leaves a hole"},
             {R"({"a":)" + tensor("U8", "[4]", "[4,8]") + "}", "leaves a hole"},
             {"{}", "ends with 8 bytes that no tensor uses"},
             {R"({"a":)" + std::string(100'000, '['), "a list stands at 'a'"},
             {R"({"a":)" + std::string(100'000, '{'), "no valid JSON"},
             {R"({"a":)"
                  + tensor(
                      "U8",
                      "[1" +
                          [] {
                              std::string ones;
                              for (int i = 0; i < 64; ++i) ones += ",1";
                              return ones;
                          }()
                          + "]",
                      "[0,1]")
                  + "}",
              "more than 64 dimensions", 1},
         }) {
        CAPTURE(hostile.header.substr(0, 200));
        auto const seen = refusal(file_of(hostile.header, hostile.data));
        CHECK_MESSAGE(seen.find(hostile.message) != std::string::npos, "seen: ", seen, "; wanted: ", hostile.message);
        CHECK(seen.starts_with("inkling::io::Safetensors: file 'x': "));
    }
}

TEST_CASE("safetensors: a header is padded with spaces, and a zero byte in it is refused wherever it is") {
    std::string const good = R"({"a":)" + tensor("U8", "[8]", "[0,8]") + "}";
    std::string const zero(1, '\0');
    CHECK(parse(file_of(good + "   ", 8)).contains("a"));
    for (std::string const& padding : {zero, zero + zero, " " + zero + " ", zero + "anything"})
        CHECK(refusal(file_of(good + padding, 8))
              == "inkling::io::Safetensors: file 'x': has a zero byte at byte "
                  + std::to_string(good.size() + padding.find('\0'))
                  + " of its header, expected JSON and behind it only spaces");
    CHECK(refusal(file_of("{" + zero + good.substr(1), 8)).find("has a zero byte at byte 1") != std::string::npos);
}

TEST_CASE("safetensors: a header of an absurd length is refused before it is looked at") {
    auto file = file_of("{}");
    for (std::uint64_t const length :
         {std::uint64_t{3}, std::uint64_t{100'000'000}, std::uint64_t{100'000'001}, ~std::uint64_t{0}}) {
        std::memcpy(file.data(), &length, 8);
        CHECK(refusal(file).find("says that its header has " + std::to_string(length) + " bytes") != std::string::npos);
    }
}

TEST_CASE("safetensors: an array that lies askew is copied out, and refused where it would be read in place") {
    auto const file =
        parse(file_of(R"({"a":)" + tensor("U8", "[1]", "[0,1]") + R"(,"b":)" + tensor("F32", "[1]", "[1,5]") + "}", 5));
    CHECK(file.get<float>("b").size() == 1);
    bool askew = reinterpret_cast<std::uintptr_t>(file.at("b").bytes().data()) % 4 != 0;
    if (askew)
        CHECK_THROWS_WITH_AS(file.at("b").as<float>(), doctest::Contains("is not aligned in the file for F32"), Error);
    CHECK_THROWS_WITH_AS(file.at("a").as<float>(),
                         "inkling::io::TensorView: file 'x': tensor 'a' is of type U8, expected F32", Error);
}

TEST_CASE("safetensors: asking for what is not there names what was asked for and what is there") {
    auto const file = parse(file_of(R"({"weight":)" + tensor("F32", "[2,1]", "[0,8]") + "}", 8));
    CHECK_THROWS_WITH_AS(file.at("bias"),
                         "inkling::io::Safetensors: file 'x': there is no tensor 'bias'; it holds 1, such as 'weight'",
                         Error);
    CHECK_THROWS_WITH_AS(file.get<float>("weight", {1, 2}),
                         "inkling::io::TensorView: file 'x': tensor 'weight' has shape [2, 1], expected [1, 2]", Error);
    CHECK_THROWS_WITH_AS(io::Safetensors::open("/nonexistent/file"), doctest::Contains("cannot be opened"), Error);
    CHECK_THROWS_WITH_AS(io::Safetensors::open("/dev/null"), doctest::Contains("is no regular file"), Error);
}

TEST_CASE("half precision: all 65536 numbers are what their three fields say") {
    int wrong = 0;
    for (unsigned bits = 0; bits < 65536; ++bits) {
        double const sign = (bits & 0x8000u) != 0 ? -1.0 : 1.0;
        int const exponent = static_cast<int>((bits >> 10) & 31u);
        double const fraction = static_cast<double>(bits & 1023u);
        float const got = io::from_half(static_cast<std::uint16_t>(bits));
        if (exponent == 31) {
            wrong += fraction == 0.0 ? !(std::isinf(got) && std::signbit(got) == (sign < 0)) : !std::isnan(got);
        } else {
            double const want =
                exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024.0 + fraction, exponent - 25);
            wrong += static_cast<double>(got) != sign * want || std::signbit(got) != (sign < 0);
        }
    }
    CHECK(wrong == 0);
    CHECK(io::from_bfloat16(0x3FC0) == 1.5f);
    CHECK(io::from_bfloat16(0xC000) == -2.0f);
    CHECK(std::isnan(io::from_bfloat16(0x7FC1)));
}

TEST_CASE("conversion: what comes out is the same number") {
    using T = io::ElementType;
    CHECK(converted<double>(T::F32, std::vector{0.1f}) == std::vector{static_cast<double>(0.1f)});
    CHECK(converted<float>(T::F64, std::vector{0.1}) == std::vector{0.1f});
    CHECK(std::isnan(converted<float>(T::F64, std::vector{std::nan("")})[0]));
    CHECK(std::isinf(converted<float>(T::F64, std::vector{-std::numeric_limits<double>::infinity()})[0]));
    CHECK(converted<float>(T::F16, std::vector<std::uint16_t>{0x3C00, 0x0001}) == std::vector{1.0f, 0x1p-24f});
    CHECK(converted<double>(T::BF16, std::vector<std::uint16_t>{0x3F80}) == std::vector{1.0});
    CHECK(converted<float>(T::I32, std::vector{16777216, -3, 33554436})
          == std::vector{16777216.0f, -3.0f, 33554436.0f});
    CHECK(converted<double>(T::I64, std::vector{std::numeric_limits<std::int64_t>::min()}) == std::vector{-0x1p63});
    CHECK(converted<std::int64_t>(T::F64, std::vector{-0x1p63, 5.0})
          == std::vector{std::numeric_limits<std::int64_t>::min(), std::int64_t{5}});
    CHECK(converted<std::int32_t>(T::I64, std::vector<std::int64_t>{-5, 2147483647}) == std::vector{-5, 2147483647});
    CHECK(converted<std::int64_t>(T::U8, std::vector<std::uint8_t>{200}) == std::vector<std::int64_t>{200});
    CHECK(converted<float>(T::BOOL, std::vector<std::uint8_t>{1, 0}) == std::vector{1.0f, 0.0f});
}

TEST_CASE("conversion: an element that has no equal in the type asked for is named") {
    using T = io::ElementType;
    CHECK_THROWS_WITH_AS(converted<float>(T::F64, std::vector{0.0, 1e39}),
                         doctest::Contains("tensor 't' element 1 of type F64 is 9999"), Error);
    CHECK_THROWS_AS(converted<float>(T::I32, std::vector{16777217}), Error);
    CHECK_THROWS_AS(converted<double>(T::I64, std::vector<std::int64_t>{(std::int64_t{1} << 53) + 1}), Error);
    CHECK_THROWS_AS(converted<double>(T::U64, std::vector{~std::uint64_t{0}}), Error);
    CHECK_THROWS_AS(converted<int>(T::F32, std::vector{1.5f}), Error);
    CHECK_THROWS_AS(converted<int>(T::F32, std::vector{std::nanf("")}), Error);
    CHECK_THROWS_AS(converted<int>(T::F64, std::vector{0x1p31}), Error);
    CHECK_THROWS_AS(converted<std::int64_t>(T::F64, std::vector{0x1p63}), Error);
    CHECK_THROWS_AS(converted<std::uint64_t>(T::F64, std::vector{-1.0}), Error);
    CHECK_THROWS_AS(converted<std::uint8_t>(T::I64, std::vector<std::int64_t>{256}), Error);
    CHECK_THROWS_AS(converted<std::uint64_t>(T::I8, std::vector<std::int8_t>{-1}), Error);
    CHECK_THROWS_AS(converted<float>(T::BOOL, std::vector<std::uint8_t>{2}), Error);
    std::array<bool, 1> truth{};
    std::vector<int> const two{2};
    CHECK_THROWS_AS(
        io::TensorView("x", "t", T::I32, {1}, std::as_bytes(std::span(two))).copy_to(std::span<bool>(truth)), Error);
}

TEST_CASE("safetensors: what cannot be written is refused, and the old file stays") {
    TemporaryFolder const folder;
    put(folder / "a", "old");
    std::vector<float> const floats{1.0f};
    auto const good = io::tensor_to_write<float>("w", {1}, floats);
    auto bad = good;
    bad.shape = {2};
    CHECK_THROWS_WITH_AS(io::write_safetensors(folder / "a", {good, good}),
                         doctest::Contains("the tensor name 'w' is used twice"), Error);
    CHECK_THROWS_WITH_AS(io::write_safetensors(folder / "a", {bad}),
                         doctest::Contains("has 4 bytes, which is not what type F32 and shape [2] need"), Error);
    bad = good;
    bad.name = "__metadata__";
    CHECK_THROWS_AS(io::write_safetensors(folder / "a", {bad}), Error);
    bad.name = "\xff";
    CHECK_THROWS_WITH_AS(io::write_safetensors(folder / "a", {bad}), doctest::Contains("not valid UTF-8"), Error);
    CHECK_THROWS_AS(io::write_safetensors(folder / "a", {good}, {{"key", "\xff"}}), Error);
    CHECK_THROWS_WITH_AS(io::tensor_to_write<float>("w", {2}, floats),
                         "inkling::io::tensor_to_write: tensor 'w' has 1 elements, which is not what shape [2] holds",
                         Error);
    CHECK_THROWS_AS(io::tensor_to_write<float>("w", {-1}, floats), Error);
    CHECK(contents_of(folder / "a") == "old");
    CHECK(folder.files() == 1);
}

TEST_CASE("named tensors: a flat buffer's views are saved, and filled again by name") {
    TemporaryFolder const folder;
    std::vector<float> const flat{1, 2, 3, 4, 5, 6, 7};
    std::vector<io::NamedTensor> const views{{"layer.weight", {2, 3}, flat.data()},
                                             {"layer.bias", {1}, flat.data() + 6}};
    io::save_tensors(folder / "w", views, {{"step", "12"}});
    std::vector<float> filled(7);
    io::load_tensors(folder / "w",
                     std::vector<io::TensorDestination>{{"layer.bias", {1}, filled.data() + 6},
                                                        {"layer.weight", {2, 3}, filled.data()}});
    CHECK(filled == flat);
}

TEST_CASE("named tensors: a load that fails names the tensor and changes nothing") {
    TemporaryFolder const folder;
    std::vector<float> const ones(4, 1.0f);
    std::vector<double> const wide{0.5, 1e300};
    io::write_safetensors(folder / "w",
                          {io::tensor_to_write<float>("a", {4}, ones), io::tensor_to_write<double>("b", {2}, wide)});
    auto const file = io::Safetensors::open(folder / "w");
    std::vector<float> room(6, -1.0f);
    using Destinations = std::vector<io::TensorDestination>;
    CHECK_THROWS_WITH_AS(io::load_tensors(file, Destinations{{"a", {4}, room.data()}, {"c", {2}, room.data() + 4}},
                                          io::UnusedTensors::ignore),
                         doctest::Contains("there is no tensor 'c'"), Error);
    CHECK_THROWS_WITH_AS(io::load_tensors(file, Destinations{{"a", {2, 2}, room.data()}}, io::UnusedTensors::ignore),
                         doctest::Contains("tensor 'a' has shape [4], expected [2, 2]"), Error);
    CHECK_THROWS_WITH_AS(io::load_tensors(file, Destinations{{"a", {4}, room.data()}, {"b", {2}, room.data() + 4}}),
                         doctest::Contains("tensor 'b' element 1"), Error);
    CHECK_THROWS_WITH_AS(io::load_tensors(file, Destinations{{"a", {4}, room.data()}}),
                         doctest::Contains("1 of its tensors have no place in this model: 'b'"), Error);
    CHECK(room == std::vector<float>(6, -1.0f));
    io::load_tensors(file, Destinations{{"a", {4}, room.data()}}, io::UnusedTensors::ignore);
    CHECK(room == std::vector<float>{1, 1, 1, 1, -1, -1});
}
