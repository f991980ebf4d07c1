#include <inkling/pipeline/workers.hpp>

#include <inkling/backend/cpu.hpp>

#include "allocations.hpp"

#include <doctest/doctest.h>

#include <set>
#include <vector>

namespace {

using namespace inkling;
using Workers = pipeline::Workers<backend::Cpu<>>;

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

TEST_CASE("giving workers back takes no memory, so it cannot fail, however many were lent at once") {
    Workers workers;
    std::vector<Workers::Loan> loans;
    for (int i = 0; i < 20; ++i) loans.push_back(workers.borrow({.threads = 1}));
    long const before = allocations();
    while (!loans.empty()) loans.pop_back();
    CHECK(allocations() == before);
}
