#include <inkling/pipeline/crew.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/core/error.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstddef>
#include <set>
#include <vector>

namespace {

using namespace inkling;
using Device = backend::Cpu<>;
using Worker = pipeline::Worker<Device>;
using Workers = pipeline::Workers<Device>;

}  // namespace

TEST_CASE("a crew's batches have workers of one thread, and one batch has all threads") {
    Workers whole, pool;
    auto const worker = whole.borrow({.threads = 3});
    pipeline::Crew<Device> crew(*worker, pool);
    std::vector<std::atomic<int>> done(20);
    std::atomic<int> most_threads = 0;
    for (int again = 0; again < 2; ++again)
        crew.each(done.size(), [&](std::size_t i, Worker& own) {
            most_threads = std::max<int>(most_threads, own.device.threads());
            ++done[i];
        });
    CHECK(most_threads == 1);
    CHECK(std::all_of(done.begin(), done.end(), [](int times) { return times == 2; }));
    crew.each(1, [&](std::size_t, Worker& own) { CHECK(&own == &*worker); });
}

TEST_CASE("a crew does all that it was given before it says what went wrong, of several the first") {
    Workers whole, pool;
    auto const worker = whole.borrow({.threads = 2});
    pipeline::Crew<Device> crew(*worker, pool);
    std::vector<std::atomic<int>> done(10);
    CHECK_THROWS_WITH_AS(crew.each(done.size(),
                                   [&](std::size_t i, auto&) {
                                       ++done[i];
                                       require(i != 7 && i != 4, "batch ", i);
                                   }),
                         "batch 4", Error);
    CHECK(std::all_of(done.begin(), done.end(), [](int times) { return times == 1; }));
}

#ifdef _OPENMP  // without it a device has one thread

TEST_CASE("a crew's batches are done at the same time, each by a worker that no other has") {
    if (omp_get_thread_limit() < 3 || omp_get_dynamic() != 0) return;  // whoever forbids it would wait for ever
    Workers whole, pool;
    auto const worker = whole.borrow({.threads = 3});
    pipeline::Crew<Device> crew(*worker, pool);
    std::barrier all(3);
    std::vector<Worker const*> workers(3);
    crew.each(3, [&](std::size_t i, Worker& own) {
        workers[i] = &own;
        all.arrive_and_wait();
    });
    CHECK(std::set(workers.begin(), workers.end()).size() == 3);
}

TEST_CASE("batches: threads have their own where rows and lines are enough for all, and share one elsewhere") {
    Device const three({.threads = 3});
    std::vector<Index> const many(100, 20), few(5, 20), two(2, 600);
    auto const split = pipeline::cut_batches(three, many, 2, 4096, false);
    CHECK(split.at_once == 3);
    CHECK(split.groups.size() == 9);  // 4000 rows on 3 threads, no more than 512 on each, of lines of 40
    for (auto const& one :
         {pipeline::cut_batches(three, many, 2, 4096, true), pipeline::cut_batches(three, few, 1, 4096, false),
          pipeline::cut_batches(three, two, 2, 4096, false)}) {
        CHECK(one.at_once == 1);
        CHECK(one.groups.size() == 1);
    }
}

#endif

TEST_CASE(
    "batches: those that are done at once have no more rows than the budget, but for a line that alone has more") {
    CHECK(rc::check([] {
        auto const lengths = *rc::gen::nonEmpty(rc::gen::container<std::vector<Index>>(rc::gen::inRange<Index>(1, 60)));
        auto const copies = *rc::gen::inRange<Index>(1, 6), budget = *rc::gen::inRange<Index>(1, 3000);
        Device const device({.threads = *rc::gen::inRange(1, 5)});
        auto const batches = pipeline::cut_batches(device, lengths, copies, budget, false);
        Index const share = std::min(budget / batches.at_once, batches.at_once > 1 ? Device::most_thread_rows : budget);
        std::set<Index> lines;
        for (auto const& group : batches.groups) {
            Index rows = 0;
            for (Index const i : group) rows += copies * lengths[static_cast<std::size_t>(i)];
            RC_ASSERT(rows <= share || group.size() == 1);
            lines.insert(group.begin(), group.end());
        }
        RC_ASSERT(lines.size() == lengths.size());
    }));
}
