#include <inkling/pipeline/text_autoregression.hpp>

#include <inkling/decode/selection.hpp>
#include <inkling/pipeline/trainer_defaults.hpp>

#include <doctest/doctest.h>

#include "allocations.hpp"
#include "io/temporary_folder.hpp"
#include "refusal.hpp"
#include "same_generated.hpp"
#include "tiny_autoregression.hpp"

#include <cmath>
#include <limits>
#include <set>
#include <stop_token>
#include <thread>

namespace {

using namespace inkling;
using tiny::Autoregression;

SearchOptions wide(Index width, double penalty = 1.0) {
    SearchOptions options;
    options.search.width = width;
    options.search.length_penalty = penalty;
    return options;
}

/// Log p of a text and its eos.
double total(Autoregression const& pipeline, std::vector<Token> const& source, std::vector<Token> const& target) {
    std::vector<std::vector<Token>> const sources{source}, targets{target};
    auto const scores = pipeline.score_tokens(sources, targets);
    double sum = 0.0;
    for (double const one : scores[0]) sum += one;
    return sum;
}

std::vector<Token> without_eos(Generated const& one) { return {one.tokens.begin(), one.tokens.end() - 1}; }

}  // namespace

// -------------------------------------------------------------------------------------------------- searching

TEST_CASE("a beam that holds every beginning finds the best of all texts, whatever the length penalty") {
    std::vector<std::string> const lines{"a b c"};
    text::MemoryLines words{lines};
    auto const tokenizer = text::WordTokenizer::train(words);
    Index const vocabulary = tokenizer.vocabulary_size();
    for (std::uint32_t const seed : {1u, 2u, 3u}) {
        Autoregression pipeline(tokenizer, tiny::autoregression_options());
        auto const more = testing::random_values<float>(pipeline.layout().size(), seed, 0.8);
        for (Index i = 0; i < pipeline.layout().size(); ++i)
            pipeline.weights().data[i] += more[static_cast<std::size_t>(i)];
        std::vector<Token> const source = tokenizer.encode("b a");
        auto const specials = tokenizer.specials();
        constexpr Index longest = 4;
        std::vector<std::vector<Token>> all{{}}, texts;
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (!all[i].empty()) texts.push_back(all[i]);
            if (static_cast<Index>(all[i].size()) == longest) continue;
            for (Token token = 0; token < vocabulary; ++token)
                if (token != specials.bos && token != specials.pad && token != specials.eos) {
                    auto longer = all[i];
                    longer.push_back(token);
                    all.push_back(longer);
                }
        }
        REQUIRE(texts.size() == 4 + 16 + 64 + 256);
        std::vector<std::vector<Token>> const sources(texts.size(), source);
        auto const scores = pipeline.score_tokens(sources, texts);
        std::set<std::vector<Token>> winners;
        for (double const penalty : {0.0, 0.5, 1.0, 2.0}) {
            double best = -std::numeric_limits<double>::infinity();
            std::size_t chosen = 0;
            for (std::size_t i = 0; i < texts.size(); ++i) {
                double sum = 0.0;
                for (double const one : scores[i]) sum += one;
                double const score = sum / std::pow(static_cast<double>(scores[i].size()), penalty);
                if (score > best) best = score, chosen = i;
            }
            SearchOptions options = wide(400, penalty);
            options.search.longest_share = 0.0;
            options.search.longest_beyond = longest;
            auto const got = pipeline.generate_tokens(std::vector<std::vector<Token>>{source}, options)[0];
            CAPTURE(seed);
            CAPTURE(penalty);
            CHECK(without_eos(got) == texts[chosen]);
            CHECK(got.tokens.back() == specials.eos);
            CHECK(got.mean_log_probability * std::pow(static_cast<double>(got.tokens.size()), 1.0 - penalty)
                  == doctest::Approx(best).epsilon(1e-5));
            winners.insert(got.tokens);
        }
        CHECK(winners.size() > 1);  // so that the penalty says something
    }
}

TEST_CASE("a beam of one writes the likeliest token at every step") {
    Autoregression const pipeline = tiny::talkative_autoregression();
    auto const sources = tiny::sentences(12);
    Index const vocabulary = pipeline.space().vocabulary();
    auto const specials = pipeline.tokenizer().specials();
    for (auto const& line : sources) {
        auto const source = pipeline.tokenizer().encode(line);
        auto const got = pipeline.generate_tokens(std::vector<std::vector<Token>>{source}, wide(1))[0];
        std::vector<Token> written;
        for (Token const token : without_eos(got)) {
            double best = -std::numeric_limits<double>::infinity();
            Token likeliest = 0;
            std::vector<std::vector<Token>> continued;
            for (Token next = 0; next < vocabulary; ++next) {
                auto longer = written;
                longer.push_back(next);
                continued.push_back(longer);
            }
            std::vector<std::vector<Token>> const same(continued.size(), source);
            auto const scores = pipeline.score_tokens(same, continued);
            for (Token next = 0; next < vocabulary; ++next) {
                bool const refused =
                    next == specials.bos || next == specials.pad || (next == specials.eos && written.empty());
                double const score = scores[static_cast<std::size_t>(next)][written.size()];
                if (!refused && score > best) best = score, likeliest = next;
            }
            CHECK(token == likeliest);
            written.push_back(token);
        }
    }
}

TEST_CASE("what a search says of its text is what scoring says of it, and a wider beam finds likelier ones") {
    Autoregression const pipeline = tiny::talkative_autoregression();
    auto const lines = tiny::sentences(20);
    double narrow = 0.0, broad = 0.0;
    for (auto const& line : lines) {
        auto const source = pipeline.tokenizer().encode(line);
        for (Index const width : {1, 5}) {
            auto const got = pipeline.generate_tokens(std::vector<std::vector<Token>>{source}, wide(width, 0.0))[0];
            REQUIRE(got.finished);
            double const own = total(pipeline, source, without_eos(got));
            CHECK(got.mean_log_probability * static_cast<double>(got.tokens.size())
                  == doctest::Approx(own).epsilon(1e-5));
            (width == 1 ? narrow : broad) += own;
        }
    }
    CHECK(broad > narrow);
}

TEST_CASE("lengths are held: no text is shorter than asked, nor longer than its source allows") {
    Autoregression const pipeline = tiny::talkative_autoregression();
    auto const lines = tiny::sentences(20);
    SearchOptions options = wide(3);
    options.search.shortest = 3;
    options.search.longest_share = 1.0;
    options.search.longest_beyond = 2;
    std::set<std::size_t> lengths;
    for (auto const& line : lines) {
        auto const source = pipeline.tokenizer().encode(line);
        auto const got = pipeline.generate_tokens(std::vector<std::vector<Token>>{source}, options)[0];
        CHECK(got.tokens.size() - 1 >= 3);
        CHECK(got.tokens.size() - 1 <= std::max<std::size_t>(3, source.size() + 2));
        CHECK(got.tokens.back() == pipeline.tokenizer().specials().eos);
        lengths.insert(got.tokens.size());
    }
    CHECK(lengths.size() > 1);
    options.search.longest_beyond = 1000;  // there are positions for 16 rows: bos and 15 tokens
    for (auto const& one : pipeline.generate_with(lines, options)) CHECK(one.tokens.size() <= 16);
}

// -------------------------------------------------------------------------------------------------- determinism

TEST_CASE("threads and batches change no bit of what a search finds, nor of scores") {
    Autoregression pipeline = tiny::talkative_autoregression();
    auto const sources = tiny::sentences(30);
    auto const options = wide(4);
    auto const want = pipeline.generate_with(sources, options);
    std::set<std::string> different;
    for (auto const& one : want) different.insert(one.text);
    CHECK(different.size() > 10);
    std::vector<std::vector<Token>> tokens, targets;
    for (std::size_t i = 0; i < sources.size(); ++i) {
        tokens.push_back(pipeline.tokenizer().encode(sources[i]));
        targets.push_back(pipeline.tokenizer().encode(sources[(7 * i) % sources.size()]));
    }
    auto const scores = pipeline.score_tokens(tokens, targets);
    for (Index const budget : {1, 100, 100'000})
        for (int const threads : {1, 3}) {
            pipeline.set_device({.threads = threads});
            auto other = options;
            other.tokens_per_batch = budget;
            check_same(pipeline.generate_with(sources, other), want);
            CHECK(pipeline.score_tokens(tokens, targets, budget) == scores);
        }
    pipeline.set_device({.threads = 1});
    std::vector<std::vector<Generated>> got(4);
    std::vector<std::thread> running;
    for (std::size_t i = 0; i < 4; ++i)
        running.emplace_back([&, i] { got[i] = std::as_const(pipeline).generate_with(sources, options); });
    for (std::thread& thread : running) thread.join();
    for (auto const& one : got) check_same(one, want);
}

TEST_CASE("a search allocates nothing in its steps after the first") {
    Autoregression const pipeline = tiny::talkative_autoregression();
    auto const count = [&](Index longest) {  // the same sources, and texts that are all as long as they may be
        SearchOptions options = wide(3);
        options.search.shortest = longest;
        options.search.longest_share = 0.0;
        options.search.longest_beyond = longest;
        std::vector<std::string> const sources{"ink falls", "paper dries slowly"};
        (void)pipeline.generate_with(sources, options);  // sizes the worker
        long const before = allocations();
        (void)pipeline.generate_with(sources, options);
        return allocations() - before;
    };
    (void)count(14);
    long const of_short = count(6), of_long = count(14);
    INFO("texts of 6 tokens: ", of_short, ", of 14: ", of_long);
    CHECK(of_long <= of_short + 12);  // what holds the longer texts themselves, and nothing for each of eight steps
}

// -------------------------------------------------------------------------------------------------- scores, files

TEST_CASE("the probabilities of all that can follow add up to 1") {
    Autoregression const pipeline = tiny::talkative_autoregression();
    auto const source = pipeline.tokenizer().encode("ink dries on paper");
    auto const start = pipeline.tokenizer().encode("ink dries");
    std::vector<std::vector<Token>> targets;
    for (Token next = 0; next < pipeline.space().vocabulary(); ++next) {
        targets.push_back(start);
        targets.back().push_back(next);
    }
    std::vector<std::vector<Token>> const sources(targets.size(), source);
    double sum = 0.0;
    for (auto const& scores : pipeline.score_tokens(sources, targets)) {
        REQUIRE(scores.size() == 4);
        sum += std::exp(scores[2]);
    }
    CHECK(sum == doctest::Approx(1.0).epsilon(1e-5));
    double const end =
        pipeline.score_tokens(std::vector<std::vector<Token>>{source}, std::vector<std::vector<Token>>{start})[0][2];
    CHECK(end == doctest::Approx(pipeline.score_tokens(sources, targets)[2][2]).epsilon(1e-6));  // eos is token 2
}

TEST_CASE("a saved and loaded model writes and scores the same, bit for bit; another kind of file is refused") {
    TemporaryFolder const folder;
    Autoregression const pipeline = tiny::talkative_autoregression();
    auto const sources = tiny::sentences(10);
    pipeline.save(folder / "model.ar");
    auto const loaded = Autoregression::load<text::WordTokenizer>(folder / "model.ar", {.threads = 1});
    check_same(loaded.generate_with(sources), pipeline.generate_with(sources));
    tiny::Pipeline(tiny::tokenizer(), tiny::options()).save(folder / "diffusion");
    CHECK_SAYS(Autoregression::load<text::WordTokenizer>(folder / "diffusion"),
               "the configuration lacks 'embedding' or 'autoregressive'");
    CHECK_SAYS(tiny::Pipeline::load<text::WordTokenizer>(folder / "model.ar"), "the configuration lacks");
}

TEST_CASE("a stopped search returns what is finished, and says so") {
    Autoregression const pipeline = tiny::talkative_autoregression();
    auto const sources = tiny::sentences(10);
    std::stop_source stop;
    SearchOptions options = wide(2);
    options.tokens_per_batch = 1;
    options.stop = stop.get_token();
    options.on_progress = [&](Index done, Index all) {
        CHECK(all == 10);
        if (done == 4) stop.request_stop();
    };
    auto const got = pipeline.generate_with(sources, options);
    CHECK(std::count_if(got.begin(), got.end(), [](Generated const& one) { return one.finished; }) == 4);
}

TEST_CASE("what a search or a scoring cannot do is refused, and the message says where") {
    Autoregression const pipeline = tiny::talkative_autoregression();
    std::vector<std::string> const one{"ink falls"};
    CHECK_SAYS(pipeline.generate(one, wide(0)), "inkling::decode::BeamSearch: width is 0, expected 1 to 65536");
    SearchOptions options;
    options.tokens_per_batch = 0;
    CHECK_SAYS(pipeline.generate(one, options), "inkling::SearchOptions: tokens_per_batch is 0, expected at least 1");
    options = wide(1, std::numeric_limits<double>::infinity());
    CHECK_SAYS(pipeline.generate(one, options), "length_penalty is inf, expected a finite number");
    CHECK_SAYS(pipeline.generate(std::vector<std::string>{"ink", ""}), "source 1 is empty, expected text");
    std::vector<std::vector<Token>> const sources{{4, 5}}, two{{4}, {5}}, strange{{999}},
        longer{std::vector<Token>(16, 4)};
    CHECK_SAYS(pipeline.generate_tokens(longer), "source 0 has 17 tokens, expected at most 12");
    CHECK_SAYS(pipeline.generate_tokens(strange), "source 0 has the token 999, expected one of a vocabulary of");
    CHECK_SAYS(pipeline.score_tokens(sources, two), "there are 1 sources and 2 targets, expected as many");
    CHECK_SAYS(pipeline.score_tokens(sources, strange), "target 0 has the token 999");
    CHECK_SAYS(pipeline.score_tokens(sources, longer), "target 0 has 17 tokens, expected at most 16");
    CHECK_SAYS(pipeline.score_tokens(sources, sources, 0), "tokens_per_batch is 0, expected at least 1");
}

// -------------------------------------------------------------------------------------------------- re-ranking

TEST_CASE("LowestPerplexity chooses the candidate that the other model scores best, and knows the source") {
    Autoregression const scorer = tiny::talkative_autoregression(0.7, 5);
    tiny::Pipeline const diffusion = tiny::talkative();
    auto const sources = tiny::sentences(12);
    GenerateOptions const options{.seed = 4, .beams = {.length_beam = 2, .noise_beam = 3}};
    struct Watching {
        Autoregression const* scorer;
        std::vector<std::vector<decode::Candidate>>* seen;
        std::vector<std::string>* of;
        Index select(std::span<decode::Candidate const> candidates) const {
            seen->emplace_back(candidates.begin(), candidates.end());
            of->emplace_back(candidates.front().source);
            return decode::LowestPerplexity<Autoregression>{scorer}.select(candidates);
        }
    };
    std::vector<std::vector<decode::Candidate>> seen;
    std::vector<std::string> of;
    auto const chosen = diffusion.generate_with(sources, options, Watching{&scorer, &seen, &of});
    check_same(diffusion.generate_with(sources, options, decode::LowestPerplexity<Autoregression>{&scorer}), chosen);
    REQUIRE(seen.size() == sources.size());
    std::set<Index> places;
    for (std::size_t i = 0; i < seen.size(); ++i) {
        auto const source = std::find(sources.begin(), sources.end(), of[i]);
        REQUIRE(source != sources.end());
        double best = -std::numeric_limits<double>::infinity();
        std::string text;
        for (std::size_t c = 0; c < seen[i].size(); ++c) {
            auto const target = scorer.tokenizer().encode(seen[i][c].text);
            double const score =
                total(scorer, scorer.tokenizer().encode(*source), target) / static_cast<double>(target.size() + 1);
            if (score > best + 1e-6) best = score, text = seen[i][c].text, places.insert(static_cast<Index>(c));
        }
        CHECK(chosen[static_cast<std::size_t>(source - sources.begin())].text == text);
    }
    CHECK(places.size() > 1);
}

TEST_CASE("a line that the scorer has no positions for is the least likely of all") {
    Autoregression const scorer = tiny::talkative_autoregression();
    std::string longer = "ink";
    for (int i = 0; i < 20; ++i) longer += " falls";
    std::vector<std::string_view> const lines{longer, "ink", ""};
    auto const scores = scorer.mean_log_probabilities("paper dries", lines);
    CHECK(scores[0] == -std::numeric_limits<double>::infinity());
    CHECK(std::isfinite(scores[1]));
    CHECK(std::isfinite(scores[2]));  // eos alone
}
