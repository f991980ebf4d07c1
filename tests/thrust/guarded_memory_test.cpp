#include <inkling/backend/thrust_host.hpp>

#include <inkling/denoiser/denoiser.hpp>
#include <inkling/guidance/classifier_free.hpp>
#include <inkling/pipeline/trainer.hpp>
#include <inkling/testing/backend_conformance.hpp>

#include <doctest/doctest.h>

#include "pipeline/tiny.hpp"

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace inkling;

/// Memory that only verbs may touch, as that of a device with memory of its own: whoever else reads or writes it ends
/// the program. Its pages are open while a verb runs, one verb at a time.
class Guard {
public:
    static void* open_pages(std::size_t bytes) {
        REQUIRE(!being_recorded());
        void* const memory = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(memory != MAP_FAILED);
        pages().insert({memory, bytes});
        return memory;
    }
    static void close_pages(void* memory, std::size_t bytes) {
        pages().erase({memory, bytes});
        munmap(memory, bytes);
    }
    /// Whether a place lies in guarded memory.
    static bool owns(void const* place) {
        auto const* const byte = static_cast<char const*>(place);
        return std::ranges::any_of(pages(), [&](auto const& piece) {
            auto const* const begin = static_cast<char const*>(piece.first);
            return byte >= begin && byte < begin + piece.second;
        });
    }
    /// How many pieces of memory there are.
    static std::size_t pieces() { return pages().size(); }
    /// Whether a device is told what it is to record: nobody asks for memory then.
    static bool& being_recorded() {
        static bool is = false;
        return is;
    }

    Guard() { protect(PROT_READ | PROT_WRITE); }
    Guard(Guard const&) = delete;
    Guard& operator=(Guard const&) = delete;
    ~Guard() { protect(PROT_NONE); }

private:
    using Pages = std::set<std::pair<void*, std::size_t>>;
    static Pages& pages() {
        static Pages all;
        return all;
    }
    static void protect(int how) {
        for (auto const& [memory, bytes] : pages()) mprotect(memory, bytes, how);
    }
};

template <class T>
class GuardedBuffer {
public:
    GuardedBuffer() = default;
    explicit GuardedBuffer(Index size) : size_(size) {
        if (size > 0) data_ = static_cast<T*>(Guard::open_pages(bytes()));
    }
    GuardedBuffer(GuardedBuffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    GuardedBuffer& operator=(GuardedBuffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~GuardedBuffer() {
        if (data_ != nullptr) Guard::close_pages(data_, bytes());
    }
    [[nodiscard]] T* data() { return data_; }
    [[nodiscard]] T const* data() const { return data_; }
    [[nodiscard]] Index size() const { return size_; }

private:
    [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }
    T* data_ = nullptr;
    Index size_ = 0;
};

/// A system of one's own: as fine-grained as a CUDA device's, in guarded memory. What it is told it may record, as a
/// CUDA graph does.
class GuardedSystem {
public:
    struct Options {
        bool records = false;
        int* replays = nullptr;  ///< counts them
    };
    using Recording = std::vector<std::function<void()>>;
    template <class T>
    using Buffer = GuardedBuffer<T>;
    static constexpr bool fine = true;

    explicit GuardedSystem(Options const& options) : options_(options) {}
    [[nodiscard]] Options const& options() const { return options_; }

    template <class Body>
    void for_each(Index count, Body const& body) {
        tell([count, body] {
            for (Index index = count; index-- > 0;) body(index);  // in another order than the usual one
        });
    }
    template <class Body>
    void for_each_team(Index count, Body const& body) {
        for_each(count, backend::kernels::PlayTeam<Body>{body, backend::kernels::Order::backwards});
    }
    void upload(void const* from, void* to, std::size_t bytes) { move(from, to, bytes); }
    void download(void const* from, void* to, std::size_t bytes) { move(from, to, bytes); }
    void copy(void const* from, void* to, std::size_t bytes) {
        tell([=] { std::memcpy(to, from, bytes); });
    }
    void clear(void* to, std::size_t bytes) {
        tell([=] { std::memset(to, 0, bytes); });
    }

    [[nodiscard]] bool records() const { return options_.records; }
    template <class Work>
    [[nodiscard]] Recording record(Work const& work) {
        struct End {  // even where something throws
            ~End() { Guard::being_recorded() = false; }
        } const end{};
        recording_.clear();
        Guard::being_recorded() = true;
        work();
        return std::exchange(recording_, {});
    }
    void replay(Recording const& recording) {
        Guard const guard;
        for (auto const& work : recording) work();
        ++*options_.replays;
    }

private:
    template <class Work>
    void tell(Work const& work) {
        if (Guard::being_recorded()) {
            recording_.push_back(work);
        } else {
            Guard const guard;
            work();
        }
    }
    void move(void const* from, void* to, std::size_t bytes) {
        REQUIRE(!Guard::being_recorded());
        copy(from, to, bytes);
    }

    Options options_;
    Recording recording_;
};
static_assert(backend::RecordingSystem<GuardedSystem>);

using Guarded = backend::ThrustDevice<float, GuardedSystem>;

/// The one verb whose results a training asks for at once: they are to be written to the device's memory, as all are.
void squared_norm(Guarded& device, VectorView<float const> x, double* sum) {
    REQUIRE(Guard::owns(sum));
    backend::squared_norm(device, x, sum);
}
static_assert(Backend<Guarded> && backend::RecordsWork<Guarded>);
static_assert(!backend::RecordsWork<backend::ThrustHost<>> && backend::FusesActivations<backend::ThrustHost<>>);

/// A Guarded that counts: what it does besides telling the device would be left out of what is replayed.
struct Counting : Guarded {
    using Guarded::Guarded;
    int normals = 0;
};
static_assert(!backend::RecordsWork<Counting>);

/// A sampler whose plan is given.
struct Given {
    sampler::Plan given{};
    template <NoiseSchedule Schedule>
    [[nodiscard]] sampler::Plan plan(Schedule const&) const {
        return given;
    }
};

}  // namespace

TEST_CASE("guarded memory: a host that reads it is ended") {
    GuardedBuffer<int> const memory(1);
    pid_t const child = fork();
    if (child == 0) {
        std::signal(SIGSEGV, SIG_DFL);
        int const volatile* const place = memory.data();
        _exit(*place);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
}

TEST_CASE("every backend keeps the laws of the verbs: fine-grained, backwards, in memory that the host cannot read") {
    Guarded device;
    for (auto const& law : testing::backend_laws<Guarded>()) {
        CAPTURE(law.name);
        CHECK(law.broken(device) == "");
    }
}

TEST_CASE("training and generating touch a device's memory by verbs alone, and another grain gives the same bits") {
    auto const run = []<class Device>(std::type_identity<Device>) {
        using Pipeline = tiny::PipelineOn<Device>;
        auto const options = tiny::options<tiny::PipelineOn<backend::ThrustHost<float>>>();
        typename Pipeline::Options chosen{.schedule = options.schedule,
                                          .embedding = options.embedding,
                                          .denoiser = options.denoiser,
                                          .sampler = options.sampler,
                                          .seed = options.seed};
        Pipeline pipeline(tiny::tokenizer(), chosen);
        auto const lines = tiny::sentences(40);
        text::ParallelCorpus corpus, held_out;
        for (std::string const& line : lines) {
            auto const tokens = tiny::tokenizer().encode(line);
            (corpus.size() < 30 ? corpus : held_out).add(tokens, tokens);
        }
        typename Trainer<Pipeline>::Options training;
        training.steps = 20;
        training.tokens_per_batch = 64;
        training.discrete_steps = 100;
        Trainer<Pipeline>(pipeline, training).fit(corpus, &held_out);
        return pipeline.generate_with(lines, {.seed = 4, .beams = {.length_beam = 2, .noise_beam = 2}});
    };
    auto const want = run(std::type_identity<backend::ThrustHost<float>>{});
    auto const got = run(std::type_identity<Guarded>{});
    REQUIRE(got.size() == want.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        CHECK(got[i].tokens == want[i].tokens);
        CHECK(got[i].mean_log_probability == want[i].mean_log_probability);
    }
    CHECK(Guard::pieces() == 0);
}

namespace {

/// No two steps are alike: some draw noise, some look back.
sampler::Plan uneven_plan() {
    sampler::Plan plan;
    plan.initial_noise = 1.5;
    for (int i = 0; i < 6; ++i)
        plan.steps.push_back({.time = 1.0 - 0.15 * i,
                              .alpha_bar = 0.1 + 0.12 * i,
                              .z0 = 0.3 + 0.1 * i,
                              .z_t = 0.7 - 0.1 * i,
                              .noise = i % 3 == 0 ? 0.0 : 0.2,
                              .previous_z0 = i < 2 ? 0.0 : 0.1});
    return plan;
}

/// Checks that a pipeline leaves the same bits after every step, told all of them or replaying what was recorded, and
/// that all but the first of each batch's steps are replayed, where they may be.
/// @param write  called as write(pipeline, listener)
template <class Pipeline>
void check_replays(typename Pipeline::Options options, bool recordable, auto const& write) {
    std::vector<std::vector<float>> states[2];
    int replays = 0;
    for (bool const records : {false, true}) {
        options.device = {.records = records, .replays = &replays};
        Pipeline const pipeline(tiny::tokenizer(), options);
        write(pipeline, [&](decode::StepData<float> const& step) {
            states[records].emplace_back(step.z.begin(), step.z.end());
            states[records].emplace_back(step.z0_hat.begin(), step.z0_hat.end());
            return true;
        });
        int const steps = static_cast<int>(states[0].size()) / 2;
        CHECK(replays == (records && recordable ? steps / 6 * 5 : 0));
    }
    CHECK(states[0] == states[1]);
    if (recordable && !options.sampler.given.clamp)  // else estimates may be one and the same
        CHECK(std::set<std::vector<float>>(states[0].begin(), states[0].end()).size() == states[0].size());
}

auto const translate = [](auto const& pipeline, auto const& listener) {
    for (std::uint64_t const seed : {1U, 2U})
        (void)pipeline.generate_with(tiny::sentences(12), {.seed = seed, .tokens_per_batch = 40},
                                     decode::MinimumBayesRisk{}, listener);
};

}  // namespace

TEST_CASE("steps that are recorded once and replayed leave the same bits: clamped, guided") {
    using Pipeline =
        TextDiffusion<schedule::Rescaled<schedule::Sqrt>, embedding::Learned, denoiser::EncoderDecoder<Guarded>, Given>;
    auto const small = tiny::options<tiny::PipelineOn<backend::ThrustHost<float>>>();
    for (int const variant : {0, 1, 2}) {
        CAPTURE(variant);
        Given sampler{uneven_plan()};
        sampler.given.clamp = variant == 1;
        sampler.given.guidance = variant == 2 ? 0.5 : 0.0;
        check_replays<Pipeline>({.schedule = small.schedule,
                                 .embedding = small.embedding,
                                 .denoiser = small.denoiser,
                                 .sampler = sampler,
                                 .seed = small.seed},
                                true, translate);
    }
}

TEST_CASE("steps that are recorded once and replayed leave the same bits: of a network that says velocities") {
    using Model = denoiser::BottleneckDecoder<Guarded>;
    using Pipeline = TextDiffusion<schedule::Sqrt, embedding::Learned, Model, Given>;
    check_replays<Pipeline>({.embedding = {.width = 8, .standard_deviation = 0.5},
                             .denoiser = {.width = 16,
                                          .layers = 1,
                                          .heads = 2,
                                          .hidden = 32,
                                          .longest_source = 12,
                                          .longest_target = 16,
                                          .output = denoiser::Output::velocity},
                             .sampler = {uneven_plan()}},
                            true, translate);
}

TEST_CASE("steps that are recorded once and replayed leave the same bits: around what is kept of a line") {
    using Model = guidance::ClassifierFree<denoiser::Infiller<Guarded>>;
    using Pipeline = TextDiffusion<schedule::Sqrt, embedding::Learned, Model, Given>;
    check_replays<Pipeline>(
        {.embedding = {.width = 8, .standard_deviation = 0.5},
         .denoiser = {.model = {.width = 16, .layers = 1, .heads = 2, .hidden = 32, .longest = 16}, .guidance = 2.0},
         .sampler = {uneven_plan()}},
        true, [](auto const& pipeline, auto const& listener) {
            std::vector<text::GappedLine> const lines{text::parse_gaps("ink ___ water"),
                                                      text::parse_gaps("___(3) falls slowly")};
            (void)pipeline.infill(lines, {.seed = 3}, decode::MinimumBayesRisk{}, listener);
        });
}

TEST_CASE("steps of a denoiser that uploads in each are not recorded") {
    using Pipeline = TextDiffusion<schedule::Sqrt, embedding::Learned, denoiser::Empirical<Guarded>, Given>;
    check_replays<Pipeline>({.embedding = {.width = 8, .standard_deviation = 0.5},
                             .denoiser = {.lines = {{4, 5, 6}, {7, 8}}},
                             .sampler = {uneven_plan()}},
                            false, translate);
}
#endif
