#include <inkling/text/batching.hpp>

#include <inkling/text/reading.hpp>

#include <inkling/text/memory_lines.hpp>
#include <inkling/text/tokenizer_pair.hpp>
#include <inkling/text/word_tokenizer.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <set>
#include <string>
#include <vector>

using namespace inkling;
using namespace inkling::text;

namespace {

using Lines = std::vector<std::string>;

WordTokenizer small_tokenizer() {
    return WordTokenizer(Vocabulary({"the", "ink", "dries", "die", "tinte", "trocknet"}));
}

Lines decode_all(ParallelCorpus const& corpus, WordTokenizer const& tokenizer, bool source) {
    Lines lines;
    for (Index i = 0; i < corpus.size(); ++i)
        lines.push_back(tokenizer.decode(source ? corpus.source(i) : corpus.target(i)));
    return lines;
}

ReadCorpus read(Lines const& source, Lines const& target, ReadingOptions const& options = {}) {
    MemoryLines source_lines{source};
    MemoryLines target_lines{target};
    return read_parallel(source_lines, target_lines, small_tokenizer(), options);
}

rc::Gen<SentenceLengths> any_lengths(Index longest) {
    return rc::gen::map(rc::gen::nonEmpty<std::vector<std::pair<std::uint32_t, std::uint32_t>>>(),
                        [longest](auto const& pairs) {
                            SentenceLengths lengths;
                            for (auto const& [source, target] : pairs) {
                                lengths.source.push_back(Index{source} % (longest + 1));
                                lengths.target.push_back(Index{target} % (longest + 1));
                            }
                            return lengths;
                        });
}

Index total(std::vector<Index> const& lengths, std::span<Index const> batch) {
    Index sum = 0;
    for (Index const sentence : batch) sum += lengths[static_cast<std::size_t>(sentence)];
    return sum;
}

std::vector<std::vector<Index>> listed(EpochBatches const& batches) {
    std::vector<std::vector<Index>> all;
    for (Index i = 0; i < batches.size(); ++i) all.emplace_back(batches[i].begin(), batches[i].end());
    return all;
}

template <class Number>
std::vector<Number> copy(std::span<Number const> numbers) {
    return {numbers.begin(), numbers.end()};
}

// Sentences of 1 to 24 tokens, many of each length.
SentenceLengths mixed_lengths(Index sentences) {
    SentenceLengths lengths;
    for (Index i = 0; i < sentences; ++i) {
        lengths.source.push_back(1 + i * 7 % 24);
        lengths.target.push_back(1 + i * 11 % 24);
    }
    return lengths;
}

}  // namespace

TEST_CASE("ParallelCorpus: pairs come back as they were added, empty sides included") {
    ParallelCorpus corpus;
    CHECK(corpus.empty());
    std::vector<Token> const a{4, 5, 6};
    std::vector<Token> const b{7};
    corpus.add(a, b);
    corpus.add({}, a);
    REQUIRE(corpus.size() == 2);
    CHECK(std::ranges::equal(corpus.source(0), a));
    CHECK(std::ranges::equal(corpus.target(0), b));
    CHECK(corpus.source(1).empty());
    CHECK(std::ranges::equal(corpus.target(1), a));
    CHECK(corpus.source_tokens() == 3);
    CHECK(corpus.target_tokens() == 4);
}

TEST_CASE("ParallelCorpus: whatever is added comes back, pair by pair") {
    CHECK(rc::check([](std::vector<std::pair<std::vector<Token>, std::vector<Token>>> const& pairs) {
        ParallelCorpus corpus;
        for (auto const& [source, target] : pairs) corpus.add(source, target);
        RC_ASSERT(corpus.size() == static_cast<Index>(pairs.size()));
        for (std::size_t i = 0; i < pairs.size(); ++i) {
            RC_ASSERT(std::ranges::equal(corpus.source(static_cast<Index>(i)), pairs[i].first));
            RC_ASSERT(std::ranges::equal(corpus.target(static_cast<Index>(i)), pairs[i].second));
        }
    }));
}

TEST_CASE("ParallelCorpus: its own sentences can be added to it again") {
    ParallelCorpus pairs;
    pairs.add(std::vector<Token>{4, 5, 6}, std::vector<Token>{7, 8});
    ParallelCorpus shared;
    shared.add_shared(std::vector<Token>{4, 5, 6});
    for (Index i = 0; i < 40; ++i) {  // often enough to move them to larger memory
        pairs.add(pairs.target(i), pairs.source(i));
        shared.add_shared(shared.target(i));
    }
    for (Index i = 0; i <= 40; ++i) {
        CHECK(copy(pairs.source(i)) == (i % 2 == 0 ? std::vector<Token>{4, 5, 6} : std::vector<Token>{7, 8}));
        CHECK(copy(pairs.target(i)) == (i % 2 == 1 ? std::vector<Token>{4, 5, 6} : std::vector<Token>{7, 8}));
        CHECK(copy(shared.target(i)) == std::vector<Token>{4, 5, 6});
    }
}

TEST_CASE("ParallelCorpus: sentences that are their own source do not mix with pairs") {
    std::vector<Token> const a{4, 5};
    ParallelCorpus shared;
    shared.add_shared(a);
    CHECK(shared.source(0).data() == shared.target(0).data());
    CHECK(shared.source_tokens() == 2);
    CHECK_THROWS_AS(shared.add(a, a), Error);
    CHECK(shared.size() == 1);
    ParallelCorpus pairs;
    pairs.add(a, a);
    CHECK_THROWS_AS(pairs.add_shared(a), Error);
}

TEST_CASE("read_parallel: lines become pairs in order, and unknown words are counted") {
    ReadCorpus const result = read({"die tinte trocknet", "tinte"}, {"the ink dries", "some ink"});
    CHECK(decode_all(result.corpus, small_tokenizer(), true) == Lines{"die tinte trocknet", "tinte"});
    CHECK(decode_all(result.corpus, small_tokenizer(), false) == Lines{"the ink dries", "<unk> ink"});
    CHECK(result.report.lines == 2);
    CHECK(result.report.unknown == 1);
}

TEST_CASE("read_parallel: files of different lengths are refused, and the message names the shorter one") {
    ReadingOptions const options{.source_name = "train.de", .target_name = "train.en"};
    CHECK_THROWS_WITH_AS(
        read({"die tinte", "die"}, {"the ink"}, options),
        "inkling::text: train.en ends after 1 lines but train.de goes on, expected the same number of lines in both",
        Error);
    CHECK_THROWS_WITH_AS(
        read({}, {"the ink"}, options),
        "inkling::text: train.de ends after 0 lines but train.en goes on, expected the same number of lines in both",
        Error);
}

TEST_CASE("read_parallel: an empty line is refused by name and number, or skipped and counted") {
    CHECK_THROWS_WITH_AS(read({"die", " \t"}, {"the", "ink"}, {.source_name = "a.de"}),
                         "inkling::text: a.de line 2 is empty, expected text (ReadingOptions.empty = BadLine::skip "
                         "leaves such lines out)",
                         Error);
    ReadCorpus const result = read({"die", " ", "tinte"}, {"the", "ink", ""}, {.empty = BadLine::skip});
    CHECK(result.corpus.size() == 1);
    CHECK(result.report.lines == 3);
    CHECK(result.report.empty == 2);
}

TEST_CASE("read_parallel: a sentence over max_tokens is refused by name and number, or skipped and counted") {
    CHECK_THROWS_WITH_AS(read({"die", "tinte"}, {"the", "the ink dries"}, {.target_name = "a.en", .max_tokens = 2}),
                         "inkling::text: a.en line 2 has 3 tokens, expected at most 2 (raise "
                         "ReadingOptions.max_tokens, or set too_long = BadLine::skip)",
                         Error);
    ReadCorpus const result =
        read({"die", "tinte"}, {"the ink", "the ink dries"}, {.max_tokens = 2, .too_long = BadLine::skip});
    CHECK(result.corpus.size() == 1);
    CHECK(result.report.too_long == 1);
    CHECK_THROWS_AS(read({"die"}, {"the"}, {.max_tokens = 0}), Error);
}

TEST_CASE("read_parallel: bytes that are not UTF-8 are refused by file, line and byte") {
    CHECK_THROWS_WITH_AS(read({"die", "tin\xff te"}, {"the", "ink"}, {.source_name = "a.de"}),
                         "inkling::text: a.de line 2: byte 4 is not valid UTF-8, expected UTF-8 text", Error);
}

TEST_CASE("read_monolingual: each sentence is its own source, or has none") {
    Lines const text{"the ink", "dries"};
    MemoryLines lines{text};
    ReadCorpus const same = read_monolingual(lines, small_tokenizer());
    CHECK(decode_all(same.corpus, small_tokenizer(), true) == text);
    CHECK(decode_all(same.corpus, small_tokenizer(), false) == text);
    lines.position = 0;
    ReadCorpus const none = read_monolingual(lines, small_tokenizer(), MonolingualSource::none);
    CHECK(none.corpus.source_tokens() == 0);
    CHECK(decode_all(none.corpus, small_tokenizer(), false) == text);
}

TEST_CASE("read_monolingual: no sentence is its own source where sources have a vocabulary of their own") {
    std::vector<std::string> const text{"a b", "b"};
    MemoryLines lines{text}, again{text};
    TokenizerPair const pair(small_tokenizer(), small_tokenizer());
    CHECK_THROWS_WITH_AS((void)read_monolingual(lines, pair),
                         "inkling::text::read_monolingual: the tokenizer gives sources a vocabulary of their own, "
                         "expected one for both sides, or MonolingualSource::none",
                         Error);
    CHECK(read_monolingual(again, pair, MonolingualSource::none).corpus.size() == 2);
}

TEST_CASE("PackedBatch: a source is tokens eos, a target bos tokens eos, unless asked otherwise") {
    ParallelCorpus corpus;
    corpus.add(std::vector<Token>{10, 11}, std::vector<Token>{20});
    corpus.add(std::vector<Token>{12}, std::vector<Token>{21, 22});
    std::vector<Index> const order{1, 0};
    PackedBatch batch;
    pack(corpus, order, batch);
    CHECK(batch.source_tokens == std::vector<Token>{12, 2, 10, 11, 2});
    CHECK(batch.source_offsets == std::vector<Index>{0, 2, 5});
    CHECK(batch.target_tokens == std::vector<Token>{0, 21, 22, 2, 0, 20, 2});
    CHECK(batch.target_offsets == std::vector<Index>{0, 4, 7});
    CHECK(batch.sentences == order);

    Wrapping const bare{.specials = {.bos = 1, .pad = 3, .eos = 0, .unk = 2},
                        .source_bos = true,
                        .source_eos = false,
                        .target_bos = false};
    pack(corpus, order, batch, bare);
    CHECK(batch.source_tokens == std::vector<Token>{1, 12, 1, 10, 11});
    CHECK(batch.target_tokens == std::vector<Token>{21, 22, 0, 20, 0});
    CHECK(batch.size() == 2);
}

TEST_CASE("PackedBatch: lengths that a plan reckons with are those that packing gives") {
    CHECK(rc::check([](std::vector<std::pair<std::vector<Token>, std::vector<Token>>> const& pairs, bool a, bool b,
                       bool c, bool d) {
        ParallelCorpus corpus;
        for (auto const& [source, target] : pairs) corpus.add(source, target);
        Wrapping const wrapping{.source_bos = a, .source_eos = b, .target_bos = c, .target_eos = d};
        SentenceLengths const lengths = wrapped_lengths(corpus, wrapping);
        std::vector<Index> all(pairs.size());
        std::iota(all.begin(), all.end(), Index{0});
        PackedBatch batch;
        pack(corpus, all, batch, wrapping);
        for (std::size_t i = 0; i < all.size(); ++i) {
            RC_ASSERT(batch.source_offsets[i + 1] - batch.source_offsets[i] == lengths.source[i]);
            RC_ASSERT(batch.target_offsets[i + 1] - batch.target_offsets[i] == lengths.target[i]);
        }
        RC_ASSERT(batch.source_offsets.back() == static_cast<Index>(batch.source_tokens.size()));
        RC_ASSERT(batch.target_offsets.back() == static_cast<Index>(batch.target_tokens.size()));
    }));
}

TEST_CASE("PackedBatch: with room for the budget, batches reuse their memory") {
    ParallelCorpus corpus;
    for (Token i = 0; i < 40; ++i)
        corpus.add(std::vector<Token>(static_cast<std::size_t>(1 + i % 5), i),
                   std::vector<Token>(static_cast<std::size_t>(1 + i % 3), i));
    BatchPlan plan(corpus, {.tokens_per_batch = 30, .pool = 10});
    PackedBatch batch;
    batch.reserve(30, 30, 30);
    auto const* const tokens = batch.target_tokens.data();
    auto const* const offsets = batch.source_offsets.data();
    for (int step = 0; step < 50; ++step) pack(corpus, plan.next(), batch);
    CHECK(batch.target_tokens.data() == tokens);
    CHECK(batch.source_offsets.data() == offsets);
}

TEST_CASE("make_batches: every sentence is in exactly one batch, and no batch is over the budget or empty") {
    CHECK(rc::check([] {
        Index const budget = *rc::gen::inRange<Index>(1, 60);
        SentenceLengths const lengths = *any_lengths(budget);
        BatchingOptions const options{.tokens_per_batch = budget,
                                      .pool = *rc::gen::inRange<Index>(1, 50),
                                      .seed = *rc::gen::arbitrary<std::uint64_t>()};
        EpochBatches const batches = make_batches(lengths, options, *rc::gen::arbitrary<std::uint32_t>());
        std::vector<Index> seen;
        for (Index i = 0; i < batches.size(); ++i) {
            RC_ASSERT(!batches[i].empty());
            RC_ASSERT(total(lengths.source, batches[i]) <= budget);
            RC_ASSERT(total(lengths.target, batches[i]) <= budget);
            seen.insert(seen.end(), batches[i].begin(), batches[i].end());
        }
        std::sort(seen.begin(), seen.end());
        std::vector<Index> all(lengths.target.size());
        std::iota(all.begin(), all.end(), Index{0});
        RC_ASSERT(seen == all);
    }));
}

TEST_CASE("make_batches: ranks share an epoch evenly, none sees another's sentence, and nothing is left over") {
    CHECK(rc::check([] {
        Index const ranks = *rc::gen::inRange<Index>(1, 6);
        Index const sentences = *rc::gen::inRange<Index>(40, 200);
        SentenceLengths const lengths = mixed_lengths(sentences);
        auto const seed = *rc::gen::arbitrary<std::uint64_t>();
        std::vector<Index> seen;
        std::set<Index> steps;
        for (Index rank = 0; rank < ranks; ++rank) {
            BatchPlan plan(lengths, {.tokens_per_batch = 100, .pool = 64, .seed = seed, .rank = rank, .ranks = ranks});
            steps.insert(plan.steps_per_epoch());
            for (Index step = 0; step < plan.steps_per_epoch(); ++step) {
                auto const batch = plan.next();
                seen.insert(seen.end(), batch.begin(), batch.end());
            }
            RC_ASSERT(plan.epoch() == 0u);
        }
        RC_ASSERT(steps.size() == 1u);
        std::sort(seen.begin(), seen.end());
        std::vector<Index> all(static_cast<std::size_t>(sentences));
        std::iota(all.begin(), all.end(), Index{0});
        RC_ASSERT(seen == all);
    }));
}

TEST_CASE("make_batches: the same seed and epoch give the same batches, another seed or epoch another order") {
    SentenceLengths const lengths = mixed_lengths(500);
    BatchingOptions const options{.tokens_per_batch = 200, .pool = 100, .seed = 3};
    auto const first = listed(make_batches(lengths, options, 0));
    CHECK(first == listed(make_batches(lengths, options, 0)));
    CHECK(first != listed(make_batches(lengths, options, 1)));
    CHECK(first != listed(make_batches(lengths, {.tokens_per_batch = 200, .pool = 100, .seed = 4}, 0)));
}

TEST_CASE("make_batches: the four sentences of one batch stand in the same order on every platform") {
    // Fisher and Yates on 0 1 2 3 with the words of Philox4x32-10, worked out apart from the code under test.
    SentenceLengths const lengths{{1, 1, 1, 1}, {1, 1, 1, 1}};
    std::vector<Index> order{0, 1, 2, 3};
    for (std::uint32_t last = 4; last > 1; --last) {
        PhiloxBlock const words = philox({last, 5, 0, static_cast<std::uint32_t>(Purpose::batch_order)}, 9);
        std::uint64_t const high = words[0];  // the bounds are small: the upper word decides
        std::swap(order[last - 1], order[static_cast<std::size_t>((high * last) >> 32)]);
    }
    auto const batches = make_batches(lengths, {.tokens_per_batch = 4, .pool = 1, .seed = 9}, 5);
    REQUIRE(batches.size() == 1);
    CHECK(copy(batches[0]) == order);
}

TEST_CASE(
    "make_batches: a batch's sentences are of similar length, and the order of batches says nothing about length") {
    SentenceLengths const lengths = mixed_lengths(2400);
    EpochBatches const batches = make_batches(lengths, {.tokens_per_batch = 240, .pool = 2400, .seed = 1}, 0);
    Index spread = 0;
    Index rises = 0;
    for (Index i = 0; i < batches.size(); ++i) {
        auto const length = [&](Index sentence) { return lengths.target[static_cast<std::size_t>(sentence)]; };
        auto const [shortest, longest] = std::minmax_element(batches[i].begin(), batches[i].end(),
                                                             [&](Index a, Index b) { return length(a) < length(b); });
        spread = std::max(spread, length(*longest) - length(*shortest));
        if (i > 0) rises += length(batches[i].front()) > length(batches[i - 1].front());
    }
    CHECK(spread <= 1);                 // 100 sentences of each length: a batch meets at most one border
    CHECK(rises > batches.size() / 4);  // in sorted order it would be under a fifth
    CHECK(rises < 3 * batches.size() / 4);
}

TEST_CASE("make_batches: a sentence over the budget is refused, and the message says which") {
    CHECK_THROWS_WITH_AS(
        make_batches({{3, 4}, {5, 9}}, {.tokens_per_batch = 8}, 0),
        "inkling::text::make_batches: sentence 1 (from 0) has 4 source and 9 target tokens, expected at most "
        "tokens_per_batch = 8 "
        "(raise it, or leave long sentences out when reading)",
        Error);
}

TEST_CASE("make_batches: options that cannot be met are refused") {
    SentenceLengths const three{{1, 1, 1}, {1, 1, 1}};
    CHECK_THROWS_AS(make_batches({{1}, {1, 2}}, {}, 0), Error);
    CHECK_THROWS_AS(make_batches(three, {.tokens_per_batch = 0}, 0), Error);
    CHECK_THROWS_AS(make_batches(three, {.pool = 0}, 0), Error);
    CHECK_THROWS_AS(make_batches(three, {.ranks = 0}, 0), Error);
    CHECK_THROWS_AS(make_batches(three, {.rank = 2, .ranks = 2}, 0), Error);
    CHECK_THROWS_AS(make_batches(three, {.ranks = 4}, 0), Error);
    CHECK_THROWS_AS(make_batches(three, {.tokens_per_batch = 1, .ranks = 2}, 0),
                    Error);  // three batches of one, two ranks
    CHECK_THROWS_AS(make_batches({{-1}, {1}}, {}, 0), Error);
    CHECK_THROWS_AS(BatchPlan(SentenceLengths{}, {}), Error);
    CHECK(make_batches(three, {.ranks = 3}, 0).size() == 3);
}

TEST_CASE("BatchPlan: a restored position goes on with the identical stream, over the ends of epochs too") {
    CHECK(rc::check([] {
        SentenceLengths const lengths = mixed_lengths(*rc::gen::inRange<Index>(1, 120));
        BatchingOptions const options{.tokens_per_batch = 60, .pool = 32, .seed = *rc::gen::arbitrary<std::uint64_t>()};
        BatchPlan plan(lengths, options);
        for (int skipped = *rc::gen::inRange(0, 100); skipped > 0; --skipped) static_cast<void>(plan.next());
        BatchPlan other(lengths, options);
        other.restore(plan.position());
        for (int step = 0; step < 60; ++step) {
            RC_ASSERT(copy(plan.next()) == copy(other.next()));
            RC_ASSERT(plan.position() == other.position());
        }
    }));
}

TEST_CASE("BatchPlan: an epoch that cannot be dealt to the ranks changes nothing, whenever it comes") {
    // In some orders each of the nine sentences fills a batch of its own, which two ranks cannot share evenly.
    SentenceLengths const lengths{{2, 7, 4, 3, 1, 3, 4, 6, 2}, {2, 2, 7, 5, 6, 2, 5, 1, 7}};
    BatchPlan plan(lengths, {.tokens_per_batch = 7, .pool = 1, .seed = 3, .ranks = 2});
    for (Index step = plan.steps_per_epoch(); step > 0; --step) static_cast<void>(plan.next());
    BatchPosition const before = plan.position();
    Index const steps = plan.steps_per_epoch();
    for (int attempt = 0; attempt < 3; ++attempt) {
        CHECK_THROWS_WITH_AS(static_cast<void>(plan.next()), doctest::Contains("cannot be dealt to 2 ranks"), Error);
        CHECK(plan.position() == before);
        CHECK(plan.steps_per_epoch() == steps);
    }
}

TEST_CASE("BatchPlan: a position of another seed, corpus or range is refused, one of another rank is not") {
    SentenceLengths const lengths = mixed_lengths(100);
    BatchPlan plan(lengths, {.tokens_per_batch = 60, .seed = 1});
    BatchPosition const before = plan.position();
    CHECK_THROWS_AS(plan.restore(BatchPlan(lengths, {.tokens_per_batch = 60, .seed = 2}).position()), Error);
    CHECK_THROWS_AS(plan.restore(BatchPlan(mixed_lengths(99), {.tokens_per_batch = 60, .seed = 1}).position()), Error);
    BatchPosition beyond = before;
    beyond.step = plan.steps_per_epoch() + 1;
    CHECK_THROWS_AS(plan.restore(beyond), Error);
    beyond.step = -1;
    CHECK_THROWS_AS(plan.restore(beyond), Error);
    CHECK(plan.position() == before);

    BatchPlan first(lengths, {.tokens_per_batch = 60, .seed = 1, .rank = 0, .ranks = 2});
    BatchPlan second(lengths, {.tokens_per_batch = 60, .seed = 1, .rank = 1, .ranks = 2});
    static_cast<void>(first.next());
    second.restore(first.position());
    CHECK(second.position().step == 1);
}
