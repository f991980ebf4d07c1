#include <support/inverse_text_normalisation.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

using namespace inkling;
using namespace inverse_text_normalisation;

namespace {

std::vector<Pair> const& many() {
    static std::vector<Pair> const pairs = generate(20000, 11);
    return pairs;
}

DigitTokenizer const& tokenizer() {
    static DigitTokenizer const made = make_tokenizer(many());
    return made;
}

}  // namespace

TEST_CASE("numbers are said the usual way") {
    CHECK(cardinal(0) == "zero");
    CHECK(cardinal(13) == "thirteen");
    CHECK(cardinal(40) == "forty");
    CHECK(cardinal(99) == "ninety nine");
    CHECK(cardinal(300) == "three hundred");
    CHECK(cardinal(305) == "three hundred and five");
    CHECK(cardinal(999) == "nine hundred and ninety nine");
    CHECK(ordinal_words(1) == "first");
    CHECK(ordinal_words(5) == "fifth");
    CHECK(ordinal_words(12) == "twelfth");
    CHECK(ordinal_words(19) == "nineteenth");
    CHECK(ordinal_words(20) == "twentieth");
    CHECK(ordinal_words(33) == "thirty third");
    CHECK(ordinal_words(40) == "fortieth");
}

TEST_CASE("all numbers are said differently") {
    std::set<std::string> said;
    for (int number = 0; number < 1000; ++number) said.insert(cardinal(number));
    CHECK(said.size() == 1000);
    said.clear();
    for (int number = 1; number < 100; ++number) said.insert(ordinal_words(number));
    CHECK(said.size() == 99);
}

TEST_CASE("dates are written year, month, day, however they are said") {
    CHECK(date(2026, 3, 3, DateStyle::the_third_of_march)
          == Pair{"the third of march twenty twenty six", "2026-03-03"});
    CHECK(date(1984, 12, 31, DateStyle::march_third)
          == Pair{"december thirty first nineteen eighty four", "1984-12-31"});
    CHECK(date(2007, 10, 20, DateStyle::march_the_third)
          == Pair{"october the twentieth two thousand and seven", "2007-10-20"});
}

TEST_CASE("times are written with 24 hours, and the hour named decides where no part of the day is said") {
    CHECK(time_of_day(5, 30, TimeStyle::past, DayPart::unsaid) == Pair{"half past five", "17:30"});
    CHECK(time_of_day(5, 30, TimeStyle::past, DayPart::morning) == Pair{"half past five in the morning", "05:30"});
    CHECK(time_of_day(9, 5, TimeStyle::plain, DayPart::unsaid) == Pair{"nine oh five", "09:05"});
    CHECK(time_of_day(9, 45, TimeStyle::plain, DayPart::evening) == Pair{"nine forty five in the evening", "21:45"});
    CHECK(time_of_day(12, 0, TimeStyle::plain, DayPart::unsaid) == Pair{"twelve o'clock", "12:00"});
    CHECK(time_of_day(1, 15, TimeStyle::to, DayPart::unsaid) == Pair{"quarter to one", "12:45"});
    CHECK(time_of_day(8, 20, TimeStyle::to, DayPart::unsaid) == Pair{"twenty to eight", "07:40"});
    CHECK(time_of_day(1, 5, TimeStyle::to, DayPart::morning) == Pair{"five to one in the morning", "00:55"});
}

TEST_CASE("money, quantities, telephone numbers and ranks are written in figures") {
    CHECK(money(45, 20, "dollar") == Pair{"forty five dollars and twenty cents", "$45.20"});
    CHECK(money(1, 1, "euro") == Pair{"one euro and one cent", "€1.01"});
    CHECK(money(305, 0, "euro") == Pair{"three hundred and five euros", "€305"});
    CHECK(quantity(350, 0, "grams", " g") == Pair{"three hundred and fifty grams", "350 g"});
    CHECK(quantity(3, 5, "kilometres", " km") == Pair{"three point five kilometres", "3.5 km"});
    CHECK(quantity(1, 0, "hours", " h") == Pair{"one hour", "1 h"});
    CHECK(quantity(1, 0, "percent", "%") == Pair{"one percent", "1%"});
    CHECK(telephone({5, 5, 5, 0, 1, 4, 2}, "oh") == Pair{"five five five oh one four two", "555-0142"});
    CHECK(rank(21) == Pair{"twenty first", "21st"});
    CHECK(rank(12) == Pair{"twelfth", "12th"});
    CHECK(rank(2).written + rank(3).written + rank(4).written + rank(13).written == "2nd3rd4th13th");
}

TEST_CASE("the written form is a function of the spoken one") {
    std::map<std::string, std::string> written_for;
    Index repeated = 0;
    for (Pair const& pair : many()) {
        auto const [known, is_new] = written_for.emplace(pair.spoken, pair.written);
        repeated += !is_new;
        CHECK(known->second == pair.written);
    }
    CHECK(repeated > 0);  // else this test could not fail
}

TEST_CASE("nothing is left in words that should be in figures, and every written form is well formed") {
    std::set<std::string, std::less<>> said;
    for (int number = 0; number < 20; ++number) said.insert(cardinal(number));
    for (int number = 20; number < 100; number += 10) said.insert(cardinal(number));
    for (int number = 1; number < 31; ++number) said.insert(ordinal_words(number));
    said.insert({"hundred", "thousand", "point", "oh", "o'clock", "half", "quarter"});
    std::regex const figures(
        R"(\d{4}-[01]\d-[0-3]\d|[0-2]\d:[0-5][05]|(\$|€)[1-9]\d{0,2}(\.\d\d)?|[1-9]\d{0,2}(\.[1-9])?%?|\d{3}-\d{4}|[1-9]\d?(st|nd|rd|th)|[a-z]+)");
    for (Pair const& pair : many()) {
        text::for_each_word(pair.written, [&](std::string_view word) {
            CHECK(said.find(word) == said.end());
            CHECK(std::regex_match(word.begin(), word.end(), figures));
        });
        CHECK(std::none_of(pair.spoken.begin(), pair.spoken.end(), [](char c) { return c >= '0' && c <= '9'; }));
    }
}

TEST_CASE(
    "the same seed makes the same sentences, more of them when more are asked for, and another seed makes others") {
    std::vector<Pair> const few = generate(50, 11);
    CHECK(std::equal(few.begin(), few.end(), many().begin()));
    CHECK(generate(50, 12) != few);
}

TEST_CASE("there are thousands of patterns: sentences that differ in more than their digits") {
    std::set<std::string> patterns;
    for (Pair const& pair : many()) {
        std::string pattern = pair.written;
        for (char& c : pattern)
            if (c >= '0' && c <= '9') c = '#';
        patterns.insert(pattern);
    }
    CHECK(patterns.size() > 4000);
}

TEST_CASE("test sentences are all different and none is a training sentence, whatever the seed") {
    std::set<std::string> trained;
    for (Pair const& pair : many()) trained.insert(pair.spoken);
    for (std::uint64_t seed : {11u, 3u}) {
        std::set<std::string> tested;
        for (Pair const& pair : generate_unseen(500, seed, many())) {
            CHECK(trained.count(pair.spoken) == 0);
            tested.insert(pair.spoken);
        }
        CHECK(tested.size() == 500);
    }
    CHECK(generate_unseen(20, 5, {}) == generate_unseen(20, 5, {}));
}

TEST_CASE("test sentences need no token that training sentences lack") {
    for (Pair const& pair : generate_unseen(500, 1, many())) {
        for (Token const token : tokenizer().encode(pair.spoken)) CHECK(token != tokenizer().specials().unk);
        for (Token const token : tokenizer().encode(pair.written)) CHECK(token != tokenizer().specials().unk);
    }
}

TEST_CASE("sentences are short, the vocabulary is small, and every sentence comes back exactly") {
    CHECK(tokenizer().vocabulary_size() < 400);
    for (Pair const& pair : many()) {
        for (std::string const& side : {pair.spoken, pair.written}) {
            std::vector<Token> const tokens = tokenizer().encode(side);
            CHECK(tokens.size() <= longest_sentence);
            CHECK(tokenizer().decode(tokens) == side);
        }
    }
}

TEST_CASE("DigitTokenizer: figures become single digits and signs, joined to what stands before them") {
    CHECK(
        DigitTokenizer::pieces("by 2026-03, €5.20")
        == std::vector<std::string>{"by", "2", "~0", "~2", "~6", "~-", "~0", "~3", "~,", "€", "~5", "~.", "~2", "~0"});
    CHECK(DigitTokenizer::pieces("at five o'clock") == std::vector<std::string>{"at", "five", "o'clock"});
    CHECK(DigitTokenizer::pieces("the 21st") == std::vector<std::string>{"the", "2", "~1", "~st"});
}

TEST_CASE("DigitTokenizer: lines it has seen come back exactly, whatever they mix") {
    CHECK(rc::check([] {
        auto const character = rc::gen::element<char>('a', 'B', '\'', '0', '1', '2', '.', '-', '$');
        auto const word = rc::gen::nonEmpty(rc::gen::container<std::string>(character));
        std::string line;
        for (std::string const& each : *rc::gen::container<std::vector<std::string>>(word))
            line.append(line.empty() ? "" : " ").append(each);
        std::vector<std::string> const lines{line};
        text::MemoryLines source{lines};
        DigitTokenizer const own = DigitTokenizer::train(source);
        RC_ASSERT(own.decode(own.encode(line)) == line);
    }));
}

TEST_CASE("DigitTokenizer: its bytes give it back, text cannot forge a join, and any tokens make text") {
    DigitTokenizer const read = DigitTokenizer::deserialise(tokenizer().serialise());
    CHECK(read.encode(many()[0].spoken) == tokenizer().encode(many()[0].spoken));
    CHECK(read.kind() == "digit");
    CHECK_THROWS_AS(DigitTokenizer::deserialise(text::WordTokenizer(text::Vocabulary({"a"})).serialise()), Error);
    CHECK(tokenizer().decode(tokenizer().encode("at ~5")) == "at <unk>5");
    CHECK(rc::check([&] {
        auto const any = rc::gen::inRange<Token>(0, static_cast<Token>(tokenizer().vocabulary_size()));
        std::string const line = tokenizer().decode(*rc::gen::container<std::vector<Token>>(any));
        RC_ASSERT(line.empty() || (line.front() != ' ' && line.back() != ' '));
    }));
}
