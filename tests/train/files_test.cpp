#include <inkling/train/best_checkpoints.hpp>
#include <inkling/train/checkpoint.hpp>
#include <inkling/train/metrics_log.hpp>

#include "io/temporary_folder.hpp"

#include <inkling/backend/cpu.hpp>
#include <inkling/core/random.hpp>
#include <inkling/train/clipping.hpp>
#include <inkling/train/inverse_square_root.hpp>

#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <ios>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace inkling;

namespace {

/// A real, small training run: two layers that learn what two other layers with fixed weights do.
template <class Real>
struct Run {
    using Device = backend::Cpu<Real>;
    static constexpr Index rows = 32, in = 6, hidden = 16, out = 3;

    explicit Run(std::filesystem::path checkpoint_path, Index hidden_width = hidden, bool averaging = true)
        : path(std::move(checkpoint_path)), best(path, {.keep = 2, .higher_is_better = false}) {
        table = layout.add_matrix("table", 4, 4, nn::Initializer::sinusoidal(0));  // not stored
        first = layout.add_matrix("layers.0.weight", hidden_width, in, nn::Initializer::fan_in(in));
        bias = layout.add_vector("layers.0.bias", hidden_width, nn::Initializer::zero());
        second = layout.add_matrix("layers.1.weight", out, hidden_width, nn::Initializer::fan_in(hidden));
        frozen = layout.add_vector("frozen", 3, nn::Initializer::normal(1.0));
        layout.freeze(frozen);
        layout.add_alias(second, "tied.weight");
        weights = typename Device::template Buffer<Real>(layout.size());
        gradients = typename Device::template Buffer<Real>(layout.size());
        layout.initialize(5, std::span<Real>(weights.data(), static_cast<std::size_t>(layout.size())));
        optimizer = std::make_unique<train::AdamW<Device>>(device, layout);
        if (averaging) average = std::make_unique<train::MovingAverage<Device>>(device, view());
    }
    VectorView<Real> view() { return {weights.data(), layout.size()}; }

    /// One update; the data are a function of their place. @return the loss before it
    double update() {
        ++step;
        RandomStream const stream{9, Purpose::training_noise, static_cast<std::uint32_t>(place++), 0};
        std::vector<Real> x(rows * in), target(rows * out), h(static_cast<std::size_t>(rows * first.rows)),
            y(rows * out);
        for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<Real>(stream.uniform(std::uint32_t(i)) - 0.5);
        for (Index row = 0; row < rows; ++row)
            for (Index col = 0; col < out; ++col)
                target[static_cast<std::size_t>(row * out + col)] =
                    std::max(x[static_cast<std::size_t>(row * in + col)], Real{0})
                    - std::abs(x[static_cast<std::size_t>(row * in + col + 3)]);
        MatrixView<Real> const xs{x.data(), rows, in}, hs{h.data(), rows, first.rows}, ys{y.data(), rows, out};
        auto const weight = [&](nn::Parameter p) {
            return MatrixView<Real const>{weights.data() + p.offset, p.rows, p.cols};
        };
        auto const gradient = [&](nn::Parameter p) {
            return MatrixView<Real>{gradients.data() + p.offset, p.rows, p.cols};
        };
        auto const plain = backend::Orientation::plain, transposed = backend::Orientation::transposed;
        product(device, xs, plain, weight(first), transposed, hs, false, {weights.data() + bias.offset, bias.cols});
        std::vector<Real> pre = h, dh(h.size()), dy(y.size());
        MatrixView<Real> const pres{pre.data(), rows, first.rows}, dhs{dh.data(), rows, first.rows},
            dys{dy.data(), rows, out};
        activate(device, backend::Activation::relu, pres, hs);
        product(device, hs, plain, weight(second), transposed, ys);
        double loss = 0.0;
        squared_error(device, ys, {target.data(), rows, out}, 1.0, &loss, dys);
        clear(device, gradients.data(), layout.size());
        product(device, dys, transposed, hs, plain, gradient(second));
        product(device, dys, plain, weight(second), plain, dhs);
        activate_backward(device, backend::Activation::relu, pres, dhs, dhs);
        product(device, dhs, transposed, xs, plain, gradient(first));
        sum_rows(device, dhs, {gradients.data() + bias.offset, bias.cols});

        VectorView<Real const> const g{gradients.data(), layout.size()};
        double sum = 0.0;
        auto const clipped = train::clip(device, optimizer->trained_ranges(), g, &sum, 1.0, 1.0 / double(rows));
        optimizer->step(device, view(), g, rate.at(step), clipped.factor);
        if (average) average->update(device, view());
        if (step % 5 == 0) best.offer(device, layout, view(), step, loss);
        return loss;
    }
    void update(int times) {
        for (int i = 0; i < times; ++i) (void)update();
    }
    train::RunState state() const {
        return {.step = step,
                .counters = {{"place", place}, {"largest", std::numeric_limits<std::int64_t>::max()}},
                .numbers = {{"third", 1.0 / 3.0}, {"tiny", -5e-324}},
                .arrays = {{"thirds", {1.0 / 3.0, -2.0 / 3.0, 0x1p-1074}}, {"none", {}}},
                .best = best.snapshots(),
                .options = options};
    }
    void save() {
        train::save_checkpoint(path, device, layout, VectorView<Real const>(view()), *optimizer, average.get(),
                               state());
        best.remove_dropped();
    }
    void resume() {
        auto const checkpoint = train::Checkpoint::open(path);
        checkpoint.require_options(options);
        checkpoint.restore(device, layout, view(), *optimizer, average.get());
        best.restore(checkpoint.state().best);
        step = checkpoint.state().step;
        place = checkpoint.state().counters.at("place");
    }
    /// All that training has changed, as bytes.
    std::string everything() {
        std::string bytes;
        auto const add = [&](Real const* data) {
            bytes.append(reinterpret_cast<char const*>(data), static_cast<std::size_t>(layout.size()) * sizeof(Real));
        };
        add(weights.data());
        add(optimizer->first_moment().data);
        add(optimizer->second_moment().data);
        if (average) add(average->values().data);
        bytes += std::to_string(optimizer->steps()) + " " + std::to_string(average ? average->updates() : 0);
        for (auto const& one : best.snapshots()) bytes += " " + one.file + " " + std::to_string(one.score);
        return bytes;
    }

    std::filesystem::path path;
    Device device{{.threads = 2}};
    nn::ParameterLayout layout;
    nn::Parameter table, first, bias, second, frozen;
    typename Device::template Buffer<Real> weights, gradients;
    std::unique_ptr<train::AdamW<Device>> optimizer;
    std::unique_ptr<train::MovingAverage<Device>> average;
    train::BestCheckpoints best;
    train::InverseSquareRoot rate{.peak = 0.02, .warm_up = 20};
    Index step = 0;
    Index place = 0;
    std::string options = R"({"seed": 5, "model": {"width": 16}})";
};

/// No file may grow beyond `bytes` while it lives, as on a full disk.
class FullDisk {
public:
    explicit FullDisk(::rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
        ::getrlimit(RLIMIT_FSIZE, &old_);
        ::rlimit limit = old_;
        limit.rlim_cur = bytes;
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FullDisk() {
        ::setrlimit(RLIMIT_FSIZE, &old_);
        (void)std::signal(SIGXFSZ, handler_);
    }

private:
    ::rlimit old_{};
    void (*handler_)(int);
};

std::vector<std::string> names_in(TemporaryFolder const& folder) {
    std::vector<std::string> names;
    for (auto const& entry : std::filesystem::directory_iterator(folder.path()))
        names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace

TEST_CASE_TEMPLATE("a run that was stopped and resumed ends with the same bits as one that was not", Real, float,
                   double) {
    TemporaryFolder const folder;
    Run<Real> straight(folder / "straight");
    double const loss_at_start = straight.update();
    straight.update(59);
    CHECK(straight.update() < 0.5 * loss_at_start);  // it does learn

    Run<Real> before(folder / "interrupted");
    before.update(23);
    before.save();
    before.update(10);  // lost: the program died here, after snapshots beyond the checkpoint had been written

    Run<Real> after(folder / "interrupted");
    after.resume();
    CHECK(after.step == 23);
    after.update(38);
    std::string expected = straight.everything();
    for (std::size_t at = expected.find("straight"); at != std::string::npos; at = expected.find("straight"))
        expected.replace(at, 8, "interrupted");
    CHECK(after.everything() == expected);

    auto const mean_of = [](Run<Real>& run) {
        run.best.load_mean(run.device, run.layout, run.view());
        return std::string(reinterpret_cast<char const*>(run.weights.data()),
                           static_cast<std::size_t>(run.layout.size()) * sizeof(Real));
    };
    CHECK(mean_of(after) == mean_of(straight));
}

TEST_CASE("a checkpoint gives back what the trainer handed in, to the last bit") {
    TemporaryFolder const folder;
    Run<float> run(folder / "c");
    run.update(7);
    run.save();
    auto const checkpoint = train::Checkpoint::open(folder / "c");
    CHECK(checkpoint.state().step == 7);
    CHECK(checkpoint.state().counters == run.state().counters);
    CHECK(checkpoint.state().numbers == run.state().numbers);
    CHECK(checkpoint.state().arrays == run.state().arrays);
    for (auto const& [name, value] : run.state().counters) CHECK(checkpoint.counter(name) == value);
    for (auto const& [name, value] : run.state().numbers) CHECK(checkpoint.number(name) == value);
    for (auto const& [name, values] : run.state().arrays) CHECK(checkpoint.array(name) == values);
    CHECK_THROWS_WITH_AS((void)checkpoint.number("nonsense"), doctest::Contains("lacks 'nonsense'"), Error);
    CHECK(checkpoint.state().options == run.options);
    REQUIRE(checkpoint.state().best.size() == 1);
    CHECK(checkpoint.state().best[0].score == run.best.snapshots()[0].score);
    CHECK(checkpoint.has_average());
    CHECK(checkpoint.contents().at("layers.0.weight").shape()
          == std::vector<Index>{16, 6});  // other programs can look into it
    CHECK_FALSE(checkpoint.contents().contains("table"));
    CHECK_FALSE(checkpoint.contents().contains("tied.weight"));
}

TEST_CASE("a weight that is NaN or negative zero comes back with its bits") {
    TemporaryFolder const folder;
    Run<float> run(folder / "c");
    std::uint32_t const odd_nan = 0x7FC01234u;
    float const zero = -0.0F;
    std::memcpy(run.weights.data() + run.first.offset, &odd_nan, 4);
    std::memcpy(run.weights.data() + run.first.offset + 1, &zero, 4);
    run.save();
    Run<float> other(folder / "c");
    other.resume();
    CHECK(other.everything() == run.everything());
}

TEST_CASE("a checkpoint with any byte changed, or cut short anywhere, is refused, and nothing has changed") {
    TemporaryFolder const folder;
    Run<float> run(folder / "c");
    run.update(5);
    run.save();
    std::string const good = contents_of(folder / "c");
    Run<float> other(folder / "c");
    std::string const before = other.everything();
    std::uint64_t header = 0;
    std::memcpy(&header, good.data(), 8);
    std::size_t const data = 8 + static_cast<std::size_t>(header);
    auto const change = [&](std::size_t at, int mask) {  // in place: much faster than a new file each time
        std::fstream file(folder / "c", std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(static_cast<std::streamoff>(at)).put(static_cast<char>(good[at] ^ mask));
    };
    for (std::size_t at = 0; at < good.size(); at += at < data ? 1 : 13) {
        if (good.find_first_not_of(' ', at) == data) continue;  // the header's padding says nothing
        change(at, 1 << (at % 8));
        CAPTURE(at);
        CHECK_THROWS_AS(other.resume(), Error);
        change(at, 0);
    }
    put(folder / "c", good + "x");
    CHECK_THROWS_AS(other.resume(), Error);
    put(folder / "c", good);
    for (std::size_t size = good.size(); size > 0; size -= std::min<std::size_t>(size, 97)) {
        std::filesystem::resize_file(folder / "c", size - 1);
        CAPTURE(size);
        CHECK_THROWS_AS(other.resume(), Error);
    }
    CHECK(other.everything() == before);
    put(folder / "c", good);
    other.resume();
    CHECK(other.everything() == run.everything());
}

TEST_CASE("a damaged checkpoint and one of a newer format are told apart from no checkpoint") {
    TemporaryFolder const folder;
    Run<float> run(folder / "c");
    run.save();
    std::string bad = contents_of(folder / "c");
    bad.back() = static_cast<char>(bad.back() ^ 1);
    put(folder / "c", bad);
    std::string const where = "inkling::train::Checkpoint: file '" + (folder / "c").string() + "': ";
    CHECK_THROWS_WITH_AS(train::Checkpoint::open(folder / "c"),
                         (where + "is damaged: its checksum is not that of its contents").c_str(), Error);
    io::write_safetensors(folder / "c", {}, {{"inkling_checkpoint", "2"}});
    CHECK_THROWS_WITH_AS(
        train::Checkpoint::open(folder / "c"),
        (where + "is of format 2, which is newer than the 1 that this version of inkling reads").c_str(), Error);
    io::write_safetensors(folder / "c", {}, {{"inkling_format", "1"}});
    CHECK_THROWS_WITH_AS(train::Checkpoint::open(folder / "c"),
                         (where + "is no checkpoint of inkling: its metadata lack 'inkling_checkpoint'").c_str(),
                         Error);
    CHECK_THROWS_AS(train::Checkpoint::open(folder / "absent"), Error);
}

TEST_CASE("a checkpoint of another model is refused by the name of a tensor and both shapes, and nothing has changed") {
    TemporaryFolder const folder;
    Run<float> run(folder / "c");
    run.update(3);
    run.save();
    auto const checkpoint = train::Checkpoint::open(folder / "c");
    auto const refused = [&](auto& other, std::string const& expected) {
        std::string const before = other.everything();
        CHECK_THROWS_WITH_AS(
            checkpoint.restore(other.device, other.layout, other.view(), *other.optimizer, other.average.get()),
            doctest::Contains(expected.c_str()), Error);
        CHECK(other.everything() == before);
    };
    Run<float> wider(folder / "c", 17);
    refused(wider, "tensor 'layers.0.weight' has shape [16, 6], expected [17, 6]");
    Run<double> finer(folder / "c");
    refused(finer, "tensor 'layers.0.weight' is of type F32, expected F64");
    Run<float> without_average(folder / "c", 16, false);
    refused(without_average, "has a moving average of the weights, and this run keeps none");
    Run<float> larger(folder / "c");
    std::string const before = larger.everything();
    nn::ParameterLayout more = larger.layout;
    more.add_vector("extra", 2, nn::Initializer::zero());
    CHECK_THROWS_WITH_AS(
        checkpoint.restore(larger.device, more, larger.view(), *larger.optimizer, larger.average.get()),
        doctest::Contains(("expected " + std::to_string(more.size()) + " of each").c_str()), Error);
    CHECK(larger.everything() == before);

    nn::ParameterLayout renamed;
    for (auto const& entry : larger.layout.entries()) {
        std::string const name = entry.name == "frozen" ? "thawed" : entry.name;
        if (entry.shape.size() == 2)
            renamed.add_matrix(name, entry.shape[0], entry.shape[1], entry.initializer);
        else
            renamed.add_vector(name, entry.shape[0], entry.initializer);
    }
    CHECK_THROWS_WITH_AS(
        checkpoint.restore(larger.device, renamed, larger.view(), *larger.optimizer, larger.average.get()),
        doctest::Contains("there is no tensor 'thawed'"), Error);
    CHECK(larger.everything() == before);
}

TEST_CASE("a tensor without a place in the model is named") {
    TemporaryFolder const folder;
    backend::Cpu<float> device;
    nn::ParameterLayout one, two;
    one.add_vector("a", 2, nn::Initializer::zero());
    one.add_vector("b", 2, nn::Initializer::zero());
    two.add_vector("a", 2, nn::Initializer::zero());
    two.add_matrix("table", 1, 2, nn::Initializer::sinusoidal(0));
    std::vector<float> weights(4, 1.0F);
    train::AdamW<backend::Cpu<float>> optimizer(device, one);
    VectorView<float> const view{weights.data(), 4};
    train::save_checkpoint(folder / "c", device, one, VectorView<float const>(view), optimizer, nullptr, {});
    CHECK_THROWS_WITH_AS(train::Checkpoint::open(folder / "c").restore(device, two, view, optimizer, nullptr),
                         doctest::Contains("tensor 'b' has no place in this model"), Error);
}

TEST_CASE("resuming with other options is refused, and the message names what differs") {
    TemporaryFolder const folder;
    Run<float> run(folder / "c");
    run.save();
    auto const checkpoint = train::Checkpoint::open(folder / "c");
    checkpoint.require_options(R"({"model":{"width":16},"seed":5})");  // the order and white space do not matter
    CHECK_THROWS_WITH_AS(
        checkpoint.require_options(R"({"seed": 6, "model": {"width": 16, "layers": 2}})"),
        ("inkling::train::Checkpoint: file '" + (folder / "c").string()
         + "': was written by a run with other options or text (remove it to start anew): "
           "'/model/layers' is not set in the checkpoint and 2 now, '/seed' is 5 in the checkpoint and 6 now")
            .c_str(),
        Error);
    CHECK_THROWS_WITH_AS(checkpoint.require_options("{}"),
                         doctest::Contains("'/seed' is 5 in the checkpoint and not set now"), Error);
    CHECK_THROWS_WITH_AS(checkpoint.require_options("seed"), doctest::Contains("the run's options is no JSON object"),
                         Error);
}

TEST_CASE("what cannot be stored is refused before the old checkpoint is touched") {
    TemporaryFolder const folder;
    Run<float> run(folder / "c");
    run.save();
    std::string const good = contents_of(folder / "c");
    auto const refused = [&](train::RunState const& state, char const* expected) {
        CHECK_THROWS_WITH_AS(
            train::save_checkpoint(run.path, run.device, run.layout, VectorView<float const>(run.view()),
                                   *run.optimizer, run.average.get(), state),
            doctest::Contains(expected), Error);
        CHECK(contents_of(folder / "c") == good);
    };
    refused({.numbers = {{"loss", std::nan("")}}}, "'loss' = nan, expected a finite number");
    refused({.options = "[]"}, "RunState::options is no JSON object");
    refused({.counters = {{"\xff", 1}}}, "no valid UTF-8");
    refused({.best = {{1, INFINITY, "f"}}}, "the score of step 1");
}

TEST_CASE("a checkpoint that cannot be written leaves the old one and no rubbish") {
    TemporaryFolder const folder;
    Run<float> run(folder / "c");
    run.update(3);
    run.save();
    std::string const good = contents_of(folder / "c");
    run.update(1);
    {
        FullDisk const full(1000);
        CHECK_THROWS_AS(run.save(), Error);
    }
    CHECK(contents_of(folder / "c") == good);
    CHECK(names_in(folder) == std::vector<std::string>{"c"});
    std::filesystem::remove(folder / "c");
    std::filesystem::create_directory(folder / "c");  // renaming a file to it fails
    CHECK_THROWS_AS(run.save(), Error);
    CHECK(names_in(folder) == std::vector<std::string>{"c"});
}

TEST_CASE("a program killed at any moment leaves a whole checkpoint, with all the snapshots it names") {
    TemporaryFolder const folder;
    std::string seen;
    for (int attempt = 0; attempt < 12; ++attempt) {
        ::pid_t const child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {  // threads do not survive a fork: one is enough here
            try {
                Run<float> run(folder / "c");
                run.device = backend::Cpu<float>({.threads = 1});
                if (std::filesystem::exists(run.path)) run.resume();
                for (;;) {
                    (void)run.update();
                    run.save();
                }
            } catch (...) { ::_exit(1); }
        }
        for (int waited = 0; waited < 10'000 && contents_of(folder / "c") == seen; ++waited)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        std::this_thread::sleep_for(std::chrono::microseconds(1700 * attempt));
        ::kill(child, SIGKILL);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        REQUIRE(WTERMSIG(status) == SIGKILL);
        seen = contents_of(folder / "c");
    }
    Run<float> last(folder / "c");
    last.device = backend::Cpu<float>({.threads = 1});
    last.resume();
    CHECK(last.step >= 12);
    Run<float> straight(folder / "d");
    straight.device = backend::Cpu<float>({.threads = 1});
    straight.update(static_cast<int>(last.step));
    CHECK(std::memcmp(last.weights.data(), straight.weights.data(),
                      static_cast<std::size_t>(last.layout.size()) * sizeof(float))
          == 0);
}

TEST_CASE("of any sequence of scores the best k snapshots are kept, the later of equals") {
    TemporaryFolder const folder;
    backend::Cpu<double> device;
    nn::ParameterLayout layout;
    layout.add_vector("w", 1, nn::Initializer::zero());
    CHECK(rc::check([&](std::vector<std::uint8_t> scores, bool higher_is_better) {
        Index const keep = *rc::gen::inRange<Index>(1, 4);
        train::BestCheckpoints best(folder / "run", {.keep = keep, .higher_is_better = higher_is_better});
        std::vector<std::pair<int, Index>> expected;  // (score, -step), both to be sorted upwards
        for (std::size_t i = 0; i < std::min<std::size_t>(scores.size(), 6); ++i) {
            auto const step = static_cast<Index>(i) + 1;
            int const score = scores[i] % 8;
            double const weight = static_cast<double>(step);
            std::pair<int, Index> const own{higher_is_better ? -score : score, -step};
            expected.insert(std::upper_bound(expected.begin(), expected.end(), own), own);
            expected.resize(std::min(expected.size(), static_cast<std::size_t>(keep)));
            bool const wanted = std::find(expected.begin(), expected.end(), own) != expected.end();
            RC_ASSERT(best.offer(device, layout, {&weight, 1}, step, score) == wanted);
        }
        best.remove_dropped();
        RC_ASSERT(best.snapshots().size() == expected.size());
        double mean = 0.0;
        for (std::size_t i = 0; i < expected.size(); ++i) {
            RC_ASSERT(best.snapshots()[i].step == -expected[i].second);
            mean -= static_cast<double>(expected[i].second) / static_cast<double>(expected.size());
        }
        RC_ASSERT(folder.files() == static_cast<std::ptrdiff_t>(expected.size()));
        if (expected.empty()) return;
        double read = 0.0;
        best.load_mean(device, layout, {&read, 1});
        RC_ASSERT(std::abs(read - mean) < 1e-12);
        best.load_best(device, layout, {&read, 1});
        RC_ASSERT(read == static_cast<double>(-expected[0].second));
    }));
}

TEST_CASE("snapshots that fell out of the list stay until they are told to go; other files are left alone") {
    TemporaryFolder const folder;
    backend::Cpu<float> device;
    nn::ParameterLayout layout;
    layout.add_vector("w", 1, nn::Initializer::zero());
    float const weight = 1.0F;
    train::BestCheckpoints best(folder / "run", {.keep = 1});
    CHECK(best.offer(device, layout, {&weight, 1}, 10, 20.0));
    CHECK(best.offer(device, layout, {&weight, 1}, 20, 21.0));
    CHECK_FALSE(best.offer(device, layout, {&weight, 1}, 30, 19.0));
    for (char const* other : {"run", "run.best-x.safetensors", "run.best-.safetensors", "other.best-10.safetensors"})
        put(folder / other, "");
    CHECK(std::filesystem::exists(folder / "run.best-10.safetensors"));
    best.remove_dropped();
    CHECK(names_in(folder)
          == std::vector<std::string>{"other.best-10.safetensors", "run", "run.best-.safetensors",
                                      "run.best-20.safetensors", "run.best-x.safetensors"});
    CHECK(best.offer(device, layout, {&weight, 1}, 20, 5.0));  // scored again
    CHECK(best.snapshots()[0].score == 5.0);
    CHECK_THROWS_AS(best.offer(device, layout, {&weight, 1}, 40, std::nan("")), Error);
}

TEST_CASE("a list with a snapshot that is missing or damaged is refused, and the old list stays") {
    TemporaryFolder const folder;
    backend::Cpu<float> device;
    nn::ParameterLayout layout;
    layout.add_vector("w", 1, nn::Initializer::zero());
    float weight = 1.0F;
    train::BestCheckpoints best(folder / "run", {});
    CHECK_THROWS_WITH_AS(best.load_mean(device, layout, {&weight, 1}),
                         "inkling::train::BestCheckpoints: no snapshot is kept yet", Error);
    CHECK(best.offer(device, layout, {&weight, 1}, 10, 20.0));
    std::vector<train::Snapshot> list = best.snapshots();
    list.push_back({20, 19.0, "run.best-20.safetensors"});
    CHECK_THROWS_AS(best.restore(list), Error);
    list[1].file = "../run.best-10.safetensors";
    CHECK_THROWS_WITH_AS(best.restore(list), doctest::Contains("expected 'run.best-20.safetensors'"), Error);
    CHECK(best.snapshots().size() == 1);
    std::string bad = contents_of(folder / "run.best-10.safetensors");
    bad.back() = static_cast<char>(bad.back() ^ 1);
    put(folder / "run.best-10.safetensors", bad);
    list.resize(1);
    CHECK_THROWS_WITH_AS(best.restore(list), doctest::Contains("is damaged"), Error);
    float const before = weight = 3.0F;
    CHECK_THROWS_AS(best.load_best(device, layout, {&weight, 1}), Error);
    CHECK(weight == before);
}

TEST_CASE("metrics in CSV: the first row names the columns, and a number reads back as the same double") {
    TemporaryFolder const folder;
    train::MetricsLog log(folder / "m.csv");
    log.append(100, std::array{train::NamedNumber{"loss", 0.1}, train::NamedNumber{"bleu", 1e-300}});
    CHECK(contents_of(folder / "m.csv") == "step,loss,bleu\n100,0.1,1e-300\n");  // each row is there at once
    log.append(200, std::array{train::NamedNumber{"bleu", std::nan("")}});
    CHECK(contents_of(folder / "m.csv") == "step,loss,bleu\n100,0.1,1e-300\n200,,nan\n");
    CHECK_THROWS_WITH_AS(log.append(300, std::array{train::NamedNumber{"norm", 1.0}}),
                         doctest::Contains("has no column 'norm', its columns are 'loss', 'bleu'"), Error);
    CHECK(contents_of(folder / "m.csv") == "step,loss,bleu\n100,0.1,1e-300\n200,,nan\n");
}

TEST_CASE("metrics in CSV: columns can be given beforehand") {
    TemporaryFolder const folder;
    train::MetricsLog log(folder / "m.csv", {.columns = {"loss", "bleu"}});
    log.append(1, std::array{train::NamedNumber{"bleu", 2.0}});
    CHECK(contents_of(folder / "m.csv") == "step,loss,bleu\n1,,2\n");
    CHECK_THROWS_WITH_AS(train::MetricsLog(folder / "m.csv", {.resumed_step = 1, .columns = {"bleu"}}),
                         doctest::Contains("has the columns 'loss', 'bleu', expected 'bleu'"), Error);
}

TEST_CASE("metrics as JSON lines: every line is an object, and what is no number is null") {
    TemporaryFolder const folder;
    train::MetricsLog log(folder / "m.jsonl");
    log.append(1, std::array{train::NamedNumber{"loss", 2.5}, train::NamedNumber{"a/b", INFINITY}});
    log.append(2, {});
    CHECK(contents_of(folder / "m.jsonl") == "{\"step\":1,\"loss\":2.5,\"a/b\":null}\n{\"step\":2}\n");
    for (char const* name : {"", "step", "a\"b", "a,b", "a\nb", "a\\b"}) {
        CAPTURE(name);
        CHECK_THROWS_AS(log.append(3, std::array{train::NamedNumber{name, 1.0}}), Error);
    }
    CHECK_THROWS_WITH_AS(log.append(3, std::array{train::NamedNumber{"a", 1.0}, train::NamedNumber{"a", 1.0}}),
                         doctest::Contains("used twice"), Error);
}

TEST_CASE("a resumed run keeps the rows up to its step and loses half a line and all later rows") {
    TemporaryFolder const folder;
    for (std::string const name : {"m.csv", "m.jsonl"}) {
        CAPTURE(name);
        {
            train::MetricsLog log(folder / name);
            for (Index step = 1; step <= 4; ++step)
                log.append(step, std::array{train::NamedNumber{"loss", double(step)}});
        }
        std::string const four = contents_of(folder / name);
        put(folder / name,
            four + four.substr(four.rfind('\n', four.size() - 2) + 1, 2));  // killed in the middle of a row
        {
            train::MetricsLog log(folder / name, {.resumed_step = 2});
            CHECK(four.starts_with(contents_of(folder / name)));
            for (Index step = 3; step <= 4; ++step)
                log.append(step, std::array{train::NamedNumber{"loss", double(step)}});
        }
        CHECK(contents_of(folder / name) == four);
        { train::MetricsLog log(folder / name, {.resumed_step = 4}); }
        CHECK(contents_of(folder / name) == four);
        { train::MetricsLog log(folder / name); }  // a new run
        CHECK(contents_of(folder / name).empty());
    }
}

TEST_CASE("a file that is no log of training is refused and left as it is") {
    TemporaryFolder const folder;
    for (std::string const name : {"m.csv", "m.jsonl"})
        for (std::string const content : {"name,age\n", "half a line", "{\"loss\":1}\n", "{\"stepx\":1}\n", "\n"})
            for (Index const step : {Index{0}, Index{5}}) {
                CAPTURE(name);
                CAPTURE(content);
                put(folder / name, content);
                CHECK_THROWS_WITH_AS(train::MetricsLog(folder / name, {.resumed_step = step}),
                                     doctest::Contains("is there, and is no log of training"), Error);
                CHECK(contents_of(folder / name) == content);
            }
    CHECK_THROWS_WITH_AS(train::MetricsLog(folder / "m.txt"),
                         doctest::Contains("ends in '.txt', expected .csv, .jsonl or .json"), Error);
    CHECK_THROWS_AS(train::MetricsLog(folder / "absent" / "m.csv"), Error);
}

TEST_CASE("a row that does not fit on the disk leaves no part of itself, and the next one that does is whole") {
    TemporaryFolder const folder;
    train::MetricsLog log(folder / "m.csv");
    log.append(1, std::array{train::NamedNumber{"loss", 1.0}});
    std::string const one = contents_of(folder / "m.csv");
    {
        FullDisk const full(one.size() + 2);
        CHECK_THROWS_WITH_AS(log.append(2, std::array{train::NamedNumber{"loss", 2.0}}),
                             doctest::Contains("a row cannot be written"), Error);
    }
    CHECK(contents_of(folder / "m.csv") == one);
    log.append(3, std::array{train::NamedNumber{"loss", 3.0}});
    CHECK(contents_of(folder / "m.csv") == one + "3,3\n");
}
