#include <inkling/text/any_tokenizer.hpp>
#include <inkling/text/memory_lines.hpp>
#include <inkling/text/tokenizer_pair.hpp>
#include <inkling/text/utf8.hpp>
#include <inkling/text/vocabulary.hpp>
#include <inkling/text/word_tokenizer.hpp>

#include "tokenizer_checks.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using namespace inkling;
using namespace inkling::text;

namespace {

// A tokenizer of one's own that took over a name: its bytes could not be told from WordTokenizer's.
struct OtherWords : WordTokenizer {
    [[nodiscard]] static OtherWords deserialise(std::string_view bytes) { return {WordTokenizer::deserialise(bytes)}; }
};

// Any code point that text may hold, as UTF-8; common scripts more often than the rest.
rc::Gen<std::string> any_character() {
    return rc::gen::map(
        rc::gen::oneOf(rc::gen::inRange<std::uint32_t>(0x20, 0x7F), rc::gen::inRange<std::uint32_t>(0x80, 0x800),
                       rc::gen::inRange<std::uint32_t>(0x800, 0xD800),
                       rc::gen::inRange<std::uint32_t>(0xE000, 0x110000)),
        [](std::uint32_t code) {
            auto const tail = [&](int shift) { return static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
            if (code < 0x80) return std::string{static_cast<char>(code)};
            if (code < 0x800) return std::string{static_cast<char>(0xC0 | (code >> 6)), tail(0)};
            if (code < 0x10000) return std::string{static_cast<char>(0xE0 | (code >> 12)), tail(6), tail(0)};
            return std::string{static_cast<char>(0xF0 | (code >> 18)), tail(12), tail(6), tail(0)};
        });
}

std::string joined(Lines const& parts, std::string_view between) {
    std::string line;
    for (std::string const& part : parts) line.append(line.empty() ? std::string_view{} : between).append(part);
    return line;
}

}  // namespace

static_assert(Tokenizer<WordTokenizer> && Tokenizer<AnyTokenizer<WordTokenizer>>);
static_assert(!Tokenizer<int> && !Tokenizer<Vocabulary>);
static_assert(LineSource<MemoryLines> && !LineSource<std::string>);

TEST_CASE("UTF-8: every code point but the surrogates is accepted, and a cut character is not") {
    CHECK(rc::check([] {
        std::string const text = joined(*rc::gen::container<Lines>(any_character()), "");
        RC_ASSERT(is_valid_utf8(text));
        for (std::size_t position = 0; position < text.size(); position += utf8_length(text[position])) {
            std::string_view const cut = std::string_view(text).substr(0, position + utf8_length(text[position]) - 1);
            RC_ASSERT(valid_utf8_prefix(cut) == position);
        }
    }));
}

TEST_CASE(
    "UTF-8: overlong forms, surrogates, stray bytes and code points above U+10FFFF are refused where they stand") {
    for (std::string_view bad :
         {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF",
          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE2\x82", "\xE2\x28\xA1", "\xF0\x9F\x98\x28"})
        CHECK(valid_utf8_prefix("ab" + std::string(bad)) == 2);
    for (std::string_view good :
         {"\xC2\x80", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"})
        CHECK(is_valid_utf8(good));
}

TEST_CASE("Vocabulary: words follow the special tokens in order, and what it lacks is unk") {
    Vocabulary const vocabulary({"ink", "dries"});
    CHECK(vocabulary.size() == 6);
    CHECK(vocabulary.token("ink") == 4);
    CHECK(vocabulary.token("dries") == 5);
    CHECK(vocabulary.token("letter") == 3);
    CHECK(vocabulary.spelling(5) == "dries");
    CHECK(vocabulary.spelling(0) == "<s>");
    CHECK(vocabulary.spelling(1) == "<pad>");
    CHECK(vocabulary.spelling(2) == "</s>");
    CHECK(vocabulary.spelling(3) == "<unk>");
    CHECK_THROWS_WITH_AS(vocabulary.spelling(6), "inkling::text::Vocabulary: token 6, expected a number in [0, 6)",
                         Error);
    CHECK_THROWS_AS(vocabulary.spelling(-1), Error);
}

TEST_CASE("Vocabulary: the most frequent words come first, ties by their bytes, rare ones are left out") {
    WordCounts counts;
    for (std::string_view word : {"b", "a", "é", "b", "Z", "c", "c", "rare", "a", "é", "Z"}) counts.add(word);
    counts.add("c", 2);
    CHECK(counts.count("c") == 4);
    CHECK(counts.count("absent") == 0);
    CHECK(Vocabulary::from_counts(counts, {.minimum_count = 2}) == Vocabulary({"c", "Z", "a", "b", "é"}));
    CHECK(Vocabulary::from_counts(counts, {.maximum_size = 6}) == Vocabulary({"c", "Z"}));
}

TEST_CASE("Vocabulary: text spelt like a special token gets no token of its own") {
    WordCounts counts;
    for (std::string_view word : {"<s>", "</s>", "<pad>", "<unk>", "ink"}) counts.add(word);
    Vocabulary const vocabulary = Vocabulary::from_counts(counts);
    CHECK(vocabulary == Vocabulary({"ink"}));
    CHECK(vocabulary.token("</s>") == vocabulary.specials().unk);
}

TEST_CASE("Vocabulary: special tokens may stand in another order, not outside 0 to 3 nor twice") {
    SpecialTokens const diffuseq{.bos = 0, .pad = 3, .eos = 1, .unk = 2};
    Vocabulary const vocabulary({"ink"}, diffuseq);
    CHECK(vocabulary.token("letter") == 2);
    CHECK(vocabulary.spelling(1) == "</s>");
    CHECK(Vocabulary::deserialise(vocabulary.serialise()).specials() == diffuseq);
    CHECK_THROWS_AS(Vocabulary({}, {.bos = 4}), Error);
    CHECK_THROWS_AS(Vocabulary({}, {.bos = 1}), Error);
}

TEST_CASE("Vocabulary: words that could not be told apart or written down are refused") {
    CHECK_THROWS_WITH_AS(Vocabulary({"ink", "dries", "ink"}), "inkling::text::Vocabulary: word 2 'ink' is there twice",
                         Error);
    for (std::string const& word : {std::string(), std::string("a\nb"), std::string("a\rb"), std::string("a\0b", 3),
                                    std::string("\xFF"), std::string("<unk>")})
        CHECK_THROWS_AS(Vocabulary({"ink", word}), Error);
    CHECK_THROWS_AS(Vocabulary::from_counts({}, {.minimum_count = 0}), Error);
    CHECK_THROWS_AS(Vocabulary::from_counts({}, {.maximum_size = 4}), Error);
}

TEST_CASE("Vocabulary: any words survive being written and read") {
    CHECK(rc::check([] {
        auto const character = rc::gen::nonEmpty(rc::gen::container<Lines>(any_character()));
        auto const word = rc::gen::map(character, [](Lines const& parts) { return joined(parts, ""); });
        Lines const list = *rc::gen::unique<Lines>(word);
        Vocabulary const vocabulary(list);
        Vocabulary const read = Vocabulary::deserialise(vocabulary.serialise());
        RC_ASSERT(read == vocabulary);
        for (std::string const& each : list) RC_ASSERT(read.spelling(read.token(each)) == each);
    }));
}

TEST_CASE("Vocabulary: bytes that are cut, lengthened or broken are refused") {
    std::string const good = Vocabulary({"ink", "dries"}).serialise();
    CHECK(good == "inkling vocabulary 1\nspecials 0 1 2 3\nwords 2\nink\ndries\n");
    for (std::size_t size = 0; size < good.size(); ++size)
        CHECK_THROWS_AS(Vocabulary::deserialise(good.substr(0, size)), Error);
    for (std::string_view bad :
         {"inkling vocabulary 2\nspecials 0 1 2 3\nwords 0\n", "inkling vocabulary 1\nspecials 0 1 2\nwords 0\n",
          "inkling vocabulary 1\nspecials 0 1 2 3 4\nwords 0\n", "inkling vocabulary 1\nspecials 0 1 2 2\nwords 0\n",
          "inkling vocabulary 1\nspecials 0 1 2 3\nwords -1\n", "inkling vocabulary 1\nspecials 0 1 2 3\nwords x\n",
          "inkling vocabulary 1\nspecials 0 1 2 3\nwords 99999999999999999999\n",
          "inkling vocabulary 1\nspecials 0 1 2 3\nwords 18446744073709551615\nink\n",
          "inkling vocabulary 1\nspecials 0 1 2 3\nwords 1\nink\nmore\n",
          "inkling vocabulary 1\nspecials 0 1 2 3\nwords 2\nink\nink\n",
          "inkling vocabulary 1\nspecials 0 1 2 3\nwords 1\n\n",
          "inkling vocabulary 1\nspecials 0 1 2 3\nwords 1\n\xFF\n"})
        CHECK_THROWS_AS(Vocabulary::deserialise(bad), Error);
}

TEST_CASE("WordTokenizer: words come back with single blanks between them, unknown ones as <unk>") {
    WordTokenizer const tokenizer(Vocabulary({"ink", "dries"}));
    CHECK(tokenizer.encode("  ink\tdries slowly\r\n") == std::vector<Token>{4, 5, 3});
    CHECK(tokenizer.encode(" \t").empty());
    CHECK(message_of([&] { (void)tokenizer.encode("dries \xFF"); })
          == "inkling::text::WordTokenizer: byte 7 of the line is not valid UTF-8");
    CHECK(tokenizer.decode(std::vector<Token>{0, 4, 5, 3, 2, 1, 1}) == "ink dries <unk>");
    CHECK_THROWS_AS(tokenizer.decode(std::vector<Token>{6}), Error);
    CHECK(tokenizer.encode("<s> </s>") == std::vector<Token>{3, 3});
}

TEST_CASE("WordTokenizer: a vocabulary word with a blank is refused, as no text could match it") {
    CHECK_THROWS_WITH_AS(WordTokenizer(Vocabulary({"wet ink"})),
                         "inkling::text::WordTokenizer: word 'wet ink' has a blank, expected none", Error);
}

TEST_CASE("WordTokenizer: a training line that is no text is refused by its number") {
    auto const said = [](std::string const& line) {
        return message_of([&] {
            Lines const text{"the ink", line};
            MemoryLines lines{text};
            static_cast<void>(WordTokenizer::train(lines));
        });
    };
    CHECK(said("dries \xFF") == "inkling::text::WordTokenizer: line 2: byte 7 is not valid UTF-8, expected UTF-8 text");
    CHECK(said(std::string("a\0b", 3)) == "inkling::text::WordTokenizer: line 2: byte 2 is zero, expected UTF-8 text");
}

TEST_CASE("WordTokenizer: text made of its words comes back exactly") {
    WordTokenizer const tokenizer = words();
    CHECK(rc::check([&] {
        Index const size = tokenizer.vocabulary_size();
        auto const tokens =
            *rc::gen::container<std::vector<Token>>(rc::gen::inRange<Token>(4, static_cast<Token>(size)));
        RC_ASSERT(tokenizer.encode(tokenizer.decode(tokens)) == tokens);
    }));
}

TEST_CASE("WordTokenizer: parts of words are joined by decode, whatever stands beside them, and its bytes keep that") {
    Vocabulary const vocabulary({"un@@", "ink@@", "ed", "pen", "@@"});
    WordTokenizer const parts(vocabulary, "@@"), plain(vocabulary);
    auto const tokens = parts.encode("pen un@@ ink@@ ed @@ pen un@@ gold ink@@");
    CHECK(tokens == plain.encode("pen un@@ ink@@ ed @@ pen un@@ gold ink@@"));
    CHECK(plain.decode(tokens) == "pen un@@ ink@@ ed @@ pen un@@ <unk> ink@@");
    CHECK(parts.decode(tokens) == "pen uninked pen un<unk> ink");  // as subword-nmt's sed 's/@@ //g' has it
    CHECK(WordTokenizer(vocabulary, "ed").decode(tokens) == "pen un@@ ink@@ @@ pen un@@ <unk> ink@@");
    auto const again = WordTokenizer::deserialise(parts.serialise());
    CHECK(again.joint() == "@@");
    CHECK(again.decode(tokens) == parts.decode(tokens));
    CHECK(again.vocabulary() == vocabulary);
    CHECK(WordTokenizer::deserialise(plain.serialise()).joint().empty());
    CHECK_THROWS_WITH_AS(WordTokenizer(vocabulary, "@@ "),
                         "inkling::text::WordTokenizer: the joint '@@ ' has a blank, expected none", Error);
}

TEST_CASE("WordTokenizer: its bytes give it back, and any change to them is noticed") {
    check_bytes_give_it_back(words());
    check_bytes_give_it_back(AnyTokenizer<WordTokenizer>(words()));
}

TEST_CASE("TokenizerPair: sources are cut by the first, all else by the second, and its bytes give both back") {
    Lines const lines{"Tinte trocknet", "Papier"};
    MemoryLines german{lines};
    TokenizerPair<WordTokenizer> const pair(WordTokenizer::train(german), words());
    CHECK(pair.encode_source("Tinte trocknet map") == std::vector<Token>{5, 6, 3});
    CHECK(pair.encode("a map of Tinte") == words().encode("a map of Tinte"));
    CHECK(pair.decode(pair.encode("seven pages")) == "seven pages");
    CHECK(pair.decode_source(pair.encode_source("Papier Tinte")) == "Papier Tinte");
    CHECK(pair.source_vocabulary_size() == 7);
    CHECK(pair.vocabulary_size() == words().vocabulary_size());
    check_bytes_give_it_back(pair);

    using Either = AnyTokenizer<WordTokenizer, TokenizerPair<WordTokenizer>>;
    auto const read = Either::deserialise(pair.serialise());
    CHECK(read.encode_source("Papier") == pair.encode_source("Papier"));
    CHECK(read.decode_source(read.encode_source("Papier Tinte")) == "Papier Tinte");
    CHECK(read.source_vocabulary_size() == 7);
    Either const one(words());
    CHECK(one.encode_source("seven pages") == one.encode("seven pages"));
    CHECK_FALSE(one.source_vocabulary_size());
    CHECK_FALSE(source_vocabulary_size(words()));
    std::string const whole = words().serialise();
    auto const refused = [](std::string const& bytes) {
        return message_of([&] { (void)TokenizerPair<WordTokenizer>::deserialise(seal("pair", bytes)); });
    };
    CHECK(refused(message(whole.size() + 1, '\n', whole))
          == message("inkling::text::TokenizerPair: the source's tokenizer has ", whole.size() + 1, " bytes of ",
                     whole.size(), ", expected a line with a number of them, and as many"));
    for (char const* const broken : {"", "x\n", "-1\n"})
        CHECK(refused(broken).starts_with("inkling::text::TokenizerPair: the source's tokenizer has 0 bytes"));
    CHECK(message_of([&] { TokenizerPair<TokenizerPair<WordTokenizer>, WordTokenizer>(pair, words()); })
          == "inkling::text::TokenizerPair: a side gives sources a vocabulary of their own, expected one tokenizer for "
             "each side");
}

TEST_CASE("TokenizerPair: both sides must have the same special tokens") {
    Lines const lines{"ink"};
    WordTokenizer const other(Vocabulary(lines, {.bos = 1, .pad = 0}));
    CHECK_THROWS_WITH_AS(TokenizerPair(other, words()),
                         "inkling::text::TokenizerPair: the source's special tokens are bos 1, pad 0, eos 2, unk 3, "
                         "expected the target's, bos 0, pad 1, eos 2, unk 3",
                         Error);
}

TEST_CASE("AnyTokenizer: two tokenizers of one kind are refused, and bytes of no kind") {
    CHECK_THROWS_WITH_AS(
        (AnyTokenizer<WordTokenizer, OtherWords>::deserialise(words().serialise())),
        "inkling::text::AnyTokenizer: two of its tokenizers are of kind 'word', expected a kind of its own "
        "for each",
        Error);
    CHECK_THROWS_AS(AnyTokenizer<WordTokenizer>::deserialise(""), Error);
    CHECK_THROWS_AS(AnyTokenizer<WordTokenizer>::deserialise("inkling tokenizer other 0 0\n"), Error);
}
