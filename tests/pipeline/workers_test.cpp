#include <inkling/pipeline/workers.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/empirical.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/pipeline/crew.hpp>
#include <inkling/pipeline/text_diffusion.hpp>
#include <inkling/sampler/ddpm.hpp>
#include <inkling/schedule/cosine.hpp>
#include <inkling/text/memory_lines.hpp>
#include <inkling/text/word_tokenizer.hpp>

#include "allocations.hpp"

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace inkling;
using Workers = pipeline::Workers<backend::Cpu<>>;

/// One of several devices, as CUDA has them: each thread has a current one, which making a device sets.
struct Numbered : backend::Cpu<> {
    struct Options {
        int number = 0;
    };
    static inline thread_local int current = -1;

    explicit Numbered(Options const& chosen) : options(chosen) { make_current(); }
    void make_current() { current = options.number; }

    /// Memory of the current device.
    template <class T>
    struct Buffer : backend::Cpu<>::Buffer<T> {
        Buffer() = default;
        explicit Buffer(Index size) : backend::Cpu<>::Buffer<T>(size) { owners[this->data()] = current; }
    };
    static inline std::map<void const*, int> owners{};  ///< of what was made last at each place

    Options options;
};

}  // namespace

TEST_CASE("workers that are lent at the same time are different ones, and are lent again when they are back") {
    Workers workers;
    std::set<void const*> first, second;
    for (auto* const seen : {&first, &second}) {
        std::vector<Workers::Loan> loans;
        for (int i = 0; i < 3; ++i) loans.push_back(workers.borrow({.threads = 1}));
        for (auto const& loan : loans) seen->insert(&*loan);
    }
    CHECK(first.size() == 3);
    CHECK(second == first);
}

TEST_CASE("a crew does several batches at once with a worker each, and one batch with all threads") {
    Workers whole, pool;
    auto const worker = whole.borrow({.threads = 3});
    pipeline::Crew<backend::Cpu<>> crew(*worker, pool);
    std::vector<std::atomic<int>> done(20);
    std::atomic<bool> alone = true;
    for (int again = 0; again < 2; ++again)
        crew.each(done.size(), [&](std::size_t i, pipeline::Worker<backend::Cpu<>>& own) {
            ++done[i];
            own.tokens.push_back(1);  // a race, were it another's too
            if (own.device.threads() != 1) alone = false;
        });
    CHECK(alone);
    CHECK(std::all_of(done.begin(), done.end(), [](int times) { return times == 2; }));
    crew.each(1, [&](std::size_t, pipeline::Worker<backend::Cpu<>>& own) { CHECK(&own == &*worker); });
}

TEST_CASE("a crew does all that it was given before it says what went wrong, of several the first") {
    Workers whole, pool;
    auto const worker = whole.borrow({.threads = 2});
    pipeline::Crew<backend::Cpu<>> crew(*worker, pool);
    std::vector<std::atomic<int>> done(10);
    CHECK_THROWS_WITH_AS(crew.each(done.size(),
                                   [&](std::size_t i, auto&) {
                                       ++done[i];
                                       require(i != 7 && i != 4, "batch ", i);
                                   }),
                         "batch 4", Error);
    CHECK(std::all_of(done.begin(), done.end(), [](int times) { return times == 1; }));
}

TEST_CASE("lines in even groups: each is in one, shorter ones first, and rows differ by no more than two lines have") {
    CHECK(rc::check([] {
        auto const lengths = *rc::gen::container<std::vector<Index>>(rc::gen::inRange<Index>(1, 60));
        auto const copies = *rc::gen::inRange<Index>(1, 6), count = *rc::gen::inRange<Index>(1, 30);
        auto const groups = pipeline::evenly_grouped(lengths, copies, count);
        RC_ASSERT(static_cast<Index>(groups.size()) <= count);
        std::vector<Index> order;
        Index all = 0, longest = 0;
        for (Index const length : lengths) all += length * copies, longest = std::max(longest, length * copies);
        for (auto const& group : groups) {
            RC_ASSERT(!group.empty());
            Index rows = 0;
            for (Index const i : group) rows += lengths[static_cast<std::size_t>(i)] * copies;
            RC_ASSERT(rows * count < all + 2 * longest * count);
            order.insert(order.end(), group.begin(), group.end());
        }
        RC_ASSERT(std::is_sorted(order.begin(), order.end(), [&](Index a, Index b) {
            return lengths[static_cast<std::size_t>(a)] < lengths[static_cast<std::size_t>(b)];
        }));
        std::sort(order.begin(), order.end());
        RC_ASSERT(order.size() == lengths.size());
        for (std::size_t i = 0; i < order.size(); ++i) RC_ASSERT(order[i] == static_cast<Index>(i));
    }));
}

TEST_CASE("threads take batches of their own where there are enough rows, and whole batches where a listener watches") {
    std::vector<Index> const many(100, 20), few(5, 20);
    backend::Cpu<> const three({.threads = 3});
    auto const shared = pipeline::batches(three, many, 2, 4096, false);
    CHECK(shared.at_once == 3);
    CHECK(shared.groups.size() == 9);  // 4000 rows of at most 512 on each of 3 threads
    CHECK(pipeline::batches(three, many, 2, 300, false).groups.size() == 42);
    for (auto const& one :
         {pipeline::batches(three, many, 2, 4096, true), pipeline::batches(three, few, 1, 4096, false)}) {
        CHECK(one.at_once == 1);
        CHECK(one.groups.size() == 1);
    }
}

TEST_CASE("giving workers back takes no memory, so it cannot fail, however many were lent at once") {
    Workers workers;
    std::vector<Workers::Loan> loans;
    for (int i = 0; i < 20; ++i) loans.push_back(workers.borrow({.threads = 1}));
    long const before = allocations();
    while (!loans.empty()) loans.pop_back();
    CHECK(allocations() == before);
}

TEST_CASE("a worker's device is the current one of the thread that it is lent to, whoever made it") {
    pipeline::Workers<Numbered> first, second;
    std::thread([&] { (void)first.borrow({.number = 1}); }).join();
    (void)second.borrow({.number = 2});
    REQUIRE(Numbered::current == 2);
    auto const lent = first.borrow({.number = 1});
    CHECK(Numbered::current == 1);
}

TEST_CASE("where there are several devices, a pipeline's weights move with it, and it writes the same") {
    std::vector<std::string> const lines{"a drop of ink", "falls into water"};
    text::MemoryLines reader{lines};
    auto const tokenizer = text::WordTokenizer::train(reader);
    std::vector<std::vector<Token>> known;
    for (auto const& line : lines) known.push_back(tokenizer.encode(line));
    TextDiffusion<schedule::Cosine, embedding::Learned, denoiser::Empirical<Numbered>, sampler::Ddpm> pipeline(
        tokenizer, {.embedding = {.width = 8}, .denoiser = {.lines = known}, .sampler = {.steps = 10}});
    auto const text = pipeline.generate(lines);
    CHECK(Numbered::current == 0);
    CHECK(Numbered::owners.at(std::as_const(pipeline).weights().data) == 0);
    pipeline.set_device({.number = 3});
    CHECK(Numbered::owners.at(std::as_const(pipeline).weights().data) == 3);
    Numbered::current = 0;
    CHECK(pipeline.generate(lines) == text);
    CHECK(Numbered::current == 3);
}
