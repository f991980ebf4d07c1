#include <inkling/text/sentencepiece_tokenizer.hpp>

#include <inkling/text/any_tokenizer.hpp>
#include <inkling/text/memory_lines.hpp>
#include <inkling/text/word_tokenizer.hpp>

#include "tokenizer_checks.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using namespace inkling;
using namespace inkling::text;

namespace {

using Either = AnyTokenizer<WordTokenizer, SentencePieceTokenizer>;

SentencePieceTokenizer train(Lines const& text, SentencePieceOptions const& options) {
    MemoryLines lines{text};
    return SentencePieceTokenizer::train(lines, options);
}

SentencePieceTokenizer const& pieces(PieceModel model) {
    static SentencePieceTokenizer const unigram =
        train(made_up_text(), {.vocabulary_size = 60, .model = PieceModel::unigram});
    static SentencePieceTokenizer const bpe = train(made_up_text(), {.vocabulary_size = 60, .model = PieceModel::bpe});
    return model == PieceModel::bpe ? bpe : unigram;
}

}  // namespace

static_assert(Tokenizer<SentencePieceTokenizer> && Tokenizer<Either>);

TEST_CASE("SentencePieceTokenizer: text of the training characters comes back exactly, by unigram and by bpe") {
    for (PieceModel model : {PieceModel::unigram, PieceModel::bpe}) {
        SentencePieceTokenizer const& tokenizer = pieces(model);
        CHECK(tokenizer.vocabulary_size() == 60);
        CHECK(tokenizer.specials() == SpecialTokens{});
        std::size_t characters = 0;
        std::size_t tokens = 0;
        for (std::string const& line : made_up_text()) {
            CHECK(tokenizer.decode(tokenizer.encode(line)) == line);
            characters += line.size();
            tokens += tokenizer.encode(line).size();
        }
        CHECK(tokens < characters);  // some pieces are longer than a letter
        CHECK(tokenizer.encode("").empty());
        CHECK(tokenizer.decode(std::vector<Token>{}).empty());
    }
}

TEST_CASE("SentencePieceTokenizer: special tokens are left out of text, and their spellings in text are not special") {
    SentencePieceTokenizer const& tokenizer = pieces(PieceModel::unigram);
    std::vector<Token> tokens = tokenizer.encode("the ink");
    tokens.insert(tokens.begin(), tokenizer.specials().bos);
    tokens.push_back(tokenizer.specials().eos);
    tokens.push_back(tokenizer.specials().pad);
    CHECK(tokenizer.decode(tokens) == "the ink");
    for (Token const token : tokenizer.encode("<s> </s> <pad>")) CHECK(token >= 3);
    CHECK(tokenizer.decode(tokenizer.encode("ink \u4e2d")) == "ink <unk>");
    CHECK(tokenizer.spelling(2) == "</s>");
    CHECK_THROWS_AS(tokenizer.decode(std::vector<Token>{60}), Error);
    CHECK_THROWS_AS(tokenizer.decode(std::vector<Token>{-1}), Error);
    CHECK_THROWS_AS(tokenizer.spelling(60), Error);
}

TEST_CASE("SentencePieceTokenizer: a tab is a blank, in training and after it") {
    SentencePieceTokenizer const& tokenizer = pieces(PieceModel::unigram);
    CHECK(tokenizer.encode("the\tblue\t ink") == tokenizer.encode("the blue ink"));
    CHECK(tokenizer.decode(tokenizer.encode("the\tblue ink")) == "the blue ink");
    Lines text = made_up_text();
    for (std::string& line : text) std::replace(line.begin(), line.end(), ' ', '\t');
    CHECK(train(text, {.vocabulary_size = 60}).serialise() == tokenizer.serialise());
}

TEST_CASE(
    "SentencePieceTokenizer: a training line with SentencePiece's own mark is refused by its number, not passed over") {
    CHECK_THROWS_WITH_AS(train({"fine", "a bar \u2585"}, {.vocabulary_size = 20}),
                         "inkling::text::SentencePieceTokenizer: line 2: byte 7 begins '\u2585' (U+2585), which "
                         "SentencePiece keeps for itself, expected text without it",
                         Error);
    CHECK(pieces(PieceModel::unigram).encode("\u2585").back() == 3);  // elsewhere it is a letter like others
}

TEST_CASE("SentencePieceTokenizer: the same text and options give the same bytes") {
    SentencePieceOptions const options{.vocabulary_size = 60};
    CHECK(train(made_up_text(), options).serialise() == pieces(PieceModel::unigram).serialise());
    SentencePieceOptions const two{.vocabulary_size = 60, .threads = 2};
    CHECK(train(made_up_text(), two).serialise() == train(made_up_text(), two).serialise());
}

TEST_CASE("SentencePieceTokenizer: a tag is one token of its own wherever it stands, and comes back as it went in") {
    auto const tagged = train(made_up_text(), {.vocabulary_size = 60, .tags = {"<2de>", "<2fr>"}});
    CHECK(tagged.vocabulary_size() == 60);
    std::string const line = made_up_text().front();
    for (std::string const& text : {"<2de> " + line, line + " <2de>", "<2de>" + line}) {
        auto const tokens = tagged.encode(text);
        CHECK(
            std::count_if(tokens.begin(), tokens.end(), [&](Token token) { return tagged.spelling(token) == "<2de>"; })
            == 1);
        CHECK(tagged.decode(tokens) == text);
    }
    CHECK(tagged.encode("<2de> " + line) != tagged.encode("<2fr> " + line));
    for (char const* const tag : {"", "two words", "a,b", "\xff"})
        CHECK_THROWS_WITH_AS((void)train(made_up_text(), {.vocabulary_size = 60, .tags = {tag}}),
                             doctest::Contains("expected UTF-8 text without blanks and commas"), Error);
}

TEST_CASE("SentencePieceTokenizer: special tokens may stand in another order") {
    SpecialTokens const diffuseq{.bos = 0, .pad = 3, .eos = 1, .unk = 2};
    SentencePieceTokenizer const tokenizer = train(made_up_text(), {.vocabulary_size = 60, .specials = diffuseq});
    CHECK(tokenizer.specials() == diffuseq);
    CHECK(tokenizer.encode("\u4e2d").back() == 2);
}

TEST_CASE("SentencePieceTokenizer: a vocabulary the text cannot fill is refused, or made as large as the text allows") {
    std::string const said = message_of([] { static_cast<void>(train(made_up_text(), {.vocabulary_size = 50000})); });
    CHECK(said.starts_with(
        "inkling::text::SentencePieceTokenizer: training 50000 tokens failed: Vocabulary size too high"));
    CHECK(train(made_up_text(), {.vocabulary_size = 50000, .exact_size = false}).vocabulary_size() < 50000);
    CHECK_THROWS_AS(train(made_up_text(), {.vocabulary_size = 10}), Error);  // fewer than the letters
    CHECK_THROWS_AS(train(made_up_text(), {.vocabulary_size = 4}), Error);
    CHECK_THROWS_WITH_AS(
        train(made_up_text(), {.vocabulary_size = 2'000'000'000, .exact_size = false}),
        "inkling::text::SentencePieceTokenizer: vocabulary_size is 2000000000, expected more than the 4 "
        "special tokens and at most 10000000",
        Error);
}

TEST_CASE("SentencePieceTokenizer: no text, text that is not UTF-8 and settings out of range are refused") {
    CHECK_THROWS_AS(train({}, {.vocabulary_size = 20}), Error);
    CHECK_THROWS_AS(train({"", "  \t"}, {.vocabulary_size = 20}), Error);
    CHECK_THROWS_AS(train({"all of it is too long"}, {.vocabulary_size = 20, .max_line_bytes = 5}), Error);
    CHECK_THROWS_WITH_AS(
        train({"fine", "not \xFF"}, {.vocabulary_size = 20}),
        "inkling::text::SentencePieceTokenizer: line 2: byte 5 is not valid UTF-8, expected UTF-8 text", Error);
    CHECK_THROWS_AS(train({"ink"}, {.vocabulary_size = 20, .threads = 0}), Error);
    CHECK_THROWS_AS(train({"ink"}, {.vocabulary_size = 20, .max_line_bytes = 0}), Error);
    CHECK_THROWS_AS(train({"ink"}, {.vocabulary_size = 20, .max_line_bytes = Index{1} << 40}), Error);
    CHECK_THROWS_AS(train({"ink"}, {.vocabulary_size = 20, .specials = {.bos = 2}}), Error);
    CHECK_THROWS_AS(pieces(PieceModel::unigram).encode("\xC0"), Error);
}

TEST_CASE("SentencePieceTokenizer: what the source of lines throws arrives unchanged") {
    struct Broken {
        int left = 5;
        bool next(std::string& line) {
            if (left-- == 0) throw std::runtime_error("the disk is on fire");
            line = "ink";
            return true;
        }
    } broken;
    CHECK_THROWS_WITH_AS(SentencePieceTokenizer::train(broken, {.vocabulary_size = 20}), "the disk is on fire",
                         std::runtime_error);
}

TEST_CASE("SentencePieceTokenizer: bytes that are no model are refused, and damaged ones refused or read") {
    CHECK_THROWS_AS(SentencePieceTokenizer::from_model(""), Error);
    std::string const said = message_of([] { static_cast<void>(SentencePieceTokenizer::from_model("not a model")); });
    CHECK(
        said.starts_with("inkling::text::SentencePieceTokenizer: these 11 bytes are no SentencePiece model, expected "
                         "those of a '.model' file: "));
    CHECK(said.find(".cc") == std::string::npos);  // where SentencePiece noticed is nothing to a user
    std::string const model = pieces(PieceModel::unigram).model();
    CHECK(SentencePieceTokenizer::from_model(model).encode("the ink") == pieces(PieceModel::unigram).encode("the ink"));
    CHECK(rc::check([&] {
        std::string damaged = model;
        auto const position = static_cast<std::size_t>(*rc::gen::inRange<Index>(0, static_cast<Index>(model.size())));
        damaged[position] = *rc::gen::arbitrary<char>();
        try {
            static_cast<void>(
                SentencePieceTokenizer::from_model(damaged).encode("the ink"));  // may well be another good model
        } catch (Error const&) {}
    }));
}

TEST_CASE("SentencePieceTokenizer: its bytes give it back, and any change to them is noticed") {
    check_bytes_give_it_back(pieces(PieceModel::bpe));
    check_bytes_give_it_back(Either(pieces(PieceModel::bpe)));
}

TEST_CASE("AnyTokenizer: the bytes say which tokenizer they hold, and a kind it does not know is named") {
    Either const either = Either::deserialise(words().serialise());
    CHECK(either.kind() == "word");
    CHECK(either.get_if<WordTokenizer>() != nullptr);
    CHECK(either.get_if<SentencePieceTokenizer>() == nullptr);
    CHECK(Either(pieces(PieceModel::bpe)).kind() == "sentencepiece");
    CHECK_THROWS_WITH_AS(
        AnyTokenizer<WordTokenizer>::deserialise(pieces(PieceModel::bpe).serialise()),
        "inkling::text::AnyTokenizer: these bytes hold a tokenizer of kind 'sentencepiece', expected 'word'", Error);
    CHECK_THROWS_WITH_AS(WordTokenizer::deserialise(pieces(PieceModel::bpe).serialise()),
                         "inkling::text: these bytes hold a tokenizer of kind 'sentencepiece', expected 'word'", Error);
}
