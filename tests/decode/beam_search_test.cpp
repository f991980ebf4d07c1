#include <inkling/decode/beam_search.hpp>

#include <inkling/core/random.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

namespace {

using namespace inkling;
using decode::BeamSearch;
using decode::BeamTexts;

constexpr Index vocabulary = 12;
constexpr text::SpecialTokens specials{};

/// A language in which every beginning, of every source, goes on in its own way: log p of the next token, [V].
std::vector<double> next(Index source, std::vector<Token> const& written) {
    std::uint32_t key = static_cast<std::uint32_t>(source) * 977u + 1u;
    for (Token const token : written) key = key * 31u + static_cast<std::uint32_t>(token) + 7u;
    RandomStream const stream{8, Purpose::user, key, 0};
    std::vector<double> logits;
    for (std::uint32_t v = 0; v < vocabulary; ++v) logits.push_back(4.0 * stream.uniform(v));
    logits[static_cast<std::size_t>(specials.eos)] += 0.3 * static_cast<double>(written.size());
    double total = 0.0;
    for (double const logit : logits) total += std::exp(logit);
    for (double& logit : logits) logit -= std::log(total);
    return logits;
}

struct Text {
    std::vector<Token> tokens;
    double log_probability = 0.0;
};

double score(Text const& text, double penalty) {
    return text.log_probability / std::pow(static_cast<double>(text.tokens.size()), penalty);
}

/// fairseq's search of one source, written down as plainly as can be.
Text plainly(Index source, Index longest, BeamSearch const& search) {
    std::vector<Text> beginnings{{}}, finished;
    for (Index length = 0;; ++length) {
        std::vector<Text> all;
        for (Text const& beginning : beginnings) {
            auto const log_p = next(source, beginning.tokens);
            for (Token token = 0; token < vocabulary; ++token) {
                bool const ends = token == specials.eos;
                if (token == specials.bos || token == specials.pad || (ends && length < search.shortest)) continue;
                if (length == longest && !ends) continue;
                Text longer = beginning;
                longer.tokens.push_back(token);
                longer.log_probability += log_p[static_cast<std::size_t>(token)];
                all.push_back(longer);
            }
        }
        std::sort(all.begin(), all.end(),
                  [](Text const& a, Text const& b) { return a.log_probability > b.log_probability; });
        beginnings.clear();
        for (std::size_t rank = 0; rank < all.size(); ++rank)
            if (all[rank].tokens.back() != specials.eos) {
                if (static_cast<Index>(beginnings.size()) < search.width) beginnings.push_back(all[rank]);
            } else if (static_cast<Index>(rank) < search.width) {
                finished.push_back(all[rank]);
            }
        if (length == longest || static_cast<Index>(finished.size()) >= search.width || beginnings.empty()) break;
    }
    return *std::max_element(finished.begin(), finished.end(), [&](Text const& a, Text const& b) {
        return score(a, search.length_penalty) < score(b, search.length_penalty);
    });
}

/// The same by BeamTexts, of many sources at once; what stands in a slot is known by its moves alone.
std::vector<Text> together(std::vector<Index> const& longest, BeamSearch const& search, Index* steps = nullptr) {
    BeamTexts texts(search, specials, vocabulary, longest);
    std::vector<std::vector<Token>> slots(longest.size() * static_cast<std::size_t>(search.width));
    Index const choices = texts.choices();
    while (texts.sources() > 0) {
        if (steps != nullptr) *steps += texts.sources();
        std::vector<Token> tokens;
        std::vector<double> scores, of_eos;
        for (Index s = 0; s < texts.sources(); ++s)
            for (Index j = 0; j < texts.each(); ++j) {
                auto& slot = slots[static_cast<std::size_t>(s * search.width + j)];
                Token const last = texts.last()[static_cast<std::size_t>(s * texts.each() + j)];
                if (texts.length() == 0)
                    CHECK(last == specials.bos);
                else
                    slot.push_back(last);
                auto const log_p = next(texts.numbers()[static_cast<std::size_t>(s)], slot);
                std::vector<Token> order(vocabulary);
                std::iota(order.begin(), order.end(), Token{0});
                std::stable_sort(order.begin(), order.end(), [&](Token a, Token b) {
                    return log_p[static_cast<std::size_t>(a)] > log_p[static_cast<std::size_t>(b)];
                });
                for (Index k = 0; k < choices; ++k) {
                    tokens.push_back(order[static_cast<std::size_t>(k)]);
                    scores.push_back(log_p[static_cast<std::size_t>(tokens.back())]);
                }
                of_eos.push_back(log_p[static_cast<std::size_t>(specials.eos)]);
            }
        texts.advance<double>(tokens, scores, of_eos);
        for (auto const& move : texts.moves())
            slots[static_cast<std::size_t>(move.to)] = slots[static_cast<std::size_t>(move.from)];
    }
    std::vector<Text> best;
    for (std::size_t i = 0; i < longest.size(); ++i)
        best.push_back({texts.best(static_cast<Index>(i)).tokens, texts.best(static_cast<Index>(i)).log_probability});
    return best;
}

}  // namespace

TEST_CASE("BeamTexts: many sources side by side each give what a plain search of theirs gives") {
    std::vector<Index> longest;
    for (Index i = 0; i < 40; ++i) longest.push_back(1 + i * 7 % 13);
    Index different = 0;
    for (Index const width : {1, 2, 3, 5, 20})
        for (double const penalty : {-0.5, 0.0, 0.6, 1.0, 1.7})
            for (Index const shortest : {0, 1}) {
                BeamSearch const search{.width = width, .length_penalty = penalty, .shortest = shortest};
                auto const got = together(longest, search);
                auto const first = plainly(0, longest[0], {.width = 1});
                for (std::size_t i = 0; i < longest.size(); ++i) {
                    auto const want = plainly(static_cast<Index>(i), longest[i], search);
                    CAPTURE(width);
                    CAPTURE(penalty);
                    CAPTURE(i);
                    CHECK(got[i].tokens == want.tokens);
                    CHECK(got[i].log_probability == doctest::Approx(want.log_probability).epsilon(1e-12));
                    different += want.tokens != first.tokens;
                }
            }
    CHECK(different > 1000);
}

TEST_CASE("BeamTexts: a source whose beginnings cannot win any more is not searched on") {
    std::vector<Index> const longest(40, 12);
    Index careful = 0, most = 0;
    (void)together(longest, {.width = 5, .length_penalty = 0.0}, &careful);
    (void)together(longest, {.width = 5, .length_penalty = 4.0}, &most);
    CHECK(careful < most);  // without a reward for length, the first text that ends is soon the best that can be
}

TEST_CASE("BeamTexts: logits that are not numbers end a search, with nothing found") {
    BeamTexts texts({.width = 2}, specials, vocabulary, std::vector<Index>{3, 0});
    std::vector<Token> const tokens(10, 5);
    std::vector<float> const scores(10, std::numeric_limits<float>::quiet_NaN());
    texts.advance<float>(tokens, scores, std::vector<float>{scores[0], scores[0]});
    CHECK(texts.sources() == 0);
    CHECK(texts.best(0).tokens.empty());
}

TEST_CASE("BeamSearch: the longest text grows with its source, up to the places that there are") {
    BeamSearch const search{.longest_share = 1.5, .longest_beyond = 3};
    CHECK(search.longest(0, 100) == 3);
    CHECK(search.longest(10, 100) == 18);
    CHECK(search.longest(10, 12) == 12);
    CHECK(BeamSearch{.longest_share = 1e300}.longest(10, 12) == 12);
}

TEST_CASE("BeamSearch: settings out of range are refused by name") {
    CHECK_THROWS_WITH_AS(BeamSearch{.width = 0}.check(), "inkling::decode::BeamSearch: width is 0, expected 1 to 65536",
                         Error);
    CHECK_THROWS_WITH_AS(BeamSearch{.shortest = -1}.check(),
                         "inkling::decode::BeamSearch: shortest is -1, expected 0 or more", Error);
    CHECK_THROWS_WITH_AS(
        BeamSearch{.longest_share = -1.0}.check(),
        "inkling::decode::BeamSearch: longest_share is -1.000000, expected a finite number of 0 or more", Error);
    CHECK_THROWS_WITH_AS(BeamSearch{.longest_beyond = -1}.check(),
                         "inkling::decode::BeamSearch: longest_beyond is -1, expected 0 or more", Error);
    double const never = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_WITH_AS(BeamSearch{.length_penalty = never}.check(),
                         "inkling::decode::BeamSearch: length_penalty is nan, expected a finite number", Error);
}
