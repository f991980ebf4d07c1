#include <inkling/text/wordpiece_tokenizer.hpp>

#include "tokenizer_checks.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

using namespace inkling;
using namespace inkling::text;

namespace {

WordPieceTokenizer from(Lines const& vocabulary, WordPieceOptions const& options = {}) {
    MemoryLines lines{vocabulary};
    return WordPieceTokenizer::from_vocabulary(lines, options);
}

Lines const specials{"[PAD]", "[UNK]", "[CLS]", "[SEP]"};

Lines with_specials(Lines const& more) {
    Lines all = specials;
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

/// The pieces of a line, blanks between them.
std::string pieces(WordPieceTokenizer const& tokenizer, std::string_view line) {
    std::string text;
    for (Token const token : tokenizer.encode(line))
        text.append(text.empty() ? "" : " ").append(tokenizer.spelling(token));
    return text;
}

/// Pieces that the made-up text of all tokenizer tests can be made of.
WordPieceTokenizer letters() {
    Lines more{".", "the", "##er", "ink", "##ing"};
    for (char letter = 'a'; letter <= 'z'; ++letter) {
        more.push_back(std::string(1, letter));
        more.push_back("##" + std::string(1, letter));
    }
    return from(with_specials(more));
}

TEST_CASE("wordpiece: a word is cut from the left into the longest pieces that there are") {
    CHECK(pieces(from(with_specials({"un", "##aff", "##able"})), "unaffable") == "un ##aff ##able");
    // Un and affable would do, but unaff is longer, and then nothing begins the rest.
    CHECK(pieces(from(with_specials({"un", "unaff", "##affable"})), "unaffable") == "[UNK]");
    auto const tokenizer = from(with_specials({"unaff", "##a", "affable", "##ord"}));
    CHECK(pieces(tokenizer, "affable unaffa") == "affable unaff ##a");
    CHECK(pieces(tokenizer, "unaffordx") == "[UNK]");  // all of the word, not its rest
}

TEST_CASE("wordpiece: letters are made small and lose accents, white space parts, signs and Chinese stand alone") {
    auto const tokenizer =
        from(with_specials({"cafe", "ink", ",", "!", "漢", "字", "ß", "σ", "##σ", "$", "5", "«", "»", "i", "ʼ"}));
    CHECK(pieces(tokenizer, "Café,INK!") == "cafe , ink !");
    CHECK(pieces(tokenizer, "CAFÉ\tİ\u00a0ink\u3000ink\u2028i") == "cafe i ink ink i");
    CHECK(pieces(tokenizer, "Cafe\u0301 ẞ ΣΣ") == "cafe ß σ ##σ");
    CHECK(pieces(tokenizer, "漢字ink «ink» $5") == "漢 字 ink « ink » $ 5");
    CHECK(pieces(tokenizer, "i\u00adn\x01k \u200bink\uFFFD") == "ink ink");  // soft hyphen and control characters go
    auto const cased = from(with_specials({"Café", "cafe"}), {.lower_case = false});
    CHECK(pieces(cased, "Café cafe Cafe") == "Café cafe [UNK]");
}

TEST_CASE("wordpiece: a word over the longest length is unk, one of that length is not") {
    auto const tokenizer = from(with_specials({"a", "##a", "é", "##é"}), {.lower_case = false, .longest_word = 5});
    CHECK(pieces(tokenizer, "aaaaa aaaaaa") == "a ##a ##a ##a ##a [UNK]");
    CHECK(pieces(tokenizer, "ééééé") == "é ##é ##é ##é ##é");  // characters, not bytes
}

TEST_CASE("wordpiece: decode joins what encode cut, leaves special tokens out and cleans up where asked") {
    auto const tokenizer = letters();
    CHECK(tokenizer.decode(tokenizer.encode("The INKING  printer.")) == "the inking printer.");
    auto const plain = from(with_specials({"it", "'", "s", ",", "n't", "is", "!", "##it"}), {.clean_up = false});
    CHECK(plain.decode(plain.encode("it's, it!")) == "it ' s , it !");
    auto const tidy = from(with_specials({"it", "'s", "s", ",", "n't", "is", "!", "'", "##it"}));
    CHECK(tidy.decode(std::vector<Token>{2, 4, 5, 7, 9, 8, 1, 10, 12, 3, 0}) == "it's, isn't [UNK]!it");
    CHECK(tidy.decode(std::vector<Token>{12, 4}) == "##it it");  // the first piece stays as it is spelt
    CHECK_THROWS_WITH_AS(tidy.decode(std::vector<Token>{13}),
                         "inkling::text::WordPieceTokenizer: token 13, expected a number in [0, 13)", Error);
}

TEST_CASE(
    "wordpiece: text that spells a special token does not become one, and any text gives tokens of the vocabulary") {
    auto const tokenizer = letters();
    for (Token const token : tokenizer.encode("[CLS] [SEP] [PAD]")) CHECK((token == 1 || token > 3));
    CHECK(tokenizer.specials() == SpecialTokens{.bos = 2, .pad = 0, .eos = 3, .unk = 1});
    CHECK(rc::check([&](std::vector<std::uint32_t> const& characters) {
        std::string line;
        for (std::uint32_t const seed : characters) {
            std::uint32_t const character = seed % 0x110000;
            if (character >= 0xD800 && character < 0xE000) continue;
            if (character < 0x80) {
                line += static_cast<char>(character);
            } else if (character < 0x800) {
                line += static_cast<char>(0xC0 | character >> 6);
                line += static_cast<char>(0x80 | (character & 0x3F));
            } else if (character < 0x10000) {
                line += static_cast<char>(0xE0 | character >> 12);
                line += static_cast<char>(0x80 | (character >> 6 & 0x3F));
                line += static_cast<char>(0x80 | (character & 0x3F));
            }
        }
        for (Token const token : tokenizer.encode(line)) RC_ASSERT(token >= 1 && token < tokenizer.vocabulary_size());
    }));
    CHECK_THROWS_WITH_AS((void)tokenizer.encode("in\xff"),
                         "inkling::text::WordPieceTokenizer: byte 3 of the line is not valid UTF-8", Error);
}

TEST_CASE("wordpiece: its bytes give it back, damaged ones are refused") {
    check_bytes_give_it_back(letters());
    auto const odd = from(with_specials({"A", "##é"}), {.lower_case = false, .clean_up = false, .longest_word = 7});
    auto const read = WordPieceTokenizer::deserialise(odd.serialise());
    CHECK(pieces(read, "Aé Aéééééé Aééééééé") == pieces(odd, "Aé Aéééééé Aééééééé"));
    CHECK(read.decode(std::vector<Token>{4, 5, 4}) == "Aé A");
}

TEST_CASE("wordpiece: a vocabulary that cannot be is refused with the line") {
    CHECK_THROWS_WITH_AS(
        from({"[PAD]", "[UNK]", "[CLS]"}),
        "inkling::text::WordPieceTokenizer: the vocabulary of 3 pieces lacks the special token '[SEP]'", Error);
    CHECK_THROWS_WITH_AS(from(with_specials({"a", "a"})),
                         "inkling::text::WordPieceTokenizer: line 6 of the vocabulary, 'a', was there before", Error);
    CHECK_THROWS_AS(from(with_specials({""})), Error);
    CHECK_THROWS_AS(from(with_specials({"\xff"})), Error);
    CHECK_THROWS_AS(from(specials, {.longest_word = 0}), Error);
}

}  // namespace
