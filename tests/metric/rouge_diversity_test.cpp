#include <inkling/metric/rouge.hpp>

#include <inkling/metric/diversity.hpp>
#include <inkling/metric/exact_match.hpp>
#include <inkling/metric/metric.hpp>
#include <inkling/metric/rouge_sets.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

using namespace inkling;
using Texts = std::vector<std::string>;
using Tokens = std::vector<Token>;

static_assert(SentenceMetric<metric::SentenceBleu>);
static_assert(!SentenceMetric<int>);

namespace {

/// The definition: the longest of all subsequences of `a` that `b` has too.
Index longest_common_slowly(Tokens const& a, Tokens const& b) {
    Index longest = 0;
    for (unsigned chosen = 0; chosen < 1u << a.size(); ++chosen) {
        std::size_t at = 0;
        Index length = 0;
        bool fits = true;
        for (std::size_t i = 0; i < a.size() && fits; ++i) {
            if ((chosen >> i & 1u) == 0) continue;
            while (at < b.size() && b[at] != a[i]) ++at;
            fits = at++ < b.size();
            ++length;
        }
        if (fits) longest = std::max(longest, length);
    }
    return longest;
}

}  // namespace

TEST_CASE("ROUGE-L: the longest common subsequence is the longest of all") {
    std::mt19937 random(1);
    for (int round = 0; round < 300; ++round) {
        Tokens a(random() % 9), b(random() % 9);
        for (Token& token : a) token = static_cast<Token>(random() % 4);
        for (Token& token : b) token = static_cast<Token>(random() % 4);
        CHECK(metric::detail::longest_common(a, b) == longest_common_slowly(a, b));
    }
}

TEST_CASE("ROUGE: the sentences of Lin 2004, section 3.1") {
    std::string const reference = "police killed the gunman", one = "police kill the gunman",
                      other = "the gunman kill police";
    CHECK(metric::rouge(one, reference).rougeL.fmeasure == doctest::Approx(0.75));
    CHECK(metric::rouge(other, reference).rougeL.fmeasure == doctest::Approx(0.5));
    CHECK(metric::rouge(one, reference).rouge2.fmeasure
          == metric::rouge(other, reference).rouge2.fmeasure);  // ROUGE-2 cannot tell them apart
    CHECK(metric::rouge(one, reference).rouge2.recall == doctest::Approx(1.0 / 3));
}

TEST_CASE("ROUGE: repeated words count as often as both have them") {
    auto const scores = metric::rouge("the the the cat", "the cat the");
    CHECK(scores.rouge1.precision == doctest::Approx(3.0 / 4));
    CHECK(scores.rouge1.recall == doctest::Approx(1.0));
    CHECK(scores.rouge1.fmeasure == doctest::Approx(2 * 0.75 / 1.75));
    CHECK(scores.rouge2.precision == doctest::Approx(1.0 / 3));
}

TEST_CASE("ROUGE: case and punctuation do not count, and letters beyond a-z separate") {
    CHECK(metric::rouge("The CAT, sat!", "the cat sat").rougeL.fmeasure == 1.0);
    CHECK(metric::rouge("Größe", "gr e").rouge1.fmeasure == 1.0);
}

TEST_CASE("ROUGE: swapping the texts swaps precision and recall") {
    auto const a = metric::rouge("one two three four", "two four five"),
               b = metric::rouge("two four five", "one two three four");
    CHECK(a.rouge1.precision == b.rouge1.recall);
    CHECK(a.rougeL.recall == b.rougeL.precision);
    CHECK(a.rougeL.fmeasure == b.rougeL.fmeasure);
}

TEST_CASE("ROUGE: what is empty scores 0, and a corpus needs as many references as hypotheses") {
    CHECK(metric::rouge("", "a").rouge1.fmeasure == 0.0);
    CHECK(metric::rouge("a", "").rougeL.fmeasure == 0.0);
    CHECK(metric::rouge("", "").rouge2.fmeasure == 0.0);
    CHECK(metric::corpus_rouge(Texts{}, Texts{}).rougeL.fmeasure == 0.0);
    CHECK(metric::corpus_rouge(Texts{"a", "b"}, Texts{"a", "c"}).rouge1.recall == doctest::Approx(0.5));
    CHECK_THROWS_AS(metric::corpus_rouge(Texts{"a"}, Texts{}), Error);
    CHECK_THROWS_WITH_AS(metric::rouge_n(Tokens{1}, Tokens{1}, 0),
                         "inkling::metric::rouge_n: n is 0, expected 1 or more", Error);
}

TEST_CASE("ROUGE by sets: a second occurrence adds nothing, and F falls just short of 1") {
    auto const scores = metric::rouge_sets("the the cat", "the cat");
    CHECK(scores.rouge1.precision == 1.0);
    CHECK(scores.rouge1.recall == 1.0);
    CHECK(scores.rouge1.fmeasure == doctest::Approx(2.0 / (2.0 + 1e-8)).epsilon(1e-12));
    CHECK(scores.rouge2.precision == doctest::Approx(0.5));
    CHECK(metric::rouge_sets("The cat", "the cat").rouge1.recall == doctest::Approx(0.5));
    CHECK_THROWS_WITH_AS(metric::rouge_sets("", "a"),
                         "inkling::metric::rouge_sets: the hypothesis is empty, expected a sentence", Error);
    CHECK_THROWS_AS(metric::rouge_sets("a", "..."), Error);
}

TEST_CASE("ROUGE by sets: the union over sentences, after the example of Lin 2004, section 3.2") {
    // The reference w1..w5; the sentences give w1 w2 and w1 w3 w5, whose union has four of its five words.
    CHECK(metric::rouge_sets("w1 w2 w6 w7 w8. w1 w3 w8 w9 w5", "w1 w2 w3 w4 w5").rougeL.recall
          == doctest::Approx(4.0 / 5));
}

TEST_CASE("distinct-n: the share of n-grams that are no repetition") {
    CHECK(metric::distinct_n(std::string_view("a b a b"), 1) == doctest::Approx(2.0 / 4));
    CHECK(metric::distinct_n(std::string_view("a b a b"), 2) == doctest::Approx(2.0 / 3));
    CHECK(metric::distinct_n(std::string_view("a b c"), 2) == 1.0);
    CHECK(metric::distinct_n(std::string_view("a b"), 3) == 0.0);
    CHECK(metric::distinct_n(std::string_view("a b"), Index{1} << 62) == 0.0);  // and at once
    CHECK(metric::distinct_n(Texts{"a b", "a b"}, 2) == doctest::Approx(0.5));
    CHECK(metric::distinct_n(Texts{"a", "b"}, 2) == 0.0);  // no n-gram reaches from one text into the next
    CHECK_THROWS_AS(metric::distinct_n(Texts{"a"}, 0), Error);
}

TEST_CASE("distinct-n: over tokens it is the size of a set over the number of n-grams") {
    std::mt19937 random(3);
    for (int round = 0; round < 200; ++round) {
        Tokens tokens(random() % 30);
        for (Token& token : tokens) token = static_cast<Token>(random() % 3);
        for (std::size_t n = 1; n <= 5; ++n) {
            std::set<Tokens> distinct;
            std::size_t total = 0;
            for (std::size_t i = 0; i + n <= tokens.size(); ++i, ++total)
                distinct.insert(Tokens(tokens.begin() + static_cast<std::ptrdiff_t>(i),
                                       tokens.begin() + static_cast<std::ptrdiff_t>(i + n)));
            double const want = total == 0 ? 0.0 : static_cast<double>(distinct.size()) / static_cast<double>(total);
            CHECK(metric::distinct_n(std::span<Token const>(tokens), static_cast<Index>(n)) == want);
        }
    }
}

TEST_CASE("self-BLEU: 100 for copies, 0 for texts with nothing in common, and for fewer than two") {
    CHECK(metric::self_bleu(Texts{"a b c d", "a b c d", "a b c d"}) == doctest::Approx(100.0));
    CHECK(metric::self_bleu(Texts{"a b c d", "e f g h"}) == 0.0);
    CHECK(metric::self_bleu(Texts{"a b c d"}) == 0.0);
    CHECK(metric::self_bleu(Texts{"a b c d", "a b c d", "e f g h"}) == doctest::Approx(200.0 / 3));
}

TEST_CASE("pairwise similarity: the mean over the pairs, the earlier one as the hypothesis") {
    CHECK(metric::pairwise_similarity(Texts{"a", "a", "b"}, metric::ExactMatch{}) == doctest::Approx(1.0 / 3));
    CHECK(metric::pairwise_similarity(Texts{"a"}, metric::ExactMatch{}) == 0.0);
    Tokens const first{1, 2, 3}, second{1, 2};
    std::array<std::span<Token const>, 2> const both{first, second};
    struct Share {  // how much of the hypothesis is in the reference
        double operator()(std::span<Token const> hypothesis, std::span<Token const> reference) const {
            return metric::rouge_n(hypothesis, reference, 1).precision;
        }
    };
    CHECK(metric::pairwise_similarity(std::span<std::span<Token const> const>(both), Share{})
          == doctest::Approx(2.0 / 3));
}

TEST_CASE("exact match: the share of lines that are the reference byte for byte") {
    CHECK(metric::exact_match(Texts{"a", "b", "c "}, Texts{"a", "b", "c"}) == doctest::Approx(2.0 / 3));
    CHECK(metric::exact_match(Texts{}, Texts{}) == 0.0);
    CHECK_THROWS_WITH_AS(
        metric::exact_match(Texts{"a"}, Texts{}),
        "inkling::metric::exact_match: there are 0 references, expected as many as hypotheses, which is 1", Error);
}
