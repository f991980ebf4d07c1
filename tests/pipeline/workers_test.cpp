#include <inkling/pipeline/workers.hpp>

#include <inkling/backend/cpu.hpp>
#include <inkling/denoiser/empirical.hpp>
#include <inkling/embedding/learned.hpp>
#include <inkling/pipeline/text_diffusion.hpp>
#include <inkling/sampler/ddpm.hpp>
#include <inkling/schedule/cosine.hpp>
#include <inkling/text/memory_lines.hpp>
#include <inkling/text/word_tokenizer.hpp>

#include "allocations.hpp"

#include <doctest/doctest.h>

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
