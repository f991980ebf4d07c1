#include <inkling/metric/bleu.hpp>

#include <inkling/metric/method4_bleu.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

using namespace inkling;
using metric::BleuSmoothing;
using metric::BleuTokenizer;
using Texts = std::vector<std::string>;
using Tokens = std::vector<Token>;

namespace {

double score_of(metric::BleuStatistics const& statistics, metric::BleuOptions const& options = {}) {
    return metric::bleu_score(statistics, options).score;
}

metric::BleuStatistics statistics_of(Tokens const& hypothesis, std::vector<Tokens> const& references) {
    std::vector<std::span<Token const>> const views(references.begin(), references.end());
    return metric::bleu_statistics(std::span<Token const>(hypothesis), views);
}

Tokens random_tokens(std::mt19937& random, unsigned longest, unsigned vocabulary) {
    Tokens tokens(random() % (longest + 1));
    for (Token& token : tokens) token = static_cast<Token>(random() % vocabulary);
    return tokens;
}

/// The definition, word for word: n-grams in a map.
metric::BleuStatistics counted_slowly(Tokens const& hypothesis, std::vector<Tokens> const& references) {
    auto const ngrams = [](Tokens const& tokens, std::size_t n) {
        std::map<Tokens, Index> counts;
        for (auto begin = tokens.begin(); tokens.end() - begin >= static_cast<std::ptrdiff_t>(n); ++begin)
            ++counts[Tokens(begin, begin + static_cast<std::ptrdiff_t>(n))];
        return counts;
    };
    metric::BleuStatistics result;
    result.hypothesis_length = static_cast<Index>(hypothesis.size());
    for (std::size_t n = 1; n <= 4; ++n)
        for (auto const& [ngram, count] : ngrams(hypothesis, n)) {
            Index most = 0;
            for (auto const& reference : references) {
                auto const theirs = ngrams(reference, n);
                if (auto const found = theirs.find(ngram); found != theirs.end()) most = std::max(most, found->second);
            }
            result.matches[n - 1] += std::min(count, most);
            result.totals[n - 1] += count;
        }
    auto const closer = [&](Tokens const& a, Tokens const& b) {
        auto const key = [&](Tokens const& tokens) {
            auto const length = static_cast<Index>(tokens.size());
            return std::pair(std::abs(length - result.hypothesis_length), length);
        };
        return key(a) < key(b);
    };
    result.reference_length =
        static_cast<Index>(std::min_element(references.begin(), references.end(), closer)->size());
    return result;
}

}  // namespace

TEST_CASE("BLEU: the example of Papineni et al. 2002, section 2.1: of seven times 'the' two count") {
    std::array<std::string_view, 2> const references{"the cat is on the mat", "there is a cat on the mat"};
    auto const statistics = metric::bleu_statistics("the the the the the the the", references);
    CHECK(statistics.matches[0] == 2);
    CHECK(statistics.totals[0] == 7);
    CHECK(statistics.matches[1] == 0);
    CHECK(statistics.hypothesis_length == 7);
    CHECK(statistics.reference_length == 7);
}

TEST_CASE("BLEU: counts are those of the definition, for any tokens and any number of references") {
    std::mt19937 random(1);
    for (int round = 0; round < 2000; ++round) {
        Tokens const hypothesis = random_tokens(random, 12, 4);
        std::vector<Tokens> references(1 + random() % 3);
        for (Tokens& reference : references) reference = random_tokens(random, 12, 4);
        CHECK(statistics_of(hypothesis, references) == counted_slowly(hypothesis, references));
    }
}

TEST_CASE("BLEU: the extremes of the token type are tokens like others") {
    constexpr Token low = std::numeric_limits<Token>::min(), high = std::numeric_limits<Token>::max();
    Tokens const tokens{low, high, -1, 0, low};
    CHECK(statistics_of(tokens, {tokens}).matches == std::array<Index, 4>{5, 4, 3, 2});
}

TEST_CASE("BLEU: a text is a perfect translation of itself, and shares nothing with a text of other words") {
    std::string const text = "A heron stands in the shallow water.";
    CHECK(metric::sentence_bleu(text, text).score == doctest::Approx(100.0));
    CHECK(metric::corpus_bleu(Texts{text, "One two three four five"}, Texts{text, "One two three four five"}).score
          == doctest::Approx(100.0));
    for (auto const smoothing :
         {BleuSmoothing::none, BleuSmoothing::floor, BleuSmoothing::add_k, BleuSmoothing::exponential})
        CHECK(metric::sentence_bleu(text, "Nothing here matches", {.smoothing = smoothing}).score == 0.0);
}

TEST_CASE("BLEU: text and tokens are scored by one formula") {
    Tokens const a{1, 2, 3, 4, 5, 6}, b{1, 2, 3, 9, 5, 6, 7};
    CHECK(metric::sentence_bleu(a, b).score
          == metric::sentence_bleu("one two three four five six", "one two three nine five six seven",
                                   {.effective_order = true})
                 .score);
    CHECK(metric::SentenceBleu{}(a, b) == metric::sentence_bleu(a, b).score);
}

TEST_CASE("BLEU: a corpus is scored by the sum of its sentences' counts") {
    std::mt19937 random(2);
    auto const word = [&] { return std::string(1, static_cast<char>('a' + random() % 5)) + " "; };
    Texts hypotheses(10), references(10);
    metric::BleuStatistics sum;
    for (std::size_t i = 0; i < 10; ++i) {
        for (int k = 0; k < 8; ++k) hypotheses[i] += word(), references[i] += word();
        std::array<std::string_view, 1> const reference{references[i]};
        sum += metric::bleu_statistics(hypotheses[i], reference);
    }
    CHECK(metric::corpus_bleu(hypotheses, references).score == score_of(sum));
    CHECK(metric::corpus_bleu(hypotheses, std::vector{references}).score == score_of(sum));
    CHECK(score_of(sum) > 0.0);
}

TEST_CASE("BLEU: the formula, with numbers worked out by hand") {
    metric::BleuStatistics const statistics{{4, 2, 1, 0}, {5, 4, 3, 2}, 5, 6};
    double const penalty = std::exp(1.0 - 6.0 / 5.0);
    auto const mean = [&](double p4) { return 100.0 * penalty * std::pow(4.0 / 5 * 2 / 4 * 1 / 3 * p4, 0.25); };
    CHECK(score_of(statistics) == doctest::Approx(mean(0.5 / 2)));
    CHECK(score_of(statistics, {.smoothing = BleuSmoothing::floor}) == doctest::Approx(mean(0.1 / 2)));
    CHECK(score_of(statistics, {.smoothing = BleuSmoothing::floor, .smoothing_value = 0.3})
          == doctest::Approx(mean(0.3 / 2)));
    CHECK(score_of(statistics, {.smoothing = BleuSmoothing::none}) == doctest::Approx(0.0));
    CHECK(score_of(statistics, {.smoothing = BleuSmoothing::add_k})
          == doctest::Approx(100.0 * penalty * std::pow(4.0 / 5 * 3 / 5 * 2 / 4 * 1 / 3, 0.25)));
    CHECK(metric::bleu_score(statistics).brevity_penalty == doctest::Approx(penalty));

    metric::BleuStatistics const two_missing{{4, 2, 0, 0}, {5, 4, 3, 2}, 5, 5};
    CHECK(score_of(two_missing) == doctest::Approx(100.0 * std::pow(4.0 / 5 * 2 / 4 * 0.5 / 3 * 0.25 / 2, 0.25)));

    metric::BleuStatistics const short_one{{2, 1, 0, 0}, {2, 1, 0, 0}, 2, 2};
    CHECK(score_of(short_one) == doctest::Approx(0.0));
    CHECK(score_of(short_one, {.effective_order = true}) == doctest::Approx(100.0));
}

TEST_CASE(
    "BLEU: only hypotheses shorter than the reference are penalised, against the closest reference, the shorter of "
    "two") {
    CHECK(metric::bleu_score({{1, 1, 1, 1}, {9, 8, 7, 6}, 9, 8}).brevity_penalty == 1.0);
    CHECK(metric::bleu_score({{1, 1, 1, 1}, {8, 7, 6, 5}, 8, 8}).brevity_penalty == 1.0);
    CHECK(metric::bleu_score({{}, {}, 0, 8}).brevity_penalty == 0.0);
    CHECK(metric::bleu_score({{}, {}, 0, 0}).brevity_penalty == 1.0);
    CHECK(statistics_of(Tokens(5), {Tokens(8), Tokens(6), Tokens(4), Tokens(1)}).reference_length == 4);
    CHECK(statistics_of(Tokens(5), {Tokens(4), Tokens(6)}).reference_length == 4);
    CHECK(statistics_of(Tokens(5), {Tokens(9), Tokens(6)}).reference_length == 6);
}

TEST_CASE("BLEU: lower case reaches beyond ASCII, and knows final sigma and the dotted I") {
    CHECK(metric::detail::to_lower("ÄÖÜ ẞ ΟΔΟΣ ΣΑΣ. ΜΟΥΣΑ Σ İI ДА") == "äöü ß οδος σας. μουσα σ i\u0307i да");
    CHECK(metric::detail::to_lower("plain ASCII") == "plain ascii");
    CHECK(metric::sentence_bleu("DIE ÄPFEL", "die äpfel", {.lowercase = true, .effective_order = true}).score
          == doctest::Approx(100.0));
    CHECK(metric::sentence_bleu("DIE ÄPFEL", "die äpfel").score == 0.0);
}

TEST_CASE("BLEU tokenizers: what each takes apart") {
    std::string const text = "Größe: 1,5 m (ca.) – «ja»…";
    CHECK(metric::tokenize(text, BleuTokenizer::none) == text);
    CHECK(metric::tokenize(text, BleuTokenizer::mteval13a) == "Größe : 1,5 m ( ca . ) – «ja»…");
    CHECK(metric::tokenize(text, BleuTokenizer::international) == "Größe : 1,5 m ( ca . ) – « ja » …");
    CHECK(metric::tokenize("ßa b", BleuTokenizer::character) == "ß a   b");
    CHECK(metric::tokenize("a\u3000b\u00a0c\u2028d", BleuTokenizer::mteval13a) == "a b c d");  // Unicode's white space
    CHECK(metric::tokenize("&amp;quot; &lt;x&gt;", BleuTokenizer::mteval13a) == "& quot ; < x >");
}

TEST_CASE("BLEU tokenizers: their names are sacreBLEU's, and others are refused") {
    for (auto const name : {"none", "13a", "intl", "char"})
        CHECK(metric::name_of(metric::bleu_tokenizer_named(name)) == name);
    CHECK_THROWS_WITH_AS(
        metric::bleu_tokenizer_named("13b"),
        "inkling::metric::bleu_tokenizer_named: there is no tokenizer '13b', expected none, 13a, intl or char", Error);
}

TEST_CASE("BLEU: a signature says everything that the score depends on") {
    std::string const version(library_version);
    CHECK(metric::signature({}) == "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|inkling:" + version);
    CHECK(metric::signature({.tokenizer = BleuTokenizer::none,
                             .lowercase = true,
                             .smoothing = BleuSmoothing::floor,
                             .effective_order = true},
                            2)
          == "nrefs:2|case:lc|eff:yes|tok:none|smooth:floor[0.10]|inkling:" + version);
    CHECK(metric::signature({.smoothing = BleuSmoothing::add_k, .smoothing_value = 2.0})
          == "nrefs:1|case:mixed|eff:no|tok:13a|smooth:add-k[2.00]|inkling:" + version);
    CHECK(metric::signature({.smoothing = BleuSmoothing::none})
          == "nrefs:1|case:mixed|eff:no|tok:13a|smooth:none|inkling:" + version);
}

TEST_CASE("BLEU: what cannot be scored is refused, and the message says what was seen") {
    CHECK_THROWS_WITH_AS(
        metric::corpus_bleu(Texts{"a", "b"}, Texts{"a"}),
        "inkling::metric::corpus_bleu: there are 1 references, expected as many as hypotheses, which is 2", Error);
    CHECK_THROWS_WITH_AS(
        metric::corpus_bleu(Texts{"a"}, std::vector<Texts>{{"a"}, {}}),
        "inkling::metric::corpus_bleu: set 2 has 0 references, expected as many as hypotheses, which is 1", Error);
    CHECK_THROWS_AS(metric::corpus_bleu(Texts{"a"}, std::vector<Texts>{}), Error);
    CHECK_THROWS_AS(statistics_of({1}, {}), Error);
    CHECK_THROWS_WITH_AS(metric::sentence_bleu("a\xff", "a"), "inkling::metric: byte 2 of a text is not valid UTF-8",
                         Error);
    CHECK_THROWS_WITH_AS(metric::bleu_score({}, {.smoothing = BleuSmoothing::floor, .smoothing_value = -1.0}),
                         doctest::Contains("smoothing_value is -1.000000"), Error);
    CHECK_THROWS_AS(metric::bleu_score({}, {.smoothing_value = std::nan("")}), Error);
}

TEST_CASE("BLEU: empty texts score 0 and break nothing") {
    CHECK(metric::sentence_bleu("", "a b").score == 0.0);
    CHECK(metric::sentence_bleu("a b", "").score == 0.0);
    CHECK(metric::sentence_bleu(" \t ", "").score == 0.0);
    CHECK(metric::corpus_bleu(Texts{}, Texts{}).score == 0.0);
}

TEST_CASE(
    "Method4Bleu: with every order matched it is plain BLEU; a missing order counts log(length) / 10 of an n-gram") {
    Tokens const a{1, 2, 3, 4, 5}, b{1, 2, 3, 4, 6};
    CHECK(metric::Method4Bleu{}(a, a) == doctest::Approx(1.0));
    CHECK(metric::Method4Bleu{}(a, b) == doctest::Approx(std::pow(4.0 / 5 * 3 / 4 * 2 / 3 * 1 / 2, 0.25)));
    Tokens const c{1, 9, 3, 8, 5};  // three of five tokens, no pair
    CHECK(metric::Method4Bleu{2}(c, a) == doctest::Approx(std::sqrt(3.0 / 5 * (std::log(5.0) / 10) / 4)));
    CHECK(metric::Method4Bleu{3}(c, a)
          == doctest::Approx(std::cbrt(3.0 / 5 * (std::log(5.0) / 10) / 4 * (std::log(5.0) / 20) / 3)));
    CHECK(metric::Method4Bleu{}(Tokens{7}, a) == 0.0);
    CHECK(metric::Method4Bleu{}(Tokens{}, a) == 0.0);
    CHECK_THROWS_WITH_AS(metric::Method4Bleu{5}(a, a), "inkling::metric::Method4Bleu: order is 5, expected 1 to 4",
                         Error);
}
