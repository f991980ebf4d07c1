#include <inkling/pipeline/text_diffusion.hpp>

#include <inkling/embedding/layer_normed.hpp>
#include <inkling/pipeline/distillation.hpp>
#include <inkling/sampler/sampler.hpp>
#include <inkling/schedule/schedule.hpp>
#include <inkling/testing/device_arrays.hpp>

#include <doctest/doctest.h>

#include "device.hpp"
#include "io/temporary_folder.hpp"
#include "refusal.hpp"
#include "same_generated.hpp"
#include "tiny.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <span>
#include <stop_token>
#include <thread>
#include <type_traits>
#include <utility>

namespace {

using namespace inkling;
using tiny::Pipeline;

std::vector<Generated> all_of(Pipeline const& pipeline, std::vector<std::string> const& sources,
                              GenerateOptions const& options = {}) {
    return pipeline.generate_with(sources, options);
}

// ------------------------------------------------------------------------------------------------------- determinism

TEST_CASE("Generated: as a line of a file, text has a blank for every newline") {
    Generated one;
    one.text = "one\ntwo\n";
    CHECK(one.line() == "one two ");
}

TEST_CASE("the same seed gives the same text and log-probabilities on 1, 2 and 3 threads") {
    Pipeline pipeline = tiny::talkative();
    auto const sources = tiny::sentences(20);
    GenerateOptions const options{.seed = 4, .beams = {.length_beam = 2, .noise_beam = 2}};
    auto const want = all_of(pipeline, sources, options);
    std::set<std::string> different;
    for (auto const& one : want) {
        different.insert(one.text);
        CHECK(one.finished);
        CHECK(one.mean_log_probability <= 0.0);
    }
    CHECK(different.size() > 10);  // so that equality says something
    for (int const threads : {2, 3}) {
        pipeline.set_device({.threads = threads});
        check_same(all_of(pipeline, sources, options), want);
    }
}

TEST_CASE("threads that clean batches of their own: progress is told of whole rounds, and ends with all") {
    auto options = tiny::options();
    if constexpr (requires { options.device.threads; }) options.device.threads = 3;
    auto const writer = tiny::talkative(tiny::tokenizer(), options);
    auto const sources = tiny::sentences(100);
    std::vector<Index> seen;
    auto const texts =
        writer.generate(sources, {.seed = 5, .tokens_per_batch = 90, .on_progress = [&](Index done, Index all) {
                                      CHECK(all == 100);
                                      seen.push_back(done);
                                  }});
    CHECK(texts == tiny::talkative().generate(sources, {.seed = 5}));
    std::vector<Index> lengths;
    for (auto const& source : sources)
        lengths.push_back(static_cast<Index>(writer.tokenizer().encode(source).size()) + 2);
    auto const batches = pipeline::cut_batches(Pipeline::Device(writer.options().device), lengths, 1, 90, false);
    auto const all = static_cast<Index>(batches.groups.size()), round = static_cast<Index>(batches.at_once);
    CHECK(static_cast<Index>(seen.size()) == (all + round - 1) / round);
    CHECK(seen.size() > 3);
    CHECK(std::is_sorted(seen.begin(), seen.end()));
    CHECK(seen.back() == 100);
}

TEST_CASE("another seed gives other text") {
    Pipeline const pipeline = tiny::talkative();
    auto const sources = tiny::sentences(8);
    CHECK(pipeline.generate(sources, {.seed = 1}) != pipeline.generate(sources, {.seed = 2}));
}

TEST_CASE("how sources are cut into batches does not change a bit of what comes out") {
    Pipeline const pipeline = tiny::talkative();
    auto const sources = tiny::sentences(20);
    auto const want = all_of(pipeline, sources, {.tokens_per_batch = 4096});
    check_same(all_of(pipeline, sources, {.tokens_per_batch = 64}), want);
    check_same(all_of(pipeline, sources, {.tokens_per_batch = 1}), want);
}

TEST_CASE("a source gives the same text alone, in a piece of the list and in any order of the pieces") {
    Pipeline const pipeline = tiny::talkative();
    auto const sources = tiny::sentences(12);
    GenerateOptions options{.seed = 9, .beams = {.noise_beam = 2}};
    auto const want = all_of(pipeline, sources, options);
    std::vector<Generated> got(sources.size());
    for (std::size_t const first : {std::size_t{7}, std::size_t{0}, std::size_t{3}}) {
        std::size_t const last = first == 7 ? 12 : first == 0 ? 3 : 7;
        options.first_source = static_cast<Index>(first);
        auto piece = all_of(
            pipeline,
            {sources.begin() + static_cast<std::ptrdiff_t>(first), sources.begin() + static_cast<std::ptrdiff_t>(last)},
            options);
        std::move(piece.begin(), piece.end(), got.begin() + static_cast<std::ptrdiff_t>(first));
    }
    check_same(got, want);
}

TEST_CASE("four threads that share a const pipeline each get what one alone gets") {
    Pipeline const pipeline = tiny::talkative();
    auto const sources = tiny::sentences(10);
    std::vector<std::vector<Generated>> want, got(4);
    for (std::uint64_t seed = 0; seed < 4; ++seed) want.push_back(all_of(pipeline, sources, {.seed = seed}));
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            for (int repeat = 0; repeat < 3; ++repeat) got[i] = all_of(pipeline, sources, {.seed = i});
        });
    for (std::thread& thread : threads) thread.join();
    for (std::size_t i = 0; i < 4; ++i) check_same(got[i], want[i]);
}

// ------------------------------------------------------------------------------------------------------- model files

TEST_CASE("a saved and loaded pipeline generates the same, bit for bit") {
    TemporaryFolder const folder;
    Pipeline const pipeline = tiny::talkative();
    auto const sources = tiny::sentences(10);
    pipeline.save(folder / "model.inkling");
    CHECK(folder.files() == 1);
    auto const loaded = Pipeline::load<text::WordTokenizer>(
        folder / "model.inkling", {.sampler = pipeline.options().sampler, .device = {.threads = 1}});
    CHECK(loaded.schedule().training_noise == 2.0);  // the file says how it was trained
    check_same(all_of(loaded, sources), all_of(pipeline, sources));
    CHECK(loaded.configuration() == pipeline.configuration());
}

TEST_CASE("weights that were written show in the next generation, also through a view from before the last one") {
    TemporaryFolder const folder;
    Pipeline const pipeline = tiny::talkative();
    auto const sources = tiny::sentences(3);
    pipeline.save(folder / "model.inkling");
    auto loaded = Pipeline::load<text::WordTokenizer>(
        folder / "model.inkling", {.sampler = pipeline.options().sampler, .device = {.threads = 1}});
    auto const surety = [&](Pipeline const& one) { return all_of(one, sources)[0].mean_log_probability; };
    double const before = surety(loaded);
    auto const weights = loaded.weights();
    auto const add = [&](float more) {
        for (auto const& entry : loaded.layout().entries())
            if (entry.multiplied) weights.data[entry.parameter.offset] += more;
    };
    add(0.5F);
    double const between = surety(loaded);
    CHECK(between != before);
    add(0.5F);
    CHECK(surety(loaded) != between);
    loaded.save(folder / "again.inkling");
    auto const again = Pipeline::load<text::WordTokenizer>(
        folder / "again.inkling", {.sampler = pipeline.options().sampler, .device = {.threads = 1}});
    CHECK(surety(again) == surety(loaded));
    CHECK(surety(again) == surety(loaded));  // by then `again` has its weights laid out
}

TEST_CASE("set_weights: others show in the next generation; what cannot be weights is refused and changes nothing") {
    TemporaryFolder const folder;
    tiny::talkative().save(folder / "model.inkling");
    auto const load = [&] {
        return Pipeline::load<text::WordTokenizer>(folder / "model.inkling", {.device = {.threads = 1}});
    };
    auto pipeline = load();
    auto const sources = tiny::sentences(3);
    auto const before = all_of(pipeline, sources);  // which lays its weights out
    auto const view = std::as_const(pipeline).weights();
    std::vector<float> const own(view.data, view.data + view.size);
    std::vector<float> other = own;
    for (auto const& entry : pipeline.layout().entries())
        if (entry.multiplied) other[static_cast<std::size_t>(entry.parameter.offset)] += 0.5F;
    auto fresh = load();
    fresh.set_weights(other);
    pipeline.set_weights(other);
    auto const after = all_of(pipeline, sources);
    check_same(after, all_of(fresh, sources));
    CHECK(after[0].mean_log_probability != before[0].mean_log_probability);

    CHECK_THROWS_WITH_AS(pipeline.set_weights(std::span(own).subspan(1)), doctest::Contains(" weights, expected "),
                         Error);
    other[3] = std::numeric_limits<float>::infinity();
    CHECK_THROWS_WITH_AS(pipeline.set_weights(other),
                         doctest::Contains(" has inf as element 3, expected finite numbers"), Error);
    check_same(all_of(pipeline, sources), after);
}

template <int Kind>
struct NoSchedule {
    [[nodiscard]] double alpha_bar(double t) const {
        return Kind == 0 ? std::nan("") : Kind == 1 ? t : Kind == 2 ? 0.5 : 1.0 - 2.0 * t;
    }
};

TEST_CASE("embeddings are the rows of the table as the denoiser meets them") {
    auto const pipeline = tiny::talkative();
    auto const embeddings = pipeline.embeddings();
    auto const table = pipeline.space().table();
    REQUIRE(embeddings.size() == static_cast<std::size_t>(table.rows * table.cols));
    for (std::size_t i = 0; i < embeddings.size(); ++i)
        CHECK(embeddings[i]
              == doctest::Approx(std::sqrt(double(table.cols))
                                 * double(pipeline.weights().data[table.offset + Index(i)])));
}

TEST_CASE("a schedule that does not fall from 1 to 0 is refused when the pipeline is made") {
    auto const make = [](auto schedule) {
        using Own = TextDiffusion<decltype(schedule), embedding::Learned, Pipeline::ModelType, sampler::Ddpm>;
        auto const sizes = tiny::options();
        return Own(tiny::tokenizer(), {.embedding = sizes.embedding, .denoiser = sizes.denoiser});
    };
    CHECK_SAYS(make(NoSchedule<0>{}), "alpha_bar(0.000000) is nan, expected a number in [0, 1]");
    CHECK_SAYS(make(NoSchedule<1>{}), "alpha_bar rises to");
    CHECK_SAYS(make(NoSchedule<2>{}), "is 0.500000 at every t");
    CHECK_SAYS(make(NoSchedule<3>{}), "expected a number in [0, 1]");
}

TEST_CASE("sizes that no memory holds are refused with how much was asked for") {
    auto options = tiny::options();
    options.denoiser.width = options.denoiser.hidden = Index{1} << 20;  // each of them allowed
    CHECK_SAYS(Pipeline(tiny::tokenizer(), options), "bytes asked for");
}

TEST_CASE("a model file is refused, with the reason, where it does not fit") {
    TemporaryFolder const folder;
    auto const path = folder / "model.inkling";
    Pipeline const pipeline = tiny::talkative();
    pipeline.save(path);
    Pipeline::Options const same{};
    auto const load = [&](Pipeline::Options const& options) {
        return Pipeline::load<text::WordTokenizer>(path, options);
    };

    SUBCASE("another noise schedule") {
        using Other = TextDiffusion<schedule::Cosine, embedding::Learned, Pipeline::ModelType, sampler::Ddpm>;
        CHECK_SAYS((Other::load<text::WordTokenizer>(path)),
                   "was trained with another noise schedule: its settings are");
        using Same =
            TextDiffusion<schedule::Rescaled<schedule::Cosine>, embedding::Learned, Pipeline::ModelType, sampler::Ddpm>;
        CHECK_SAYS((Same::load<text::WordTokenizer>(path)), "was trained with another noise schedule: its alpha_bar");
    }
    SUBCASE("a truncated file, wherever it ends") {
        std::string const whole = contents_of(path);
        for (std::size_t const size :
             {std::size_t{0}, std::size_t{7}, std::size_t{300}, whole.size() / 2, whole.size() - 1}) {
            put(path, std::string_view(whole).substr(0, size));
            CHECK_SAYS(load(same), "model.inkling");
        }
    }
    SUBCASE("no file") { CHECK_SAYS(Pipeline::load<text::WordTokenizer>(folder / "none", same), "none"); }
    SUBCASE("a tokenizer of another vocabulary, a setting of another size or kind") {
        auto const file = io::ModelFile::open(path);
        std::vector<std::vector<float>> values;
        std::vector<io::NamedTensor> tensors;
        for (auto const& tensor : file.weights()) {
            values.push_back(tensor.to<float>());
            tensors.push_back(
                {std::string(tensor.name()), {tensor.shape().begin(), tensor.shape().end()}, values.back().data()});
        }
        auto description = file.description();
        auto const write = [&](char const* part, char const* setting, nlohmann::json value) {
            auto changed = description;
            auto json = nlohmann::json::parse(changed.configuration);
            json[part][setting] = std::move(value);
            changed.configuration = json.dump();
            io::save_model(path, changed, tensors);
        };
        write("denoiser", "heads", 2);
        CHECK(load(same).options().denoiser.heads == 2);  // this is how it should be
        write("denoiser", "width", 18);
        CHECK_SAYS(load(same), "has shape [14, 16], expected [14, 18]");
        write("denoiser", "width", Index{1} << 40);
        CHECK_SAYS(load(same), "'width' is 1099511627776, expected a whole number from 0 to 2^20");
        write("denoiser", "hidden",
              Index{1} << 20);  // would ask for much memory, if the shapes were not looked at first
        CHECK_SAYS(load(same), "1048576");
        write("denoiser", "width", "broad");
        CHECK_SAYS(load(same), "'width' is \"broad\", expected a whole number");
        write("denoiser", "activation", "sinus");
        CHECK_SAYS(load(same), "'activation' is \"sinus\", expected one of 'relu', 'gelu', 'silu', 'tanh'");
        write("embedding", "tied", 1);
        CHECK_SAYS(load(same), "'tied' is 1, expected true or false");
        auto longer = tiny::sentences(100);
        longer.push_back("another word");
        description.tokenizer = tiny::tokenizer(longer).serialise();
        io::save_model(path, description, tensors);
        CHECK_SAYS(load(same), "decoder.embed_tokens.weight");
    }
}

// ------------------------------------------------------------------------------------------------------------ errors

TEST_CASE("sources and options that cannot be are refused with where, what and what was expected") {
    Pipeline pipeline = tiny::talkative();
    auto const generate = [&](std::vector<std::string> const& sources, GenerateOptions const& options = {}) {
        return pipeline.generate(sources, options);
    };
    std::vector<std::string> const one{"ink falls"};
    std::string const where = "inkling::TextDiffusion::generate: ";
    CHECK_SAYS(generate({"ink", "  "}), where + "source 1 is empty, expected text");
    CHECK_SAYS(generate({"ink ink ink ink ink ink ink ink ink ink ink ink"}),
               where + "source 0 has 13 tokens, expected at most 12, for which the model has positions");
    CHECK_SAYS(generate(one, {.tokens_per_batch = 0}),
               "inkling::GenerateOptions: tokens_per_batch is 0, expected at least 1");
    CHECK_SAYS(generate(one, {.first_source = -1}), "inkling::GenerateOptions: first_source is -1, expected 0 to 2^32");
    CHECK_SAYS(generate(one, {.beams = {.length_beam = 0}}), "length_beam is 0, expected at least 1");
    CHECK_SAYS(pipeline.generate_tokens(std::vector<std::vector<Token>>{{4}, {4, 99}}, {}),
               where + "source 1 has the token 99, expected one of a vocabulary of 14");
    CHECK_SAYS((pipeline.set_device({.threads = -1}), 0), "threads is -1, expected 0 or more");
    CHECK(generate(one).size() == 1);  // it still works
    pipeline.set_sampler({.steps = 0});
    CHECK_SAYS(generate(one), "steps is 0");
}

/// A tokenizer whose pad is not in its vocabulary.
struct WithoutPad {
    text::WordTokenizer words = tiny::tokenizer();
    std::vector<Token> encode(std::string_view line) const { return words.encode(line); }
    std::string decode(std::span<Token const> tokens) const { return words.decode(tokens); }
    Index vocabulary_size() const { return words.vocabulary_size(); }
    text::SpecialTokens specials() const { return {.pad = -1}; }
    static std::string_view kind() { return "without-pad"; }
    std::string serialise() const { return words.serialise(); }
    static WithoutPad deserialise(std::string_view bytes) { return {text::WordTokenizer::deserialise(bytes)}; }
};

/// A Selection that chooses what is not there.
struct Beyond {
    Index select(std::span<decode::Candidate const> candidates) const { return static_cast<Index>(candidates.size()); }
};

TEST_CASE(
    "a tokenizer whose special tokens are outside its vocabulary, and a Selection that chooses none, are refused") {
    CHECK_SAYS(Pipeline(WithoutPad{}, tiny::options()),
               "bos 0, pad -1, eos 2, unk 3, expected tokens of its vocabulary");
    auto const pipeline = tiny::talkative();
    CHECK_SAYS(pipeline.generate_with(tiny::sentences(1), {.beams = {.noise_beam = 3}}, Beyond{}),
               "the Selection chose candidate 3, expected 0 to 2");
    CHECK_SAYS(
        pipeline.generate(tiny::sentences(1), {.first_source = (Index{1} << 32) - 1, .beams = {.noise_beam = 2}}),
        "expected at most 2^32 candidates");
}

TEST_CASE("no sources give no text") { CHECK(tiny::talkative().generate(std::vector<std::string>{}).empty()); }

TEST_CASE("sources as tokens give what the same sources as text give, and may be empty") {
    Pipeline const pipeline = tiny::talkative();
    auto const sources = tiny::sentences(5);
    std::vector<std::vector<Token>> tokens;
    for (auto const& source : sources) tokens.push_back(pipeline.tokenizer().encode(source));
    check_same(pipeline.generate_tokens(tokens, {}), all_of(pipeline, sources));
    CHECK(pipeline.generate_tokens(std::vector<std::vector<Token>>{{}}, {}).front().finished);
}

// --------------------------------------------------------------------------------------------- listeners and stopping

TEST_CASE("a listener sees every step of every batch, and the last tokens are those that are returned") {
    Pipeline const pipeline = tiny::talkative();
    auto const sources = tiny::sentences(3);
    struct Seen {
        Index step, steps;
        double time;
        std::vector<Token> tokens;
        Index source;
    };
    std::vector<Seen> seen;
    auto const result = pipeline.generate_with(
        sources, {.tokens_per_batch = 1}, decode::MeanLogProbability{}, [&](decode::StepData<float> const& step) {
            CHECK(step.sentences() == 1);
            CHECK(step.z.size() == step.tokens.size() * static_cast<std::size_t>(step.width));
            CHECK(step.z0_hat.size() == step.z.size());
            REQUIRE(step.sources.size() == 1);
            seen.push_back(
                {step.step, step.steps, step.time, {step.tokens.begin(), step.tokens.end()}, step.sources.front()});
        });
    REQUIRE(seen.size() == 18);
    for (std::size_t i = 0; i < seen.size(); ++i) {
        CHECK(seen[i].step == static_cast<Index>(i % 6));
        CHECK(seen[i].steps == 6);
        if (i % 6 > 0) CHECK(seen[i].time < seen[i - 1].time);
    }
    for (std::size_t batch = 0; batch < 3; ++batch)
        CHECK(result[static_cast<std::size_t>(seen[6 * batch + 5].source)].tokens == seen[6 * batch + 5].tokens);
    check_same(result, all_of(pipeline, sources));  // and it changes nothing
}

TEST_CASE("a listener that returns false ends its batch with what there is") {
    Pipeline const pipeline = tiny::talkative();
    auto const sources = tiny::sentences(2);
    int calls = 0;
    std::vector<Token> last;
    auto const result = pipeline.generate_with(sources, {.tokens_per_batch = 1}, decode::MeanLogProbability{},
                                               [&](decode::StepData<float> const& step) {
                                                   ++calls;
                                                   last.assign(step.tokens.begin(), step.tokens.end());
                                                   return step.step < 2;
                                               });
    CHECK(calls == 6);  // three steps of each
    CHECK(result[0].finished);
    CHECK(result[1].finished);
    CHECK((result[0].tokens == last || result[1].tokens == last));
}

TEST_CASE("a stop ends the run between steps; what was finished stays") {
    Pipeline const pipeline = tiny::talkative();
    auto const sources = tiny::sentences(4);
    std::stop_source stop;
    int calls = 0;
    std::vector<std::pair<Index, Index>> progress;
    GenerateOptions options{.tokens_per_batch = 1, .stop = stop.get_token(), .on_progress = [&](Index done, Index all) {
                                progress.emplace_back(done, all);
                            }};
    auto const result =
        pipeline.generate_with(sources, options, decode::MeanLogProbability{}, [&](decode::StepData<float> const&) {
            if (++calls == 15) stop.request_stop();  // in the third batch
        });
    CHECK(calls == 15);
    CHECK(std::count_if(result.begin(), result.end(), [](auto const& one) { return one.finished; }) == 2);
    for (auto const& one : result)
        if (!one.finished) CHECK((one.text.empty() && one.tokens.empty()));
    REQUIRE(progress.size() == 2);  // the batch that was stopped is not done
    CHECK(progress[1] == std::pair<Index, Index>{2, 4});
    CHECK(all_of(pipeline, sources, options)[0].finished == false);  // stopped before it began
}

TEST_CASE("an exception out of a listener leaves the pipeline as it was") {
    Pipeline const pipeline = tiny::talkative();
    auto const sources = tiny::sentences(4);
    auto const want = all_of(pipeline, sources);
    CHECK_THROWS_AS(pipeline.generate_with(sources, {}, decode::MeanLogProbability{},
                                           [](decode::StepData<float> const&) { throw std::runtime_error("enough"); }),
                    std::runtime_error);
    check_same(all_of(pipeline, sources), want);
}

TEST_CASE("nothing is allocated in a denoising step after the first, listener or not") {
    Pipeline::Options options = tiny::options();
    options.sampler.clamp = true;  // this way takes memory too
    Pipeline const pipeline(tiny::tokenizer(), options);
    auto const sources = tiny::sentences(12);
    std::vector<long> counts;
    counts.reserve(100);
    auto const listener = [&](decode::StepData<float> const&) { counts.push_back(allocations()); };
    for (int run = 0; run < 2; ++run) {
        counts.clear();
        (void)pipeline.generate_with(sources, {.beams = {.noise_beam = 2}}, decode::MeanLogProbability{}, listener);
        REQUIRE(counts.size() == 6);
        for (std::size_t i = 1; i < counts.size(); ++i) CHECK(counts[i] == counts[0]);
    }
}

// --------------------------------------------------------------------------------------------- the exact denoiser

/// A sampler that runs a plan made elsewhere: one type of pipeline for all schedules and samplers.
struct ThisPlan {
    sampler::Plan made{};
    template <NoiseSchedule Schedule>
    sampler::Plan plan(Schedule const&) const {
        return made;
    }
};

template <class Space>
using Reciter = TextDiffusion<schedule::Sqrt, Space, denoiser::Empirical<tests::Device<>>, ThisPlan>;

std::vector<std::string> const& known_lines() {
    static std::vector<std::string> const lines{"the ink is still wet", "a drop falls into clear water", "paper",
                                                "ink on the paper", "water is clear"};
    return lines;
}

template <class Space>
Reciter<Space> reciter(Index width = 16) {
    auto const tokenizer = tiny::tokenizer(known_lines());
    typename Reciter<Space>::Options options;
    options.embedding.width = width;
    options.embedding.standard_deviation =
        1.0 / std::sqrt(static_cast<double>(width));  // z0's elements are standard normal
    for (auto const& line : known_lines()) options.denoiser.lines.push_back(tokenizer.encode(line));
    options.device = {.threads = 1};
    return {tokenizer, options};
}

/// Every schedule with its name.
template <class Use>
void for_each_schedule(Use const& use) {
    use("sqrt", schedule::Sqrt{});
    use("cosine", schedule::Cosine{});
    use("linear_beta", schedule::LinearBeta{});
    use("quadratic_beta", schedule::QuadraticBeta{});
    use("edm", schedule::Edm{});
    use("cdcd", schedule::Cdcd{});
    use("sigma_linear", schedule::SigmaLinear{});
    use("sigma_sqrt", schedule::SigmaSqrt{});
    use("geometric", schedule::Geometric{});
    use("a table", schedule::Discrete::sampled(schedule::Cosine{}, 300));
    use("rescaled", schedule::Rescaled<schedule::Sqrt>{});
}

/// Every sampler's plan for a schedule, with its name.
template <class Schedule, class Use>
void for_each_plan(Schedule const& schedule, Use const& use) {
    use("ddpm", sampler::Ddpm{.steps = 30, .discrete_steps = 300}.plan(schedule));
    use("ddpm without last noise, clamped",
        sampler::Ddpm{.steps = 30, .discrete_steps = 300, .last_noise = false, .clamp = true}.plan(schedule));
    use("ddim", sampler::Ddim{.steps = 20, .discrete_steps = 300}.plan(schedule));
    use("ddim, eta 1", sampler::Ddim{.steps = 30, .eta = 1.0, .discrete_steps = 300}.plan(schedule));
    use("ddim, adaptive decay",
        sampler::Ddim{.steps = 20, .discrete_steps = 300, .step_plan = sampler::AdaptiveDecay{}}.plan(schedule));
    use("continuous ddim", sampler::ContinuousDdim{.steps = 20, .times = {.start = 0.999}}.plan(schedule));
    use("dpm-solver++ 2m", sampler::DpmSolver2M{.steps = 15}.plan(schedule));
    // CeDi as published asks at much noise alone, where the mean of several lines is the right answer; here its labels
    // fall too.
    use("cedi", sampler::Cedi{.steps = 20, .levels = {0.999, 1e-3}, .labels = {0.999, 0.2}}.plan(schedule));
}

TEST_CASE("with the exact denoiser every sampler lands on one of the lines, whatever the schedule") {
    auto pipeline = reciter<embedding::Learned>();
    std::vector<std::string> const sources(6, "whatever");
    for_each_schedule([&](std::string const& name, auto const& schedule) {
        for_each_plan(schedule, [&](std::string const& sampler, sampler::Plan const& plan) {
            pipeline.set_sampler({plan});
            std::set<std::string> different;
            for (auto const& text : pipeline.generate(sources, {.seed = 11})) {
                INFO(name, ", ", sampler, ": '", text, "'");
                CHECK(std::find(known_lines().begin(), known_lines().end(), text) != known_lines().end());
                different.insert(text);
            }
            INFO(name, ", ", sampler);
            CHECK(different.size() > 1);  // not always the same
        });
    });
}

TEST_CASE("the exact denoiser works in a space that is more than a table") {
    auto pipeline = reciter<embedding::LayerNormed>(64);  // wide, so that each row is its own best read-out
    pipeline.set_sampler({sampler::Ddim{.steps = 20}.plan(schedule::Sqrt{})});
    for (auto const& text : pipeline.generate(std::vector<std::string>(6, "whatever"), {.seed = 1}))
        CHECK(std::find(known_lines().begin(), known_lines().end(), text) != known_lines().end());
}

TEST_CASE_TEMPLATE("Empirical is the posterior mean, as double arithmetic finds it line by line", Real, float, double) {
    using Device = tests::Device<Real>;
    constexpr Index vocabulary = 9, width = 5, length = 4, sentences = 3;
    nn::ParameterLayout layout;
    embedding::Learned const space(layout, vocabulary, {.width = width, .standard_deviation = 0.4});
    std::vector<std::vector<Token>> const lines{{4, 5, 6, 7}, {8, 8}, {5, 4, 4}, {4, 5, 6, 8}};
    denoiser::Empirical<Device> const empirical(layout, {.lines = lines}, space);
    std::vector<Real> weights(static_cast<std::size_t>(layout.size()));
    layout.initialize<Real>(2, weights);
    Device device({.threads = 1});
    nn::Workspace<Device> workspace;
    nn::Pass<Device> pass{device, workspace, weights.data()};
    testing::RaggedBatch<Device> const batch(device, std::vector<Index>{length, length, length}, vocabulary);
    PackedSequences const target{batch.segments(), {}, batch.positions()};
    auto const encoded = empirical.encode(pass, target);
    CHECK(empirical.length_of(77, 0) == length);

    for (double const alpha_bar : {0.0, 0.1, 0.5, 0.9, 0.999}) {
        std::vector<double> const label{empirical.time_label({.time = 0.3, .alpha_bar = alpha_bar})};
        testing::DeviceArray<Device, double> const labels(device, label);
        auto const time = empirical.embed_times(pass, labels.vector());
        testing::DeviceArray<Device> const z(device, testing::random_values<Real>(sentences * length * width, 8, 1.2));
        auto const z0_hat = pass.take(sentences * length, width);
        empirical.predict(pass, target, encoded, z.matrix(width),
                          MatrixView<Real const>(time.data, sentences, time.cols, 0), {}, z0_hat);

        double const a = std::sqrt(alpha_bar);
        auto const element = [&](std::vector<Token> const& line, Index place, Index column) {
            auto const token =
                place < static_cast<Index>(line.size()) ? line[static_cast<std::size_t>(place)] : Token{1};
            return space.scale()
                * static_cast<double>(weights[static_cast<std::size_t>(space.table().offset + token * width + column)]);
        };
        for (Index s = 0; s < sentences; ++s) {
            std::vector<double> distance;
            for (auto const& line : lines) {
                double sum = 0.0;
                for (Index place = 0; place < length; ++place)
                    for (Index column = 0; column < width; ++column) {
                        double const z_t = static_cast<double>(z.data()[(s * length + place) * width + column]);
                        sum += std::pow(z_t - a * element(line, place, column), 2);
                    }
                distance.push_back(sum / (2.0 * (1.0 - alpha_bar)));
            }
            double const nearest = *std::min_element(distance.begin(), distance.end());
            double total = 0.0;
            for (double& one : distance) total += (one = std::exp(nearest - one));
            for (Index place = 0; place < length; ++place)
                for (Index column = 0; column < width; ++column) {
                    double mean = 0.0;
                    for (std::size_t n = 0; n < lines.size(); ++n)
                        mean += distance[n] / total * element(lines[n], place, column);
                    // A score is a sum of about 20 terms of this size; its error is the share of error of a weight.
                    double const score = static_cast<double>(length * width) / (1.0 - alpha_bar);
                    double const tolerance =
                        8.0 * static_cast<double>(std::numeric_limits<Real>::epsilon()) * (1.0 + score);
                    CHECK(std::abs(static_cast<double>(z0_hat.row(s * length + place)[column]) - mean) <= tolerance);
                }
        }
    }
}

TEST_CASE("Empirical refuses no lines, tokens that are none, and lengths that it does not know") {
    auto const tokenizer = tiny::tokenizer();
    using Pipe = Reciter<embedding::Learned>;
    CHECK_SAYS(Pipe(tokenizer, {}), "inkling::denoiser::Empirical: 0 lines");
    CHECK_SAYS(Pipe(tokenizer, {.denoiser = {.lines = {{4, 50}}}}), "token 50, expected one of a vocabulary of 14");
    auto pipeline = reciter<embedding::Learned>();
    pipeline.set_sampler({sampler::Ddim{.steps = 3}.plan(schedule::Sqrt{})});
    std::vector<std::string> const source{"x"};
    CHECK_SAYS(pipeline.generate(source, {.beams = {.length_beam = 3}}), "leave length_beam at 1");
}

static_assert(Denoiser<denoiser::Empirical<tests::Device<>>>);
static_assert(!TrainableDenoiser<denoiser::Empirical<tests::Device<>>>);
static_assert(TrainableDenoiser<denoiser::EncoderDecoder<tests::Device<>>>);
static_assert(!Denoiser<int>);
static_assert(EmbeddingSpaceOn<embedding::Learned, tests::Device<>>);
static_assert(!std::copy_constructible<Pipeline>);  // its weights are one buffer; move it

}  // namespace

TEST_CASE("a text that a diffusion teacher distils depends neither on the pieces nor on what it leaves out") {
    TemporaryFolder const folder;
    Pipeline const teacher = tiny::talkative();
    auto const known = tiny::sentences(9);
    auto sources = known;
    sources.insert(sources.begin() + 4, "");
    for (Index const lines : {2, 3, 100}) {
        text::MemoryLines reader{sources};
        (void)distill(teacher, reader, folder / "out", {.generate = {.seed = 5}, .lines_per_piece = lines});
        auto want = teacher.generate(known, {.seed = 5});
        want.insert(want.begin() + 4, "");
        std::string text;
        for (auto const& line : want) text += line + '\n';
        CHECK(contents_of(folder / "out") == text);
    }
}
